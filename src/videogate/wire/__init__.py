"""What callers see: request bodies into a TaskSpec, a Task into JSON, the dialects, the error table."""

"""What we do with a task: accept, send, observe, fetch; a verb a file, and the loop that calls them."""

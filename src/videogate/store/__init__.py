"""The only SQL: tables, the group-commit writer, tasks and the ledger, keys."""

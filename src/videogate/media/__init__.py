"""Result and input files: storage, safe fetching, the input spool, probing."""

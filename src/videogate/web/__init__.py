"""HTTP in, HTTP out. No decision lives here."""

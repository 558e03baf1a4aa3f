"""What a vendor file stands on: the contract, the model facts, one HTTP client and one reading of outcomes."""

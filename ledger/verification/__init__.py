"""Whether a ledger is what its hashes say."""

"""`perfledger explain`: the exact events and values behind a decision."""

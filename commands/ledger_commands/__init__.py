"""The ledger itself on the command line: create, read, replay, verify, share, query."""

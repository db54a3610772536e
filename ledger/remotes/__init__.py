"""Where a ledger is shared: one small abstract class, one file per kind of remote."""

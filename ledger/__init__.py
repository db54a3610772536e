"""The truth: typed events, a hash-chained log on disk, evidence, and sync with remotes."""

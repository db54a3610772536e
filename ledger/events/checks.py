"""The checks stream."""

"""The thresholds stream."""

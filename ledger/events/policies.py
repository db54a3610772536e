"""The policies stream."""

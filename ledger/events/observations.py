"""The observations stream."""

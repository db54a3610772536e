"""The steps of a reseed, and what it would move."""

"""What came from outside: how it may be shown, and what of it is never told or kept."""

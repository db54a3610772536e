"""Threshold literals in Python files: find them, read them, rewrite exactly their characters."""

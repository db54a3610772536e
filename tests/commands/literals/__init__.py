"""Threshold literals: finding, rewriting, and their history."""

"""Judging a calibration."""

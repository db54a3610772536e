"""The measuring loop of a calibration."""

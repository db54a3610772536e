"""The calibrations stream."""

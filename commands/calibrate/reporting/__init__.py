"""The report of a calibration: Markdown to the byte of the existing format, and an HTML twin."""

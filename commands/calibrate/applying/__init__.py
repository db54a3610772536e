"""From a finished calibration to rewritten threshold literals."""

"""What configures a calibration: model configs, host profiles, metric registry, `stages.yaml`."""

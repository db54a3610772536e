"""What `calibrate precheck` looks at: software, assets, GPUs. It reports gaps with their commands and does nothing."""

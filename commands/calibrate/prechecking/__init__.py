"""What `calibrate precheck` looks at: software, assets, GPUs. It only reports gaps with their commands."""

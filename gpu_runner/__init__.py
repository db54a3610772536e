"""The hands: frees GPUs, runs repeats, samples telemetry, emits observation events."""

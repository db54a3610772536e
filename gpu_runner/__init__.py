"""Waits for free GPUs, runs repeats, samples telemetry, emits observation events."""

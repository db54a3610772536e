"""Results as they arrive: read from files of many formats, turned into events."""

"""The command line and the write side: each command loads state, decides, appends events, prints."""

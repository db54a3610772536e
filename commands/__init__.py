"""The face and the write side: each command loads state, decides, appends events, prints."""

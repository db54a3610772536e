"""The catalogue: every event type, one module per kind of stream."""

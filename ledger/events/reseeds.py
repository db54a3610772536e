"""The reseeds stream."""

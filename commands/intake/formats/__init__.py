"""Input formats of results, one small adapter each: bytes in, a `Measured` out."""

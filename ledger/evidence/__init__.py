"""What was judged, by SHA-256: large pieces as files, small ones in packs."""

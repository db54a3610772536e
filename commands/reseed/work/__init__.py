"""The work of a reseed: no file here knows the command line."""

"""The work of a reseed: no file here imports click."""

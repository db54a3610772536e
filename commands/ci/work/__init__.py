"""The work of the CI commands: no file here imports click."""

"""The work of the CI commands: no file here knows the command line."""

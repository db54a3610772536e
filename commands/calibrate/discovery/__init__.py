"""What `discover` finds out from configuration and source files."""

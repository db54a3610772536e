"""Names of people, and SSH keys."""

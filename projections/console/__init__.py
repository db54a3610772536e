"""Read-only SQL for people, fenced in."""

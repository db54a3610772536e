"""What a user installs: the wheel, its one import name, what it needs, and which code its processes run."""

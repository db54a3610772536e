"""Who may decide: the policies in force, and whether enough distinct keys approved."""

"""Who may decide: the approval policy in force, and whether enough distinct keys approved a decision under it."""

"""Pages made from the source itself: the codes of errors, the variables of the environment."""

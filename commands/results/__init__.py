"""Results, verdicts and baselines on the command line."""

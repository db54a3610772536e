"""The CI rules as pure functions: policy, path filters, lanes, labels, commands, aggregates, gate."""

"""The read side: events become fact rows, state is SQL views over facts."""

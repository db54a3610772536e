"""From events to a session at one moment: catalogue, newly learned events, state files, engine."""

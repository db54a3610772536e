"""What every command shares: global options, streams, tables, charts, the choice of a target."""

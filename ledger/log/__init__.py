"""One origin's log: journal, sealed segments, the derived index."""

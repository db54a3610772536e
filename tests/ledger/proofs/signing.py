"""A process that signs a log while others write it: `python -m tests.ledger.proofs.signing LEDGER COUNT`."""

from __future__ import annotations

import sys

from ledger.ledger import Ledger
from ledger.proofs import checkpoints, keys


def main(folder: str, count: str) -> None:
    """Sign again and again until the log has COUNT events; print the size and root of each checkpoint."""
    size = 0
    while size < int(count):
        ledger = Ledger.open(folder, actor="signer@example.org")
        found = checkpoints.sign(ledger, keys.ready(ledger))
        size = found.size
        sys.stdout.write(f"{size} {found.checkpoint.root.hex()}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])

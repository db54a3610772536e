"""`python -m perfledger`, the console command, and the entry of the processes that we start ourselves.

`ledger/children.py` makes their command lines. Their commands are hidden, and take what only the starter can give.
"""

from __future__ import annotations

import sys

from ledger import children


def main() -> None:
    """Run the command line, or be one of our own processes."""
    given = sys.argv[1] if len(sys.argv) > 1 else ""
    if given == children.KEEP_REPEAT:
        from gpu_runner.keeper import main as run
    elif given == children.ANSWER_QUERY:
        from projections.console.child import main as run
    else:
        from commands.main import main as run
    run()


if __name__ == "__main__":
    main()

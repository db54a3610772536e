"""The command line, killed with SIGKILL at one step of an announced write: `python -P dying.py STEP ARGS...`.

Only tests start it. Steps that somebody outside can observe (a server saw the request) are killed from there instead.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from commands.calibrate.applying import execute
from commands.main import main
from ledger.sync.announced import Writer

PLANNING, PLANNED, ANSWERED, SETTLING, SETTLED = "planning", "planned", "answered", "settling", "settled"
# the first file of an apply, whose write is not seen by any server: before, with the new bytes beside it, and after
REPLACING, BESIDE, REPLACED = "replacing", "beside", "replaced"


def die() -> None:
    """End this process as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


def dying(function: Callable[..., Any], *, after: bool) -> Callable[..., Any]:
    """Return a function that dies before or after it is carried out."""

    def call(*args: Any, **kwargs: Any) -> None:
        if after:
            function(*args, **kwargs)
        die()

    return call


def arm(step: str) -> None:
    """Make this process die at a step."""
    if step in (PLANNING, PLANNED):
        Writer._announce = dying(Writer._announce, after=step == PLANNED)  # type: ignore[method-assign]
    elif step in (SETTLING, SETTLED):
        Writer._settle = dying(Writer._settle, after=step == SETTLED)  # type: ignore[method-assign]
    elif step in (REPLACING, REPLACED):
        execute.replace_file = dying(execute.replace_file, after=step == REPLACED)  # type: ignore[attr-defined]
    elif step == BESIDE:
        Path.replace = dying(Path.replace, after=False)  # type: ignore[method-assign]
    else:
        assert step == ANSWERED, step
        carry_out = Writer.carry_out

        def send_and_die(self: Writer, write: Any) -> Any:
            write.send = dying(write.send, after=True)
            return carry_out(self, write)

        Writer.carry_out = send_and_die  # type: ignore[method-assign]


if __name__ == "__main__":
    arm(sys.argv.pop(1))
    main()

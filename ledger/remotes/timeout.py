"""How long a silent remote is waited for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ledger.errors import BadInput

if TYPE_CHECKING:
    pass


TIMEOUT_S = 60.0


TIMEOUT_VARIABLE = "PERFLEDGER_REMOTE_TIMEOUT"


def timeout_s() -> float:
    """Return the seconds of silence after which a request is given up."""
    text = os.environ.get(TIMEOUT_VARIABLE, "")
    try:
        seconds = float(text) if text else TIMEOUT_S
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < 86_400:
        raise BadInput(
            f"{TIMEOUT_VARIABLE}={text!r} is not a number of seconds",
            code="bad_timeout",
            hint=f"export {TIMEOUT_VARIABLE}=60",
        )
    return seconds

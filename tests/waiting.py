"""Wait for what must come. The limit is one that no slow or busy machine reaches: it ends a hang, no more."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

HANGS_S = 120.0

Found = TypeVar("Found")


def until(condition: Callable[[], Found], seconds: float = HANGS_S) -> Found:
    """Ask until the answer is true, and return it. Fails after `seconds`."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"it did not come within {seconds:g} s"
        time.sleep(0.02)
    return found

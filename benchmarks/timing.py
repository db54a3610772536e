"""Seconds of calls within this process, as every benchmark takes them."""

from __future__ import annotations

import time
from collections.abc import Callable


def best(work: Callable[[], object], repeats: int = 7) -> float:
    """Return the seconds of the fastest of several calls: whatever else the machine does can only add."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)

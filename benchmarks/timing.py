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


def in_turns(repeats: int, *ways: Callable[[], object]) -> list[float]:
    """Return the seconds of the fastest call of each way, the ways taking turns so that a busy spell hits all."""
    rounds = [[best(way, 1) for way in ways] for _ in range(repeats)]
    return [min(times) for times in zip(*rounds, strict=True)]

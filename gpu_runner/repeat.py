"""One repeat, from the wait for GPUs to the observation."""

from __future__ import annotations

from gpu_runner.request import (
    EvidenceSink,
    GatePolicy,
    Limits,
    RepeatRequest,
    StageSpec,
    ValueSource,
)
from ledger.events.observations import RepeatObserved

__all__ = [
    "EvidenceSink",
    "GatePolicy",
    "Limits",
    "RepeatObserved",
    "RepeatRequest",
    "StageSpec",
    "ValueSource",
    "run_repeat",
]


def run_repeat(request: RepeatRequest) -> RepeatObserved:
    """Run one repeat to its observation; every event goes through `request.emit`, the observation last.

    Raises `Unavailable` when the GPUs do not get free (pytest never ran, nothing is observed), `BadInput`
    for a request that cannot be run, and KeyboardInterrupt after SIGINT or SIGTERM, with no process left behind.
    """
    raise NotImplementedError

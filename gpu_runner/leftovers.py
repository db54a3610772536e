"""What an earlier runner left behind, found again when its session goes on.

A keeper ends its repeat when the runner dies, so normally nothing is left. When both were killed at once (a container's
memory limit, `kill -9` on everything), processes of the repeat may still hold a GPU: the log says which marker
they carry and when their repeat began, and `processes.left_behind` what is never touched.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable

from gpu_runner import hosts, processes
from ledger.event import EventPayload
from ledger.events.observations import RepeatInterrupted, RepeatStarted


def end_leftovers(started: Iterable[RepeatStarted], *, grace_s: float = 5.0) -> list[EventPayload]:
    """End what is left of these attempts on this machine; return an event for each of them.

    Attempts of another host or another boot have no process here; they are recorded as ended all the same.
    """
    host, boot = socket.gethostname(), hosts.boot_id()
    ended: list[EventPayload] = []
    for attempt in started:
        killed: set[int] = set()
        stuck: set[int] = set()
        if (attempt.host, attempt.boot_id) == (host, boot):
            killed, stuck = processes.end_left_behind(attempt.repeat_id, attempt.started_ticks, grace_s)
        ended.append(
            RepeatInterrupted(
                unit=attempt.unit,
                repeat=attempt.repeat,
                repeat_id=attempt.repeat_id,
                by="runner died",
                killed_pids=sorted(killed),
                stuck_pids=sorted(stuck),
            )
        )
    return ended

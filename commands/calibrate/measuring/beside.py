"""What goes on beside the repeats of a run: sharing its events, and what an earlier runner left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gpu_runner.background import Background
from gpu_runner.leftovers import end_leftovers
from ledger import children
from ledger.event import NewEvent

if TYPE_CHECKING:
    from commands.calibrate.run_directory import RunDirectory
    from ledger.ledger import Ledger
    from projections.calibration.current import CurrentSession

SYNC_LOG = "sync.log"
LAST_MOMENT_S = 3.0
# What a push may need: where its user's settings are, how to reach a remote and with which rights.
PUSH_VARIABLES = (
    *("PATH", "HOME", "USER", "LOGNAME", "XDG_*", "LANG", "LC_*", "TZ", "TMPDIR", "GIT_*", "PERFLEDGER_*"),
    *("HF_*", "HUGGINGFACE_*", "AWS_*", "AZURE_*", "GOOGLE_*", "IDENTITY_*", "MSI_*"),
    *("*_PROXY", "*_proxy", "SSL_CERT_*", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
)


@contextmanager
def shared_beside(
    ledger: Ledger, directory: RunDirectory, say: Callable[[str], None], *, wanted: bool
) -> Iterator[Callable[[], None]]:
    """Yield what a run calls after each repeat: a push of the new events in a process of its own.

    Does nothing where no remote is known. A remote that is slow or away costs the run nothing: after the last
    repeat the push goes on by itself, an interrupted run ends it, and what was not sent waits in the log.
    """
    from ledger.sync.outbox import default_remote

    remote = default_remote(ledger) if wanted else None
    if remote is None:
        yield lambda: None
        return
    command = children.command("sync", "push", "--remote", remote, "--ledger", str(ledger.path), "-q")
    with Background(command, directory.path / SYNC_LOG, env=children.environment(*PUSH_VARIABLES)) as push:
        yield push.nudge
        push.nudge()  # the end of the session too
        if not push.leave(LAST_MOMENT_S) or push.failures:
            why = f": {last_words(directory.path / SYNC_LOG)}" if push.failures else ""
            say(f"not everything is at {remote} yet{why} (see {directory.path / SYNC_LOG}; perfledger sync status)")


def last_words(log: Path) -> str:
    """Return what the newest message of the push begins with; empty when it left none."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    errors = [line for line in lines if line.startswith("perfledger: ")]
    return errors[-1].removeprefix("perfledger: ").partition("; ")[0] if errors else ""


def end_dead_runs(current: CurrentSession, say: Callable[[str], None]) -> None:
    """End processes that repeats of this session left when runner and keeper were killed at once, and record it.

    Call it only while no other runner holds the run directory.
    """
    payloads = end_leftovers(current.session.running.values())
    for payload in payloads:
        killed = getattr(payload, "killed_pids", [])
        if killed:
            say(f"ended what a killed runner left behind: pid {', '.join(map(str, killed))}")
    if payloads:
        current.ledger.append([NewEvent(stream=current.stream, payload=payload) for payload in payloads])
        current.refresh()

"""`perfledger calibrate watch`: follow the log of the repeat that is running now."""

from __future__ import annotations

import time
from pathlib import Path

import click
import msgspec

from commands.calibrate.measuring.active import ActiveRepeat, active_repeats
from commands.calibrate.run_directory import RunDirectory
from commands.calibrate.session_options import open_session, run_dir_options
from commands.cli import streams
from commands.cli.app import App, command
from commands.cli.numbers import Finite
from commands.cli.output import to_json_line
from ledger.errors import Inconclusive
from ledger.outside import shown

CHUNK_BYTES = 1 << 20


class Follower:
    """Reads what a growing log gained since the last look, whole lines only.

    A log that was replaced (a new attempt) is read from its beginning.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0
        self._inode = -1
        self._rest = b""

    def lines(self) -> list[str]:
        """Return the new whole lines; nothing when the log is not there yet."""
        try:
            with self.path.open("rb") as log:
                status = log.seek(0, 2), self.path.stat().st_ino
                if status[1] != self._inode or status[0] < self._offset:
                    self._offset, self._inode, self._rest = 0, status[1], b""
                log.seek(self._offset)
                data = log.read(CHUNK_BYTES)
        except FileNotFoundError:
            return []
        self._offset += len(data)
        whole, newline, rest = (self._rest + data).rpartition(b"\n")
        self._rest = rest
        return whole.decode("utf-8", "replace").split("\n") if newline else []


class Seen(msgspec.Struct, frozen=True):
    """What is followed: a unit and repeat, or nothing while none runs."""

    unit: str
    repeat: int


@command("watch", follows="calibrate status RUN_DIR")
@run_dir_options
@click.option("--interval", type=Finite(0.05), default=1.0, show_default=True, help="Seconds between looks.")
@click.option(
    "--wait",
    type=Finite(0),
    default=30.0,
    show_default=True,
    help="Seconds to wait for a repeat to start before giving up.",
)
def watch(
    app: App, run_dir: Path, stages_yaml: Path | None, repo_root: Path | None, interval: float, wait: float
) -> None:
    """Print the active repeat's log as it grows and switch by itself to the next one.

    The active repeat is asked of the running processes. Ends when none has run for --wait seconds;
    exit 5 when none ever did.
    """
    if not RunDirectory(run_dir).exists():
        # a session named by its id; a run directory itself is followed without any ledger
        run_dir = open_session(app, run_dir, stages_yaml=stages_yaml, repo_root=repo_root).needed().path
    followed: dict[Seen, Follower] = {}
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < wait or wait == 0:
        running = active_repeats(run_dir)
        for active in running:
            _begin(app, active, followed)
        # the last lines of a repeat are written after its process is gone: every log is read once more
        for seen, follower in followed.items():
            for line in follower.lines():
                _print(app, seen, line)
        if running:
            quiet_since = time.monotonic()
        elif wait == 0:
            break
        time.sleep(interval)
    if not followed:
        raise Inconclusive(
            f"no repeat of {run_dir} is running",
            code="nothing_running",
            hint=f"perfledger calibrate status {run_dir}",
        )


def _begin(app: App, active: ActiveRepeat, followed: dict[Seen, Follower]) -> None:
    seen = Seen(active.unit, active.repeat)
    if seen not in followed:
        followed[seen] = Follower(active.log)
        app.note(f"[{active.unit}] run {active.repeat} (pid {active.pid}): {active.log}")


def _print(app: App, seen: Seen, line: str) -> None:
    if app.as_json:
        streams.say(to_json_line({"unit": seen.unit, "repeat": seen.repeat, "line": line}))
    else:
        streams.say(shown.terminal(line))

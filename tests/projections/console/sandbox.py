"""A ledger worth attacking: sealed and open events, evidence, and around it files with a secret in them."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import threading
from dataclasses import dataclass
from pathlib import Path

import duckdb

from ledger.ledger import Ledger
from projections.console.query import Limits, Question, ask
from projections.state import store
from projections.state.state import State
from tests.ledger.samples import result

SECRET = "canary-3f9d0c51e7"


@dataclass
class Arena:
    """The ledger, the folder around it, and a port whose callers are counted."""

    root: Path
    ledger: Ledger
    listener: socket.socket
    callers: list[object]

    def fill(self, escape: str) -> str:
        """Put this arena's paths into the text of an escape."""
        (segment, *_) = sorted((self.ledger.path / "log").rglob("*.parquet"))
        (journal,) = (self.ledger.path / "log").rglob("journal.jsonl")
        return escape.format(
            canary=self.root / "secret.csv",
            folder=self.root,
            out=self.root / "out.csv",
            other=self.root / "other.duckdb",
            state=self.ledger.path / store.BASE_NAME,
            segment=segment,
            journal=journal,
            port=self.listener.getsockname()[1],
        )

    def snapshot(self) -> dict[str, str]:
        """Every file and folder under the root, with what it holds and when it was last changed."""
        found = {}
        for path in sorted(self.root.rglob("*")):
            about = path.stat()
            digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
            found[str(path.relative_to(self.root))] = f"{digest} {about.st_mtime_ns} {about.st_mode}"
        return found


def settle(ledger: Ledger) -> None:
    """Let a query's own process bring the state up to date.

    This process may know event types of tests besides, and a state is made again by who knows other types.
    """
    ask(ledger.path, Question("SELECT count(*) FROM results"), io.BytesIO(), Limits())


def build(root: Path) -> Arena:
    """Make the arena; the state is caught up, so that a query has nothing left to write."""
    ledger = Ledger.create(root / ".perfledger", origin="testbed", actor="tester@example.org")
    ledger.append([result(n) for n in range(30)])
    ledger.evidence.put(b"original bytes")
    ledger.seal()
    ledger.append([result(30), result(31, target="model-b@GPU")])
    settle(ledger)
    (root / "secret.csv").write_text(f"name\n{SECRET}\n")
    other = duckdb.connect(str(root / "other.duckdb"))
    other.execute(f"CREATE TABLE secrets AS SELECT '{SECRET}' AS name")
    other.close()
    listener = socket.create_server(("127.0.0.1", 0))
    callers: list[object] = []
    threading.Thread(target=_count, args=(listener, callers), daemon=True).start()
    return Arena(root, ledger, listener, callers)


def _count(listener: socket.socket, callers: list[object]) -> None:
    while True:
        try:
            connection, address = listener.accept()
        except OSError:  # closed: the test is over
            return
        callers.append(address)
        connection.close()


def raw_console() -> None:
    """The console's process with its guard taken out: runs each line of standard input as it comes.

    What the engine's locked settings and the operating system's walls hold alone; or, with `walls` as the first
    argument, the walls alone. The first line it says is `ready`, and `landlocked` where the kernel has Landlock.
    """
    import json
    import sys

    from projections.console import engine as console_engine
    from projections.console import walls as console_walls
    from projections.console.events import define_events

    state = State.open(Ledger.open(sys.argv[-1], actor="sql"))
    define_events(state)
    state.prepare("FROM results, baselines")
    connection = state.connection.raw
    if sys.argv[1] != "walls":
        console_engine.lock(connection, memory_mb=256, lossless=True)
    console_engine.warm_up(connection, "json")
    channel = os.dup(1)
    landlocked = console_walls.raise_walls(memory_bytes=2**30, processor_seconds=120)
    os.write(channel, b"ready landlocked\n" if landlocked else b"ready\n")
    for line in sys.stdin:
        timer = threading.Timer(1.0, connection.interrupt)
        timer.start()
        try:
            answer = f"ok {connection.execute(json.loads(line)).fetchall()}"
        except Exception as error:  # noqa: BLE001  (whatever it is, it is the answer)
            answer = f"error {error}"
        timer.cancel()
        os.write(channel, (json.dumps(answer[:100_000]) + "\n").encode())

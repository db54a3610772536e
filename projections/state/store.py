"""The projected facts on disk: two DuckDB files, each built aside and put in place by a rename.

`state.duckdb` holds the facts of the sealed log up to its checkpoint, `state-recent.duckdb` those of the
segments sealed since then. Neither is ever opened for writing where a reader could see it, so a reader never
meets a lock; both may be deleted at any time. What is not in either (the journal, the newest segments) a
session reads from the log into memory.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ledger.errors import Damaged, Unavailable
from projections.state import arrivals, catalogue, engine, stopping
from projections.state.unread import Arrived

if TYPE_CHECKING:
    from ledger.ledger import Ledger

BASE_NAME = "state.duckdb"
RECENT_NAME = "state-recent.duckdb"
RECENT_EVENTS_MAX = 20_000  # more than this, and more than a tenth of the base: fold it into the base
BUILD_MEMORY = "1GB"


@dataclass(frozen=True)
class Meta:
    """What a state file says of itself: the shape of its facts, and the log positions it begins after and ends at.

    counts_from_us: when the last event counts that was from the future, in microseconds UTC; 0 when there is none.
    """

    digest: str
    start: dict[str, int] = field(default_factory=dict)
    checkpoint: dict[str, int] = field(default_factory=dict)
    events: int = 0
    counts_from_us: int = 0


def shape() -> str:
    """Return what a state file must have been made by to be of use: the same facts, and the same engine.

    The engine, because `fact_result_shared` is numbered by its hash function, which another version may change.
    """
    return f"{catalogue.digest()} duckdb {engine.version()}"


def read_meta(connection: engine.Connection, name: str) -> Meta | None:
    """Return the meta of an attached file, or None when it was made by another shape of facts."""
    try:
        row = connection.execute(f"SELECT body FROM {name}.meta").fetchone()
        meta = msgspec.json.decode(row[0], type=Meta) if row else None
    except (engine.EngineFailed, msgspec.MsgspecError):
        return None
    return meta if meta and meta.digest == shape() else None


def attach(connection: engine.Connection, folder: Path) -> tuple[Meta | None, Meta | None]:
    """Attach the state files as `base` and `recent`; return their metas, None for one that is of no use."""
    metas: list[Meta | None] = []
    for name, file in (("base", BASE_NAME), ("recent", RECENT_NAME)):
        meta = None
        if (folder / file).exists() and engine.attach(connection, folder / file, name):
            meta = read_meta(connection, name)
            if meta is None or (name == "recent" and (metas[0] is None or meta.start != metas[0].checkpoint)):
                connection.execute(f"DETACH {name}")
                meta = None
        metas.append(meta)
    return metas[0], metas[1]


@contextlib.contextmanager
def building(folder: Path, *, wait: bool) -> Iterator[bool]:
    """Hold the builder's lock. Yields False when another process is building and `wait` is off."""
    fd = os.open(folder / "state.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        _remove_leftovers(folder)
        yield True
    finally:
        os.close(fd)


def advance(ledger: Ledger, base: Meta | None, recent: Meta | None, *, wait: bool) -> bool:
    """Bring the state files up to the sealed log. Return whether they may have changed."""
    with building(ledger.path, wait=wait) as mine:
        if not mine:
            return False
        probe = engine.connect()
        try:
            base, recent = attach(probe, ledger.path)
        finally:
            probe.close()
        if base is None:
            build(ledger, ledger.path / BASE_NAME, Meta(shape()))
            (ledger.path / RECENT_NAME).unlink(missing_ok=True)
            return True
        if not arrivals.after(ledger, (recent or base).checkpoint, tail=False).files:
            return True
        start = Meta(shape(), base.checkpoint, base.checkpoint)
        made = build(ledger, ledger.path / RECENT_NAME, start, pulls=ledger.path / BASE_NAME)
        if made.events > max(RECENT_EVENTS_MAX, base.events // 10):
            _fold(ledger, base)
    return True


def rebuild(ledger: Ledger) -> Meta:
    """Build the state from nothing. A reader sees the old one until the new one is complete."""
    with building(ledger.path, wait=True):
        meta = build(ledger, ledger.path / BASE_NAME, Meta(shape()))
        (ledger.path / RECENT_NAME).unlink(missing_ok=True)
    return meta


def build(ledger: Ledger, target: Path, start: Meta, *, pulls: Path | None = None) -> Meta:
    """Project the sealed log after `start.checkpoint` into a new file at `target`.

    Raises `Unavailable` when there is no room for it, and `Damaged` when the log cannot be projected.
    """
    temporary = _temporary(target)
    try:
        connection = engine.connect(
            temporary,
            memory_limit=BUILD_MEMORY,
            preserve_insertion_order=False,
            temp_directory=str(temporary) + ".spill",
        )
        try:
            meta = _project(connection, ledger, start, pulls=pulls)
        finally:
            connection.close()
        os.replace(temporary, target)  # noqa: PTH105
        return meta
    except engine.EngineOutside as error:
        raise Unavailable(
            f"cannot write {target}: {str(error).splitlines()[0]}",
            code="state_not_written",
            hint="free some space, or rename the folder, and run it again; nothing recorded is affected",
        ) from error
    finally:
        _remove(temporary)


def _project(connection: engine.Connection, ledger: Ledger, start: Meta, *, pulls: Path | None) -> Meta:
    batch = arrivals.after(ledger, start.checkpoint, tail=False)
    known = []
    if pulls is not None and engine.attach(connection, pulls, "base"):
        known = ["base.fact_pull"]
    try:
        arrived = _make_facts(connection, batch, known)
    except engine.EngineOutside:
        raise
    except engine.EngineFailed as error:
        raise Damaged(
            f"the log could not be projected: {str(error).splitlines()[0]}",
            code="projection_failed",
            hint="perfledger verify",
        ) from error
    connection.execute("DROP VIEW arrivals")
    checkpoint = start.checkpoint | arrived.ends
    meta = Meta(start.digest, start.start, checkpoint, arrived.events, arrived.counts_from_us)
    _write_meta(connection, meta)
    if known:
        connection.execute("DETACH base")
    return meta


def _make_facts(connection: engine.Connection, batch: arrivals.Batch, pulls: list[str]) -> Arrived:
    """Fill the fact tables; where an event stops that, again without those that do."""
    arrivals.create_tables(connection, "main")
    try:
        arrived = arrivals.load(connection, batch, pulls)
        arrivals.insert_facts(connection, "main", arrived.types)
    except engine.EngineOutside:
        raise
    except engine.EngineFailed:
        arrived = stopping.load_without(connection, batch, pulls)
        for name in catalogue.facts():
            connection.execute(f"DROP TABLE main.{name}")
        arrivals.create_tables(connection, "main")
        arrivals.insert_facts(connection, "main", arrived.types)
    return arrived


def _write_meta(connection: engine.Connection, meta: Meta) -> None:
    connection.execute("CREATE OR REPLACE TABLE meta (body VARCHAR)")
    connection.execute("INSERT INTO meta VALUES (?)", [msgspec.json.encode(meta, order="sorted").decode()])


def _fold(ledger: Ledger, base: Meta) -> None:
    """Put the recent facts into a copy of the base, and the copy in the base's place."""
    target, recent = ledger.path / BASE_NAME, ledger.path / RECENT_NAME
    temporary = _temporary(target)
    try:
        shutil.copyfile(target, temporary)
        connection = engine.connect(temporary, memory_limit=BUILD_MEMORY, preserve_insertion_order=False)
        try:
            engine.attach(connection, recent, "recent")
            newer = read_meta(connection, "recent")
            assert newer is not None and newer.start == base.checkpoint, (newer, base)
            for name, table in catalogue.facts().items():
                known = "" if table.of_events else f" EXCEPT SELECT * FROM main.{name}"
                connection.execute(f"INSERT INTO main.{name} BY NAME SELECT * FROM recent.{name}{known}")
            counts_from_us = max(base.counts_from_us, newer.counts_from_us)
            events = base.events + newer.events
            _write_meta(connection, Meta(base.digest, base.start, newer.checkpoint, events, counts_from_us))
            connection.execute("DETACH recent")
        finally:
            connection.close()
        os.replace(temporary, target)  # noqa: PTH105
        recent.unlink(missing_ok=True)
    finally:
        _remove(temporary)


def _remove_leftovers(folder: Path) -> None:
    """Remove what builders that were killed left: whoever holds the lock is the only one, so all of it is theirs."""
    for name in (BASE_NAME, RECENT_NAME):
        for path in folder.glob(f".{name}.*"):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _temporary(target: Path) -> Path:
    return target.with_name(f".{target.name}.{os.getpid()}")


def _remove(path: Path) -> None:
    for suffix in ("", ".wal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    shutil.rmtree(str(path) + ".spill", ignore_errors=True)

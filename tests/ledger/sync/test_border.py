"""A pull is as strict as `verify`: a log that breaks any rule is refused whole, and the others are taken in.

The rule is T1 of the trust design: what was adopted once would make `verify` say 7 for ever.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger import disk
from ledger.errors import Damaged, PerfledgerError
from ledger.ledger import Ledger
from ledger.log import segment
from ledger.sync.pull import pull
from ledger.verification.border import NAME
from ledger.verification.rules import RULES
from ledger.verification.walk import verify
from tests.hub_repo import Blob
from tests.hub_server import HubServer
from tests.ledger.sync.conftest import QUICK
from tests.ledger.sync.forged import FORGERIES, SEALED, Events, Files, checkpoint, cut, genuine, linked
from tests.ledger.sync.samples import HUB_URL, chain

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

Make = Callable[[str], Ledger]
NOT_OF_A_PEERS_SEGMENTS = {
    "journal-line",  # a peer's journal stays with the peer
    "twice-different",
    "log-cut",  # its checkpoint tells, see test_refusals.py
    "pull-mismatch",  # says what our own log announced
    "evidence-changed",  # of evidence
    "evidence-missing",
}


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Events:
    """Twelve events to forge."""
    return list(genuine(tmp_path_factory.mktemp("genuine")))


def put(folder: Path, origin: str, files: Files, events: Events) -> None:
    """Put a log where a shared folder has it."""
    target = folder / "log" / origin
    disk.make_directory(target)
    for name, data in files.items():
        (target / name).write_bytes(data)
    (target / "HEAD.json").write_bytes(checkpoint(origin, events))


def adopted(ledger: Ledger) -> list[str]:
    """The other origins of a ledger."""
    return ledger.origins()[1:]


@pytest.fixture
def reader(make_ledger: Make) -> Ledger:
    return make_ledger("reader")


@pytest.fixture
def shared(tmp_path: Path, events: Events) -> Path:
    """A shared folder with two good logs, one before and one behind the forged ones by name."""
    folder = tmp_path / "shared"
    for origin in ("0-good", "z-good"):
        own = linked(events, origin)
        put(folder, origin, cut(own), own)
    return folder


def from_folder(ledger: Ledger, folder: Path, heard: Callable[[str], Any] = lambda _: None) -> None:
    from ledger.remotes.open import open_remote

    pull(ledger, open_remote(folder.as_uri(), policy=QUICK), say=heard)


@pytest.mark.parametrize("origin", FORGERIES)
def test_a_log_that_breaks_a_rule_is_refused_and_the_others_are_taken_in(
    origin: str, events: Events, shared: Path, reader: Ledger
) -> None:
    rule, forge = FORGERIES[origin]
    put(shared, origin, forge(events), linked(events, origin))
    with pytest.raises(Damaged) as caught:
        from_folder(reader, shared)
    assert (caught.value.code, caught.value.details["rule"]) == ("origin_refused", rule)
    assert caught.value.details["origin"] == origin
    assert caught.value.exit_code == 7
    assert adopted(reader) == ["0-good", "z-good"]
    assert not (reader.path / "incoming").exists()
    report = verify(reader)
    assert report.findings == [] and report.events == reader.head().position + 24


def test_a_pull_that_refuses_a_log_leaves_no_thread(events: Events, shared: Path, reader: Ledger) -> None:
    """Ended when it is refused: left to the garbage collector, threads can wait for each other without end."""
    origin = next(iter(FORGERIES))
    put(shared, origin, FORGERIES[origin][1](events), linked(events, origin))
    before = set(threading.enumerate())
    gc.disable()
    try:
        with pytest.raises(Damaged):
            from_folder(reader, shared)
        assert set(threading.enumerate()) <= before
    finally:
        gc.enable()


def test_logs_that_break_a_rule_after_what_is_held_are_refused_from_there(
    events: Events, shared: Path, reader: Ledger
) -> None:
    """The same with the first segment pulled before, when it was all there was."""
    first = segment.file_name(1)
    forged = {origin: forge(events) for origin, (_, forge) in FORGERIES.items()}
    good_starts = {origin: linked(events, origin)[:SEALED] for origin in forged}
    later = [origin for origin, start in good_starts.items() if forged[origin].get(first) == cut(start)[first]]
    assert len(later) > len(FORGERIES) - 3
    for origin in later:
        put(shared, origin, {first: forged[origin][first]}, good_starts[origin])
    from_folder(reader, shared)
    before = {origin: chain(reader, origin, 10**9) for origin in later}
    assert all([position for position, _ in held] == [1, 2, 3, 4] for held in before.values())
    for origin in later:
        put(shared, origin, forged[origin], linked(events, origin))
    heard: list[str] = []
    with pytest.raises(PerfledgerError) as caught:
        from_folder(reader, shared, heard.append)
    assert len({caught.value.message, *heard}) == len(later)
    assert {origin: chain(reader, origin, 10**9) for origin in later} == before
    assert verify(reader).findings == []


def test_every_rule_that_a_peers_segments_can_break_has_a_forgery() -> None:
    assert {rule for rule, _ in FORGERIES.values()} == set(RULES) - NOT_OF_A_PEERS_SEGMENTS


def test_a_hub_full_of_forgeries_gives_the_good_logs_only(hub: HubServer, events: Events, reader: Ledger) -> None:
    files: dict[str, bytes] = {}
    for origin in ("0-good", *FORGERIES, "z-good"):
        own = linked(events, origin)
        made = FORGERIES[origin][1](events) if origin in FORGERIES else cut(own)
        files |= {f"ledger/log/{origin}/{name}": data for name, data in made.items()}
        files[f"ledger/log/{origin}/HEAD.json"] = checkpoint(origin, own)
    hub.repos["org/perf"].commit("forged", {path: Blob(data) for path, data in files.items()})
    heard: list[str] = []
    from ledger.remotes.open import open_remote

    with pytest.raises(Damaged) as caught:
        pull(reader, open_remote(HUB_URL, policy=QUICK), say=heard.append)
    told = [caught.value.message, *heard]
    assert {message.partition(" is refused: ")[0] for message in told} == set(FORGERIES)
    assert adopted(reader) == ["0-good", "z-good"]
    assert verify(reader).findings == []


@pytest.mark.parametrize("spoil", ["delete", "cut", "other log", "rubbish", "older"])
def test_the_note_of_where_the_last_pull_ended_may_be_lost_or_wrong(
    spoil: str, events: Events, shared: Path, reader: Ledger
) -> None:
    """It only saves reading again: an id and a version of the held segments are known without it."""
    origin = "id-twice-across-segments"
    files = FORGERIES[origin][1](events)
    names = sorted(files)
    put(shared, origin, {name: files[name] for name in names[:1]}, linked(events, origin)[:SEALED])
    from_folder(reader, shared)
    note = reader.path / "log" / origin / NAME
    older = note.read_bytes()
    put(shared, origin, {name: files[name] for name in names[:2]}, linked(events, origin)[: 2 * SEALED])
    from_folder(reader, shared)
    kept = note.read_bytes()
    assert kept != older
    if spoil == "delete":
        note.unlink()
    else:
        other = (reader.path / "log" / "0-good" / NAME).read_bytes()
        note.write_bytes({"cut": kept[:-16], "other log": other, "rubbish": b"\0" * 100, "older": older}[spoil])
    put(shared, origin, files, linked(events, origin))
    with pytest.raises(Damaged) as caught:
        from_folder(reader, shared)
    assert (caught.value.details["rule"], caught.value.details["position"]) == ("event-id-twice", 11)
    assert verify(reader).findings == []

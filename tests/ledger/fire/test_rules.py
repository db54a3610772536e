"""One crafted bad ledger per rule of `verify`: each rule fires alone, with its file, its position and exit code 7.

The hashes around what is wrong are made right again, so that nothing but the rule in question can find it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ledger import adoption, chain, disk, evidence, journal, segment
from ledger.event import Event
from ledger.heads import MARK_NAME, Indexed, Mark, head_after
from ledger.ledger import Ledger
from ledger.verify import RULES
from tests.conftest import Result
from tests.ledger.samples import result

ORIGIN = "testbed"
JOURNAL = f"log/{ORIGIN}/{journal.NAME}"
SEGMENT = f"log/{ORIGIN}/{segment.file_name(1)}"

Craft = Callable[[Ledger], tuple[str, int | None]]
CRAFTED: dict[str, Craft] = {}


def rule(name: str) -> Callable[[Craft], Craft]:
    """Register how to break a rule. The function returns the file and position that must be named."""
    def register(craft: Craft) -> Craft:
        CRAFTED[name] = craft
        return craft

    return register


def relinked(events: Sequence[Event], **changes: Any) -> list[Event]:
    """Return events with `changes` made to the third, and all hashes made right again."""
    made: list[Event] = []
    for index, event in enumerate(events):
        fields = {**{name: getattr(event, name) for name in event.__struct_fields__}, "hash": ""}
        if made:
            fields["prev_hash"] = made[-1].hash
        if index == 2:
            fields |= changes
        new = Event(**fields)
        chain.link(new)
        made.append(new)
    return made


def write_journal(ledger: Ledger, events: Sequence[Event]) -> None:
    """Put events into the journal as they are, and forget what was acknowledged before."""
    path = ledger.path / JOURNAL
    path.write_bytes(b"".join(chain.to_json(e) + b"\n" for e in events))
    for derived in [*path.parent.glob("heads.sqlite*"), path.parent / MARK_NAME]:
        derived.unlink(missing_ok=True)


def write_segment(ledger: Ledger, events: Sequence[Event]) -> Path:
    """Put events into a segment and leave the journal empty."""
    write_journal(ledger, [])
    path = ledger.path / "log" / ORIGIN / segment.file_name(events[0].position)
    path.write_bytes(segment.encode(events))
    return path


@rule("foreign-origin")
def foreign_origin(ledger: Ledger) -> tuple[str, int | None]:
    write_journal(ledger, relinked(list(ledger.read()), origin="elsewhere"))
    return JOURNAL, 3


@rule("position-gap")
def position_gap(ledger: Ledger) -> tuple[str, int | None]:
    events = list(ledger.read())
    write_journal(ledger, events[:2] + events[3:])
    return JOURNAL, 3


@rule("hash-wrong")
def hash_wrong(ledger: Ledger) -> tuple[str, int | None]:
    events = list(ledger.read())
    forged = msgspec.structs.replace(events[2], payload=msgspec.Raw(bytes(events[2].payload).replace(b"28.", b"27.")))
    write_segment(ledger, [*events[:2], forged, *events[3:]])
    return SEGMENT, 3


@rule("chain-broken")
def chain_broken(ledger: Ledger) -> tuple[str, int | None]:
    write_segment(ledger, relinked(list(ledger.read()), prev_hash="a" * 64))
    return SEGMENT, 3


@rule("stream-version")
def stream_version(ledger: Ledger) -> tuple[str, int | None]:
    events = list(ledger.read())
    last = relinked(events, version=9)[:3]
    write_journal(ledger, last)
    return JOURNAL, 3


@rule("time-backwards")
def time_backwards(ledger: Ledger) -> tuple[str, int | None]:
    events = list(ledger.read())
    write_journal(ledger, relinked(events, recorded_at=events[0].recorded_at))
    return JOURNAL, 3


@rule("event-id-twice")
def event_id_twice(ledger: Ledger) -> tuple[str, int | None]:
    events = list(ledger.read())
    write_journal(ledger, relinked(events, event_id=events[1].event_id))
    return JOURNAL, 3


@rule("payload-not-canonical")
def payload_not_canonical(ledger: Ledger) -> tuple[str, int | None]:
    events = list(ledger.read())
    loose = json.dumps(events[2].body()).encode()
    write_journal(ledger, relinked(events, payload=msgspec.Raw(loose)))
    return JOURNAL, 3


@rule("journal-line")
def journal_line(ledger: Ledger) -> tuple[str, int | None]:
    lines = (ledger.path / JOURNAL).read_bytes().split(b"\n")
    lines[2] = lines[2][:40]
    (ledger.path / JOURNAL).write_bytes(b"\n".join(lines))
    return JOURNAL, 3


@rule("twice-different")
def twice_different(ledger: Ledger) -> tuple[str, int | None]:
    events = list(ledger.read())
    write_segment(ledger, events[:3])
    other = relinked(events[:3], actor="somebody else")
    (ledger.path / JOURNAL).write_bytes(b"".join(chain.to_json(e) + b"\n" for e in other))
    return JOURNAL, 3


@rule("log-cut")
def log_cut(ledger: Ledger) -> tuple[str, int | None]:
    ledger.append([result(9)])
    events = list(ledger.read())
    (ledger.path / JOURNAL).write_bytes(b"".join(chain.to_json(e) + b"\n" for e in events[:-1]))
    return f"log/{ORIGIN}", len(events)


@rule("segment-unreadable")
def segment_unreadable(ledger: Ledger) -> tuple[str, int | None]:
    path = write_segment(ledger, list(ledger.read()))
    path.write_bytes(path.read_bytes()[:-100])
    return SEGMENT, 1


@rule("segment-bytes")
def segment_bytes(ledger: Ledger) -> tuple[str, int | None]:
    """The name of the program that wrote the file: no reader of events looks there."""
    path = write_segment(ledger, list(ledger.read()))
    good = path.read_bytes()
    assert good.count(b"parquet-cpp-arrow version") == 1
    path.write_bytes(good.replace(b"parquet-cpp-arrow version", b"parquet-cpp-arrow Version"))
    return SEGMENT, 1


@rule("segment-name")
def segment_name(ledger: Ledger) -> tuple[str, int | None]:
    path = write_segment(ledger, list(ledger.read()))
    path.rename(path.with_name(segment.file_name(2)))
    return f"log/{ORIGIN}/{segment.file_name(2)}", 1


@rule("segment-metadata")
def segment_metadata(ledger: Ledger) -> tuple[str, int | None]:
    """The file says another last hash than its events have; its own digest is right again."""
    path = write_segment(ledger, list(ledger.read()))
    data = path.read_bytes()
    said = segment.info(path).head_hash.encode()
    at = data.rindex(b'"head_hash":"' + said) + len(b'"head_hash":"')
    data = data[:at] + b"b" * 64 + data[at + 64:]
    path.write_bytes(resealed(data))
    return SEGMENT, 1


def resealed(data: bytes) -> bytes:
    """Return a segment's bytes with its own digest made right."""
    from hashlib import sha256

    field = b'"file_sha256":"'
    at = data.rindex(field) + len(field)
    blank = data[:at] + b"0" * 64 + data[at + 64:]
    return data[:at] + sha256(blank).hexdigest().encode() + data[at + 64:]


@rule("evidence-changed")
def evidence_changed(ledger: Ledger) -> tuple[str, int | None]:
    digest = ledger.evidence.put(b"L" * (evidence.SMALL_BYTES_MAX + 1))
    new = result(9)
    new.payload.sha256 = digest  # type: ignore[attr-defined]
    position = ledger.append([new])[0].position
    (ledger.evidence.large / digest[:2] / digest).write_bytes(b"something else")
    return f"evidence/sha256/{digest[:2]}/{digest}", position


@rule("evidence-missing")
def evidence_missing(ledger: Ledger) -> tuple[str, int | None]:
    new = result(9)
    new.payload.sha256 = "c" * 64  # type: ignore[attr-defined]
    return "evidence", ledger.append([new])[0].position


@rule("pull-mismatch")
def pull_mismatch(ledger: Ledger) -> tuple[str, int | None]:
    """The other machine's log was replaced, after its pull, by another one that verifies."""
    folder = ledger.path / "log" / "elsewhere"
    for number in (1, 2):
        other = Ledger.create(ledger.path.parent / f"other-{number}", origin="elsewhere", actor="b")
        other.append([result(number)])
        other.seal()
        if number == 1:
            adoption.adopt(ledger, "elsewhere", other.log.segment_paths(), remote="test")
        else:
            disk.overwrite(folder / segment.file_name(1), other.log.segment_paths()[0].read_bytes())
    return "log/elsewhere", 2


@pytest.mark.parametrize("name", RULES)
def test_each_rule_fires_alone_with_file_position_rule_id_and_exit_code_7(
        ledger: Ledger, cli: Callable[..., Result], name: str) -> None:
    ledger.append([result(n, stream=f"target/{n}") for n in range(2)])
    ledger.append([result(2), result(3)])
    write_journal(ledger, list(ledger.read()))  # one event a line, so that positions are lines
    file, position = CRAFTED[name](ledger)
    found = cli("verify", "--json", code=7).json["error"]["details"]["findings"]
    assert [(f["rule"], f["file"], f["position"]) for f in found] == [(name, file, position)]


def test_a_mark_of_an_older_state_is_no_finding(ledger: Ledger, cli: Callable[..., Result]) -> None:
    """The mark may lag behind the log, after a power cut for one; it is only ever read as "at least this"."""
    events = list(ledger.read())
    ledger.append([result(1)])
    Mark(ledger.path / "log" / ORIGIN).write(Indexed(head_after(events)))
    cli("verify", code=0)

"""Crafted bad ledgers for every rule of `verify`: the rule fires alone and names file and first bad position.

Each is made from the same healthy ledger: origin `testbed`, positions 1 to 9 in a segment and 10 to 14 in the
journal, with one large and one small piece of evidence, both cited, and six events of another origin pulled.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ledger.event import Event, NewEvent
from ledger.events.origins import EventsPulled
from ledger.events.reseeds import ReseedPolicyAdopted
from ledger.ledger import Ledger
from ledger.log import chain, segment
from ledger.log.heads import Indexed, Mark, head_after
from ledger.verification.rules import RULES
from ledger.verification.walk import verify
from tests.conftest import Result
from tests.ledger.samples import lines_of, result

SEALED = 9
LARGE = b"a log of a run\n" * 10_000


class Bench:
    """The healthy ledger, and the tools to spoil it."""

    def __init__(self, root: Path) -> None:
        self.ledger = Ledger.create(root / ".perfledger", origin="testbed", actor="tester@example.org")
        self.folder = self.ledger.path / "log" / "testbed"
        self.segment = self.folder / segment.file_name(1)
        self.journal = self.folder / "journal.jsonl"
        self.other = self._pulled(root / "elsewhere")
        cited = [self.ledger.evidence.put(data) for data in (LARGE, b"small")]
        signers = [
            NewEvent(stream="policy/reseed", payload=ReseedPolicyAdopted(approvals=1, allowed_signers=digest))
            for digest in cited
        ]
        self.ledger.append([*signers, *(result(n, target="ab"[n % 2] + "@GPU") for n in range(SEALED - 3))])
        self.ledger.log.seal()
        pulled = EventsPulled(from_origin="other", first=1, last=6, head_hash=self.other[-1].hash, remote="file:///r")
        self.ledger.append([NewEvent(stream="origin/testbed", payload=pulled)])
        for n in range(4):
            self.ledger.append([result(100 + n)])
        self.events = list(self.ledger.read(origin="testbed"))
        assert [e.position for e in self.events] == list(range(1, 15))

    def _pulled(self, root: Path) -> list[Event]:
        other = Ledger.create(root, origin="other", actor="tester@example.org")
        other.append([result(n) for n in range(5)])
        other.seal()
        events = list(other.read())
        (self.ledger.path / "log" / "other").mkdir()
        self.write("other", events, [])
        return events

    def relinked(self, position: int, **changes: Any) -> list[Event]:
        """The events with one changed, and every hash from it on made right again."""
        made: list[Event] = []
        for event in self.events:
            before = made[-1].hash if made else event.prev_hash
            altered = changes if event.position == position else {}
            copy = msgspec.structs.replace(event, **{"prev_hash": before, "hash": "", **altered})
            if not copy.hash:
                chain.link(copy)
            made.append(copy)
        return made

    def write(self, origin: str, sealed: Sequence[Event], tail: Sequence[Event]) -> None:
        """Put events where a log has them, and take away what is derived."""
        folder = self.ledger.path / "log" / origin
        for path in folder.iterdir():
            path.unlink()
        if sealed:
            (folder / segment.file_name(sealed[0].position)).write_bytes(segment.encode(sealed))
        (folder / "journal.jsonl").write_bytes(b"".join(chain.to_json(event) + b"\n" for event in tail))

    def put(self, events: Sequence[Event]) -> None:
        """Write the own origin's events: the first nine sealed, the rest in the journal."""
        self.write("testbed", events[:SEALED], events[SEALED:])


def reseal(data: bytes) -> bytes:
    """A segment's bytes with the digest they hold made right again."""
    at = data.rindex(b'"file_sha256":"') + len(b'"file_sha256":"')
    digest = sha256(data[:at] + b"0" * 64 + data[at + 64 :]).hexdigest()
    return data[:at] + digest.encode() + data[at + 64 :]


Spoil = Callable[[Bench], tuple[str, int | None]]
SPOILS: list[tuple[str, Spoil]] = []


def spoils(rule: str) -> Callable[[Spoil], Spoil]:
    """Register a way to break one rule; the function returns the file and position to be named."""

    def register(function: Spoil) -> Spoil:
        SPOILS.append((rule, function))
        return function

    return register


SEGMENT = "log/testbed/00000000000000000001.parquet"
JOURNAL = "log/testbed/journal.jsonl"


@spoils("segment-unreadable")
def a_segment_cut_short(bench: Bench) -> tuple[str, int]:
    bench.segment.write_bytes(bench.segment.read_bytes()[:-100])
    return SEGMENT, 1


@spoils("segment-bytes")
def the_name_of_the_program_that_wrote_it(bench: Bench) -> tuple[str, int]:
    data = bench.segment.read_bytes()
    assert data.count(b"parquet-cpp-arrow") == 1
    bench.segment.write_bytes(data.replace(b"parquet-cpp-arrow", b"parquet-cpp-arrox"))
    return SEGMENT, 1


@spoils("segment-name")
def a_segment_renamed(bench: Bench) -> tuple[str, int]:
    bench.segment.rename(bench.folder / segment.file_name(4))
    return "log/testbed/00000000000000000004.parquet", 1


@spoils("segment-metadata")
def a_segment_that_says_another_last_hash(bench: Bench) -> tuple[str, int]:
    data, told = bench.segment.read_bytes(), b'"head_hash":"%b"' % bench.events[SEALED - 1].hash.encode()
    assert data.count(told) == 1
    bench.segment.write_bytes(reseal(data.replace(told, b'"head_hash":"%b"' % (b"f" * 64))))
    return SEGMENT, 1


@spoils("foreign-origin")
def an_event_of_another_origin(bench: Bench) -> tuple[str, int]:
    bench.put(bench.relinked(12, origin="stranger"))
    return JOURNAL, 12


@spoils("position-gap")
def an_event_left_out(bench: Bench) -> tuple[str, int]:
    events = [e for e in bench.events if e.position != 12]
    bench.write("testbed", events[:SEALED], events[SEALED:])
    return JOURNAL, 12


@spoils("hash-wrong")
def an_event_changed_in_a_segment(bench: Bench) -> tuple[str, int]:
    events = list(bench.events)
    events[4] = msgspec.structs.replace(events[4], actor="somebody@else.org")
    bench.put(events)
    return SEGMENT, 5


@spoils("chain-broken")
def an_event_linked_to_another(bench: Bench) -> tuple[str, int]:
    bench.put(bench.relinked(6, prev_hash="f" * 64))
    return SEGMENT, 6


@spoils("stream-version")
def a_version_skipped(bench: Bench) -> tuple[str, int]:
    (last,) = bench.events[-1:]
    bench.put(bench.relinked(14, version=last.version + 1))
    return JOURNAL, 14


@spoils("time-backwards")
def a_time_of_before(bench: Bench) -> tuple[str, int]:
    bench.put(bench.relinked(13, recorded_at=bench.events[10].recorded_at))
    return JOURNAL, 13


@spoils("event-id-twice")
def an_id_of_before(bench: Bench) -> tuple[str, int]:
    bench.put(bench.relinked(13, event_id=bench.events[10].event_id))
    return JOURNAL, 13


@spoils("payload-not-canonical")
def a_payload_with_white_space(bench: Bench) -> tuple[str, int]:
    loose = json.dumps(bench.events[6].body(), indent=1).encode()
    bench.put(bench.relinked(7, payload=msgspec.Raw(loose)))
    return SEGMENT, 7


@spoils("journal-line")
def an_event_changed_in_the_journal(bench: Bench) -> tuple[str, int]:
    lines = lines_of(bench.journal).splitlines(keepends=True)
    lines[2] = lines[2].replace(b"tester@example.org", b"tester@example.net")
    bench.journal.write_bytes(b"".join(lines))
    return JOURNAL, 12


@spoils("journal-line")
def a_line_cut_short(bench: Bench) -> tuple[str, int]:
    lines = lines_of(bench.journal).splitlines(keepends=True)
    lines[2] = lines[2][:40] + b"\n"
    bench.journal.write_bytes(b"".join(lines))
    return JOURNAL, 12


@spoils("twice-different")
def an_event_in_both_places_not_the_same(bench: Bench) -> tuple[str, int]:
    other = bench.relinked(SEALED, actor="somebody@else.org")
    bench.write("testbed", bench.events[:SEALED], other[SEALED - 1 :])
    return JOURNAL, SEALED


@spoils("log-cut")
def two_lines_taken_off_the_end(bench: Bench) -> tuple[str, int]:
    lines = lines_of(bench.journal).splitlines(keepends=True)
    bench.journal.write_bytes(b"".join(lines[:-2]))
    return "log/testbed", 13


@spoils("evidence-changed")
def one_byte_of_a_large_piece(bench: Bench) -> tuple[str, int]:
    digest = sha256(LARGE).hexdigest()
    path = bench.ledger.path / "evidence" / "sha256" / digest[:2] / digest
    path.write_bytes(LARGE.replace(b"a log", b"a leg", 1))
    return f"evidence/sha256/{digest[:2]}/{digest}", 2


@spoils("evidence-changed")
def a_large_piece_replaced(bench: Bench) -> tuple[str, int]:
    digest = sha256(LARGE).hexdigest()
    (bench.ledger.path / "evidence" / "sha256" / digest[:2] / digest).write_bytes(b"something else")
    return f"evidence/sha256/{digest[:2]}/{digest}", 2


@spoils("evidence-missing")
def a_large_piece_removed(bench: Bench) -> tuple[str, int]:
    digest = sha256(LARGE).hexdigest()
    (bench.ledger.path / "evidence" / "sha256" / digest[:2] / digest).unlink()
    return "evidence", 2


@spoils("evidence-missing")
def a_piece_that_never_was(bench: Bench) -> tuple[str, int]:
    cites = ReseedPolicyAdopted(approvals=1, allowed_signers="c" * 64)
    return "evidence", bench.ledger.append([NewEvent(stream="policy/reseed", payload=cites)])[0].position


@spoils("pull-mismatch")
def the_last_pulled_event_replaced(bench: Bench) -> tuple[str, int]:
    forged = list(bench.other)
    forged[-1] = msgspec.structs.replace(forged[-1], actor="somebody@else.org", hash="")
    chain.link(forged[-1])
    bench.write("other", forged, [])
    return "log/other", 6


@spoils("pull-mismatch")
def a_pulled_log_replaced_by_another_that_verifies(bench: Bench) -> tuple[str, int]:
    another = Ledger.create(bench.ledger.path.parent / "another", origin="other", actor="b")
    another.append([result(n) for n in range(10, 15)])
    bench.write("other", list(another.read()), [])
    return "log/other", 6


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_the_healthy_ledger_verifies(bench: Bench, cli: Callable[..., Result]) -> None:
    document = cli("verify", "--json", code=0).json
    assert document["ok"]
    assert (document["events"], document["segments"], document["evidence"]) == (20, 2, 2)
    # rewriting it as the crafts below do changes nothing by itself
    bench.put(bench.relinked(1))
    assert verify(Ledger.open(bench.ledger.path)).findings == []


@pytest.mark.parametrize(("rule", "spoil"), [pytest.param(*one, id=one[1].__name__) for one in SPOILS])
def test_each_rule_fires_alone_on_a_ledger_that_breaks_it(
    bench: Bench, cli: Callable[..., Result], rule: str, spoil: Spoil
) -> None:
    file, position = spoil(bench)
    failed = cli("verify", "--json", code=7)
    error = failed.json["error"]
    assert error["code"] == "ledger_damaged"
    (finding,) = error["details"]["findings"]
    assert (finding["rule"], finding["file"], finding["position"]) == (rule, file, position)
    assert finding["origin"] == ("other" if "other" in file else "testbed")
    assert rule in error["message"]
    assert file in error["message"]


def test_every_rule_has_a_ledger_that_breaks_it() -> None:
    assert {rule for rule, _ in SPOILS} == set(RULES)


def test_verify_writes_nothing_when_it_finds_damage(bench: Bench, cli: Callable[..., Result]) -> None:
    an_event_changed_in_a_segment(bench)

    def snapshot() -> dict[str, bytes]:
        return {str(p): p.read_bytes() for p in sorted((bench.ledger.path / "log").rglob("*")) if p.is_file()}

    before = snapshot()
    told = cli("verify", code=7)
    assert snapshot() == before
    assert told.out.startswith(f"hash-wrong: {SEGMENT}: position 5: ")
    assert "next:" in told.err


def test_bytes_of_an_unfinished_write_are_a_note_and_no_finding(bench: Bench, cli: Callable[..., Result]) -> None:
    with bench.journal.open("ab") as journal:
        journal.write(b'{"actor":"tester@exam')
    document = cli("verify", "--json", code=0).json
    assert document["findings"] == []
    assert document["notes"] == [
        f"{JOURNAL}: 21 bytes of an unfinished write at the end; the next append sets them aside"
    ]


def test_a_checkpoint_kept_outside_finds_a_log_cut_with_its_index(
    bench: Bench, cli: Callable[..., Result], tmp_path: Path
) -> None:
    cli("verify", "--write-checkpoint", tmp_path / "heads.json", code=0)
    bench.put(bench.events[:12])  # without the derived mark, nothing inside tells
    assert cli("verify", "--json", code=0).json["origins"]["testbed"]["position"] == 12
    failed = cli("verify", "--checkpoint", tmp_path / "heads.json", "--json", code=7)
    (finding,) = failed.json["error"]["details"]["findings"]
    assert (finding["rule"], finding["position"]) == ("log-cut", 13)


def test_a_mark_of_an_older_state_is_no_finding(bench: Bench, cli: Callable[..., Result]) -> None:
    """The mark may lag behind the log, after a power cut for one; it is only ever read as "at least this"."""
    Mark(bench.folder).write(Indexed(head_after(bench.events[:12])))
    cli("verify", code=0)

"""Whatever is changed in a ledger's files is found by `verify`, which names the first event it cannot vouch for."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.adoption import adopt
from ledger.errors import Damaged
from ledger.evidence import store as evidence
from ledger.evidence.index import TAIL_NAME
from ledger.ledger import Ledger
from ledger.log import chain, journal, segment
from ledger.log.heads import Head
from ledger.verification.rules import Report
from ledger.verification.walk import verify
from tests.conftest import Result
from tests.ledger.samples import lines_of, result

ORIGIN = "testbed"
BINARY = bytes(range(256))
LARGE = b"L" * (evidence.SMALL_BYTES_MAX + 1)


def cites(ledger: Ledger, n: int, data: bytes) -> None:
    """Record a result whose original bytes are `data`."""
    digest = ledger.evidence.put(data)
    new = result(n)
    new.payload.sha256 = digest  # type: ignore[attr-defined]
    ledger.append([new])


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small ledger with one of everything: a segment, a journal with a batch, a pack, a tail, a large piece."""
    ledger = Ledger.create(tmp_path_factory.mktemp("sample") / ".perfledger", origin=ORIGIN, actor="tester")
    cites(ledger, 1, b'{"latency": 28.5}')
    cites(ledger, 2, BINARY)
    ledger.seal()
    cites(ledger, 3, b'{"latency": 28.6}')
    cites(ledger, 4, BINARY[::-1])
    cites(ledger, 5, LARGE)
    ledger.append([result(6), result(7)])
    ledger.evidence.put(b"cited by nothing yet")
    assert verify(ledger).ok
    return ledger.path


@pytest.fixture
def copy(sample: Path, tmp_path: Path) -> Path:
    """A copy of the sample that may be broken."""
    return Path(shutil.copytree(sample, tmp_path / ".perfledger"))


def files(path: Path) -> dict[str, Path]:
    return {
        "journal": path / "log" / ORIGIN / journal.NAME,
        "segment": path / "log" / ORIGIN / segment.file_name(1),
        "tail": path / "evidence" / ORIGIN / TAIL_NAME,
        "pack": next((path / "evidence" / ORIGIN).glob("*.parquet")),
        "large": next((path / "evidence" / "sha256").glob("??/*")),
    }


def damage(path: Path) -> Report:
    """Verify and return the report of a ledger that must not verify."""
    report = verify(Ledger.open(path))
    assert not report.ok
    return report


def missed_flips(ledger: Ledger, path: Path, flip: int, step: int, *, named: bool) -> list[int]:
    """Flip a bit of every `step`th byte in turn. Returns where `verify` found nothing, or named no event."""
    good = path.read_bytes()
    missed = []
    for offset in range(0, len(good), step):
        bad = bytearray(good)
        bad[offset] ^= flip
        path.write_bytes(bad)
        report = verify(ledger)
        if report.ok or (named and report.findings[0].position is None):
            missed.append(offset)
    path.write_bytes(good)
    return missed


@pytest.mark.parametrize(("flip", "step"), [(0x01, 1), (0x80, 5), (0x20, 3)])
def test_every_changed_byte_of_a_journal_and_an_evidence_tail_is_found(tmp_path: Path, flip: int, step: int) -> None:
    """The last newline too: the mark remembers that the line before it was acknowledged. What is changed in the
    padding behind the lines changes no event, and is told as bytes of an unfinished write."""
    ledger = Ledger.create(tmp_path / ".perfledger", origin=ORIGIN, actor="tester")
    cites(ledger, 1, b'{"latency": 28.5}')
    cites(ledger, 2, BINARY)
    ledger.evidence.put(b"cited by nothing yet")
    ledger.append([result(3), result(4)])
    folder = ledger.path / "log" / ORIGIN
    path = folder / journal.NAME
    padded, lines = path.read_bytes(), lines_of(path)
    assert len(padded) > len(lines)
    path.write_bytes(padded[: len(lines) + 2])
    assert min(missed_flips(ledger, path, flip, step, named=True), default=len(lines)) >= len(lines)
    for offset in range(len(lines), len(padded), 4_999):
        path.write_bytes(padded[:offset] + bytes([padded[offset] ^ flip]) + padded[offset + 1 :])
        assert "1 bytes of an unfinished write" in verify(ledger).notes[0], offset
    path.write_bytes(padded)
    assert not missed_flips(ledger, ledger.path / "evidence" / ORIGIN / TAIL_NAME, flip, step, named=False)


@pytest.mark.parametrize(("flip", "step"), [(0x01, 23), (0x80, 61), (0x20, 67)])
@pytest.mark.parametrize("which", ["segment", "pack"])
def test_a_changed_byte_of_a_sealed_file_is_found_also_where_no_reader_looks(
    copy: Path, which: str, flip: int, step: int
) -> None:
    """Padding, statistics and page headers too: such a file is held against the digest of all its bytes."""
    assert not missed_flips(Ledger.open(copy), files(copy)[which], flip, step, named=which == "segment")


@pytest.mark.parametrize("flip", [0x01, 0x80, 0x20])
def test_no_byte_of_a_segment_is_outside_its_digest(sample: Path, flip: int) -> None:
    good = files(sample)["segment"].read_bytes()
    assert segment.is_whole(good)
    for offset in range(len(good)):
        bad = bytearray(good)
        bad[offset] ^= flip
        assert not segment.is_whole(bytes(bad)), offset


def test_a_changed_byte_of_a_large_piece_is_found_by_the_event_that_cites_it(copy: Path) -> None:
    path = files(copy)["large"]
    good = path.read_bytes()
    for offset in (0, 1, len(good) // 2, len(good) - 1):
        bad = bytearray(good)
        bad[offset] ^= 1
        path.write_bytes(bad)
        finding = damage(copy).findings[0]
        assert (finding.rule, finding.position) == ("evidence-changed", 6)


def test_a_changed_byte_in_the_journal_names_the_first_bad_event(copy: Path) -> None:
    path = files(copy)["journal"]
    lines = lines_of(path).split(b"\n")
    first = next(e.position for e in Ledger.open(copy).read(after=3))
    for number, line in enumerate(lines[:-1]):
        bad = [*lines]
        bad[number] = line.replace(b"28.", b"29.", 1)
        path.write_bytes(b"\n".join(bad))
        finding = damage(copy).findings[0]
        assert finding.position == first + number
        assert finding.file.startswith(f"log/{ORIGIN}")


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_a_deleted_event_is_found_wherever_it_stood(copy: Path, number: int) -> None:
    path = files(copy)["journal"]
    lines = lines_of(path).split(b"\n")
    del lines[number]
    path.write_bytes(b"\n".join(lines))
    assert damage(copy).findings[0].position == 4 + number


def test_reordered_events_are_found(copy: Path) -> None:
    path = files(copy)["journal"]
    lines = lines_of(path).split(b"\n")
    lines[0], lines[1] = lines[1], lines[0]
    path.write_bytes(b"\n".join(lines))
    finding = damage(copy).findings[0]
    assert (finding.rule, finding.position) == ("position-gap", 4)


def test_a_deleted_segment_is_found(copy: Path) -> None:
    files(copy)["segment"].unlink()
    finding = damage(copy).findings[0]
    assert (finding.rule, finding.position) == ("position-gap", 1)


@pytest.mark.parametrize(("which", "position"), [("pack", 2), ("tail", 4), ("large", 6)])
def test_deleted_evidence_is_found_by_the_event_that_cites_it(copy: Path, which: str, position: int) -> None:
    files(copy)[which].unlink()
    first = damage(copy).findings[0]
    assert (first.rule, first.position) == ("evidence-missing", position)


def test_evidence_that_no_event_cites_yet_is_missed_too(copy: Path) -> None:
    path = files(copy)["tail"]
    path.write_bytes(b"".join(line + b"\n" for line in path.read_bytes().split(b"\n")[:-2]))
    first = damage(copy).findings[0]
    assert (first.rule, first.position) == ("evidence-missing", None)


class TestCutOff:
    """Events cut off the end: found back to whatever remembers them."""

    def cut(self, path: Path, *, derived: bool) -> None:
        """Take the newest line off the journal, and with `derived` what remembers it in the folder."""
        target = files(path)["journal"]
        target.write_bytes(b"\n".join(lines_of(target).split(b"\n")[:-2]) + b"\n")
        if derived:
            for found in [*path.rglob("heads.sqlite*"), path / "log" / ORIGIN / "head"]:
                found.unlink()

    def test_the_mark_beside_the_log_finds_it_at_once(self, copy: Path) -> None:
        self.cut(copy, derived=False)
        finding = damage(copy).findings[0]
        assert (finding.rule, finding.position) == ("log-cut", 7)

    def test_a_write_refuses_it_again_and_again(self, copy: Path) -> None:
        self.cut(copy, derived=False)
        for _ in range(3):
            with pytest.raises(Damaged, match="ends before position 8, which was acknowledged; nothing was written"):
                Ledger.open(copy, actor="x").append([result(8)])

    def test_a_checkpoint_kept_outside_finds_it_when_the_mark_is_gone_too(
        self, copy: Path, cli: Callable[..., Result], tmp_path: Path
    ) -> None:
        checkpoint = tmp_path / "checkpoint.json"
        cli("verify", "--write-checkpoint", checkpoint, code=0)
        self.cut(copy, derived=True)
        cli("verify", code=0)
        found = cli("verify", "--checkpoint", checkpoint, "--json", code=7).json
        assert found["error"]["details"]["findings"][0] | {"message": ""} == {
            "rule": "log-cut",
            "origin": ORIGIN,
            "file": f"log/{ORIGIN}",
            "position": 7,
            "message": "",
        }

    def test_events_newer_than_the_checkpoint_can_be_cut_unseen_and_no_more_than_those(self, copy: Path) -> None:
        """The limit that docs/guarantees.md states."""
        events = list(Ledger.open(copy).read())
        self.cut(copy, derived=True)
        ledger = Ledger.open(copy)
        assert verify(ledger, checkpoints={ORIGIN: Head(events[5].position, events[5].hash)}).ok
        assert not verify(ledger, checkpoints={ORIGIN: Head(events[6].position, events[6].hash)}).ok

    def test_a_history_rewritten_behind_a_checkpoint_is_found(self, copy: Path, tmp_path: Path) -> None:
        other = Ledger.create(tmp_path / "other", origin=ORIGIN, actor="tester")
        other.append([result(n) for n in range(9)])
        assert verify(other).ok
        known = Ledger.open(copy).head()
        finding = verify(
            other, checkpoints={ORIGIN: Head(5, next(e.hash for e in Ledger.open(copy).read() if e.position == 5))}
        ).findings[0]
        assert (finding.rule, finding.position) == ("log-cut", 5)
        assert known.position == 8

    def test_a_log_that_is_wholly_gone_is_found(self, copy: Path) -> None:
        shutil.rmtree(copy / "log" / ORIGIN)
        (copy / "log" / ORIGIN).mkdir()
        assert damage(copy).findings[0].rule == "log-cut"

    def test_a_pulled_log_that_is_wholly_gone_is_found(self, copy: Path) -> None:
        other = Ledger.create(copy.parent / "other", origin="elsewhere", actor="b")
        other.append([result(1)])
        other.seal()
        adopt(Ledger.open(copy), "elsewhere", other.log.segment_paths(), remote="test")
        report = verify(Ledger.open(copy))
        assert (report.ok, set(report.heads)) == (True, {ORIGIN, "elsewhere"})
        for path in other.log.segment_paths():
            (copy / "log" / "elsewhere" / path.name).unlink()
        finding = damage(copy).findings[0]
        assert (finding.rule, finding.origin, finding.position) == ("pull-mismatch", "elsewhere", 1)


def test_an_empty_folder_of_another_origin_is_no_origin(copy: Path, cli: Callable[..., Result]) -> None:
    """A pull that was cut off before its first segment leaves one, and so does a file manager."""
    before = cli("verify", "--json", code=0).json
    (copy / "log" / "elsewhere").mkdir()
    (copy / "log" / "notes").mkdir()
    (copy / "log" / "notes" / "README.txt").write_text("no log")
    after = cli("verify", "--write-checkpoint", "heads.json", "--json", code=0).json
    assert after == before
    assert set(after["origins"]) == {ORIGIN}
    assert "no origin elsewhere" in cli("events", "list", "--origin", "elsewhere", code=2).err
    # a checkpoint that an earlier version wrote with it vouches for nothing
    kept = {"origins": {**after["origins"], "elsewhere": {"position": 0, "hash": "0" * 64}}}
    (copy.parent / "old.json").write_text(json.dumps(kept))
    cli("verify", "--checkpoint", "old.json", code=0)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "truncated"),
        ("[]", "list indices"),
        ("{}", "origins"),
        ('{"origins": {"a": {"position": 1}}}', "hash"),
        ('{"origins": {"a": {"position": "x", "hash": ""}}}', "int()"),
        # the last of two heads would vouch for less than the first
        ('{"origins": {"a": {"position": 9, "hash": "00"}, "a": {"position": 1, "hash": "00"}}}', '"a"'),
    ],
)
def test_what_is_no_checkpoint_is_refused(copy: Path, cli: Callable[..., Result], text: str, told: str) -> None:
    (copy.parent / "heads.json").write_text(text)
    error = cli("verify", "--checkpoint", "heads.json", "--json", code=2).json["error"]
    assert error["code"] == "bad_checkpoint" and told in error["message"], error
    assert "heads.json is not a checkpoint" in error["message"] and "--write-checkpoint" in error["hint"]


def test_the_command_says_the_first_bad_event_and_exits_7(copy: Path, cli: Callable[..., Result]) -> None:
    path = files(copy)["journal"]
    path.write_bytes(path.read_bytes().replace(b"28.04", b"27.04"))
    done = cli("verify", code=7)
    assert "journal-line: log/testbed/journal.jsonl" in done.out
    assert "after position 4" in done.err


def test_what_export_writes_is_the_chain_itself(copy: Path) -> None:
    """The lines of `events export` are the journal's own form, so a copy of them proves as much."""
    events = list(Ledger.open(copy).read())
    assert len(events) > 1
    assert [chain.parse_line(chain.to_json(event)) for event in events] == [[event] for event in events]

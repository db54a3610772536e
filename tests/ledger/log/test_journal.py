"""The journal's lines: what is a whole event, what was never acknowledged, and what is damage."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.errors import Damaged
from ledger.ledger import Ledger
from ledger.log import chain, journal
from ledger.verification.walk import verify
from tests.ledger.samples import lines_of, result


@pytest.fixture
def lines(ledger: Ledger) -> list[bytes]:
    """The lines of a journal with a single event, a batch of three, and a single event."""
    ledger.append([result(1)])
    ledger.append([result(2), result(3), result(4)])
    ledger.append([result(5)])
    return lines_of(ledger.log.journal_path).splitlines(keepends=True)[1:]


def parsed(lines: list[bytes], *, check: bool = True) -> journal.Journal:
    return journal.parse(b"".join(lines), path=Path("journal.jsonl"), check=check)


@pytest.mark.parametrize("check", [False, True])
def test_a_line_is_an_event_or_a_whole_batch(lines: list[bytes], check: bool) -> None:
    found = parsed(lines, check=check)
    assert [event.position for event in found.events] == [2, 3, 4, 5, 6]
    assert (found.size, found.torn) == (len(b"".join(lines)), b"")


@pytest.mark.parametrize("padding", [b"", b"\n", b"\n" * 5000, b"\0" * 512, b"\n\0\n\0"])
def test_padding_behind_the_lines_has_no_meaning(lines: list[bytes], padding: bytes) -> None:
    found = parsed([*lines, padding])
    assert len(found.events) == 5 and found.torn == b"" and found.size == len(b"".join(lines))


def test_a_last_line_cut_at_any_byte_was_never_acknowledged(lines: list[bytes]) -> None:
    *kept, last = lines
    for cut in range(len(last)):
        for padding in (b"", b"\n" * 100):
            found = parsed([*kept, last[:cut], padding])
            whole = cut == len(last) - 1 and padding != b""  # the newline of the padding ends it
            assert len(found.events) == (5 if whole else 4), cut
            assert found.torn == (b"" if whole else last[:cut]), cut


def test_a_batch_that_was_cut_is_absent_as_a_whole(lines: list[bytes]) -> None:
    first, batch, _ = lines
    inner = batch.index(b'},{"actor"') + 1
    for cut in (inner, inner + 1, len(batch) - 2):
        found = parsed([first, batch[:cut]])
        assert [event.position for event in found.events] == [2]


@pytest.mark.parametrize("nth", [0, 1])
def test_a_spoiled_line_with_whole_ones_after_it_is_damage_with_byte_and_position(lines: list[bytes], nth: int) -> None:
    at = sum(map(len, lines[:nth]))
    spoiled = [*lines[:nth], lines[nth].replace(b"run-", b"sun-"), *lines[nth + 1 :]]
    with pytest.raises(Damaged) as caught:
        parsed(spoiled)
    assert (caught.value.code, caught.value.details["byte"]) == ("journal_damaged", at)
    assert caught.value.details["position"] == (None if nth == 0 else 3)
    assert "whole ones follow" in caught.value.message


def test_an_empty_line_among_lines_is_damage_too(lines: list[bytes]) -> None:
    """Padding is only behind the last line: in between, something was taken out."""
    for gap in (b"\n", b"\0\0\0\n"):
        with pytest.raises(Damaged):
            parsed([lines[0], gap, *lines[1:]])


def test_rubbish_after_the_last_line_is_torn_and_never_damage(lines: list[bytes]) -> None:
    for rubbish in (b"{}", b"rubbish\nmore rubbish\n", b"\xff\xfe\n", b"[]\n", b"null\n", b'{"actor":"x"}\n'):
        found = parsed([*lines, rubbish])
        assert len(found.events) == 5 and found.torn == rubbish.strip(journal.PADDING)


def test_every_byte_of_a_line_counts_for_whoever_checks(lines: list[bytes]) -> None:
    line = lines[0].rstrip(b"\n")
    assert chain.parse_line(line)
    for at in range(0, len(line), 7):
        changed = line[:at] + bytes([line[at] ^ 1]) + line[at + 1 :]
        assert chain.parse_line(changed) is None, at


@pytest.mark.parametrize("spelling", [b'{"actor": ', b'{ "actor":', b' {"actor":'])
def test_the_same_event_in_another_spelling_is_no_whole_line(lines: list[bytes], spelling: bytes) -> None:
    """One event has one byte sequence: a second spelling would be a second line with the same hash."""
    assert chain.parse_line(lines[0].rstrip(b"\n").replace(b'{"actor":', spelling, 1)) is None


def test_a_batch_of_nothing_is_no_line(ledger: Ledger, lines: list[bytes]) -> None:
    """Nobody writes one, and its bytes would be covered by no hash."""
    with pytest.raises(Damaged):
        parsed([lines[0], b"[]\n", *lines[1:]])
    path = ledger.log.journal_path
    path.write_bytes(lines_of(path).replace(b"\n", b"\n[]\n", 1))
    assert not verify(Ledger.open(ledger.path)).ok


def test_a_missing_journal_is_empty(tmp_path: Path) -> None:
    assert journal.read(tmp_path / "none.jsonl") == journal.Journal([], 0, b"", 0)


def test_reading_goes_on_where_the_last_reading_ended(ledger: Ledger, lines: list[bytes]) -> None:
    whole = journal.read(ledger.log.journal_path)
    ledger.append([result(6)])
    rest = journal.read(ledger.log.journal_path, start=whole.size)
    assert [event.position for event in rest.events] == [7] and rest.inode == whole.inode
    assert rest.size == journal.read(ledger.log.journal_path).size

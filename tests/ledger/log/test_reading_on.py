"""A log is read on from a place: each event comes once, in order, however it moved between journal and segments."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.stream import counted
from ledger.adoption import adopt
from ledger.ledger import Ledger
from ledger.log.origin_log import SEGMENT_BATCH_EVENTS
from ledger.log.reading import Place
from tests.ledger.samples import result
from tests.waiting import until

STREAM = result(1).stream


class Follower:
    """Reads one stream on; `seen` has the positions by origin, as they came."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.places: dict[str, Place] = {}
        self.seen: list[tuple[str, int]] = []

    def read(self) -> int:
        """Read on. Return how many events were decoded for it."""
        with counted() as counts:
            events, self.places = self.ledger.read_on(STREAM, self.places)
        self.seen += [(event.origin, event.position) for event in events]
        return counts.decoded

    def whole(self) -> list[tuple[str, int]]:
        return [(event.origin, event.position) for event in self.ledger.read(stream=STREAM)]


def test_what_was_read_is_not_decoded_again(ledger: Ledger) -> None:
    follower = Follower(ledger)
    ledger.append([result(n) for n in range(50)])
    assert follower.read() == 51
    assert follower.read() == 0
    ledger.append([result(51), result(52)])
    assert follower.read() == 2
    assert follower.seen == follower.whole()


def test_events_that_were_sealed_meanwhile_are_neither_lost_nor_repeated(ledger: Ledger) -> None:
    follower = Follower(ledger)
    ledger.append([result(n) for n in range(5)])
    follower.read()
    ledger.append([result(6)])
    ledger.seal()
    assert follower.read() == 1
    ledger.append([result(7)])
    ledger.seal()
    ledger.append([result(8)])
    ledger.seal()  # the third journal file may have the inode of the first
    ledger.append([result(n) for n in range(9, 40)])  # and be longer than it was
    assert follower.read() == 33
    assert follower.read() == 0
    assert follower.seen == follower.whole()


def test_a_batch_that_became_a_segment_at_once_is_read(ledger: Ledger) -> None:
    follower = Follower(ledger)
    ledger.seal()
    follower.read()
    ledger.append([result(n) for n in range(SEGMENT_BATCH_EVENTS)])
    assert follower.read() == SEGMENT_BATCH_EVENTS
    ledger.append([result(SEGMENT_BATCH_EVENTS)])
    follower.read()
    ledger.append([result(n) for n in range(SEGMENT_BATCH_EVENTS + 1, 2 * SEGMENT_BATCH_EVENTS + 1)])
    follower.read()
    assert follower.seen == follower.whole()


def test_a_seal_that_a_crash_left_half_done_is_read_through(ledger: Ledger) -> None:
    follower = Follower(ledger)
    ledger.append([result(n) for n in range(4)])
    follower.read()
    ledger.log._link_segment(ledger.log.tail())  # the crash comes after the link, before the journal is cut
    follower.read()
    Ledger.open(ledger.path, actor="a").append([result(9)])
    follower.read()
    assert follower.seen == follower.whole() and len(follower.seen) == 5


def test_bytes_of_an_unfinished_write_are_read_when_they_are_whole(ledger: Ledger) -> None:
    follower = Follower(ledger)
    ledger.append([result(1)])
    follower.read()
    before = ledger.log.journal_path.read_bytes()
    ledger.append([result(2)])
    after = ledger.log.journal_path.read_bytes()
    ledger.log.journal_path.write_bytes(before.rstrip(b"\n") + b"\n" + after[len(before.rstrip(b"\n")) + 1 :][:40])
    follower.read()
    assert len(follower.seen) == 1
    ledger.log.journal_path.write_bytes(after)
    follower.read()
    assert follower.seen == follower.whole() and len(follower.seen) == 2


def test_another_origin_is_read_from_its_beginning_once_it_is_there(tmp_path: Path, ledger: Ledger) -> None:
    other = Ledger.create(tmp_path / "other", origin="other", actor="a")
    follower = Follower(ledger)
    ledger.append([result(1)])
    follower.read()
    for number in range(3):
        other.append([result(number)])
        other.seal()
        adopt(ledger, "other", other.log.segment_paths(), remote="/shared")
        follower.read()
    assert sorted(follower.seen) == sorted(follower.whole()) and len(follower.seen) == 4


WRITER = """
import sys
from ledger.ledger import Ledger
from tests.ledger.samples import result
book = Ledger.open(sys.argv[1], actor="w")
for number in range(300):
    book.append([result(number)])
    if number % 7 == 0:
        book.seal()
"""


@pytest.mark.parametrize("writers", [2])
def test_a_follower_beside_writers_that_seal_sees_each_event_once(ledger: Ledger, writers: int) -> None:
    follower = Follower(ledger)
    top = Path(__file__).parents[3]
    running = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(ledger.path)], cwd=top, stderr=subprocess.DEVNULL)
        for _ in range(writers)
    ]
    until(lambda: follower.read() == 0 and all(each.poll() is not None for each in running))
    assert [each.wait() for each in running] == [0] * writers
    follower.read()
    assert follower.seen == follower.whole() and len(follower.seen) == 300 * writers

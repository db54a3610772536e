"""The log of one origin: append, conflicts, idempotency, sealing, reading."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from ledger.errors import BadInput, Conflict, Damaged
from ledger.ledger import Ledger
from ledger.log import chain, incoming, segment
from ledger.log import origin_log as log
from tests.ledger.samples import lines_of, result


def test_positions_and_stream_versions_count_from_one_without_gaps(ledger: Ledger) -> None:
    ledger.append([result(1), result(2, target="b@G"), result(3)])
    events = list(ledger.read())
    assert [e.position for e in events] == [1, 2, 3, 4]
    assert [e.version for e in ledger.read_stream("target/model-a@GPU")] == [1, 2]
    assert events[0].type == "LedgerCreated"


def test_every_event_holds_the_hash_of_the_one_before(ledger: Ledger) -> None:
    ledger.append([result(n) for n in range(5)])
    events = list(ledger.read())
    assert events[0].prev_hash == "0" * 64
    for before, event in itertools.pairwise(events):
        assert event.prev_hash == before.hash == chain.hash_of(before)


def test_recorded_times_increase_strictly_even_within_a_batch(ledger: Ledger) -> None:
    ledger.append([result(n) for n in range(50)])
    times = [e.recorded_at for e in ledger.read()]
    assert times == sorted(set(times))


def test_an_append_based_on_an_old_position_is_refused_and_writes_nothing(ledger: Ledger) -> None:
    first = ledger.append([result(1)])[0].position
    ledger.append([result(2)])
    with pytest.raises(Conflict) as refused:
        ledger.append([result(3)], seen={"target/model-a@GPU": first})
    assert refused.value.exit_code == 3
    assert refused.value.details["last"] == first + 1
    assert ledger.head().position == first + 1
    ledger.append([result(3)], seen={"target/model-a@GPU": first + 1})


def test_seen_zero_means_the_stream_must_be_new(ledger: Ledger) -> None:
    ledger.append([result(1)], seen={"target/model-a@GPU": 0})
    with pytest.raises(Conflict):
        ledger.append([result(2)], seen={"target/model-a@GPU": 0})


def test_an_idempotency_key_makes_one_event_of_many_appends(ledger: Ledger) -> None:
    first = ledger.append([result(1, key="k")])[0]
    again = ledger.append([result(2, key="k"), result(3, key="other")])
    assert not first.duplicate
    assert again[0].duplicate
    assert (again[0].position, again[0].event_id) == (first.position, first.event_id)
    assert again[0].recorded_at == first.recorded_at
    assert again[1].position == first.position + 1


def test_the_same_key_twice_in_one_append_is_one_event(ledger: Ledger) -> None:
    receipts = ledger.append([result(1, key="k"), result(2, key="k")])
    assert receipts[0].position == receipts[1].position
    assert [r.duplicate for r in receipts] == [False, True]
    assert ledger.head().position == 2


def test_the_same_event_id_with_the_same_content_is_one_event_with_other_content_a_conflict(ledger: Ledger) -> None:
    name = "01a203ca-d97f-76ff-bb62-cc75c8d476d3"
    first = ledger.append([result(1, event_id=name)])[0]
    assert ledger.append([result(1, event_id=name)])[0].position == first.position
    with pytest.raises(Conflict, match="with other content"):
        ledger.append([result(2, event_id=name)])


def test_keys_survive_losing_the_derived_index(ledger: Ledger) -> None:
    first = ledger.append([result(1, key="k")])[0]
    ledger.seal()
    ledger.append([result(2)])
    for file in ledger.log.folder.glob("heads.sqlite*"):
        file.unlink()
    again = Ledger.open(ledger.path, actor="a").append([result(9, key="k")])[0]
    assert again.duplicate
    assert again.position == first.position


def test_sealing_moves_events_into_a_segment_and_changes_no_event(ledger: Ledger) -> None:
    ledger.append([result(n, target=f"m{n % 3}@G") for n in range(30)])
    before = [chain.to_json(e) for e in ledger.read()]
    ledger.seal()
    assert [chain.to_json(e) for e in ledger.read()] == before
    assert ledger.log.tail() == []
    info = segment.info(ledger.log.segment_paths()[0])
    assert (info.first, info.last) == (1, 31)
    ledger.append([result(99)])
    assert ledger.head().position == 32


def test_a_large_batch_becomes_a_segment_directly(ledger: Ledger) -> None:
    ledger.append([result(1)])
    ledger.append([result(n) for n in range(log.SEGMENT_BATCH_EVENTS)])
    assert ledger.log.tail() == []
    assert [i.first for i in ledger.segments()] == [1]
    assert [e.position for e in ledger.read()] == list(range(1, log.SEGMENT_BATCH_EVENTS + 3))


def test_the_journal_is_sealed_by_an_append_when_it_grows_past_its_bound(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "JOURNAL_BYTES_MAX", 2_000)
    for n in range(12):
        ledger.append([result(n)])
    assert ledger.segments()
    assert len(lines_of(ledger.log.journal_path)) <= 4_000
    assert [e.position for e in ledger.read()] == list(range(1, 14))


def test_a_second_writer_takes_in_what_the_first_appended(ledger: Ledger) -> None:
    other = Ledger.open(ledger.path, actor="other@example.org")
    for n in range(3):
        ledger.append([result(n)])
        other.append([result(n + 10)])
    ledger.seal()
    other.append([result(20)])
    ledger.append([result(21)])
    assert [e.position for e in other.read()] == list(range(1, 10))
    assert {e.actor for e in other.read(stream="target/model-a@GPU")} == {"tester@example.org", "other@example.org"}


@pytest.mark.parametrize("after", [b"", b"\n" * 500, b"\0" * 500], ids=["end", "padding", "zeros"])
def test_bytes_of_an_unfinished_write_are_passed_over_and_set_aside(
    ledger: Ledger, capsys: pytest.CaptureFixture[str], after: bytes
) -> None:
    ledger.append([result(1)])
    path = ledger.log.journal_path
    whole = lines_of(path)
    path.write_bytes(whole + b'{"actor":"x","caus' + after)
    assert ledger.head().position == 2
    fresh = Ledger.open(ledger.path, actor="a")
    fresh.append([result(2)])
    assert [e.position for e in fresh.read()] == [1, 2, 3]
    assert "18 bytes of an unfinished write" in capsys.readouterr().err
    kept = list((ledger.log.folder / "torn").iterdir())
    assert [k.read_bytes() for k in kept] == [b'{"actor":"x","caus']


def test_a_batch_is_all_there_or_not_at_all(ledger: Ledger) -> None:
    ledger.append([result(n) for n in range(10)])
    path = ledger.log.journal_path
    whole = lines_of(path)
    start = whole.index(b"\n") + 1
    for cut in range(start, len(whole) - 1, 97):
        for padding in (b"", b"\n" * (len(whole) - cut), b"\0" * (len(whole) - cut)):
            path.write_bytes(whole[:cut] + padding)
            assert ledger.head().position == 1, cut
            if cut > start:  # pages reach the disk in any order
                path.write_bytes(whole[:start] + (padding or b"\n" * cut) + whole[cut:])
                assert ledger.head().position == 1, cut
    path.write_bytes(whole)
    assert ledger.head().position == 11


def test_a_log_that_lost_acknowledged_events_refuses_to_go_on(ledger: Ledger) -> None:
    ledger.append([result(1)])
    size = len(lines_of(ledger.log.journal_path))
    ledger.append([result(2)])
    with ledger.log.journal_path.open("r+b") as file:
        file.truncate(size)
    with pytest.raises(Damaged, match="which was acknowledged"):
        Ledger.open(ledger.path, actor="a").append([result(3)])
    assert ledger.log.journal_path.stat().st_size == size


def test_a_half_done_seal_is_finished_by_the_next_append(ledger: Ledger) -> None:
    ledger.append([result(n) for n in range(4)])
    ledger.log._link_segment(ledger.log.tail())  # the crash comes after the link, before the journal is cut
    assert [e.position for e in ledger.read()] == [1, 2, 3, 4, 5]
    fresh = Ledger.open(ledger.path, actor="a")
    fresh.append([result(9)])
    assert [e.position for e in fresh.read()] == [1, 2, 3, 4, 5, 6]
    assert [e.position for e in fresh.log.tail()] == [6]


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (float("nan"), "record.latency"),
        (float("inf"), "record.latency"),
        (2**63, "record.latency"),
    ],
)
def test_numbers_json_cannot_hold_are_refused_with_the_field(ledger: Ledger, value: float, field: str) -> None:
    with pytest.raises(BadInput, match=field):
        ledger.append([result(1, latency=value)])
    assert ledger.head().position == 1


def test_one_bad_event_keeps_the_whole_batch_out(ledger: Ledger) -> None:
    with pytest.raises(BadInput):
        ledger.append([result(1), result(2, latency=float("nan"))])
    assert ledger.head().position == 1


def test_a_payload_of_the_wrong_type_is_refused_by_name(ledger: Ledger) -> None:
    bad = result(1)
    bad.payload.target = 7  # type: ignore[attr-defined]
    with pytest.raises(BadInput, match=r"ResultRecorded: .*target"):
        ledger.append([bad])


def test_an_event_over_its_bound_is_refused(ledger: Ledger) -> None:
    with pytest.raises(BadInput) as caught:
        ledger.append([result(1, note="x" * (incoming.EVENT_BYTES_MAX + 1))])
    assert "put large content into evidence" in caught.value.hint


def test_reading_by_position_type_stream_and_time(ledger: Ledger) -> None:
    ledger.append([result(n, target=f"m{n % 2}@G") for n in range(6)])
    ledger.seal()
    ledger.append([result(7, target="m1@G")])
    assert [e.position for e in ledger.read(after=5)] == [6, 7, 8]
    assert [e.position for e in ledger.read(types=["LedgerCreated"])] == [1]
    assert [e.position for e in ledger.read(stream="target/m1@G")] == [3, 5, 7, 8]
    moment = ledger.event("5@testbed").recorded_at
    assert [e.position for e in ledger.read(since=moment)] == [5, 6, 7, 8]
    assert [e.position for e in ledger.read(until=moment)] == [1, 2, 3, 4]
    assert ledger.event(ledger.event("8@testbed").event_id).position == 8
    assert ledger.event(ledger.event("2@testbed").event_id).position == 2


def test_an_unknown_event_is_bad_input(ledger: Ledger) -> None:
    for name in ("01a203ca-d97f-76ff-bb62-cc75c8d476d3", "99@testbed", "1@nowhere"):
        with pytest.raises(BadInput):
            ledger.event(name)


def test_creating_a_ledger_twice_changes_nothing(tmp_path: Path) -> None:
    first = Ledger.create(tmp_path, origin="one", actor="a")
    with pytest.raises(BadInput, match="is a ledger already"):
        Ledger.create(tmp_path, origin="two", actor="a")
    assert Ledger.open(tmp_path).origin == first.origin == "one"


@pytest.mark.parametrize("name", ["", "UPPER", "a/b", "..", "a b", "x" * 64, "ö"])
def test_an_origin_that_is_no_folder_name_is_refused(tmp_path: Path, name: str) -> None:
    from ledger.layout import check_origin

    with pytest.raises(BadInput):
        check_origin(name)

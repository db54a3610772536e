"""The reader behind `watch`: whole lines only, each once, and a replaced log from its beginning."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands.calibrate import watch


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def append(log: Path, data: bytes) -> None:
    """Write behind what is there."""
    with log.open("ab") as out:
        out.write(data)


def test_a_log_that_is_not_there_yet_has_no_lines(log: Path) -> None:
    follower = watch.Follower(log)
    assert follower.lines() == []
    append(log, b"a\n")
    assert follower.lines() == ["a"]


def test_a_line_is_given_once_and_only_when_it_is_whole(log: Path) -> None:
    follower = watch.Follower(log)
    append(log, b"a\nhalf")
    assert follower.lines() == ["a"]
    assert follower.lines() == []
    append(log, b" and half\n\nlast\n")
    assert follower.lines() == ["half and half", "", "last"]


def test_a_character_cut_between_two_looks_is_one_character(log: Path) -> None:
    follower = watch.Follower(log)
    first, second = "é".encode()[:1], "é".encode()[1:]
    append(log, first)
    assert follower.lines() == []
    append(log, second + b"\n")
    assert follower.lines() == ["é"]


def test_bytes_that_are_no_text_hide_no_line(log: Path) -> None:
    append(log, b"\xff\xfe\nnext\n")
    assert watch.Follower(log).lines() == ["\ufffd\ufffd", "next"]


def test_a_log_of_a_new_attempt_is_read_from_its_beginning(log: Path, tmp_path: Path) -> None:
    follower = watch.Follower(log)
    append(log, b"first attempt\nunfinished")
    assert follower.lines() == ["first attempt"]
    other = tmp_path / "other"
    other.write_bytes(b"second attempt, and longer than the first one was\n")
    other.replace(log)
    assert follower.lines() == ["second attempt, and longer than the first one was"]


def test_a_log_that_was_cut_short_is_read_from_its_beginning(log: Path) -> None:
    follower = watch.Follower(log)
    append(log, b"a long line of the first attempt\n")
    assert len(follower.lines()) == 1
    log.write_bytes(b"new\n")
    assert follower.lines() == ["new"]


def test_a_log_larger_than_one_look_takes_is_read_whole_by_looking_again(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "CHUNK_BYTES", 7)
    wanted = [f"line {n}" for n in range(20)]
    append(log, "".join(f"{line}\n" for line in wanted).encode())
    follower = watch.Follower(log)
    found: list[str] = []
    for _ in range(log.stat().st_size // 7 + 1):
        found += follower.lines()
    assert found == wanted

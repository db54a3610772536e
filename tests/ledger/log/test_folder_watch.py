"""The lock of a folder, kept open, and what it says of names that changed."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.ledger import Ledger
from ledger.log.folder_watch import SETTLED_NS, FolderWatch
from ledger.log.lock import KeptLock
from ledger.verification.walk import verify
from tests.ledger.samples import result


def settle(watch: FolderWatch) -> None:
    """Ask until the folder's last change lies behind the clock."""
    end = time.monotonic() + 60
    while watch.changed():
        assert time.monotonic() < end
        time.sleep(SETTLED_NS / 4e9)


@pytest.mark.parametrize("how", ["create", "link", "replace", "delete"])
def test_every_change_of_a_name_is_seen_once_the_folder_was_quiet(tmp_path: Path, how: str) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    watch = FolderWatch(tmp_path)
    settle(watch)
    (tmp_path / "a").write_text("content is no name")
    assert not watch.changed()
    changes: dict[str, Callable[[], None]] = {
        "create": lambda: (tmp_path / "c").touch(),
        "link": lambda: os.link(tmp_path / "a", tmp_path / "c"),
        "replace": lambda: os.replace(tmp_path / "a", tmp_path / "b"),
        "delete": (tmp_path / "a").unlink,
    }
    changes[how]()
    assert watch.changed()


def test_a_folder_that_changed_just_now_is_never_called_quiet(tmp_path: Path) -> None:
    """A second change in the same tick of the kernel's clock would leave no trace in the folder's time."""
    watch = FolderWatch(tmp_path)
    for n in range(200):
        (tmp_path / str(n)).touch()
        assert watch.changed()


def test_a_time_without_a_fraction_is_not_trusted(tmp_path: Path) -> None:
    watch = FolderWatch(tmp_path)
    os.utime(tmp_path, ns=(0, 1_700_000_000_000_000_000))
    assert watch.changed()
    assert watch.changed()


@pytest.mark.parametrize("what", ["journal.jsonl", "head", "lock", "heads.sqlite"])
def test_a_writer_that_has_appended_for_long_notices_a_file_that_was_taken_away(ledger: Ledger, what: str) -> None:
    """The journal's events are gone then, and it says so; the other three are made again."""
    for n in range(3):
        ledger.append([result(n)])
        time.sleep(SETTLED_NS / 1e9 * 1.2)
    (ledger.log.folder / what).rename(ledger.path / "taken")
    if what == "journal.jsonl":
        for _ in range(2):
            with pytest.raises(Exception, match="acknowledged"):
                ledger.append([result(4)])
        (ledger.path / "taken").rename(ledger.log.folder / what)
    ledger.append([result(5)])
    other = Ledger.open(ledger.path, actor="other")
    other.append([result(6)])
    ledger.append([result(7)])
    assert [e.position for e in ledger.read()] == list(range(1, 8))
    assert verify(ledger).ok


def test_a_deleted_lock_file_does_not_let_two_writers_in(tmp_path: Path) -> None:
    kept = KeptLock(tmp_path / "lock")
    with kept:
        pass
    time.sleep(SETTLED_NS / 1e9 * 1.2)
    with kept:
        pass
    (tmp_path / "lock").unlink()
    other = KeptLock(tmp_path / "lock", notice=lambda message: None)
    inside = threading.Event()

    def enter() -> None:
        with other:
            inside.set()

    with kept:
        thread = threading.Thread(target=enter)
        thread.start()
        assert not inside.wait(0.3)
    assert inside.wait(60)
    thread.join()


def test_threads_that_share_a_lock_take_turns(tmp_path: Path) -> None:
    kept = KeptLock(tmp_path / "lock")
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(100):
            with kept:
                inside += 1
                most = max(most, inside)
                time.sleep(0)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_a_forked_child_does_not_share_its_parents_lock(tmp_path: Path) -> None:
    kept = KeptLock(tmp_path / "lock", notice=lambda message: None)
    with kept:
        pass  # the file is open when the child is made
    context = multiprocessing.get_context("fork")
    said = context.Event()

    def child() -> None:
        with kept:
            said.set()

    with kept:
        other = context.Process(target=child)
        # the threads' lock would be copied as held: the child gets one that is free, and must still wait
        kept._threads = threading.Lock()
        other.start()
        kept._threads.acquire()
        assert not said.wait(0.5)
    assert said.wait(5)
    other.join()

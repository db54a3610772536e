"""A full disk, a folder that may not be written, torn bytes, events and formats of a later version: a sentence each."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger.event import Event
from ledger.ledger import Ledger
from ledger.log import chain, journal
from ledger.log.heads import Head
from ledger.verification.walk import verify
from tests.conftest import PERFLEDGER, Result, clean_env
from tests.ledger.samples import add_line, lines_of, result

RECORD = {"model_id": "model-a", "gpu_type": "GPU", "latency": 28.5, "timestamp": "2026-06-01T00:00:00+00:00"}


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """A result to record."""
    path = tmp_path / "result.json"
    path.write_text(json.dumps(RECORD))
    return path


def perfledger(*arguments: Any, cwd: Path, before: Callable[[], None] = lambda: None) -> Result:
    """Run the command with something done to its process first."""
    done = subprocess.run(
        [PERFLEDGER, *map(str, arguments)],
        cwd=cwd,
        env=clean_env(PYTHONDONTWRITEBYTECODE="1"),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        preexec_fn=before,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Result(done.returncode, done.stdout, done.stderr)


def said_in_one_sentence(done: Result, code: int) -> str:
    """Return the message of a failed command: one line, and one with the next step."""
    assert done.code == code, done
    lines = done.err.strip().splitlines()
    assert len(lines) == 2, lines
    assert lines[0].startswith("perfledger: ")
    assert lines[1].startswith("  next: ")
    return lines[0]


class TestFullDisk:
    """The kernel refuses to let files grow: what a full disk looks like to the process that writes."""

    def fill(self, folder: Path, room: int) -> Callable[[], None]:
        """Return what lets no file grow beyond the journal's size plus `room`."""
        size = max((len(lines_of(p)) for p in folder.rglob("journal.jsonl")), default=0) + room

        def limit() -> None:
            import signal

            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

        return limit

    @pytest.mark.parametrize("room", [0, 10, 200])
    def test_an_append_that_does_not_fit_is_taken_back_whole(
        self, ledger: Ledger, record: Path, tmp_path: Path, room: int
    ) -> None:
        ledger.append([result(n, note="x" * 2_000) for n in range(40)])
        before = [e.event_id for e in ledger.read()]
        done = perfledger("record", record, cwd=tmp_path, before=self.fill(ledger.path, room))
        message = said_in_one_sentence(done, 4)
        assert "nothing was recorded" in message or "cannot write" in message
        assert [e.event_id for e in ledger.read()] == before
        assert verify(Ledger.open(ledger.path)).ok
        assert perfledger("record", record, cwd=tmp_path).code == 0
        assert len(list(ledger.read())) == len(before) + 1

    @pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
    def test_on_a_disk_that_is_really_full_nothing_is_lost_and_it_goes_on_when_there_is_room(
        self, tmp_path: Path, record: Path
    ) -> None:
        mount = tmp_path / "small"
        mount.mkdir()
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", mount], capture_output=True, check=False
        )
        if mounted.returncode:
            pytest.skip("this container may not mount")
        try:
            ledger = Ledger.create(mount, origin="small", actor="tester")
            ledger.append([result(1)])
            filler = mount / "filler"
            with filler.open("wb") as file, pytest.raises(OSError, match="No space left"):
                while True:
                    os.write(file.fileno(), b"x" * 4096)
            told = []
            failed = None
            for n in range(200):
                again = tmp_path / f"result-{n}.json"
                again.write_text(json.dumps({**RECORD, "latency": 28.5 + n}))
                done = perfledger("record", again, "--ledger", mount, cwd=tmp_path)
                if done.code:
                    failed = done
                    break
                told.append(n)
            assert failed is not None, "the disk is full"
            said_in_one_sentence(failed, 4)
            assert verify(Ledger.open(mount)).ok
            assert len(list(Ledger.open(mount).read())) == 2 + len(told)
            filler.unlink()
            assert perfledger("record", record, "--ledger", mount, cwd=tmp_path).code == 0
            assert verify(Ledger.open(mount)).ok
        finally:
            subprocess.run(["umount", "-l", mount], check=True)


CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, PR_CAPBSET_DROP = 1, 2, 24


def drop_privileges() -> None:
    """Make permissions count for root too, in the process that is started next."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None)
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


@pytest.fixture
def unprivileged(tmp_path: Path) -> Callable[[], None]:
    """What makes a process one that file permissions bind."""
    probe = tmp_path / "probe"
    probe.touch(0o444)
    if (
        subprocess.run(
            ["sh", "-c", f"echo > {probe}"], preexec_fn=drop_privileges, capture_output=True, check=False
        ).returncode
        == 0
    ):
        pytest.skip("root keeps all its privileges here")
    return drop_privileges


def test_who_may_only_read_can_ask_everything_and_is_told_that_he_cannot_write(
    ledger: Ledger, record: Path, tmp_path: Path, unprivileged: Callable[[], None]
) -> None:
    ledger.append([result(1)])
    ledger.seal()
    ledger.append([result(2)])
    for path in [*ledger.path.rglob("*"), ledger.path]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = {p: p.read_bytes() for p in ledger.path.rglob("*") if p.is_file()}
    for question in (["events", "list"], ["verify"], ["events", "show", "2@testbed"], ["sql", "FROM results"]):
        done = perfledger(*question, cwd=tmp_path, before=unprivileged)
        assert done.code == 0, done
    message = said_in_one_sentence(perfledger("record", record, cwd=tmp_path, before=unprivileged), 4)
    assert "Permission denied" in message
    assert {p: p.read_bytes() for p in ledger.path.rglob("*") if p.is_file()} == before


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting read-only needs root")
def test_on_a_file_system_mounted_read_only_reading_works_and_writing_says_so(
    ledger: Ledger, record: Path, tmp_path: Path
) -> None:
    ledger.append([result(1)])
    if subprocess.run(["mount", "--bind", ledger.path, ledger.path], capture_output=True, check=False).returncode:
        pytest.skip("this container may not mount")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", ledger.path], check=True)
        assert perfledger("verify", cwd=tmp_path).code == 0
        assert len(perfledger("events", "list", cwd=tmp_path).out.splitlines()) == 2
        assert perfledger("sql", "SELECT count(*) FROM results", cwd=tmp_path).code == 0
        assert "ead-only file system" in said_in_one_sentence(perfledger("record", record, cwd=tmp_path), 4)
    finally:
        subprocess.run(["umount", "-l", ledger.path], check=True)


@pytest.mark.parametrize("kept", [1, 100, -1])
def test_a_torn_tail_is_passed_over_by_readers_and_set_aside_by_the_next_write(
    ledger: Ledger, cli: Callable[..., Result], record: Path, kept: int
) -> None:
    """Bytes of a write that was never acknowledged: kept for a person to see, never taken for an event."""
    ledger.append([result(1)])
    path = ledger.path / "log" / "testbed" / journal.NAME
    line = path.read_bytes().split(b"\n")[1]
    with path.open("ab") as file:
        file.write(line[:kept])
    assert len(cli("events", "list", code=0).out.splitlines()) == 2
    assert "an unfinished write" in cli("verify", code=0).err
    done = cli("record", record, code=0)
    assert "were set aside" in done.err
    torn = list((path.parent / "torn").iterdir())
    assert [t.read_bytes() for t in torn] == [line[:kept]]
    assert [e.position for e in ledger.read()] == [1, 2, 3]
    cli("verify", code=0)


def with_an_event_of_a_later_version(ledger: Ledger) -> Event:
    """Append, as a later version would, an event of a type this one does not know."""
    import msgspec

    head: Head = ledger.head()
    event = Event(
        actor="later",
        causation_id=None,
        correlation_id=None,
        event_id="0190a0a0-0000-7000-8000-00000000beef",
        git_sha=None,
        hash="",
        host="later",
        key=None,
        origin="testbed",
        payload=msgspec.Raw(b'{"quantum":true}'),
        position=head.position + 1,
        prev_hash=head.hash,
        recorded_at="2999-01-01T00:00:00.000000Z",
        schema_version=7,
        stream="later/1",
        type="QuantumResultRecorded",
        version=1,
    )
    line = chain.link(event)
    add_line(ledger.path / "log" / "testbed" / journal.NAME, line)
    return event


def test_an_event_of_an_unknown_newer_type_is_kept_and_passed_over(
    ledger: Ledger, cli: Callable[..., Result], record: Path
) -> None:
    ledger.append([result(1)])
    event = with_an_event_of_a_later_version(ledger)
    cli("record", record, code=0)
    ledger.seal()
    assert json.loads(cli("events", "show", event.event_id, code=0).out)["payload"] == {"quantum": True}
    cli("replay", "--check", code=0)
    assert cli("sql", "SELECT count(*) AS n FROM results", "--json", code=0).json == [{"n": 2}]
    cli("verify", code=0)
    assert chain.to_json(next(e for e in ledger.read() if e.event_id == event.event_id)) == chain.to_json(event)


def test_a_ledger_of_a_newer_format_is_not_touched(ledger: Ledger, cli: Callable[..., Result], record: Path) -> None:
    description = ledger.path / "ledger.toml"
    description.write_text(description.read_text().replace("format = 1", "format = 2"))
    before = {p: p.read_bytes() for p in ledger.path.rglob("*") if p.is_file()}
    for arguments in (["record", record], ["verify"], ["events", "list"]):
        message = said_in_one_sentence(cli(*arguments, code=2), 2)
        assert "ledger format 2, this version reads up to 1; nothing was touched" in message
    assert {p: p.read_bytes() for p in ledger.path.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("command", [["record", "result.json"], ["events", "list"], ["verify"]])
def test_a_journal_that_is_no_file_is_named(ledger: Ledger, record: Path, tmp_path: Path, command: list[str]) -> None:
    path = ledger.path / "log" / "testbed" / journal.NAME
    path.rename(path.with_name("moved"))
    path.mkdir()
    done = perfledger(*command, cwd=tmp_path)
    assert said_in_one_sentence(done, 2) == f"perfledger: cannot open {path}: it is a folder"
    assert "put the file back" in done.err
    path.rmdir()
    path.with_name("moved").rename(path)
    assert perfledger("record", record, cwd=tmp_path).code == 0


@pytest.mark.parametrize("name", ["lock", "heads.sqlite"])
def test_a_folder_in_the_place_of_a_derived_file_is_named_and_may_go(
    ledger: Ledger, record: Path, tmp_path: Path, name: str
) -> None:
    path = ledger.path / "log" / "testbed" / name
    path.unlink(missing_ok=True)
    path.mkdir()
    done = perfledger("record", record, cwd=tmp_path)
    assert said_in_one_sentence(done, 2) == f"perfledger: cannot open {path}: Is a directory"
    assert "move it away, the file is made again" in done.err
    path.rename(tmp_path / "away")
    assert perfledger("record", record, cwd=tmp_path).code == 0


def test_the_derived_files_may_be_deleted_or_be_rubbish_at_any_time(
    ledger: Ledger, cli: Callable[..., Result], record: Path
) -> None:
    """The log is the only truth: every index and projection is made again from it."""
    ledger.append([result(n) for n in range(5)])
    ledger.seal()
    cli("sql", "FROM results", code=0)
    derived = [
        p
        for p in ledger.path.rglob("*")
        if p.name.startswith(("heads.sqlite", "index.sqlite", "state")) or p.name == "head"
    ]
    assert len(derived) >= 3
    for path in derived:
        path.write_bytes(b"rubbish " * 100)
    cli("record", record, code=0)
    cli("verify", code=0)
    for path in derived:
        path.unlink(missing_ok=True)
    cli("record", record, code=0)
    cli("replay", "--check", code=0)
    assert [e.position for e in ledger.read()] == [1, 2, 3, 4, 5, 6, 7], "the same result twice is one event"


def test_a_copy_of_a_ledger_is_a_ledger(ledger: Ledger, tmp_path: Path) -> None:
    ledger.append([result(1)])
    copy = Ledger.open(shutil.copytree(ledger.path, tmp_path / "elsewhere" / ".perfledger"), actor="x")
    assert copy.append([result(2)])[0].position == 3
    assert verify(copy).ok

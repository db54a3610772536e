"""Standard streams: closed, full, unread, of an old encoding; and a terminal that obeys what it reads."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from pathlib import Path

import pytest

from ledger.ledger import Ledger
from tests.conftest import PERFLEDGER, clean_env
from tests.ledger.samples import result

RESULT = {"model_id": "m", "gpu_type": "G", "timestamp": "2026-05-01T00:00:00Z", "latency": 1.5, "success": True}


def shell(line: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash with $P as the command."""
    return subprocess.run(
        ["bash", "-c", line],
        cwd=cwd,
        env=clean_env(P=PERFLEDGER, **env),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("closing", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_a_closed_stream_changes_no_exit_code(closing: str, ledger: Ledger, tmp_path: Path) -> None:
    assert shell(f"$P verify {closing}", tmp_path).returncode == 0
    assert shell(f"$P explain nothing {closing}", tmp_path).returncode == 2
    done = shell(f"$P verify --json {closing}", tmp_path)
    assert (done.returncode, "Traceback" in done.stderr, "internal" in done.stderr) == (0, False, False)


def test_with_stderr_closed_nothing_but_events_gets_into_the_log(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(json.dumps(RESULT))
    assert shell("$P check r.json >&- 2>&- <&-", tmp_path).returncode == 0
    assert shell("$P verify", tmp_path).returncode == 0


@pytest.mark.parametrize("command", ["verify", "verify --json", "events list", "events export", "sql 'FROM events'"])
def test_a_full_disk_behind_stdout_is_one_sentence_and_exit_4(command: str, ledger: Ledger, tmp_path: Path) -> None:
    done = shell(f"$P {command} > /dev/full", tmp_path)
    assert done.returncode == 4
    assert done.stderr == (
        "perfledger: cannot write or read: No space left on device\n  next: free some space and run it again\n"
    )


def test_an_error_document_that_cannot_be_written_is_a_sentence_on_stderr(ledger: Ledger, tmp_path: Path) -> None:
    done = shell("$P explain nothing --json > /dev/full", tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("perfledger: nothing here is called nothing")


def test_a_reader_that_went_away_does_not_turn_a_no_into_a_yes(ledger: Ledger, tmp_path: Path) -> None:
    done = shell("(sleep 0.3; $P explain nothing --json; echo code $? >&2) | true", tmp_path)
    assert done.stderr.splitlines()[-1] == "code 2" and "Traceback" not in done.stderr
    (tmp_path / "none").mkdir()
    done = shell("(sleep 0.3; $P check none; echo code $? >&2) | true", tmp_path)
    assert done.stderr.splitlines()[-1] == "code 5"


@pytest.mark.parametrize("command", ["events list", "events list --json", "events export", "sql -q 'FROM events'"])
def test_a_reader_of_a_long_list_may_stop_early(command: str, ledger: Ledger, tmp_path: Path) -> None:
    ledger.append([result(n) for n in range(2_000)])  # more than a pipe holds
    done = shell(f"$P {command} | head -1; exit ${{PIPESTATUS[0]}}", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1


def test_an_encoding_that_lacks_a_character_gets_an_escape(ledger: Ledger, tmp_path: Path) -> None:
    done = shell("$P record nothing-Ω.json", tmp_path, PYTHONIOENCODING="latin-1")
    assert done.returncode == 2 and "nothing-\\u03a9.json" in done.stderr


def test_no_arguments_show_the_help_as_it_is(tmp_path: Path) -> None:
    done = shell("$P", tmp_path)
    assert done.returncode == 2 and done.stderr.startswith("Usage: perfledger") and "next:" not in done.stderr
    assert json.loads(shell("$P --json", tmp_path).stdout)["error"]["code"] == "usage"


def test_an_interrupt_is_a_document_too(ledger: Ledger, tmp_path: Path) -> None:
    tail = subprocess.Popen(
        [PERFLEDGER, "events", "tail", "-n", "1", "--json"],
        cwd=tmp_path,
        env=clean_env(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert tail.stdout is not None
    assert '"LedgerCreated"' in tail.stdout.readline()  # it follows the log now
    tail.send_signal(signal.SIGINT)
    out, err = tail.communicate(timeout=30)
    assert tail.returncode == 130 and err.strip() == ""
    assert json.loads(out)["error"]["code"] == "interrupted"


def test_a_name_from_outside_cannot_steer_the_terminal(ledger: Ledger, tmp_path: Path) -> None:
    evil = "m\x1b]52;c;ZXZpbA==\x07\x1b[2J\x9b1A"
    (tmp_path / "r.json").write_text(json.dumps({**RESULT, "model_id": evil}))
    assert shell("$P record r.json", tmp_path).returncode == 0
    seen = b""
    main, side = pty.openpty()
    with subprocess.Popen(
        [PERFLEDGER, "baseline", "list"],
        cwd=tmp_path,
        env=clean_env(),
        stdout=side,
        stderr=side,
        stdin=subprocess.DEVNULL,
    ) as listing:
        os.close(side)
        while True:
            try:
                chunk = os.read(main, 4096)
            except OSError:  # the terminal ends with its last process
                break
            if not chunk:
                break
            seen += chunk
    os.close(main)
    assert listing.returncode == 0
    assert b"\x1b]" not in seen and b"\x1b[2J" not in seen and b"\x07" not in seen and b"\xc2\x9b" not in seen
    assert b"\\x1b]52" in seen

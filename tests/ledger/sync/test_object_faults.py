"""A bucket whose line is cut, or whose writer is killed, between any two requests. There is no commit to lean on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ledger.errors import PerfledgerError, Unavailable
from ledger.ledger import Ledger
from ledger.verification.walk import verify
from tests.flaky_proxy import FlakyProxy
from tests.ledger.sync.samples import do_pull, do_push, names, write

FOREVER = 10**6


@pytest.fixture
def line(s3_bucket: str, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlakyProxy]:
    """The line to the S3 server."""
    port = urlsplit(s3_endpoint).port
    assert port is not None
    with FlakyProxy(port) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        yield proxy


@pytest.mark.parametrize("side", ["before", "after"])
def test_a_line_cut_at_any_one_request_costs_a_try(line: FlakyProxy, s3_bucket: str, tmp_path: Path, side: str) -> None:
    reader = Ledger.create(tmp_path / "reader", origin="reader", actor="x")
    for cut in range(1, 40):
        origin = f"{side}-{cut}"
        ledger = Ledger.create(tmp_path / origin, origin=origin, actor="x")
        write(ledger, "one")
        line.requests.clear()
        setattr(line, side, lambda number, _, cut=cut: number == cut)
        do_push(ledger, s3_bucket)
        setattr(line, side, lambda number, _: False)
        made = len(line.requests)
        do_pull(reader, s3_bucket)
        assert names(reader, origin) == ["one"]
        if made < cut:
            break
    assert cut > 6, "a push of evidence, a segment and a checkpoint makes more requests than that"
    assert verify(reader).ok


def test_a_line_that_stays_cut_is_said_and_the_events_wait(line: FlakyProxy, s3_bucket: str, tmp_path: Path) -> None:
    ledger = Ledger.create(tmp_path / "alpha", origin="alpha", actor="x")
    write(ledger, "one")
    line.before = lambda number, _: True
    with pytest.raises(Unavailable, match="goes on working without it"):
        do_push(ledger, s3_bucket)
    line.before = lambda number, _: False
    do_push(ledger, s3_bucket)


PUSH = """
import sys
from ledger.ledger import Ledger
from tests.ledger.sync.samples import do_push
do_push(Ledger.open(sys.argv[1], actor="x"), sys.argv[2])
"""


def test_a_push_killed_at_any_request_never_shows_a_reader_a_wrong_log(
    line: FlakyProxy, s3_bucket: str, tmp_path: Path
) -> None:
    root = Path(__file__).resolve().parents[3]
    reader = Ledger.create(tmp_path / "reader", origin="reader", actor="x")
    for request in range(1, 40):
        origin = f"killed-{request}"
        ledger = Ledger.create(tmp_path / origin, origin=origin, actor="x")
        write(ledger, "one")
        ledger.seal()
        write(ledger, "two")
        line.requests.clear()
        process: list[subprocess.Popen[bytes]] = []

        def kill(number: int, _: str, request: int = request, process: list[subprocess.Popen[bytes]] = process) -> bool:
            if number == request:
                os.kill(process[0].pid, signal.SIGKILL)
            return number == request

        line.after = kill
        process.append(subprocess.Popen([sys.executable, "-c", PUSH, str(tmp_path / origin), s3_bucket], cwd=root))
        killed = process[0].wait(60) == -signal.SIGKILL
        line.after = lambda number, _: False
        do_pull(reader, s3_bucket)  # half of it may be there: a shorter log, never one that does not verify
        assert names(reader, origin) in (["one", "two"][:count] for count in range(3))
        do_push(Ledger.open(tmp_path / origin, actor="x"), s3_bucket)
        do_pull(reader, s3_bucket)
        assert names(reader, origin) == ["one", "two"]
        if not killed:
            break
    assert request > 6 and verify(reader).ok


def test_a_bucket_that_goes_away_during_a_pull_leaves_what_was_there(
    line: FlakyProxy, s3_bucket: str, tmp_path: Path
) -> None:
    alpha = Ledger.create(tmp_path / "alpha", origin="alpha", actor="x")
    for number in range(3):
        write(alpha, str(number))
        do_push(alpha, s3_bucket)
    reader = Ledger.create(tmp_path / "reader", origin="reader", actor="x")
    first = len(line.requests)
    line.before = lambda number, _: number > first + 5
    with pytest.raises(PerfledgerError):
        do_pull(reader, s3_bucket)
    assert verify(reader).ok
    line.before = lambda number, _: False
    do_pull(reader, s3_bucket)
    assert names(reader) == ["0", "1", "2"] and verify(reader).ok

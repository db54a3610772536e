"""The console as a process: its clock, its memory, its environment, and what others may do meanwhile."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.children import ANSWER_QUERY
from ledger.errors import BadInput, Conflict, Damaged, PerfledgerError, Unavailable
from ledger.ledger import Ledger
from projections.console import query as console
from projections.console.query import GRACE_S, Limits, Question, ask
from tests.ledger.samples import result
from tests.projections.console.sandbox import SECRET
from tests.waiting import until

ENDLESS = "SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b"
# A scalar function that some versions of the engine cannot interrupt.
UNHEEDING = "SELECT levenshtein(repeat('ab', 1000000), repeat('ba', 1000000))"

Rows = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def rows(ledger: Ledger) -> Rows:
    def run(
        query: str, timeout_s: float = 120, memory_mb: int = 256, result_mb: int = 64, **question: Any
    ) -> list[dict[str, Any]]:
        sink = io.BytesIO()
        summary = ask(ledger.path, Question(query, **question), sink, Limits(timeout_s, memory_mb, result_mb))
        found: list[dict[str, Any]] = json.loads(sink.getvalue())
        assert summary.rows == len(found)
        return found

    return run


def children() -> set[int]:
    """The process ids of this process's children that answer a query; servers of other tests are none."""
    task = Path(f"/proc/{os.getpid()}/task")
    found = {int(pid) for thread in task.iterdir() for pid in (thread / "children").read_text().split()}
    return {pid for pid in found if _answers_a_query(pid)}


def _answers_a_query(pid: int) -> bool:
    try:
        return ANSWER_QUERY.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def ended(pid: int) -> bool:
    """Whether a process has gone, or only waits for its parent to look."""
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait_for_walls(pid: int) -> str:
    """Wait until a process can open nothing any more; return its limits."""

    def limits() -> str:
        text = Path(f"/proc/{pid}/limits").read_text()
        return text if "open files            0" in text else ""

    return str(until(limits))


@pytest.fixture
def asking(ledger: Ledger) -> Iterator[Callable[..., tuple[threading.Thread, list[PerfledgerError]]]]:
    """Ask a query in another thread; the errors it raises are gathered in the list."""
    threads: list[threading.Thread] = []

    def start(query: str, limits: Limits) -> tuple[threading.Thread, list[PerfledgerError]]:
        errors: list[PerfledgerError] = []

        def run() -> None:
            try:
                ask(ledger.path, Question(query), io.BytesIO(), limits)
            except PerfledgerError as error:
                errors.append(error)

        thread = threading.Thread(target=run)
        threads.append(thread)
        thread.start()
        return thread, errors

    yield start
    for thread in threads:
        thread.join(150)
        assert not thread.is_alive()


def test_the_log_is_a_view_over_sealed_and_open_events_alike(ledger: Ledger, rows: Rows) -> None:
    ledger.append([result(n) for n in range(25)])
    ledger.seal()
    ledger.append([result(n) for n in range(25, 30)])
    assert rows("SELECT count(*) AS n, count(DISTINCT position) AS p, max(position) AS last FROM events") == [
        {"n": 31, "p": 31, "last": 31}
    ]
    (event,) = rows("FROM events WHERE position = 31")
    expected = ledger.event(f"31@{ledger.origin}").as_dict()
    assert json.loads(event.pop("payload")) == expected.pop("payload")
    assert event.pop("learned_at") == expected["recorded_at"]
    assert event.pop("unread") is None
    assert event == expected


def test_the_log_is_a_view_also_when_all_of_it_is_sealed_or_none_is(ledger: Ledger, rows: Rows) -> None:
    count = "SELECT count(*) AS n, max(position) AS last FROM events"
    assert rows(count) == [{"n": 1, "last": 1}]
    for n in range(3):
        ledger.append([result(n)])
        ledger.seal()
        assert rows(count) == [{"n": n + 2, "last": n + 2}]
        assert rows("SELECT count(*) AS n FROM results") == [{"n": n + 1}]


def test_as_of_is_the_moment_of_every_view_and_of_the_log(ledger: Ledger, rows: Rows) -> None:
    receipts = ledger.append([result(n) for n in range(5)])
    then = receipts[2].recorded_at
    count = "SELECT (SELECT count(*) FROM results) AS results, (SELECT count(*) FROM events) AS events"
    assert rows(count) == [{"results": 5, "events": 6}]
    assert rows(count, as_of=then) == [{"results": 3, "events": 4}]
    assert rows(count, as_of=f"3@{ledger.origin}") == [{"results": 2, "events": 3}]
    assert rows(f"SELECT count(*) AS n FROM results(as_of := TIMESTAMPTZ '{then}')") == [{"n": 3}]
    with pytest.raises(BadInput) as caught:
        rows(count, as_of="some day")
    assert caught.value.exit_code == 2


def test_parameters_are_values_and_never_sql(ledger: Ledger, rows: Rows) -> None:
    ledger.append([result(1), result(2, target="b@GPU")])
    query = "SELECT count(*) AS n FROM results WHERE target = $target AND latency > $least"
    assert rows(query, parameters={"target": "b@GPU", "least": "28"}) == [{"n": 1}]
    assert rows(query, parameters={"target": "' OR true --", "least": "0"}) == [{"n": 0}]
    for given, code in (
        ({"target": "x"}, "sql_parameter_missing"),
        ({"target": "x", "more": "2"}, "sql_parameter_missing"),
        ({"target": "b@GPU", "least": "1", "most": ""}, "sql_parameter_unused"),
        ({"target": "b@GPU", "least": "many"}, "sql_failed"),
    ):
        with pytest.raises(BadInput) as caught:
            rows(query, parameters=given)
        assert caught.value.code == code
    for query in ("SELECT ?", "SELECT $1"):
        with pytest.raises(BadInput, match="parameters have names"):
            rows(query)


@pytest.mark.parametrize(
    "query", [ENDLESS, "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n FROM t) SELECT count(*) FROM t", UNHEEDING]
)
def test_the_timeout_stops_whatever_is_computed(rows: Rows, query: str) -> None:
    started = time.monotonic()
    with pytest.raises(Unavailable) as caught:
        rows(query, timeout_s=0.5)
    assert caught.value.code == "sql_timeout"
    assert "0.5 s" in caught.value.message
    assert caught.value.exit_code == 4
    assert time.monotonic() - started >= 0.5
    assert not children(), "the query's process outlived its answer"


ROWS = "SELECT range FROM range(1000000000000)"


class Signals(io.BytesIO):
    """A sink that sends a signal to the process of the query when its first rows come."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__()
        self.number = number
        self.pid = 0

    def write(self, data: Any) -> int:
        if not self.pid:
            (self.pid,) = children()
            os.kill(self.pid, self.number)
        return super().write(data)


def test_a_query_that_heeds_no_interrupt_is_killed(ledger: Ledger) -> None:
    for timeout_s in (1.0, 8.0, 64.0):  # longer, should a slow machine reach the clock before the first rows
        sink = Signals(signal.SIGSTOP)
        started = time.monotonic()
        with pytest.raises(Unavailable) as caught:
            ask(ledger.path, Question(ROWS), sink, Limits(timeout_s, 256))
        assert caught.value.code == "sql_timeout"
        if sink.pid:
            break
    assert sink.pid, "the query gave no rows before its clock"
    assert time.monotonic() - started >= timeout_s + GRACE_S
    assert not Path(f"/proc/{sink.pid}").exists(), "the query's process outlived its answer"


def test_a_result_that_never_ends_is_cut_by_the_clock_while_it_streams(rows: Rows) -> None:
    with pytest.raises(Unavailable) as caught:
        rows("SELECT NULL FROM range(1000000000000) WHERE range % 1000 = 0", timeout_s=0.5)
    assert caught.value.code == "sql_timeout"


@pytest.mark.parametrize(
    "query",
    [
        "SELECT list(range) FROM range(1000000000)",
        "SELECT repeat('x', 4000000000)",
        "SELECT count(*) FROM (SELECT DISTINCT md5(range::VARCHAR) FROM range(100000000))",
        "SELECT string_agg(repeat('x', 1000000), '') FROM range(1000)",
        "SELECT * FROM range(100000000) ORDER BY hash(range)",
        "SELECT list_sort(range(100000000))",
        "SELECT [repeat('x', 30000000) FOR i IN range(100)]",
    ],
)
def test_memory_is_bounded(rows: Rows, query: str) -> None:
    with pytest.raises(Unavailable) as caught:
        rows(query, memory_mb=128)
    assert caught.value.code in ("sql_out_of_memory", "sql_crashed")
    assert caught.value.exit_code == 4
    assert "memory" in caught.value.message


def test_a_result_larger_than_its_limit_is_refused(rows: Rows) -> None:
    with pytest.raises(Unavailable) as caught:
        rows("SELECT repeat('x', 1000) AS x FROM range(100000)", result_mb=4)
    assert caught.value.code == "sql_result_too_large"
    assert "4 MiB" in caught.value.message


def test_a_large_result_streams_in_little_memory(ledger: Ledger) -> None:
    sink = io.BytesIO()
    summary = ask(
        ledger.path,
        Question("SELECT range AS i, repeat('x', 100) AS x FROM range(300000)", format="csv"),
        sink,
        Limits(timeout_s=120, memory_mb=64),
    )
    assert summary.rows == 300_000
    assert sink.tell() > 30_000_000


def test_a_query_that_kills_the_engine_is_one_clear_error(ledger: Ledger) -> None:
    with pytest.raises(Unavailable) as caught:
        ask(ledger.path, Question(ROWS), Signals(signal.SIGSEGV), Limits(120, 256))
    assert caught.value.code == "sql_crashed"
    assert "SIGSEGV" in caught.value.message


def test_the_query_dies_with_the_process_that_asked(ledger: Ledger) -> None:
    code = f"""
import io
from pathlib import Path
from projections.console.query import *
ask(Path({str(ledger.path)!r}), Question({ENDLESS!r}), io.BytesIO(), Limits(timeout_s=60, memory_mb=128))
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[3]) as asker:
        task = Path(f"/proc/{asker.pid}/task/{asker.pid}/children")
        (pid,) = map(int, until(lambda: task.read_text().split()))
        wait_for_walls(pid)
        asker.kill()
        asker.wait()
    until(lambda: ended(pid))


def test_a_writer_appends_while_a_query_runs(ledger: Ledger, asking: Any, rows: Rows) -> None:
    ledger.append([result(n) for n in range(10)])
    ledger.seal()
    rows("SELECT count(*) AS n FROM results")
    thread, errors = asking("SELECT count(*) FROM results, events, range(10000000000)", Limits(120, 128))
    (pid,) = until(children)
    wait_for_walls(pid)
    for n in range(30):
        ledger.append([result(100 + n)])
        if n % 10 == 9:
            ledger.seal()
    assert thread.is_alive(), "the writer waited for the reader"
    os.kill(pid, signal.SIGKILL)
    thread.join(60)
    assert [error.code for error in errors] == ["sql_crashed"]
    assert rows("SELECT count(*) AS n FROM results") == [{"n": 40}]


def test_the_process_of_a_query_has_nothing_of_the_callers(
    ledger: Ledger, asking: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", SECRET)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with (tmp_path / "held-open.txt").open("w"):
        thread, _ = asking(ENDLESS, Limits(timeout_s=120, memory_mb=128))
        (pid,) = until(children)
        # between its fork and its exec a process still shows what its parent has
        until(lambda: ANSWER_QUERY in Path(f"/proc/{pid}/cmdline").read_text())
        environment = dict(
            item.split("=", 1) for item in Path(f"/proc/{pid}/environ").read_bytes().decode().rstrip("\0").split("\0")
        )
        assert environment == console.ENVIRONMENT
        assert SECRET not in Path(f"/proc/{pid}/cmdline").read_text()
        limits = wait_for_walls(pid)
        assert "Max file size             0                    0" in limits
        assert "NoNewPrivs:\t1" in Path(f"/proc/{pid}/status").read_text()
        os.kill(pid, signal.SIGKILL)
        thread.join(60)


def test_modules_in_the_working_directory_are_not_what_the_query_runs(
    ledger: Ledger, rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("json", "duckdb", "projections", "sitecustomize", "struct"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'hijacked')!r}, 'w').close()\n")
    monkeypatch.chdir(tmp_path)
    assert rows("SELECT 1 AS one") == [{"one": 1}]
    assert not (tmp_path / "hijacked").exists()


def test_what_opening_the_ledger_raises_comes_through_with_its_exit_code(tmp_path: Path) -> None:
    for kind in (BadInput, Conflict, Damaged):
        document = {"exit": kind.exit_code, "code": "x", "message": "m", "hint": "h", "details": {"n": 1}}
        error = console._error(document)
        assert type(error) is kind
    with pytest.raises(BadInput) as caught:
        ask(tmp_path / "nothing", Question("SELECT 1"), io.BytesIO())
    assert caught.value.exit_code == 2

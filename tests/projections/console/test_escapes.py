"""Nothing gets out of the console: not past the guard, and not past what stands behind it when it is taken out."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

from ledger.errors import PerfledgerError
from ledger.ledger import Ledger
from projections.console.engine import names_of
from projections.console.guard import check_text, check_tree
from projections.console.query import Limits, Question, ask
from projections.state import catalogue
from projections.state.state import State
from tests.projections.console import sandbox
from tests.projections.console.escapes import ESCAPES
from tests.projections.console.sandbox import SECRET, Arena

# What only takes time is let through by the settings and stopped by the clock.
REFUSALS = {"sql_forbidden", "sql_syntax", "sql_unknown_name"}


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    made = sandbox.build(tmp_path_factory.mktemp("arena"))
    yield made
    made.listener.close()


@pytest.fixture
def attempt(arena: Arena, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], tuple[str, str]]:
    """Ask one escape for real; return the error's code and everything that came back."""
    monkeypatch.setenv("CANARY", SECRET)
    monkeypatch.setenv("HF_TOKEN", SECRET)
    monkeypatch.chdir(arena.root)

    def run(escape: str) -> tuple[str, str]:
        sink = io.BytesIO()
        try:
            ask(arena.ledger.path, Question(escape), sink, Limits(timeout_s=5, memory_mb=256))
        except PerfledgerError as error:
            return error.code, f"{sink.getvalue()!r} {error.message} {error.hint} {error.details}"
        return "", sink.getvalue().decode()

    return run


@pytest.mark.parametrize("escape", ESCAPES)
def test_an_escape_is_refused_and_leaves_no_trace(
    arena: Arena, attempt: Callable[[str], tuple[str, str]], escape: str
) -> None:
    before = arena.snapshot()
    code, said = attempt(arena.fill(escape))
    assert code in REFUSALS, said
    assert SECRET not in said
    assert arena.snapshot() == before
    assert not arena.callers


def test_the_ledger_is_whole_after_all_of_them(arena: Arena, attempt: Callable[[str], tuple[str, str]]) -> None:
    head = arena.ledger.head()
    code, said = attempt("SELECT count(*) AS n, max(position) AS last FROM events")
    assert (code, json.loads(said)) == ("", [{"n": head.position, "last": head.position}])
    again = Ledger.open(arena.ledger.path, actor="tester@example.org")
    assert again.head() == head
    assert len(list(again.read())) == head.position


def test_the_guard_refuses_every_escape_by_itself(arena: Arena) -> None:
    """Without the engine ever binding it: what the guard lets through must be a refusal of its own."""
    with State.open(arena.ledger) as state:
        state.prepare("FROM results, baselines, events, fact_result")
        names = names_of(state.connection, dict.fromkeys([*catalogue.about(), "events"], ""))
    sandbox.settle(arena.ledger)
    parser = duckdb.connect()
    for escape in map(arena.fill, ESCAPES):
        ((tree,),) = parser.execute("SELECT json_serialize_sql(?)", [escape]).fetchall()
        with pytest.raises(PerfledgerError) as caught:
            check_text(escape)
            check_tree(escape, tree, names)
        assert caught.value.code in REFUSALS, escape


@pytest.mark.parametrize("fences", ["settings", "walls"])
def test_what_stands_behind_the_guard_holds_without_it(
    arena: Arena, monkeypatch: pytest.MonkeyPatch, fences: str
) -> None:
    """The same escapes in the same process with the guard taken out, then with the engine's settings, too.

    Some say yes; none reads the secret, writes a file or reaches the port.
    """
    monkeypatch.setenv("CANARY", SECRET)
    monkeypatch.chdir(arena.root)
    before = arena.snapshot()
    here = str(Path(sandbox.__file__).parents[3])
    boot = (
        f"import sys; sys.path.insert(0, {here!r}); "
        "from tests.projections.console.sandbox import raw_console; raw_console()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", boot, fences, str(arena.ledger.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as console:
        assert console.stdin and console.stdout
        ready = console.stdout.readline().split()
        assert ready[:1] == ["ready"]
        for escape in map(arena.fill, ESCAPES):
            if fences == "walls" and _beyond_the_walls(escape, landlocked="landlocked" in ready):
                continue
            console.stdin.write(json.dumps(escape) + "\n")
            console.stdin.flush()
            said = console.stdout.readline()
            assert said, f"the process died of {escape}"
            assert SECRET not in said, escape
            assert arena.snapshot() == before, escape
            assert not arena.callers, escape
        console.stdin.close()
        assert console.wait(30) == 0


def _beyond_the_walls(escape: str, *, landlocked: bool) -> bool:
    """What the walls alone are not for.

    Logging to a file that cannot be opened makes every later statement fail, which would prove nothing about them;
    a folder can be made without opening anything where the kernel has no Landlock.
    """
    return "logging" in escape or (not landlocked and escape.startswith(("EXPORT", "INSTALL", "FORCE INSTALL")))

"""The fifteen queries of docs/sql.md, on a ledger of the demo's data."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.ledger import Ledger
from projections.state.state import State
from tests.conftest import PERFLEDGER, Result, clean_env

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "sql.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"^## (\d+\. [^\n]+)\n\n```sql\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE)

# What the demo's ledger has no events for: these must run, and may be empty.
MAY_BE_EMPTY = {"11", "13"}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with the real calibrations as history, the real threshold history, and three checked results."""
    folder = tmp_path_factory.mktemp("demo")
    make = [sys.executable, ROOT / "examples" / "make_history.py"]

    def run(*args: object, codes: tuple[int, ...] = (0,)) -> None:
        done = subprocess.run(
            [str(a) for a in args], cwd=folder, env=clean_env(), capture_output=True, text=True, check=False
        )
        assert done.returncode in codes, done.stderr

    run(*make, "history", "history")
    run(PERFLEDGER, "init", "--origin", "demo")
    run(PERFLEDGER, "import", "hf-tracking", "history")
    run(PERFLEDGER, "import", "threshold-history", ROOT / "examples" / "data" / "threshold_history.csv")
    for kind in ("equal", "regressed"):
        run(*make, "result", kind, f"{kind}.json")
        run(PERFLEDGER, "check", f"{kind}.json", codes=(0, 1))
    return folder


def test_there_are_fifteen() -> None:
    assert len(QUERIES) == 15
    assert [title.split(".")[0] for title, _ in QUERIES] == [str(n) for n in range(1, 16)]


@pytest.mark.parametrize(("title", "query"), QUERIES, ids=[t for t, _ in QUERIES])
def test_each_query_answers(demo: Path, title: str, query: str) -> None:
    with State.open(Ledger.open(demo)) as state:
        rows = state.rows(query)
    if title.split(".")[0] not in MAY_BE_EMPTY:
        assert rows, title


def test_a_query_of_the_page_runs_in_the_sandbox_as_of_a_moment(demo: Path, cli: Callable[..., Result]) -> None:
    query = dict(QUERIES)["6. What is the baseline of every target, and how old is it?"]
    now = cli("sql", query, "--format", "json", cwd=demo, code=0).json
    then = cli("sql", query, "--format", "json", "--as-of", "1@demo", cwd=demo, code=0).json
    assert len(now) > 20
    assert then == []


def test_every_view_of_the_page_exists_and_every_view_of_the_contract_is_on_it() -> None:
    from projections.state.catalogue import about

    contract = {
        "events",
        "results",
        "baselines",
        "baseline_windows",
        "reseeds",
        "approvals",
        "uploads",
        "calibrations",
        "audit_matrix",
        "provenance",
        "thresholds",
        "threshold_changes",
        "observations",
        "telemetry",
        "checks",
        "merge_gate",
        "policies",
        "origins",
    }
    table = PAGE.split("| view |")[1].split("\n\n")[0]
    named = set(re.findall(r"`(\w+)`", "\n".join(line.split("|")[1] for line in table.splitlines()[2:])))
    assert named <= {*about(), "events"}
    assert contract <= named


def test_the_page_names_what_takes_no_moment_of_its_own() -> None:
    from projections.state.catalogue import about, mentioned
    from projections.state.computed import RELATIONS

    told = PAGE.split("Not so ")[1].split(":")[0]
    assert set(re.findall(r"`(\w+)`", told)) == {name for name in about() if RELATIONS.keys() & set(mentioned(name))}

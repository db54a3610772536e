"""A metric is written once, in projections/facts/record.py: a line more there is a metric more, in Python and in SQL.

The names are those of docs/results.md.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from projections.facts import record
from projections.results.record_shape import succeeded
from projections.state import catalogue

ROOT = Path(catalogue.__file__).parents[2]
TESTS = Path(__file__).parents[3]  # the rooms may be elsewhere: in the installed wheel
ROOMS = ("ledger", "projections", "commands", "gpu_runner")
SOURCE = "projections/facts/record.py"
ALLOWED = {
    "commands/intake/formats/asv.py": {"memory"},  # a unit's word of that tool
    "commands/intake/formats/raw.py": {"latency", "memory"},  # whose single runs a raw result lists
    "commands/intake/formats/series.py": {"latency", "throughput", "memory"},  # what a unit of another tool means
    "commands/results/baseline_history.py": {"latency"},  # what `plot` shows when it is not told
    "projections/calibration/bounds.py": {"latency", "throughput", "memory"},  # words in names of other projects
}

ADD_ONE = """
import json, sys
from pathlib import Path
from projections.facts import record
record.METRICS += (record.Metric("audio_decode_time_s", "Audio", "s", 3, False, 0.05, 0.25, raw="audio_time_s"),)
record.NAMES = tuple(metric.name for metric in record.METRICS)
from projections.facts.schema import ddl
from projections.state import catalogue
committed = catalogue._read
catalogue._read = lambda path: ddl() if path.name == "schema.sql" else committed(path)  # as `make docs` writes it
from commands.intake.formats.detect import read_file
from commands.intake.recording import record_results
from ledger.ledger import Ledger
from projections.results.metric_policy import MetricPolicy
from projections.results.verdict import Subject
from projections.results.window import ThisRun, window_for
from projections.state.state import State
from tests.commands.records import legacy, write
folder = Path(sys.argv[1])
ledger = Ledger.create(folder / ".perfledger", origin="here", actor="t")
names = [str(write(folder / f"{day}.json", legacy(day, audio_decode_time_s=day + 0.5))) for day in (1, 2, 3)]
record_results(ledger, [read_file(name, env={}) for name in names])
with State.open(ledger) as state:
    state.prepare_all()
    counts = {view: state.rows(f"SELECT count(*) AS n FROM {view}")[0]["n"] for view in catalogue.views()}
    (baseline,) = state.rows("SELECT audio_decode_time_s FROM baselines")
    window = window_for(state, Subject(legacy(9), "local"), MetricPolicy(), event_id="", run=ThisRun())
limit = MetricPolicy().limit("audio_decode_time_s").threshold_absolute
print(json.dumps([counts["results"], baseline, [w.metrics["audio_decode_time_s"] for w in window], limit]))
"""


def test_a_line_more_in_the_class_is_a_metric_more_everywhere(tmp_path: Path) -> None:
    """In a process of its own, for the metrics are read when modules are imported."""
    done = subprocess.run(
        [sys.executable, "-c", ADD_ONE, str(tmp_path)], cwd=TESTS, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [3, {"audio_decode_time_s": 2.5}, [1.5, 2.5, 3.5], 0.25]


def test_no_python_file_writes_a_metric_name_but_the_one() -> None:
    found: dict[str, set[str]] = {}
    for path in sorted(p for room in ROOMS for p in (ROOT / room).rglob("*.py")):
        names = {
            node.value
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in record.NAMES
        }
        if names:
            found[str(path.relative_to(ROOT))] = names
    assert found.pop(SOURCE) == set(record.NAMES)
    assert {path: names - ALLOWED.get(path, set()) for path, names in found.items()} == {path: set() for path in found}
    assert set(ALLOWED) <= set(found), "an exception that nothing needs any more"


@pytest.mark.parametrize("folder", ["facts", "views", "views/parts"])
def test_no_sql_file_writes_a_metric_name(folder: str) -> None:
    """schema.sql is generated from the classes, and `make lint` holds it fresh."""
    for path in sorted((ROOT / "projections" / folder).glob("*.sql")):
        if path.name not in ("schema.sql", "fact_reseed_plan.sql"):  # the latter: the one metric that `reseeds` lists
            words = re.findall(r"\w+", re.sub(r"--[^\n]*", "", path.read_text(encoding="utf-8")))
            assert not set(words) & set(record.NAMES), path


@pytest.mark.parametrize("column", ["fact_result_shared", "fact_result"])
def test_the_columns_of_a_result_are_those_of_its_class(column: str) -> None:
    from projections.facts.schema import tables

    (table,) = [table for table in tables() if table.name == column]
    assert catalogue._columns(column) == [c.name for c in table.columns]
    assert column != "fact_result" or set(record.NAMES) <= {c.name for c in table.columns}


@pytest.mark.parametrize("text", ["false", " FALSE\n", "no", "off", "0", "", "yes", "true", "f\u0061lse\u00a0", "\vno"])
def test_success_means_the_same_in_python_and_in_sql(tmp_path: Path, text: str) -> None:
    """JSON's white space around a no is ignored, other characters are not."""
    from commands.intake.formats.detect import read_file
    from commands.intake.recording import record_results
    from ledger.ledger import Ledger
    from projections.state.state import State
    from tests.commands.records import legacy, write

    ledger = Ledger.create(tmp_path / ".perfledger", origin="here", actor="t")
    record_results(ledger, [read_file(str(write(tmp_path / "r.json", legacy(1, success=text))), env={})])
    with State.open(ledger) as state:
        rows = state.rows("SELECT success, success_as_truth FROM results_as_judged")
    assert rows == [{"success": succeeded(text), "success_as_truth": succeeded(text, text_as_truth=True)}]

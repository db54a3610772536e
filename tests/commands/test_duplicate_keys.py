"""A key given twice in one object is bad input wherever JSON or a policy is read; the last one never wins silently."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands.intake.formats import json_text
from commands.reseed.work import sources
from ledger.errors import BadInput
from tests.commands.calibrate.published import reports, write_run_directory
from tests.commands.records import legacy

Cli = Callable[..., Any]
RECORD = json.dumps(legacy(1))
TWICE = RECORD[:-1] + ', "latency": 1.0}'


@pytest.fixture
def cli(in_process: Cli) -> Cli:
    in_process("init", code=0)
    return in_process


NESTED = RECORD[:-1] + ', "environment_metadata": [{"gpu" : 1, "gpu" : 1}]}'


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (TWICE, "latency"),
        (TWICE.replace("28.4", "NaN"), "latency"),
        (NESTED, "gpu"),
        (RECORD[:-1] + ', "l\\u0061tency": 1.0}', "latency"),
    ],
)
@pytest.mark.parametrize("command", ["record", "check"])
def test_a_result_with_a_key_twice_is_refused_by_file_and_key(
    cli: Cli, tmp_path: Path, command: str, text: str, key: str
) -> None:
    before = cli("events", "list", code=0).out
    (tmp_path / "fine.json").write_text(RECORD)
    (tmp_path / "r.json").write_text(text)
    error = cli(command, tmp_path / "fine.json", tmp_path / "r.json", "--json", code=2).json["error"]
    assert f'r.json: the key "{key}" is given twice in one object; nothing was recorded' in error["message"]
    assert cli("events", "list", code=0).out == before


def test_a_policy_with_a_key_twice_is_refused_by_file_and_key(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "yaml.yaml").write_text("name: p\nwindow: 5\nwindow: 7\n")
    (tmp_path / "json.json").write_text('{"name": "p", "window": 5, "window": 7}')
    for name in ("yaml.yaml", "json.json"):
        file = tmp_path / name
        for asked in (
            ["policy", "check", file],
            ["policy", "adopt", file, "--reason", "x"],
            ["ci", "policy", "check", file],
            ["backtest", "--policy", file],
        ):
            error = cli(*asked, "--json", code=2).json["error"]
            assert name in error["message"] and '"window"' in error["message"], (asked, error)


def test_a_reseed_source_with_a_key_twice_is_refused_by_file_and_key(tmp_path: Path) -> None:
    file = tmp_path / "normalized_perf_a.json"
    file.write_text(TWICE)
    with pytest.raises(BadInput, match=r'normalized_perf_a\.json .*the key "latency" is given twice'):
        sources.read([str(file)])


def test_histories_of_other_tools_are_not_guessed_at(cli: Cli, tmp_path: Path) -> None:
    data = tmp_path / "data.js"
    data.write_text('window.BENCHMARK_DATA = {"entries": {"S": [], "S": []}};')
    assert 'data.js: the key "S" is given twice' in cli("import", "github-action-benchmark", data, code=2).err
    (tmp_path / "results" / "box").mkdir(parents=True)
    (tmp_path / "results" / "box" / "c-py.json").write_text('{"version": 2, "results": {"a": [1], "a": [2]}}')
    assert 'the key "a" is given twice' in cli("import", "asv", tmp_path / "results", code=2).err


def test_a_run_file_with_a_key_twice_is_no_measurement(cli: Cli, tmp_path: Path) -> None:
    report = next(r for r in reports() if r["report"] == "20260627T174156Z-tts-report")
    run_dir = write_run_directory(report, tmp_path / "tts")
    file = sorted(run_dir.glob("*/run1.json"))[0]
    file.write_text(file.read_text().rstrip().removesuffix("}") + ', "status": "ok", "status": "ok"}')
    cli("calibrate", "import", run_dir, code=0)
    rows = cli("sql", "SELECT payload FROM events WHERE type = 'RepeatImported'", "--format", "json", code=0).json
    bodies = [row["payload"] if isinstance(row["payload"], dict) else json.loads(row["payload"]) for row in rows]
    assert [(b["stage"], b["repeat"]) for b in bodies if not b["readable"]] == [(file.parent.name, 1)]
    plan = run_dir / "plan.json"
    plan.write_text('{"model": "a", "model": "b"}')
    assert 'the key "model" is given twice' in cli("calibrate", "import", run_dir, code=2).err


texts = st.text('":a \\', max_size=4)
values = st.recursive(
    st.none() | st.integers(-9, 9) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.lists(st.tuples(texts, inner), max_size=4).map(tuple),
    max_leaves=12,
)


def written(value: Any, gap: str) -> str:
    """Write a value as JSON; a tuple of pairs is an object, whose keys may come twice."""
    if isinstance(value, tuple):
        return "{" + ",".join(f"{json.dumps(k)}{gap}:{gap}{written(v, gap)}" for k, v in value) + "}"
    if isinstance(value, list):
        return "[" + f",{gap}".join(written(each, gap) for each in value) + "]"
    return json.dumps(value)


def has_twice(value: Any) -> bool:
    if isinstance(value, tuple):
        return len({k for k, _ in value}) < len(value) or any(has_twice(v) for _, v in value)
    return isinstance(value, list) and any(has_twice(each) for each in value)


@given(values, st.sampled_from(["", " ", "\n\t"]))
def test_the_fast_count_never_misses_a_key_given_twice(value: Any, gap: str) -> None:
    text = written(value, gap)
    if has_twice(value):
        with pytest.raises(json_text.TwiceGiven):
            json_text.decode(text.encode())
    else:
        assert json_text.decode(text.encode()) == json.loads(text)

"""Files of other tools: what is a result, what is none and why, and that names of people are not kept."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from commands.intake.formats import asv, detect, github_action_benchmark, json_text, measured
from commands.intake.formats.series import Point, result_of
from ledger.errors import BadInput


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 2}',
        '{"a": {"b": 1, "b": 1}}',
        '[{"a": 1}, {"b": [{"c": 1, "c": 2}]}]',
        '{"a" : 1, "a": 2}',
        '{"a": "\\":", "b": 1, "b": 2}',
        '{"\\u0061": 1, "a": 2}',
    ],
)
def test_a_key_given_twice_is_refused_at_any_depth_and_in_any_spelling(text: str) -> None:
    with pytest.raises(json_text.TwiceGiven, match="is given twice"):
        json_text.decode(text.encode())
    with pytest.raises(json_text.TwiceGiven, match="is given twice"):
        json_text.loads(text)


@pytest.mark.parametrize(
    "text",
    ["{}", "[]", "1", '{"a": 1, "b": {"a": 1}}', '[{"a": 1}, {"a": 2}]', '{"a": "\\":\\":"}', '{"a" : 1}', '{"": 1}'],
)
def test_equal_keys_of_different_objects_and_signs_in_texts_are_no_twice(text: str) -> None:
    assert json_text.decode(text.encode()) == json.loads(text)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "the file is empty"),
        (b" \n", "the file is empty"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b'{"a": "\xff"}', "not UTF-8 at byte 7"),
        (b"[1]", "a JSON array, not an object"),
        (b"null", "a JSON null, not an object"),
        (b"true", "a JSON boolean, not an object"),
        (b'"x"', "a JSON text, not an object"),
        (b"1", "a JSON number, not an object"),
        (b"{", "not JSON"),
        (b'{"a": 1, "a": 1}', '"a" is given twice'),
        (b"{" + b" " * measured.RECORD_BYTES_MAX + b"}", "too many for one record"),
    ],
)
def test_bytes_that_are_no_record_are_refused_with_the_reason(data: bytes, why: str) -> None:
    with pytest.raises(measured.Unreadable) as refused:
        measured.parse_object(data)
    assert why in str(refused.value)


def test_bytes_the_ledger_took_before_are_read_as_they_were_then() -> None:
    assert measured.parse_object(b'{"a": 1, "a": 2}', settled=True) == {"a": 2}
    assert math.isnan(measured.parse_object(b'{"a": NaN, "a": NaN}', settled=True)["a"])


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["a.json"], ["a.json"]),
        (["b.json", "a.json", "b.json"], ["b.json", "a.json"]),
        (["raw"], ["raw/perf_a.json", "raw/perf_b.json"]),
        (["plain"], ["plain/x.json", "plain/y.json"]),
        (["empty"], []),
        (["raw/perf_*.json"], ["raw/perf_a.json", "raw/perf_b.json"]),
        (["none_*.json"], []),
        (["missing.json"], ["missing.json"]),
        (["odd[1].json"], ["odd[1].json"]),
        (["raw", "raw/perf_b.json"], ["raw/perf_a.json", "raw/perf_b.json"]),
    ],
)
def test_arguments_name_files_folders_and_patterns_each_file_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], names: list[str]
) -> None:
    for name in ("raw/perf_b.json", "raw/perf_a.json", "raw/other.json", "plain/y.json", "plain/x.json", "plain/z.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    (tmp_path / "empty").mkdir()
    (tmp_path / "odd[1].json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert detect.find_files(arguments) == names


def test_an_empty_argument_is_refused_and_not_taken_for_the_working_directory() -> None:
    with pytest.raises(BadInput, match="a FILE is empty"):
        detect.find_files(["a.json", ""])


def point(**changes: Any) -> Point:
    """One value of a series."""
    given: dict[str, Any] = {
        "model_id": "m",
        "where": "w",
        "unit": "ms",
        "value": 5.0,
        "at_ms": 1_780_308_000_000,
        "commit": "c",
        "path": "p",
        "format_name": "f",
    }
    return Point(**{**given, **changes})


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"value": None}, ""),
        ({"value": math.nan}, "NaN"),
        ({"value": math.inf}, "infinite"),
        ({"value": "fast"}, ""),
        ({"value": []}, ""),
        ({"unit": "points"}, "the unit 'points' says neither time, rate nor size"),
        ({"unit": ""}, "says neither time, rate nor size"),
    ],
)
def test_a_value_that_measures_nothing_is_no_result_and_says_why(changes: dict[str, Any], why: str) -> None:
    said = result_of(point(**changes))
    assert isinstance(said, str) and said and why in said


@pytest.mark.parametrize(
    ("at_ms", "stamp"),
    [
        (1_780_308_000_000, "2026-06-01T10:00:00.000000+00:00"),
        (0, "1970-01-01T00:00:00.000000+00:00"),
        (None, None),
        ("soon", None),
        (math.nan, None),
        (1e300, None),
    ],
)
def test_a_time_that_is_none_is_left_out_and_never_guessed(at_ms: Any, stamp: str | None) -> None:
    found = result_of(point(at_ms=at_ms))
    assert not isinstance(found, str) and found.record.get("timestamp") == stamp


@pytest.mark.parametrize(("bigger", "metric"), [(True, "throughput"), (False, "latency")])
def test_a_unit_nobody_knows_counts_where_the_tool_says_which_direction_is_better(bigger: bool, metric: str) -> None:
    found = result_of(point(unit="points", bigger_is_better=bigger))
    assert not isinstance(found, str) and found.record[metric] == 5.0
    assert found.record["regression_thresholds"] == {metric: {"threshold_absolute": 0.0}}


def test_a_result_of_a_series_claims_no_source_and_its_bytes_are_those_of_its_record() -> None:
    found = result_of(point(more={"tool": "pytest"}))
    assert not isinstance(found, str)
    assert found.run_source_claimed is False and json.loads(found.data) == found.record
    assert found.record["tool"] == "pytest" and found.record["latency"] == 0.005


def data_js(*benches: Any, tool: str = "customSmallerIsBetter") -> bytes:
    """A data.js of one run, with the names and addresses the tool writes."""
    commit = {"id": "c" * 40, "author": {"name": "Ada", "email": "ada@example.org"}, "message": "secret words"}
    run = {"commit": commit, "date": 1_780_308_000_000, "tool": tool, "benches": list(benches)}
    return f"window.BENCHMARK_DATA = {json.dumps({'repoUrl': 'u', 'entries': {'Suite': [run]}})};\n".encode()


def results(data: bytes) -> list[tuple[str, Any]]:
    """What a data.js holds."""
    return list(github_action_benchmark.points(github_action_benchmark.parse(data)))


def test_people_in_a_data_js_are_not_kept() -> None:
    ((_, found),) = results(data_js({"name": "a", "unit": "ms", "value": 3, "range": "± 1", "extra": "n=5"}))
    assert found.record["commit_sha"] == "c" * 40 and found.record["range"] == "± 1"
    assert b"Ada" not in found.data and b"ada@" not in found.data and b"secret" not in found.data


@pytest.mark.parametrize("bench", [None, 1, "x", [], {}, {"name": 3, "value": 1}])
def test_a_bench_without_a_name_is_said_and_hides_no_other(bench: Any) -> None:
    found = results(data_js(bench, {"name": "a", "unit": "ms", "value": 3}))
    assert found[0] == ("Suite", "a bench without a name")
    assert found[1][1].record["model_id"] == "Suite/a"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no `entries`"),
        (b"window.BENCHMARK_DATA = null", "no `entries`"),
        (b"{}", "no `entries`"),
        (b'{"entries": []}', "no `entries`"),
        (b"window.BENCHMARK_DATA = {", "not JSON after the assignment"),
        (b'{"entries": {}, "entries": {}}', '"entries" is given twice'),
        (b"\xff", "not UTF-8 at byte 0"),
        (b"{" + b'"a":[' * 100_000, "not JSON after the assignment"),
    ],
)
def test_a_file_that_is_no_data_js_says_why(data: bytes, why: str) -> None:
    with pytest.raises(measured.Unreadable) as refused:
        github_action_benchmark.parse(data)
    assert why in str(refused.value)


def asv_points(tmp_path: Path, results_of: Any, known: Any = None, **changes: Any) -> list[tuple[str, Any]]:
    """What a result file of asv holds."""
    value = {
        "version": 2,
        "commit_hash": "c" * 40,
        "env_name": "env",
        "date": 1_780_308_000_000,
        "params": {"machine": "box"},
        "result_columns": ["result", "params", "version"],
        "results": results_of,
        **changes,
    }
    path = tmp_path / "r.json"
    path.write_text(json.dumps(value))
    return list(asv.points(path, "box/r.json", known or {}))


def test_every_combination_of_parameters_is_a_target_of_its_own(tmp_path: Path) -> None:
    found = asv_points(tmp_path, {"t": [[1.0, 2.0, 3.0, 4.0], [["a", "b"], ["x", "y"]], "v" * 20]})
    names = [result.record["model_id"] for _, result in found]
    assert names == [f"t({pair}) vvvvvvvvv" for pair in ("a, x", "a, y", "b, x", "b, y")]
    assert {result.record["gpu_type"] for _, result in found} == {"box/env"}


def test_a_failed_and_a_skipped_benchmark_are_passed_over_without_shifting_the_others(tmp_path: Path) -> None:
    found = asv_points(tmp_path, {"t": [[None, math.nan, 3.0], [["a", "b", "c"]]]})
    assert [(result.record["model_id"], result.record["latency"]) for _, result in found] == [("t(c)", 3.0)]


@pytest.mark.parametrize(
    ("about", "metric"),
    [
        ({"unit": "ms", "type": "time"}, ("latency", 0.005)),
        ({"type": "time"}, ("latency", 5.0)),
        ({"type": "peakmemory"}, ("memory", 5e-6)),
        ({"unit": "MB"}, ("memory", 5.0)),
        (None, ("latency", 5.0)),
        ("odd", ("latency", 5.0)),
    ],
)
def test_the_unit_is_that_of_benchmarks_json_else_the_kinds(
    tmp_path: Path, about: Any, metric: tuple[str, float]
) -> None:
    ((_, found),) = asv_points(tmp_path, {"t": 5.0}, {"t": about})
    name, value = metric
    assert found.record[name] == pytest.approx(value)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"version": 1}, "not a result file of version 2"),
        ({"results": []}, "not a result file of version 2"),
        ({"result_columns": None}, "no result_columns"),
    ],
)
def test_a_file_of_another_kind_is_one_reason(tmp_path: Path, changes: dict[str, Any], why: str) -> None:
    assert asv_points(tmp_path, {"t": 5.0}, **changes) == [("box/r.json", why)]


@pytest.mark.parametrize("text", ["", "{", '{"version": 2, "version": 2}'])
def test_a_file_that_is_no_json_is_one_reason(tmp_path: Path, text: str) -> None:
    (tmp_path / "r.json").write_text(text)
    ((name, why),) = asv.points(tmp_path / "r.json", "r.json", {})
    assert name == "r.json" and isinstance(why, str) and ("not JSON" in why or "given twice" in why)

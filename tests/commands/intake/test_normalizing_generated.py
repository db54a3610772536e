"""From raw result to normalized record, over results made up at random: a second mapping says the same.

The mapping is section 3.1 of the description of the performance CI, the reading of numbers its section 3.2, the source
of a run its section 5.8. Where a number is NaN or infinite we do better (11.7): it is refused by file and field.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from commands.intake.formats.detect import find_files, read_file
from ledger.ledger import Ledger
from tests.commands.hardship import refusal
from tests.commands.records import write
from tests.conftest import Result

Cli = Callable[..., Result]
NUMBERS = {
    "latency": "avg_generation_time_s",
    "throughput": "throughput_fps",
    "memory": "max_peak_memory_mb",
    "text_encoder_time_s": "text_encoder_time_s",
    "dit_time_s": "dit_time_s",
    "vae_decode_time_s": "vae_decode_time_s",
}
FROM_CI = {
    "branch": "BUILDKITE_BRANCH",
    "pr_number": "BUILDKITE_PULL_REQUEST",
    "test_scope": "TEST_SCOPE",
    "build_url": "BUILDKITE_BUILD_URL",
    "build_id": "BUILDKITE_BUILD_ID",
    "job_id": "BUILDKITE_JOB_ID",
}
NO_PULL_REQUEST = ("", "false", "0", "none", "None")
# written, and the number it is by Python's `float`; None where it is none
VALUES: list[tuple[Any, float | None]] = [
    (28.4, 28.4),
    (3, 3.0),
    ("12.5", 12.5),
    ("  13 ", 13.0),
    ("1e1", 10.0),
    ("1_000", 1000.0),
    (True, 1.0),
    (None, None),
    ("n/a", None),
    ([1], None),
    ("", None),
]
SOURCES = ("pr", "local", "scheduled_main", "unknown")


def made_up(chance: random.Random) -> tuple[dict[str, Any], dict[str, str], dict[str, float | None]]:
    """A raw result, the environment it is read in, and the numbers it holds."""
    raw: dict[str, Any] = {}
    numbers: dict[str, float | None] = {}
    for name in NUMBERS.values():
        if chance.random() < 0.85:
            raw[name], numbers[name] = chance.choice(VALUES)
    for name, value in (("benchmark_id", "wan"), ("device", "NVIDIA L40S"), ("commit", "f" * 40)):
        if chance.random() < 0.8:
            raw[name] = chance.choice([value, value, None, ""]) if name == "commit" else value
    if "benchmark_id" not in raw:
        raw.setdefault("avg_generation_time_s", 1.0)
        numbers.setdefault("avg_generation_time_s", 1.0)
    raw["timestamp"] = "2026-06-01T00:00:00+00:00"
    for name in FROM_CI:
        if chance.random() < 0.4:
            raw[name] = chance.choice(["", "from-the-file", *(NO_PULL_REQUEST[1:3] if name == "pr_number" else [])])
    if chance.random() < 0.5:
        raw["run_source"] = chance.choice([*SOURCES, "else", None])
    if chance.random() < 0.4:
        raw["recipe"] = {"benchmark": {"workload_id": "w", "variant_id": "v", "benchmark_version": 3}}
    if chance.random() < 0.3:
        raw["workload_id"] = "own"
    env = {variable: chance.choice(["", "from-ci", "false", "12"]) for variable in FROM_CI.values()}
    env = {k: v for k, v in env.items() if chance.random() < 0.6}
    if chance.random() < 0.5:
        env["BUILDKITE_COMMIT"] = "c" * 40
    if chance.random() < 0.3:
        env |= {"BUILDKITE_BRANCH": "main", "TEST_SCOPE": "full"}
    if chance.random() < 0.2:
        env["PERF_RUN_SOURCE"] = chance.choice([*SOURCES, "else"])
    return raw, env, numbers


def source_of(raw: dict[str, Any], env: dict[str, str]) -> str:
    """Section 5.8, after what the raw result says (3.1)."""
    if raw.get("run_source") in SOURCES:
        return str(raw["run_source"])
    if env.get("PERF_RUN_SOURCE") in SOURCES:
        return env["PERF_RUN_SOURCE"]
    if env.get("BUILDKITE_PULL_REQUEST", "") not in NO_PULL_REQUEST:
        return "pr"
    if env.get("BUILDKITE_BRANCH") == "main" and env.get("TEST_SCOPE") == "full":
        return "scheduled_main"
    return "unknown" if env.get("BUILDKITE_COMMIT") else "local"


@pytest.mark.parametrize("seed", range(60))
def test_every_field_of_a_normalized_record_comes_from_where_the_mapping_says(seed: int, tmp_path: Path) -> None:
    raw, env, numbers = made_up(random.Random(seed))
    record = read_file(str(write(tmp_path / "perf_a.json", raw)), env=env).record
    assert record["model_id"] == raw.get("benchmark_id", "unknown")
    assert record["gpu_type"] == raw.get("device", "unknown")
    assert record["commit_sha"] == (raw.get("commit") or env.get("BUILDKITE_COMMIT", ""))
    assert record["timestamp"] == raw["timestamp"]
    assert {m: record[m] for m in NUMBERS} == {m: numbers.get(name) for m, name in NUMBERS.items()}
    assert (record["success"], record["baseline_eligible"]) == (True, False), "decided after the comparison"
    assert record["run_source"] == source_of(raw, env)
    for name, variable in FROM_CI.items():
        wanted = raw.get(name) or env.get(variable, "")
        assert record[name] == ("" if name == "pr_number" and wanted in NO_PULL_REQUEST else wanted)
    benchmark = raw.get("recipe", {}).get("benchmark", {})
    for name in ("workload_id", "variant_id", "benchmark_version"):
        assert record.get(name) == raw.get(name, benchmark.get(name)), "a raw value wins over the recipe"


@pytest.mark.parametrize("seed", range(8))
def test_a_result_is_one_event_however_often_it_is_recorded(
    seed: int, in_process: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    """Idempotent by content: the name of the file and the run that recorded it make no second result."""
    chance = random.Random(seed)
    texts = [json.dumps(made_up(chance)[0] | {"commit": f"{n:040x}"}) for n in range(4)]
    chosen = [chance.choice(texts) for _ in range(9)]
    for n, text in enumerate(chosen):
        (tmp_path / f"perf_{n}.json").write_text(text)
    first = in_process("record", tmp_path, "--json", code=0).json
    assert first["recorded"] == len(set(chosen))
    position = Ledger.open(ledger.path).head().position
    again = in_process("record", *sorted(tmp_path.glob("perf_*.json"), reverse=True), "--json", code=0).json
    assert again["recorded"] == 0
    assert Ledger.open(ledger.path).head().position == position
    [count] = in_process("sql", "SELECT COUNT(*) AS n FROM results", "--format", "json", code=0).json
    assert count["n"] == len(set(chosen))


@pytest.mark.parametrize("command", ["record", "check"])
@pytest.mark.parametrize("name", ["avg_generation_time_s", "throughput_fps", "dit_time_s"])
@pytest.mark.parametrize("value", [math.nan, -math.inf, "nan", "Infinity"])
def test_what_is_no_finite_number_is_refused_by_file_and_field(
    command: str, name: str, value: Any, in_process: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    raw = {"benchmark_id": "wan", "device": "NVIDIA L40S", "avg_generation_time_s": 1.0} | {name: value}
    good = write(tmp_path / "perf_a.json", {"benchmark_id": "wan", "device": "G", "avg_generation_time_s": 2.0})
    error = refusal(in_process(command, good, write(tmp_path / "perf_b.json", raw), "--json"), 2)
    assert (error["code"], error["details"]["field"]) == ("not_finite", name)
    assert "perf_b.json" in error["message"]
    assert Ledger.open(ledger.path).head().position == ledger.head().position, "not even the good one"


BROKEN: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "empty"),
    "half": (b'{"benchmark_id": "wan", "avg', "not JSON"),
    "a list": (b"[1, 2]", "not an object"),
    "a number": (b"12", "not an object"),
    "null": (b"null", "not an object"),
    "no text": (b'{"benchmark_id": "\xff"}', "UTF-8"),
    "a mark": (b'\xef\xbb\xbf{"benchmark_id": "wan"}', "byte order mark"),
    "a key twice": (b'{"benchmark_id": "a", "benchmark_id": "b"}', "twice"),
    "too deep": (b'{"benchmark_id": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "deep"),
    "too large": (b'{"benchmark_id": "' + b"x" * 600_000 + b'"}', "too many"),
    "neither": (b'{"foo": 1}', "neither"),
    "a name that is a number": (b'{"benchmark_id": 7, "avg_generation_time_s": 1}', "benchmark_id"),
    "a device that is a list": (b'{"benchmark_id": "a", "device": [], "avg_generation_time_s": 1}', "device"),
}


@pytest.mark.parametrize("command", ["record", "check"])
@pytest.mark.parametrize("broken", BROKEN)
def test_a_file_that_is_no_result_says_why_in_a_sentence_and_nothing_is_recorded(
    broken: str, command: str, in_process: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    data, says = BROKEN[broken]
    good = write(tmp_path / "perf_a.json", {"benchmark_id": "wan", "device": "G", "avg_generation_time_s": 2.0})
    (tmp_path / "perf_b.json").write_bytes(data)
    error = refusal(in_process(command, good, tmp_path / "perf_b.json", "--json"), 2)
    assert "perf_b.json" in error["message"] and says in error["message"]
    assert len(error["message"]) < 400 and "\n" not in error["message"]
    assert Ledger.open(ledger.path).head().position == ledger.head().position


@pytest.mark.parametrize("seed", range(10))
def test_arguments_stand_for_the_files_a_person_would_expect_each_once(seed: int, tmp_path: Path) -> None:
    """A folder is its raw results in name order, or else all its JSON files; a pattern is what matches it now."""
    chance = random.Random(seed)
    names = [*chance.sample([f"{kind}{n}.json" for kind in ("perf_", "other_") for n in range(6)], 7), "note.txt"]
    folder = tmp_path / "results"
    folder.mkdir()
    for name in names:
        (folder / name).write_text("{}")
    raw = sorted(name for name in names if name.startswith("perf_"))
    everything = sorted(name for name in names if name.endswith(".json"))
    others = sorted(name for name in everything if not name.startswith("perf_"))
    of_folder = [str(folder / name) for name in raw or everything]
    assert find_files([str(folder)]) == of_folder
    assert find_files([str(folder / "other_*.json")]) == [str(folder / name) for name in others]
    twice = [str(folder / chance.choice(everything)), str(folder), str(folder)]
    assert find_files(twice) == list(dict.fromkeys([twice[0], *of_folder]))
    assert find_files([str(folder / "nothing_*.json")]) == []

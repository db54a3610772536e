"""`plan-apply` and `apply` over thresholds and measurements made up at random: a second computation says the same.

The rules are sections 12.1 and 12.2 of the description of the existing tool; where its section 14 lists a defect (17,
18), what the rule means is computed on decimal digits.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Any

import pytest

from ledger.ledger import Ledger
from tests.commands.calibrate.measured_project import MeasuredProject
from tests.commands.hardship import refusal, tree
from tests.conftest import Result

Cli = Callable[..., Result]
YES = ("--confirm", "apply thresholds")
# constant -> (stage, metric, group, bound, digits): sections 3.1 and 3.2
BARE = {
    "A_MIN_ACCURACY": ("a_accuracy", "accuracy", "accuracy", "min", 2),
    "A_WER_MAX_CORPUS": ("a_wer", "corpus_wer", "wer", "max", 2),
    "A_N_ABOVE_50_MAX": ("a_wer", "n_above_50", "wer", "max", 0),
    "A_MAX_FAILED_REQUESTS": ("a_reliability", "failed_requests", "reliability", "max", 0),
    "A_SIMILARITY_MIN": ("a_similarity", "similarity_mean", "similarity", "min", 4),
    "A_UTMOS_REFERENCE": ("a_utmos", "utmos_mean", "utmos", "min", 4),
}
NESTED = {
    "throughput_qps": ("min", 3),
    "latency_mean_s": ("max", 3),
    "latency_p95_s": ("max", 3),
    "rtf_mean": ("max", 4),
    "output_tok_per_req_s": ("min", 1),
}


class Thresholds:
    """A test file with literals, and what every repeat measured."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.repeats = self.chance.randrange(1, 5)
        self.literals: dict[tuple[str, str], tuple[str, str, int, str, float]] = {}
        self.values: dict[str, dict[str, list[float | None]]] = {}
        lines = ["CONCURRENCY = 16"]
        for name, (stage, metric, group, bound, digits) in BARE.items():
            if self.chance.random() < 0.8:
                text = self.number(digits)
                lines.append(f"{name}{self.chance.choice(['', ': float'])} = {text}{self.chance.choice(['', '  # x'])}")
                self.add(stage, metric, group, bound, digits, text)
        entries: list[str] = []
        for key, (bound, digits) in NESTED.items():
            if self.chance.random() < 0.8 or not entries:
                text = self.number(digits)
                entries.append(f'"{key}": {text}')
                self.add("a_speed", key, "speed", bound, digits, text)
        table = [f"    8: {{{', '.join(entries)}}},", f"    16: {{{', '.join(entries)}}},"]
        lines += ["_A_P95 = {", *table, "}"]
        self.text = "\n".join(lines) + "\n"

    def number(self, digits: int) -> str:
        """A number as a person writes it."""
        if digits == 0:
            return str(self.chance.randrange(0, 9))
        return self.chance.choice(["0.5", "0.0119", "1e-2", ".75", "45.634", "0.90"])

    def add(self, stage: str, metric: str, group: str, bound: str, digits: int, text: str) -> None:
        """Measure a metric: about what its literal says, or exactly that."""
        self.literals[stage, metric] = (group, bound, digits, text, float(text))
        near = [float(text), round(float(text) * 1.03, 4), round(float(text) * 0.97, 6), float(text) + 1e-5]
        whole = [float(self.chance.randrange(0, 9)) for _ in range(3)]
        chosen = [self.chance.choice(near if digits else whole) for _ in range(self.repeats)]
        self.values.setdefault(stage, {})[metric] = list(chosen)

    def worst(self, stage: str, metric: str) -> float:
        """Worst of N (section 3.1)."""
        values = [v for v in self.values[stage][metric] if v is not None]
        return min(values) if self.literals[stage, metric][1] == "min" else max(values)

    def write_value(self, stage: str, metric: str) -> float:
        """Section 12.1; a count stays whole (14.17) and a WER of four decimals as it is (14.18)."""
        group, bound, digits, _, _ = self.literals[stage, metric]
        worst = self.worst(stage, metric)
        if group == "reliability" or metric == "n_above_50":
            return float(Decimal(repr(worst)).to_integral_value(ROUND_CEILING))
        if group == "wer":
            return float(Decimal(repr(worst)).quantize(Decimal("0.0001"), ROUND_CEILING))
        if group in ("accuracy", "similarity", "utmos"):
            return worst
        rounded = round(worst, digits)
        stricter = rounded > worst if bound == "min" else rounded < worst
        return worst if stricter else rounded

    def direction(self, stage: str, metric: str) -> str:
        """Section 12.1."""
        bound, old = self.literals[stage, metric][1], self.literals[stage, metric][4]
        new = self.write_value(stage, metric)
        if abs(new - old) < 1e-12:
            return "equal"
        return "tightens" if (new > old) == (bound == "min") else "loosens"

    def bindings(self, written: set[tuple[str, str]]) -> dict[str, Any]:
        """What running the file binds once these literals are written."""
        names: dict[str, Any] = {}
        exec(self.text, names)
        for stage, metric in written:
            bare = [n for n, row in BARE.items() if row[:2] == (stage, metric)]
            if bare:
                names[bare[0]] = self.write_value(stage, metric)
            else:
                names["_A_P95"][16][metric] = self.write_value(stage, metric)
        return {n: v for n, v in names.items() if n.strip("_")[:1].isupper()}


def bound_by(path: Path) -> dict[str, Any]:
    """What running a file binds."""
    names: dict[str, Any] = {}
    exec(path.read_text(), names)
    return {n: v for n, v in names.items() if n.strip("_")[:1].isupper()}


def measured(seed: int, tmp_path: Path) -> tuple[Thresholds, MeasuredProject, Path]:
    """A repository with thresholds, and a ready run directory."""
    made = Thresholds(seed)
    project = MeasuredProject(tmp_path / "repo")
    project.file("tests/test_a_ci.py", made.text)
    return made, project, project.measure(made.values)


@pytest.mark.parametrize("seed", range(8))
def test_every_value_and_direction_of_a_plan_is_what_a_second_computation_says(
    seed: int, in_process: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    made, project, run = measured(seed, tmp_path)
    held = tree(project.root)
    plan = in_process("calibrate", "plan-apply", run, "--json", code=0).json
    assert tree(project.root) == held, "a plan writes nothing"
    seen = {(s["stage_key"], m["metric_key"]): m for s in plan["stages"] for m in s["metrics"]}
    assert set(seen) == set(made.literals)
    for place, row in seen.items():
        _, bound, digits, text, old = made.literals[place]
        assert (row["worst_op"], row["digits"], row["current_text"]) == (bound, digits, text)
        assert row["per_run_raw"] == made.values[place[0]][place[1]]
        assert row["worst_raw"] == made.worst(*place)
        assert row["current_raw"] == old
        assert row["write_value"] == made.write_value(*place), (place, row)
        assert row["direction"] == made.direction(*place), (place, row)


@pytest.mark.parametrize("seed", range(6))
def test_a_full_apply_writes_every_literal_that_differs_and_no_measured_run_would_fail_it(
    seed: int, in_process: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    made, project, run = measured(seed + 100, tmp_path)
    path = project.root / "tests/test_a_ci.py"
    in_process("calibrate", "apply", run, "--mode", "full", *YES, code=0)
    assert bound_by(path) == made.bindings(set(made.literals))
    for (stage, metric), (_, bound, *_rest) in made.literals.items():
        limit, values = made.write_value(stage, metric), made.values[stage][metric]
        assert all(v is not None and (v >= limit if bound == "min" else v <= limit) for v in values)
    again = in_process("calibrate", "plan-apply", run, "--json", code=0).json
    assert {m["direction"] for s in again["stages"] for m in s["metrics"]} == {"equal"}
    written, position = path.read_bytes(), Ledger.open(ledger.path).head().position
    in_process("calibrate", "apply", run, "--mode", "full", *YES, code=0)
    assert path.read_bytes() == written, "applying again changes nothing"
    rows = in_process("sql", "SELECT * FROM threshold_changes", "--format", "json", code=0).json
    moved = [place for place in made.literals if made.direction(*place) != "equal"]
    assert len(rows) == len(moved) and position <= Ledger.open(ledger.path).head().position


@pytest.mark.parametrize("seed", range(6))
def test_a_smart_apply_asks_about_exactly_what_its_rule_does_not_write(
    seed: int, in_process: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    """Section 12.2: quality is written, speed when it tightens; speed that loosens and reliability are asked about."""
    made, project, run = measured(seed + 200, tmp_path)
    path = project.root / "tests/test_a_ci.py"
    before = path.read_bytes()
    moved = [place for place in made.literals if made.direction(*place) != "equal"]
    asked = {
        f"{stage}.{metric}"
        for stage, metric in moved
        if made.literals[stage, metric][0] == "reliability"
        or (made.literals[stage, metric][0] == "speed" and made.direction(stage, metric) == "loosens")
    }
    if asked:
        error = refusal(in_process("calibrate", "apply", run, "--mode", "smart", *YES, "--json"), 2)
        assert error["code"] == "answers_missing"
        assert set(error["details"]["metrics"]) == asked
        assert path.read_bytes() == before
    keep = [option for name in sorted(asked) for option in ("--keep", name)]
    in_process("calibrate", "apply", run, "--mode", "smart", *keep, *YES, code=0)
    assert bound_by(path) == made.bindings({(s, m) for s, m in moved if f"{s}.{m}" not in asked})


@pytest.mark.parametrize("seed", range(4))
def test_nobody_can_set_a_value_that_the_measured_runs_themselves_would_fail(
    seed: int, in_process: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    """Section 12.2, bounds: a lower bound at most the worst value, an upper one at least."""
    made, project, run = measured(seed + 300, tmp_path)
    path = project.root / "tests/test_a_ci.py"
    before, position = path.read_bytes(), None
    for stage, metric in made.literals:
        bound, worst = made.literals[stage, metric][1], made.worst(stage, metric)
        stricter = worst + 1 if bound == "min" else worst - 1
        setting = ("--set", f"{stage}.{metric}={stricter!r}")
        done = in_process("calibrate", "apply", run, "--mode", "report", *setting, *YES, "--json")
        error = refusal(done, 1)
        assert error["code"] == "stricter_than_measured" and f"{stage}.{metric}" in error["message"]
        position = position or Ledger.open(ledger.path).head().position
        assert Ledger.open(ledger.path).head().position == position
    assert path.read_bytes() == before
    looser = {}
    for stage, metric in list(made.literals)[:2]:
        worst = made.worst(stage, metric)
        looser[f"{stage}.{metric}"] = worst - 1 if made.literals[stage, metric][1] == "min" else worst + 1
    settings = [part for name, value in looser.items() for part in ("--set", f"{name}={value!r}")]
    others = [f"{stage}.{metric}" for stage, metric in list(made.literals)[2:]]
    settings += [part for name in others for part in ("--keep", name)]
    shown = in_process("calibrate", "apply", run, "--mode", "report", *settings, *YES, "--json", code=0).json
    assert path.read_bytes() == before, "report writes nothing, whatever is set"
    done = in_process("calibrate", "apply", run, "--mode", "full", *settings, *YES, "--json", code=0).json
    assert [m["action"] for m in shown["metrics"]] == [m["action"] for m in done["metrics"]]
    assert {m["action"] for m in done["metrics"]} <= {"write", "keep", "equal"}
    for value in looser.values():
        assert repr(value) in path.read_text(), "a number of the user's is written verbatim"


@pytest.mark.parametrize("confirm", [[], ["--confirm", "apply"], ["--confirm", "Apply thresholds"], ["--confirm", ""]])
def test_without_the_exact_phrase_nothing_is_written(
    confirm: list[str], in_process: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    _, project, run = measured(1, tmp_path)
    in_process("calibrate", "import", run, code=0)
    held, position = tree(project.root), Ledger.open(ledger.path).head().position
    done = in_process("calibrate", "apply", run, "--mode", "full", *confirm, "--json")
    assert "apply thresholds" in json.dumps(refusal(done, 2))
    assert (tree(project.root), Ledger.open(ledger.path).head().position) == (held, position)

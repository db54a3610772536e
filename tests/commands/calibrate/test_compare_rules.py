"""`calibrate compare` against a second computation from its words: medians, worst values, an exact rank test at 0.05.

docs/calibrate-runs.md: `better` or `worse` when an exact rank test gives p <= 0.05 and the display shows the move, else
`noise`, or `too few` repeats to tell.
"""

from __future__ import annotations

import itertools
import json
import random
import statistics
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from ledger.ledger import Ledger
from tests.commands.calibrate.generated_run import BY_KEY, GeneratedRun, GeneratedStage, generate, good_file
from tests.commands.hardship import refusal, tree
from tests.conftest import Result

Cli = Callable[..., Result]


def pairs_won(first: list[float], second: list[float]) -> Fraction:
    """How many pairs the first sample wins, a tie being half of one: the U of Mann and Whitney."""
    return sum((Fraction(1 + (a > b) - (a < b), 2) for a in first for b in second), Fraction(0))


def exact_p(before: list[float], after: list[float]) -> Fraction:
    """The share of all ways to deal the values that are as far from even as this one, counted one by one."""
    everything = [*before, *after]
    even = Fraction(len(before) * len(after), 2)
    seen = abs(pairs_won(before, after) - even)
    as_far = deals = 0
    for chosen in itertools.combinations(range(len(everything)), len(before)):
        first = [everything[i] for i in chosen]
        second = [everything[i] for i in range(len(everything)) if i not in chosen]
        deals += 1
        as_far += abs(pairs_won(first, second) - even) >= seen
    return Fraction(as_far, deals)


def verdict(metric: str, before: list[float], after: list[float]) -> str:
    """The verdict by the documentation's words."""
    _, _, bound, scale, digits = BY_KEY[metric]
    delta = statistics.median(after) - statistics.median(before)
    if exact_p(before, after) <= Fraction(1, 20) and abs(delta) > 10**-digits / scale:
        return "better" if (delta > 0) == (bound == "min") else "worse"
    apart = exact_p([float(n) for n in range(len(before))], [100.0 + n for n in range(len(after))])
    return "too few" if apart > Fraction(1, 20) else "noise"


def measured(run: GeneratedRun, stage: GeneratedStage, metric: str) -> list[float]:
    """The values of one metric, repeats ascending."""
    found = [(k, document) for (key, k), document in sorted(run.files.items()) if key == stage.key]
    return [document["metrics"][metric] for _, document in found if document is not None]


def shifted(chance: random.Random, run: GeneratedRun) -> GeneratedRun:
    """The same schema measured again: some metrics moved, some not, some with ties."""
    again = GeneratedRun(repeats=chance.choice([2, 3, 4, 5]), stages=run.stages, commit=run.commit)
    for stage in run.stages:
        factor = {metric: chance.choice([1.0, 1.0, 1.001, 0.5, 2.0]) for metric in stage.metrics}
        for k in range(1, again.repeats + 1):
            document = good_file(chance, stage)
            old = [measured(run, stage, metric) for metric in stage.metrics]
            for metric, values in zip(stage.metrics, old, strict=True):
                base = chance.choice(values) if values else 0.5
                document["metrics"][metric] = round(base * factor[metric], 6)
            again.files[stage.key, k] = document
    return again


@pytest.mark.parametrize("seed", range(16))
def test_every_move_is_what_a_second_computation_says(
    seed: int, in_process: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    chance = random.Random(seed)
    before = generate(seed, spoiled=0.0, absent=0.0)
    after = shifted(chance, before)
    dropped = after.stages[0].key if len(after.stages) > 1 and seed % 2 else None
    after.stages = [stage for stage in after.stages if stage.key != dropped]
    after.files = {name: document for name, document in after.files.items() if name[0] != dropped}
    old, new = before.write(tmp_path / "old"), after.write(tmp_path / "new")
    held = tree(tmp_path, without=(".perfledger",))
    found = in_process("calibrate", "compare", old, new, "--json", code=0).json
    assert tree(tmp_path, without=(".perfledger",)) == held, "a comparison reads"
    assert found["only_before"] == ([dropped] if dropped else []) and found["only_after"] == []
    wanted = [(stage.key, metric) for stage in after.stages for metric in stage.metrics]
    assert [(m["stage"], m["metric"]) for m in found["moves"]] == wanted, "in the order of the second plan"
    stages = {stage.key: stage for stage in after.stages}
    for move in found["moves"]:
        stage, metric = stages[move["stage"]], move["metric"]
        was, now = measured(before, stage, metric), measured(after, stage, metric)
        worst = min if BY_KEY[metric][2] == "min" else max
        assert (move["before"], move["after"]) == (
            {"worst": worst(was), "values": was},
            {"worst": worst(now), "values": now},
        )
        assert move["delta"] == pytest.approx(statistics.median(now) - statistics.median(was))
        assert move["p_value"] == pytest.approx(float(exact_p(was, now)))
        assert move["verdict"] == verdict(metric, was, now), (was, now)


@pytest.mark.parametrize("seed", range(6))
def test_the_table_shows_what_moved_and_counts_the_rest(
    seed: int, in_process: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    before = generate(seed, spoiled=0.0, absent=0.0)
    old, new = before.write(tmp_path / "old"), shifted(random.Random(seed), before).write(tmp_path / "new")
    moves = in_process("calibrate", "compare", old, new, "--json", code=0).json["moves"]
    counts = {word: sum(m["verdict"] == word for m in moves) for word in ("better", "worse", "noise", "too few")}
    said = ", ".join(f"{n} {word}" for word, n in counts.items() if n)
    text = in_process("calibrate", "compare", old, new, code=0).out.splitlines()
    moved = counts["better"] + counts["worse"]
    assert text[-1] == (said if moved else f"nothing moved beyond noise ({said})")
    everything = in_process("calibrate", "compare", old, new, "--all", code=0).out.splitlines()
    assert everything[-1] == said
    labels = [BY_KEY[m["metric"]][0] for m in moves]
    shown = [line for line in everything if any(label in line for label in labels)]
    assert len(shown) == len(moves)


def test_a_calibration_is_equal_to_itself(in_process: Cli, ledger: Ledger, tmp_path: Path) -> None:
    folder = generate(3, spoiled=0.0, absent=0.0).write(tmp_path / "run")
    moves = in_process("calibrate", "compare", folder, folder, "--json", code=0).json["moves"]
    assert {(m["delta"], m["p_value"]) for m in moves} == {(0.0, 1.0)}
    assert {m["verdict"] for m in moves} <= {"noise", "too few"}


def test_exchanging_both_sides_exchanges_better_and_worse(in_process: Cli, ledger: Ledger, tmp_path: Path) -> None:
    before = generate(5, spoiled=0.0, absent=0.0)
    before.repeats = 5
    for stage in before.stages:
        before.files |= {(stage.key, k): good_file(random.Random(k), stage) for k in range(1, 6)}
    after = GeneratedRun(repeats=5, stages=before.stages)
    for name, document in before.files.items():
        assert document is not None
        after.files[name] = document | {"metrics": {k: v * 3 + 100 for k, v in document["metrics"].items()}}
    old, new = before.write(tmp_path / "old"), after.write(tmp_path / "new")
    there = in_process("calibrate", "compare", old, new, "--json", code=0).json["moves"]
    back = in_process("calibrate", "compare", new, old, "--json", code=0).json["moves"]
    opposite = {"better": "worse", "worse": "better", "noise": "noise", "too few": "too few"}
    assert [opposite[m["verdict"]] for m in there] == [m["verdict"] for m in back]
    assert {m["verdict"] for m in there} == {"better" if BY_KEY[m["metric"]][2] == "min" else "worse" for m in there}


@pytest.mark.parametrize("case", ["other stages", "nothing measured"])
def test_calibrations_without_a_common_metric_are_inconclusive(
    case: str, in_process: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    """Too little to judge is exit 5 (design, cli.md), and no table of nothing."""
    before = generate(3, spoiled=0.0, absent=0.0)
    after = generate(3, spoiled=0.0, absent=0.0)
    if case == "other stages":
        for stage in after.stages:
            stage.key += "_x"
        after.files = {(key + "_x", k): document for (key, k), document in after.files.items()}
    else:
        after.files = {}
    old, new = before.write(tmp_path / "old"), after.write(tmp_path / "new")
    error = refusal(in_process("calibrate", "compare", old, new, "--json"), 5)
    assert error["code"] == "nothing_in_common" and str(old) in error["message"] and str(new) in error["message"]


def test_values_of_a_round_that_was_set_aside_are_not_compared(in_process: Cli, ledger: Ledger, tmp_path: Path) -> None:
    """Destructive rounds stay on record and enter no worst of N (specification, section 15)."""
    run = generate(3, spoiled=0.0, absent=0.0)
    folder = run.write(tmp_path / "run")
    stage = run.stages[0]
    extra: dict[str, Any] = good_file(random.Random(1), stage)
    extra |= {"metrics": dict.fromkeys(stage.metrics, 1e9), "destructive": True}
    (folder / stage.key / f"run{run.repeats + 1}.json").write_text(json.dumps(extra))
    for move in in_process("calibrate", "compare", folder, folder, "--json", code=0).json["moves"]:
        assert 1e9 not in move["before"]["values"]

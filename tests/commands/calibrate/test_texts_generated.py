"""What people read of a calibration, made up at random: milestones, progress, the pull request, stage selection.

Sources: sections 5 and 9 of the description of the existing tool, and docs/calibrate-runs.md.
"""

from __future__ import annotations

import random
import re
import statistics
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from commands.calibrate.config.selection import select_stages
from commands.calibrate.config.stages import Stage
from commands.calibrate.measuring.milestones import outcome_lines
from commands.calibrate.progress import Progress, progress
from commands.calibrate.sessions import read_session
from ledger.errors import BadInput
from ledger.ledger import Ledger
from projections.calibration.session import Session, units_of
from tests.commands.calibrate.generated_run import BY_KEY, GeneratedRun, generate
from tests.conftest import Result

Cli = Callable[..., Result]


def session_of(run: GeneratedRun, in_process: Cli, ledger: Ledger, tmp_path: Path) -> Session:
    """The session of a run directory."""
    folder = run.write(tmp_path / "run")
    name = in_process("calibrate", "import", folder, "--json", code=0).json["session"]
    session = read_session(Ledger.open(ledger.path), name)
    assert session is not None
    return session


@pytest.mark.parametrize("seed", range(8))
def test_a_milestone_says_of_every_stage_what_the_repeat_brought(
    seed: int, in_process: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    """Section 9: `→ stage: samples=ok/total metric=value`, failed with its reason, a scope mismatch as its own line."""
    run = generate(seed)
    session = session_of(run, in_process, ledger, tmp_path)
    by_key = {stage.key: stage for stage in run.stages}
    for unit in units_of(session.plan):
        for repeat in range(1, run.repeats + 1):
            lines = outcome_lines(unit, session, repeat)
            seen = [key for key in unit.keys if (key, repeat) in run.files]
            arrows = [line for line in lines if line.startswith("  → ")]
            assert [line[4:].split(":")[0] for line in arrows] == seen
            for key, line in zip(seen, arrows, strict=True):
                document, stage = run.files[key, repeat], by_key[key]
                if document is None:
                    continue
                assert (": failed (" in line) is (document["status"] != "ok")
                total, ok = document["sample_counts"]["total"], document["sample_counts"]["ok"]
                if total is not None and ok is not None:
                    assert f"samples={ok}/{total} " in line
                for metric in stage.metrics:
                    _, _, _, scale, digits = BY_KEY[metric]
                    value = document["metrics"].get(metric)
                    finite = type(value) in (int, float) and value - value == 0
                    wanted = f"{value * scale:.{digits}f}" if finite else "N/A"
                    assert re.search(rf"\b{metric}={re.escape(wanted)}(\s|$)", line), (metric, line)
                mismatch = stage.expected is not None and total is not None and total != stage.expected
                said = f"  ⚠ {key}: sample scope mismatch got {total} expected {stage.expected} "
                assert any(text.startswith(said) for text in lines) is mismatch


@pytest.mark.parametrize("seed", range(8))
def test_progress_counts_pytest_runs_and_expects_each_unit_to_go_on_as_it_did(
    seed: int, in_process: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    """Stages of one test file are measured together; what is left takes a unit's own median, else that of all."""
    run = generate(seed, spoiled=0.0, absent=0.3)
    run.files = {(key, k): document for (key, k), document in run.files.items() if k <= run.repeats}
    chance = random.Random(seed)
    tests = {stage.key: stage.test for stage in run.stages}
    took = {(test, k): round(chance.uniform(10, 90), 1) for test in tests.values() for k in range(1, 7)}
    for (key, k), document in run.files.items():
        assert document is not None
        document["duration_s"] = took[tests[key], k]
    found = progress(session_of(run, in_process, ledger, tmp_path))
    left, durations = {}, {}
    for test in dict.fromkeys(tests.values()):
        keys = [key for key, other in tests.items() if other == test]
        complete = [k for k in range(1, run.repeats + 1) if all((key, k) in run.files for key in keys)]
        left[test] = run.repeats - len(complete)
        begun = {k for key, k in run.files if key in keys}
        durations[test] = [took[test, k] for k in begun]
    everything = [value for values in durations.values() for value in values]
    assert (found.total, found.done) == (run.repeats * len(left), run.repeats * len(left) - sum(left.values()))
    if not everything:
        assert found.left_s is None
        return
    usual = statistics.median(everything)
    each = {test: statistics.median(values) if values else usual for test, values in durations.items()}
    assert found.left_s == pytest.approx(sum(count * each[test] for test, count in left.items()))


@pytest.mark.parametrize("seed", range(30))
def test_the_line_of_progress_is_full_exactly_at_the_end_and_says_the_clock(seed: int) -> None:
    chance = random.Random(seed)
    total = chance.randrange(1, 60)
    done = chance.randrange(0, total + 1)
    seconds = chance.choice([None, 5.0, 300.0, 7200.0, 100_000.0])
    now = datetime(2026, 6, 1, chance.randrange(24), chance.randrange(60), tzinfo=UTC)
    line = Progress(done, total, seconds).line(now)
    bar = line[1 : line.index("]")]
    assert set(bar) <= {"=", "-"} and len(bar) == 20 and (bar == "=" * 20) is (done == total)
    assert f"{done}/{total} repeats" in line
    assert ("about" in line) is (done < total and seconds is not None)
    if "about" in line and seconds is not None:
        assert line.endswith(f"{now + timedelta(seconds=seconds):%H:%M}")


@pytest.mark.parametrize("seed", range(6))
def test_the_pull_request_names_the_worst_of_every_metric_with_the_side_it_bounds(
    seed: int, in_process: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    run = generate(seed, spoiled=0.0, absent=0.0)
    run.files = {(key, k): document for (key, k), document in run.files.items() if k <= run.repeats}
    folder = run.write(tmp_path / "run")
    text = in_process("calibrate", "pr-body", folder, code=0).out
    assert text.startswith(f"# Calibrate m thresholds (worst of {run.repeats} at {run.commit[:8]})\n")
    for stage in run.stages:
        parts = []
        for metric in stage.metrics:
            label, _, bound, scale, digits = BY_KEY[metric]
            values = [d["metrics"][metric] for (key, _), d in run.files.items() if key == stage.key and d is not None]
            worst = min(values) if bound == "min" else max(values)
            parts.append(f"{label} {'≥' if bound == 'min' else '≤'} {worst * scale:.{digits}f}")
        assert f"- {stage.key.upper()}: {', '.join(parts)}\n" in text
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    order = ["## Accuracy", "## WER", "## Speed", "## Reliability", "## Applied", "## Evidence"]
    places = [next(n for n, word in enumerate(order) if heading.startswith(word)) for heading in headings]
    assert places == sorted(places), "whether it is right comes before whether it is fast"


def stages_of(chance: random.Random) -> list[Stage]:
    """Stages with keys formed as section 4 says: base, preset, variant, group."""
    found = []
    for base in chance.sample(["tts", "mmsu", "asr"], chance.randrange(1, 4)):
        presets: list[str | None] = chance.choice([[None], ["moss", "higgs"]])
        variants: list[str | None] = chance.choice([[None], ["stream", "nonstream"]])
        for preset in presets:
            for variant in variants:
                for group in chance.sample(["speed", "wer", "utmos"], chance.randrange(1, 4)):
                    key = "_".join(part for part in (base, preset, variant, group) if part)
                    found.append(
                        Stage(key=key, test=base, title=key, group=group, variant=variant, calibration_preset=preset)
                    )
    return found


def answers_to(stage: Stage) -> set[str]:
    """Section 5: the key without its group; without its variant; each without its preset; and as its SKILL promises
    (section 14, 16) the base with the variant."""
    base = stage.test
    names = {"_".join(part for part in (base, stage.calibration_preset, stage.variant) if part)}
    names.add("_".join(part for part in (base, stage.calibration_preset) if part))
    names |= {base, f"{base}_{stage.variant}" if stage.variant else base}
    return names


@pytest.mark.parametrize("seed", range(60))
def test_a_selection_is_every_stage_its_tokens_mean_each_once_in_order(seed: int) -> None:
    chance = random.Random(seed)
    stages = stages_of(chance)
    words = {stage.key for stage in stages} | {f"@{stage.group}" for stage in stages}
    words |= {name for stage in stages for name in answers_to(stage)}
    tokens = chance.sample(sorted(words), min(len(words), chance.randrange(1, 5)))
    wanted: dict[str, None] = {}
    for token in tokens:
        exact = [stage.key for stage in stages if stage.key == token]
        group = [stage.key for stage in stages if token == f"@{stage.group}"]
        wanted |= dict.fromkeys(exact or group or [stage.key for stage in stages if token in answers_to(stage)])
    text = chance.choice([",", " , ", ",,"]).join(tokens)
    chosen = select_stages(stages, text)
    assert [stage.key for stage in chosen.stages] == list(wanted)
    assert (chosen.note is None) is (set(tokens) == set(wanted))
    with pytest.raises(BadInput) as refused:
        select_stages(stages, f"{text},nobody,@nobody,ALL")
    assert refused.value.details["unknown"] == ["nobody", "@nobody", "ALL"]
    assert [stage.key for stage in select_stages(stages, "ALL").stages] == [stage.key for stage in stages]

"""What counts as measured: strict cells, provenance and completeness of run directories made up at random.

The rules are those of the specification's sections 8 and 10, written a second time in `generated_run`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.ledger import Ledger
from tests.commands.calibrate.generated_run import GeneratedRun, generate
from tests.commands.hardship import tree
from tests.conftest import Result

Cli = Callable[..., Result]
SEEDS = range(24)


def lines_of(run: GeneratedRun) -> list[str]:
    """The lines of the audit as the specification writes them, up to the last that both tools know."""
    mismatches, missing = run.foreign()
    lines = [f"calibration_git_sha: {run.commit}"]
    if mismatches or missing:
        reason = (
            f"{len(missing)} run(s) missing git_sha (pre-v0.6.0 or stale — purge and re-run on current commit)"
            if missing
            else f"{len(mismatches)} run(s) recorded on a different commit"
        )
        lines += [f"GIT PROVENANCE: FAIL — {reason}", *(f"  {x}" for x in (*mismatches[:10], *missing[:10]))]
        if max(len(mismatches), len(missing)) > 10:
            lines.append(f"  … and {len(mismatches) + len(missing) - 10} more")
    else:
        lines.append("GIT PROVENANCE: ok (all artifacts match calibration commit)")
    ready = 0
    for stage in run.stages:
        cells = run.cells(stage)
        strict = cells.count("✓")
        ready += strict >= run.repeats
        expected = "" if stage.expected is None else f", expected={stage.expected}"
        rounds = sum(key == stage.key for key, _ in run.files)
        aside = f", rounds={rounds}, effective={rounds - cells.count('D')}" if "D" in cells else ""
        lines.append(f"{stage.key}: {cells} ({min(strict, run.repeats)}/{run.repeats} strict{expected}{aside})")
    lines.append(f"STRICT READY: {ready}/{len(run.stages)} stages ({run.repeats} repeats each)")
    if ready == len(run.stages):
        lines.append(
            "STRICT metrics ok but GIT PROVENANCE failed — purge stale runs or start a fresh --output-dir on the "
            "current commit"
            if mismatches or missing
            else "STRICT + GIT: READY"
        )
    return lines


@pytest.mark.parametrize("seed", SEEDS)
def test_an_audit_prints_the_cells_and_lines_of_the_specification(
    seed: int, in_process: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    run = generate(seed, spoiled=0.3 if seed % 3 else 0.0, absent=0.15 if seed % 4 else 0.0)
    folder = run.write(tmp_path / "run")
    before = tree(folder)
    done = in_process("calibrate", "audit", folder)
    wanted = lines_of(run)
    assert done.out.splitlines()[: len(wanted)] == wanted
    assert (done.code == 0) is (wanted[-1] == "STRICT + GIT: READY"), done.out
    assert done.code in (0, 1)
    assert tree(folder) == before, "an audit reads"
    assert in_process("calibrate", "audit", folder).out == done.out


@pytest.mark.parametrize("seed", SEEDS[:10])
def test_every_command_gives_the_same_answer_to_is_it_ready(
    seed: int, in_process: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    """Readiness is one rule (specification, 14.1 and 14.10, are what two rules lead to)."""
    run = generate(seed, spoiled=0.15 * (seed % 2), absent=0.1 * (seed % 3 == 1))
    folder = run.write(tmp_path / "run")
    audit = in_process("calibrate", "audit", folder, "--json").json
    status = in_process("calibrate", "status", folder)
    assert (status.code == 0) is audit["ready"] is status.json["ready"]
    assert status.json["reasons"] == audit["reasons"]
    assert (status.json["strict_ready"], status.json["complete"]) == (audit["strict_ready"], audit["complete"])
    for command in (("report", "--dry-run"), ("pr-body",)):
        asked = in_process("calibrate", command[0], folder, *command[1:], "--json")
        assert asked.code == (0 if audit["ready"] else 1), asked.out
        if not audit["ready"]:
            assert asked.json["error"]["details"]["reasons"] == audit["reasons"]
    plan = in_process("calibrate", "plan-apply", folder, "--json")
    if not audit["ready"]:
        assert (plan.code, plan.json["error"]["code"]) == (1, "run_not_ready")
    [known] = in_process("sql", "SELECT * FROM calibrations", "--format", "json", code=0).json
    assert known["session"] == audit["session"]


@pytest.mark.parametrize("seed", SEEDS[:12])
def test_status_says_of_each_repeat_that_is_missing_why(
    seed: int, in_process: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    """Of `ok` of `total` stage-repeats, each that is not complete is named once with a reason (sections 8 and 10)."""
    run = generate(seed)
    folder = run.write(tmp_path / "run")
    status = in_process("calibrate", "status", folder).json
    assert status["total"] == run.repeats * len(run.stages)
    assert (
        status["missing_count"]
        == len(status["missing"])
        == len({(m["stage_key"], m["run"]) for m in status["missing"]})
    )
    for stage in run.stages:
        cells = run.cells(stage)
        said = {m["run"]: m["reason"] for m in status["missing"] if m["stage_key"] == stage.key}
        enough = cells.count("✓") >= run.repeats
        assert bool(said) is not enough, (cells, said)
        for repeat, reason in said.items():
            if repeat is None:  # a round that was set aside leaves a gap without a number
                assert "clean repeat(s) short" in reason
                continue
            assert cells[repeat - 1] in "—✗△", (cells, repeat)
            document = run.files.get((stage.key, repeat))
            if cells[repeat - 1] == "—":
                assert reason == "missing file"
            elif document is None:
                assert reason == "corrupt json"
            elif cells[repeat - 1] == "△":
                counts = document["sample_counts"]
                assert reason == f"partial samples (ok {counts['ok']} of {counts['total']})"
            else:
                assert reason not in ("", "ok")


@pytest.mark.parametrize("seed", SEEDS[:10])
def test_what_is_imported_a_second_time_or_from_a_copy_adds_nothing(
    seed: int, in_process: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    run = generate(seed)
    folder, copy = run.write(tmp_path / "run"), tmp_path / "copy"
    first = in_process("calibrate", "import", folder, "--json", code=0).json
    position = Ledger.open(ledger.path).head().position
    again = in_process("calibrate", "import", folder, "--json", code=0).json
    assert again["session"] == first["session"]
    assert Ledger.open(ledger.path).head().position == position
    run.write(copy)
    assert in_process("calibrate", "audit", copy, "--json").json["session"] == first["session"]


@pytest.mark.parametrize("seed", SEEDS[:10])
def test_a_purge_of_what_is_stale_or_incomplete_leaves_only_what_counts(
    seed: int, in_process: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    """A repeat goes for all stages of its test file, because one pytest run measures them together (section 13)."""
    run = generate(seed)
    folder = run.write(tmp_path / "run")
    mismatches, missing = run.foreign()
    foreign = {tuple(text.split(":")[0].split("/run")) for text in (*mismatches, *missing)}
    condemned: set[tuple[str, int]] = set()
    for stage in run.stages:
        for key, repeat in run.files:
            bad = run.cell(stage, repeat) in "✗△" or (key, str(repeat)) in foreign
            if key == stage.key and bad:
                condemned |= {(stage.test, repeat)}
    # an absent file of a repeat that another stage of the same test file has is incomplete, too
    for stage in run.stages:
        units = {k for key, k in run.files for other in run.stages if other.key == key and other.test == stage.test}
        condemned |= {(stage.test, k) for k in units if run.cell(stage, k) == "—"}
    before = tree(folder)
    found = in_process("calibrate", "purge", folder, "--stale", "--incomplete", "--dry-run", "--json", code=0).json
    assert {(p["unit"], p["repeat"]) for p in found["purged"]} == condemned
    assert len(found["purged"]) == len(condemned)
    assert tree(folder) == before, "a dry run changes nothing"
    in_process("calibrate", "purge", folder, "--stale", "--incomplete", code=0)
    left = {(p.parent.name, int(p.stem.removeprefix("run"))) for p in folder.glob("*/run*.json")}
    tests = {stage.key: stage.test for stage in run.stages}
    assert left == {(key, k) for key, k in run.files if (tests[key], k) not in condemned}
    audit = in_process("calibrate", "audit", folder, "--json").json
    assert not set("".join(s["cells"] for s in audit["stages"])) & set("✗△")
    assert audit["provenance"]["ok"] is True
    assert in_process("calibrate", "purge", folder, "--stale", "--incomplete", code=0).out == "nothing to purge\n"

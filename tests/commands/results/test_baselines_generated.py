"""What baselines rest on, over histories made up at random: a second computation says the same."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger.ledger import Ledger
from tests.commands.records import write
from tests.commands.results.generated_history import COHORTS, METRICS, History, counts, generate, measured
from tests.conftest import Result

Cli = Callable[..., Result]
# section 5.4: metric -> (lower is better, percent floor, absolute floor), and the field of a raw result
POLICY = {
    "latency": (True, 0.08, 0.5, "avg_generation_time_s"),
    "throughput": (False, 0.08, 0.05, "throughput_fps"),
    "memory": (True, 0.05, 256.0, "max_peak_memory_mb"),
    "text_encoder_time_s": (True, 0.05, 0.25, "text_encoder_time_s"),
    "dit_time_s": (True, 0.05, 0.25, "dit_time_s"),
    "vae_decode_time_s": (True, 0.05, 0.25, "vae_decode_time_s"),
}


def close(found: float | None, wanted: float | None) -> bool:
    """Equal, or both nothing."""
    return found is wanted is None or (found is not None and wanted is not None and math.isclose(found, wanted))


def imported(seed: int, in_process: Cli, tmp_path: Path) -> tuple[History, Path]:
    """A history, brought in."""
    history = generate(seed)
    root = history.write(tmp_path / "history")
    in_process("import", "hf-tracking", root, code=0)
    return history, root


@pytest.mark.parametrize("seed", range(3))
def test_every_baseline_is_the_median_of_the_last_five_that_count(
    seed: int, in_process: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    history, _ = imported(seed, in_process, tmp_path)
    listed = in_process("baseline", "list", "--json", code=0).json["baselines"]
    assert {row["model_id"] for row in listed} == {record["model_id"] for record in history.files.values()}
    for row in listed:
        cohort = row["model_id"]
        window, medians = history.window(cohort), history.medians(cohort)
        of_cohort = [r for r in history.files.values() if r["model_id"] == cohort]
        assert (row["n"], row["results"]) == (len(window), len(of_cohort))
        assert row["counted"] == sum(counts(r) for r in of_cohort)
        assert all(close(row[m], medians[m]) for m in METRICS), (row, medians)
        shown = in_process("baseline", "show", row["target"], "--json", code=0).json
        assert [r["commit_sha"] for r in shown["records"]] == [r["commit_sha"] for r in window]
        assert all(close(shown["medians"][m], medians[m]) for m in METRICS)
        whys = {
            r["commit_sha"]: r["why"]
            for r in in_process("baseline", "show", row["target"], "--last", "1000", "--json", code=0).json["recent"]
        }
        assert {sha for sha, why in whys.items() if why == "counts"} == {
            r["commit_sha"] for r in of_cohort if counts(r)
        }
        assert all(why.startswith(("counts", "no: ")) for why in whys.values())


@pytest.mark.parametrize("seed", range(5))
def test_a_result_with_identity_is_judged_by_both_floors_against_the_median(
    seed: int, in_process: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    """Section 5.4: worse than the percent floor and than the absolute one, both strictly; 5.5 rows 5, 7 and 8."""
    history, _ = imported(seed, in_process, tmp_path)
    chance = random.Random(seed + 1000)
    for cohort in ("new-a", "new-b"):
        medians = history.medians(cohort)
        now = {m: round((medians[m] or 10.0) * chance.choice([1, 1.04, 1.06, 1.2, 0.9, 0.93]), 3) for m in METRICS}
        missing = chance.choice([None, *METRICS[3:]])
        raw: dict[str, Any] = {"benchmark_id": cohort, "device": COHORTS[cohort]["gpu_type"], "commit": "e" * 40}
        raw |= {k: v for k, v in COHORTS[cohort].items() if k != "gpu_type"}
        raw |= {POLICY[m][3]: None if m == missing else now[m] for m in METRICS}
        raw["timestamp"] = "2026-09-01T00:00:00+00:00"
        checked = in_process("check", write(tmp_path / f"perf_{cohort}.json", raw), "--json")
        [record] = checked.json["records"]
        window = history.window(cohort)
        assert record["baseline_n"] == len(window)
        if not window:
            assert (record["status"], checked.code) == ("CALIBRATION_NEEDED", 0)
            continue
        failing = []
        for metric, (lower, percent, absolute, _field) in POLICY.items():
            base = medians[metric]
            if metric == missing or base is None:
                assert not record["metrics"].get(metric, {}).get("regressed")
                continue
            delta = now[metric] - base if lower else base - now[metric]
            said = record["metrics"][metric]
            assert close(said["baseline"], base) and close(said["current"], now[metric])
            assert math.isclose(said["delta_absolute"], delta, abs_tol=1e-9)
            assert math.isclose(said["delta_percent"], delta / base, abs_tol=1e-9)
            beyond = delta / base > percent and delta > absolute
            assert said["exceeded"] is said["regressed"] is beyond, (metric, said)
            failing += [metric] if beyond else []
        assert record["failing_metrics"] == failing
        assert (record["status"], checked.code) == (("REGRESSION", 1) if failing else ("PASS", 0))
        assert record["success"] is not failing or not failing


@pytest.mark.parametrize("seed", range(2))
def test_a_history_says_the_same_in_whatever_order_it_arrived(
    seed: int, in_process: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    """A baseline depends on what was measured when, and not on when this ledger learned of it."""
    history, _ = imported(seed, in_process, tmp_path)
    wanted = in_process("baseline", "list", "--json", code=0).json
    other = tmp_path / "other"
    other.mkdir()
    in_process("init", cwd=other, code=0)
    names = sorted(history.files)
    random.Random(seed).shuffle(names)
    for part in (names[:7], names[7:20], names[20:]):
        History({name: history.files[name] for name in part}).write(tmp_path / "again")
        in_process("import", "hf-tracking", tmp_path / "again", cwd=other, code=0)
    found = in_process("baseline", "list", "--json", cwd=other, code=0).json
    assert found == wanted


@pytest.mark.parametrize("seed", range(2))
def test_a_longer_window_takes_in_as_many_as_it_says(
    seed: int, in_process: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    history, _ = imported(seed, in_process, tmp_path)
    for length in (1, 3, 12):
        raw = {"benchmark_id": "new-a", "device": COHORTS["new-a"]["gpu_type"], "avg_generation_time_s": 1.0}
        raw |= {k: v for k, v in COHORTS["new-a"].items() if k != "gpu_type"}
        path = write(tmp_path / f"perf_{length}.json", raw | {"commit": f"{length:040x}"})
        [record] = in_process("check", path, "--window", length, "--json").json["records"]
        assert record["baseline_n"] == len(history.window("new-a", length))
        if record["metrics"].get("latency", {}).get("baseline") is not None:
            assert close(record["metrics"]["latency"]["baseline"], history.medians("new-a", length)["latency"])


@pytest.mark.parametrize("seed", range(2))
def test_a_backtest_with_floors_that_nothing_exceeds_finds_no_regression_and_records_nothing(
    seed: int, in_process: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    """Floors that nothing exceeds leave no regression."""
    imported(seed, in_process, tmp_path)
    position = Ledger.open(ledger.path).head().position
    never = tmp_path / "never.yaml"
    never.write_text(
        "metrics:\n" + "".join(f"  {m}: {{threshold_percent: 1000, threshold_absolute: 1000000}}\n" for m in METRICS)
    )
    found = in_process("backtest", "--policy", never, "--json", code=0).json
    assert not [move for move in found["moves"] if move["would_be"] == "REGRESSION"]
    assert sum(move["count"] for move in found["moves"]) == found["flips"] == len(found["records"])
    total = in_process("sql", "SELECT COUNT(*) AS n FROM results WHERE superseded IS NULL", "--format", "json").json
    assert found["results"] == total[0]["n"]
    assert Ledger.open(ledger.path).head().position == position


@pytest.mark.parametrize("seed", range(3))
def test_what_an_import_did_not_keep_is_said_by_file_and_field(
    seed: int, in_process: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    history = generate(seed)
    root = history.write(tmp_path / "history")
    report = in_process("import", "hf-tracking", root, "--json", code=0).json
    said = {(row["path"], row["field"]) for row in report["unusable"]}
    wanted = {
        (path, metric)
        for path, record in history.files.items()
        for metric in METRICS
        if record.get(metric) is not None and measured(record[metric]) is None
    }
    assert said == wanted
    assert (report["recorded"], report["files"], report["skipped"]) == (len(history.files), len(history.files), [])
    again = in_process("import", "hf-tracking", root, "--json", code=0).json
    assert (again["recorded"], again["unchanged"]) == (0, len(history.files))


def test_a_file_that_broke_is_named_by_every_import_until_it_is_mended(
    in_process: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    """Also when it was whole before: what it says now is what is broken."""
    history = generate(1, records=4)
    root = history.write(tmp_path / "history")
    in_process("import", "hf-tracking", root, code=0)
    name = sorted(history.files)[0]
    (root / name).write_text('{"model_id": ')
    first = in_process("import", "hf-tracking", root, "--json", code=0).json
    assert ([row["path"] for row in first["skipped"]], first["rewritten"]) == ([name], [name])
    position = Ledger.open(ledger.path).head().position
    for _ in range(2):
        again = in_process("import", "hf-tracking", root, "--json", code=0).json
        assert [row["path"] for row in again["skipped"]] == [name]
        assert (again["recorded"], again["rewritten"], again["unchanged"]) == (0, [], 3)
    assert Ledger.open(ledger.path).head().position == position, "the same news is told once"
    (root / name).write_text(json.dumps(history.files[name]))
    mended = in_process("import", "hf-tracking", root, "--json", code=0).json
    assert (mended["skipped"], mended["rewritten"]) == ([], [name]), "it says again what it said at first"
    listed = in_process("baseline", "list", "--json", code=0).json["baselines"]
    for row in listed:
        assert row["n"] == len(history.window(row["model_id"]))

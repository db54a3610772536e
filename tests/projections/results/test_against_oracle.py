"""The product's verdicts equal those of an independent comparator, on random histories and results."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from commands.imports.hf_tracking import import_folder
from commands.intake.formats.detect import read_file
from commands.intake.recording import record_results
from commands.results.judging import judge_all
from ledger.ledger import Ledger
from projections.results.metric_policy import MetricPolicy, Rules
from projections.state.state import State
from tests.projections.results.comparator_oracle import METRICS, SIX, Comparator, breaches

BASES = {
    "latency": 10.0,
    "throughput": 2.0,
    "memory": 9000.0,
    "text_encoder_time_s": 3.0,
    "dit_time_s": 6.0,
    "vae_decode_time_s": 4.0,
}
ABSENT = object()
STAMPS = [
    "2026-06-01T00:00:00+00:00",
    "2026-06-01T02:00:00+02:00",
    "2026-06-01T00:00:00Z",
    "20260601T000000",
    "2026-06-01",
    "2026-05-31T23:59:59.999999",
    "2026-06-02T00:00:00+00:00",
    "2026-W23-1",
    1780272000,
    None,
    "soon",
    "2026-06-03T00:00:00.5+00:00",
    "0001-01-01T00:00:00+00:00",
]


SIX_AND_VERSION = ("result_schema_version", *SIX)


def maybe(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from([ABSENT, *values])


@st.composite
def metric_values(draw: st.DrawFn, metric: str) -> Any:
    base = BASES[metric]
    plain = st.sampled_from([base * f for f in (0.5, 0.94, 0.99, 1.0, 1.01, 1.05, 1.079, 1.081, 1.2, 3.0)])
    odd = st.sampled_from(
        [
            ABSENT,
            None,
            str(base),
            f"  {base} ",
            "1_000",
            "n/a",
            [1],
            True,
            0,
            -1.0,
            float("nan"),
            float("inf"),
            "NaN",
            10**30,
        ]
    )
    return draw(st.one_of(plain, plain, plain, plain, odd))


@st.composite
def identities(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["none", "none", "whole", "whole", "whole", "gap", "only version"]))
    if kind == "none":
        return {}
    if kind == "only version":
        return {"result_schema_version": draw(st.sampled_from([2, "2", 2.0, 1]))}
    found = {
        "result_schema_version": 2,
        "workload_id": draw(st.sampled_from(["w", "w2"])),
        "variant_id": "v",
        "benchmark_version": draw(st.sampled_from([3, "3", 3, 0])),
        "recipe_fingerprint": draw(st.sampled_from("rs")),
        "hardware_profile_id": "hw",
        "software_profile_id": draw(st.sampled_from(["sw", "sw", "sw2"])),
    }
    if kind == "gap":
        found[draw(st.sampled_from(["variant_id", "recipe_fingerprint", "software_profile_id"]))] = draw(
            st.sampled_from([None, "", "  "])
        )
    return found


@st.composite
def records(draw: st.DrawFn, number: int) -> dict[str, Any]:
    """One record of a history. The commit makes it a measurement of its own."""
    record = {
        "model_id": draw(st.sampled_from(["m a", "m_a"])),
        "gpu_type": draw(st.sampled_from(["L40S", "L40S", "H100"])),
        "timestamp": draw(st.sampled_from(STAMPS)),
        "commit_sha": f"{number:040x}",
        "success": draw(maybe(True, True, True, True, False, None, 0, "", "false", "yes", " No ")),
        "baseline_eligible": draw(maybe(True, True, False, "true", 1, None)),
        "run_source": draw(maybe("scheduled_main", "pr", "local", None)),
        **{m: draw(metric_values(m)) for m in METRICS},
        **draw(identities()),
    }
    return {key: value for key, value in record.items() if value is not ABSENT}


OVERRIDES = st.sampled_from(
    [
        ABSENT,
        ABSENT,
        {},
        None,
        "junk",
        {"latency": {"threshold_percent": 0.01, "threshold_absolute": "0.05"}},
        {"latency": {"gated": "off"}, "memory": {"gated": False}},
        {"latency": {"threshold_percent": True, "gated": "perhaps"}},
        {"throughput": {"threshold_percent": "1e-2", "threshold_absolute": -1}, "unknown": {"gated": False}},
        {"dit_time_s": {"threshold_percent": float("nan")}, "latency": [1]},
    ]
)


@st.composite
def raws(draw: st.DrawFn, number: int) -> dict[str, Any]:
    """One raw result of this run."""
    names = {"latency": "avg_generation_time_s", "throughput": "throughput_fps", "memory": "max_peak_memory_mb"}
    calm = draw(st.booleans())  # else nearly every result regresses somewhere, and none is eligible for the next
    numbers = st.sampled_from([0.99, 1.0, 1.01] if calm else [0.9, 1.0, 1.0, 1.02, 1.07, 1.09, 1.3, None])
    values = {names.get(m, m): None if (f := draw(numbers)) is None else BASES[m] * f for m in METRICS}
    raw = {
        "benchmark_id": draw(st.sampled_from(["m a", "m_a"])),
        "device": draw(st.sampled_from(["L40S", "L40S", "H100"])),
        "timestamp": f"2026-06-0{draw(st.integers(1, 4))}T00:00:00+00:00",
        "commit": f"c{number:039x}",
        "regression_thresholds": draw(OVERRIDES),
        **values,
        **draw(identities()),
        "thresholds": draw(
            st.sampled_from([ABSENT, {}, {"max_generation_time_s": 10.5}, {"max_peak_memory_mb": "9000.0"}])
        ),
        "run_source": draw(maybe("scheduled_main", "scheduled_main", "pr", "nonsense")),
    }
    return {key: value for key, value in raw.items() if value is not ABSENT}


def write_history(root: Path, history: list[tuple[str, dict[str, Any]]]) -> None:
    for place, record in history:
        path = root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record), encoding="utf-8")
    (root / "broken").mkdir(parents=True, exist_ok=True)
    (root / "broken" / "text.json").write_text("{not json")
    (root / "broken" / "list.json").write_text("[1, 2]")
    (root / "broken" / "bytes.json").write_bytes(b'{"model_id": "\xff"}')
    (root / "broken" / "mark.json").write_bytes(b'\xef\xbb\xbf{"model_id": "m_a", "gpu_type": "L40S", "latency": 1}')
    (root / "broken" / "empty.json").write_bytes(b"")
    (root / ".hidden").mkdir(exist_ok=True)
    (root / ".hidden" / "x.json").write_text('{"model_id": "m_a", "gpu_type": "L40S", "latency": 1}')


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    count = draw(st.integers(0, 16))
    places = ["m_a/{n}.json", "m_a/{n}.json", "m.a/{n}.json", "m_a/nested/{n}.json", "{n}.json"]
    # in a dense history most records are alike, so that windows are full and their order decides
    dense = draw(
        st.sampled_from(
            [
                None,
                {},
                {
                    "result_schema_version": 2,
                    "workload_id": "w",
                    "variant_id": "v",
                    "benchmark_version": 3,
                    "recipe_fingerprint": "r",
                    "hardware_profile_id": "hw",
                    "software_profile_id": "sw",
                },
            ]
        )
    )
    even = draw(st.booleans())  # in an even history calm results pass, and count for the next of their run
    steady = st.sampled_from([0.99, 1.0, 1.01])
    history = []
    for index in range(count):
        name = draw(st.sampled_from("abc")) + str(index)
        record = draw(records(index))
        if dense is not None and draw(st.integers(0, 9)) > 0:
            kept = draw(st.sampled_from([(), (), (), ("success",), ("baseline_eligible", "run_source")]))
            empty = draw(st.integers(0, 7)) == 0  # nothing was measured
            record = {
                "model_id": "m a",
                "gpu_type": "L40S",
                "commit_sha": f"{index:040x}",
                **dense,
                **{key: record[key] for key in ("timestamp", *kept, *METRICS) if key in record},
                **({metric: BASES[metric] * draw(steady) for metric in METRICS} if even else {}),
                **(dict.fromkeys(METRICS) if empty else {}),
            }
        history.append((draw(st.sampled_from(places)).format(n=name), record))
    results = [draw(raws(index)) for index in range(draw(st.integers(1, 3)))]
    if dense is not None and draw(st.integers(0, 3)) > 0:
        results = [
            {
                **{k: v for k, v in result.items() if k not in SIX_AND_VERSION},
                "benchmark_id": "m a",
                "device": "L40S",
                **dense,
            }
            for result in results
        ]
    return {
        "history": history,
        "raws": results,
        "run_source": draw(st.sampled_from(["scheduled_main", "scheduled_main", "local", "pr", "unknown"])),
        "failed_run": draw(st.booleans()) and draw(st.booleans()),
    }


def product_verdicts(folder: Path, case: dict[str, Any], policy: MetricPolicy) -> list[dict[str, Any]]:
    """Judge through the real ledger and state; return what the oracle returns."""
    env = {"PERF_RUN_SOURCE": case["run_source"]}
    ledger = Ledger.create(folder / ".perfledger", origin="oracle", actor="t")
    import_folder(_silent_app(), ledger, folder / "history")
    paths = sorted(folder.glob("perf_*.json"))
    recorded = record_results(ledger, [read_file(str(path), env=env) for path in paths])
    paths_of = {one.event_id: one.measured.path for one in recorded}
    with State.open(ledger) as state:
        judged = judge_all(ledger, state, recorded, policy, env=env, run_failed=case["failed_run"])
    return [
        {
            "status": one.verdict.status,
            "window": [paths_of.get(row.event_id, row.label) for row in one.verdict.window],
            "medians": {m: row["baseline"] for m, row in one.verdict.metrics.items()},
            "regressed": [m for m, row in one.verdict.metrics.items() if row["regressed"]],
            "success": one.verdict.success,
            "eligible": one.verdict.baseline_eligible,
        }
        for one in judged
    ]


def oracle_verdicts(folder: Path, case: dict[str, Any], *, old_rules: bool) -> list[dict[str, Any]]:
    comparator = Comparator(str(folder / "history"), old_rules=old_rules)
    names = {"latency": "avg_generation_time_s", "throughput": "throughput_fps", "memory": "max_peak_memory_mb"}
    rows = []
    for raw in case["raws"]:
        record = {
            "model_id": raw["benchmark_id"],
            "gpu_type": raw["device"],
            "timestamp": raw["timestamp"],
            "commit_sha": raw["commit"],
            **{m: raw.get(names.get(m, m)) for m in METRICS},
        }
        record |= {k: raw[k] for k in ("regression_thresholds", *SIX_AND_VERSION) if raw.get(k) is not None}
        source = raw.get("run_source")
        record["run_source"] = source if source in ("scheduled_main", "pr", "local", "unknown") else case["run_source"]
        static = {k: float(v) for k, v in (raw.get("thresholds") or {}).items()}
        rows.append((record, static))
    any_breach = any(breaches(record, static) for record, static in rows)
    found = []
    for index, (record, static) in enumerate(rows):
        verdict = comparator.judge(
            record, static=static, run_source=record["run_source"], failed_run=case["failed_run"], any_breach=any_breach
        )
        # like the product, the run's own files sort by the path they were given with
        comparator.remember(str(folder / f"perf_{index}.json"), record, verdict, record["run_source"])
        found.append(verdict)
    return found


def _silent_app() -> Any:
    from commands.cli.app import App

    app = App()
    app.quiet = True
    return app


def compare(case: dict[str, Any], policy: MetricPolicy, *, old_rules: bool) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        write_history(folder / "history", case["history"])
        for index, raw in enumerate(case["raws"]):
            (folder / f"perf_{index}.json").write_text(json.dumps(raw))
        assert product_verdicts(folder, case, policy) == oracle_verdicts(folder, case, old_rules=old_rules)


SLOW = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@SLOW
@given(cases())
def test_verdicts_equal_an_independent_comparator(case: dict[str, Any]) -> None:
    compare(case, MetricPolicy(), old_rules=False)


OLD = MetricPolicy(
    rules=Rules(
        legacy_match="directory",
        legacy_eligibility="successful",
        order="path",
        success_text="truth",
        legacy_max_regression=0.05,
    )
)


@settings(SLOW, max_examples=10)
@given(cases())
def test_a_policy_chooses_the_older_rules(case: dict[str, Any]) -> None:
    """May 2026, results without identity: one folder per model, success alone, path order, one percent-only limit."""
    plain = [
        {k: v for k, v in raw.items() if k not in SIX_AND_VERSION} | {"benchmark_id": "m_a"} for raw in case["raws"]
    ]
    # judged one at a time: what was judged earlier in a run is in no folder, so the older rule cannot see it
    compare({**case, "raws": plain[:1]}, OLD, old_rules=True)

"""Find the results a result is compared with: its window, other recipes, the pin, the nearest cohort.

Asks the views through `state.rows`. What counts under a policy, and in which order, is written once, in
`projections/views/parts`: the view `results` and the windows here are both made of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from projections.results.identity import IDENTITY_FIELDS, gpu_of, identity_digest, model_of, target_of
from projections.results.metric_policy import MetricPolicy
from projections.results.record_shape import METRICS, median, sanitize
from projections.results.verdict import Baseline, Pinned, Subject, WindowRecord
from projections.state import catalogue

if TYPE_CHECKING:
    from projections.state.state import State

NEAREST_CANDIDATES_MAX = 8
_METRIC_COLUMNS = ", ".join(METRICS)
_RULES = (
    "SELECT $window_order AS window_order, $nothing_measured AS nothing_measured, $success_text AS success_text, "
    "$legacy_eligibility AS legacy_eligibility, CAST($eligible_run_sources AS VARCHAR[]) AS eligible_run_sources"
)


class ThisRun(msgspec.Struct, frozen=True):
    """The results being judged together: all of them, and those judged already that may count.

    A result does not count for itself, nor for one judged before it; what was judged eligible earlier
    in the run enters the baseline of the rest of it (`counting`), and what was judged successful from a trusted
    source holds its recipe (`trusted`).
    """

    event_ids: Sequence[str] = ()
    counting: Sequence[str] = ()
    trusted: Sequence[str] = ()


def baseline_for(
    state: State, subject: Subject, policy: MetricPolicy, *, event_id: str, run: ThisRun | None = None
) -> Baseline:
    """Return what a result, recorded as `event_id`, is judged against."""
    pinned = pinned_for(state, target_of(subject.record))
    if subject.claims_identity and subject.identity is None:
        return Baseline(pinned=pinned)
    if not subject.claims_identity and policy.rules.legacy_comparison == "none":
        return Baseline(pinned=pinned)
    run = run or ThisRun((event_id,))
    window = window_for(state, subject, policy, event_id=event_id, run=run)
    if window:
        return Baseline(window=window, pinned=pinned)
    return Baseline(
        pinned=pinned,
        other_recipes=_other_recipes(state, subject, run),
        nearest=_nearest(state, subject),
    )


def window_for(
    state: State, subject: Subject, policy: MetricPolicy, *, event_id: str, run: ThisRun
) -> list[WindowRecord]:
    """Return the last `policy.window` results that count, oldest first."""
    scope, params = _scope(subject, policy)
    rows = state.rows(
        f"""
        WITH alike AS MATERIALIZED (SELECT * FROM results_as_judged WHERE {scope})
        SELECT r.event_id, r.full_path, r.source, {_METRIC_COLUMNS}
        FROM alike AS r CROSS JOIN ({_RULES}) AS rules
        WHERE r.superseded IS NULL AND (r.measured OR rules.nothing_measured = 'pass')
          AND r.measurement NOT IN (SELECT measurement FROM alike WHERE target = $target AND event_id = $event_id)
          AND (list_contains(CAST($counting AS VARCHAR[]), r.event_id)
               OR (NOT list_contains(CAST($run AS VARCHAR[]), r.event_id) AND {catalogue.part("counts")}))
        ORDER BY {catalogue.part("newest_first")} LIMIT $window""",
        {
            **params,
            **_rules_of(policy),
            "target": target_of(subject.record),
            "event_id": event_id,
            "run": list(run.event_ids),
            "counting": list(run.counting),
            "window": policy.window,
        },
    )
    return [_window_record(row) for row in reversed(rows)]


def _scope(subject: Subject, policy: MetricPolicy) -> tuple[str, dict[str, Any]]:
    if subject.identity is not None:
        return ("target = $target AND identity_digest = $identity", {"identity": identity_digest(subject.identity)})
    # Records with an identity, complete or not, are never the baseline of one without: they are not comparable.
    gpu = gpu_of(subject.record)
    if policy.rules.legacy_match == "directory":
        return (
            "NOT claims_identity AND gpu_type = $gpu AND folder = $folder AND source IS NOT NULL",
            {"gpu": gpu, "folder": sanitize(model_of(subject.record))},
        )
    return (
        "target = $target AND model_id = $model AND gpu_type = $gpu AND NOT claims_identity",
        {"gpu": gpu, "model": model_of(subject.record)},
    )


def _rules_of(policy: MetricPolicy) -> dict[str, Any]:
    """Return what a policy says of windows, for `_RULES`: the same columns as views/parts/rules.sql."""
    rules = policy.rules
    return {
        "window_order": rules.order,
        "nothing_measured": rules.nothing_measured,
        "success_text": rules.success_text,
        "legacy_eligibility": rules.legacy_eligibility,
        "eligible_run_sources": list(rules.eligible_run_sources),
    }


def _window_record(row: Mapping[str, Any]) -> WindowRecord:
    label = row["full_path"] if row["source"] is not None else row["event_id"]
    return WindowRecord(row["event_id"], label, {metric: row[metric] for metric in METRICS})


def pinned_for(state: State, target: str) -> Pinned | None:
    """Return the pinned baseline of a target that was named last and still holds."""
    rows = state.rows(
        "SELECT name, event_id, medians FROM pinned_baselines WHERE target = $target AND newest", {"target": target}
    )
    if not rows:
        return None
    from ledger import canonical

    return Pinned(rows[0]["name"], rows[0]["event_id"], canonical.decode(rows[0]["medians"]))


def _other_recipes(state: State, subject: Subject, run: ThisRun) -> list[str]:
    """Return other recipes that trusted successful results of the same workload, variant and version have."""
    identity = subject.identity
    if identity is None:
        return []
    same = "workload_id = $workload AND variant_id = $variant AND benchmark_version = $version"
    other = {
        "workload": identity["workload_id"],
        "variant": identity["variant_id"],
        "version": identity["benchmark_version"],
        "recipe": identity["recipe_fingerprint"],
    }
    targets = state.rows(
        f"SELECT DISTINCT target FROM fact_result_shared WHERE {same} AND recipe_fingerprint <> $recipe "
        "ORDER BY target",
        other,
    )
    if not targets:
        return []
    # named one by one: a target that is known narrows the windows of the view, one that is looked up does not
    names = {f"target_{index}": row["target"] for index, row in enumerate(targets)}
    rows = state.rows(
        f"""
        SELECT DISTINCT recipe_fingerprint FROM results
        WHERE target IN ({", ".join(f"${name}" for name in names)}) AND {same} AND recipe_fingerprint <> $recipe
          AND (list_contains(CAST($trusted AS VARCHAR[]), event_id)
               OR (NOT list_contains(CAST($run AS VARCHAR[]), event_id)
                   AND success AND (run_source = 'scheduled_main' OR marked_eligible OR eligible)))
        ORDER BY recipe_fingerprint""",
        {**other, **names, "run": list(run.event_ids), "trusted": list(run.trusted)},
    )
    return [row["recipe_fingerprint"] for row in rows]


def _nearest(state: State, subject: Subject) -> dict[str, Any] | None:
    """Return the medians of the cohort that differs least, for information: target, differs, medians, n.

    With an identity: the same workload and variant, most equal fields first. Without: the same model on
    another GPU. Then the newest.
    """
    if subject.identity is not None:
        own: Mapping[str, str] = subject.identity
        where = "identity_digest IS NOT NULL AND workload_id = $workload_id AND variant_id = $variant_id"
    else:
        own = {"model_id": model_of(subject.record), "gpu_type": gpu_of(subject.record)}
        where = "NOT claims_identity AND model_id = $model_id"
    fields = IDENTITY_FIELDS if subject.identity else ("model_id", "gpu_type")
    same = " + ".join(f"CAST(({field} = ${field}) IS TRUE AS INTEGER)" for field in fields)
    candidates = state.rows(
        f"""
        SELECT target, {", ".join(f"MAX({field}) AS {field}" for field in fields)}, MAX({same}) AS alike
        FROM fact_result_shared JOIN (SELECT shared, instant FROM fact_result) USING (shared)
        WHERE {where} AND target <> $target
        GROUP BY target ORDER BY alike DESC, MAX(instant) DESC NULLS LAST, target
        LIMIT {NEAREST_CANDIDATES_MAX}""",
        {**own, "target": target_of(subject.record)},
    )
    for candidate in candidates:
        rows = state.rows(
            f"SELECT event_id, {_METRIC_COLUMNS} FROM baseline_windows WHERE target = $target ORDER BY place DESC",
            {"target": candidate["target"]},
        )
        if rows:
            values = {m: [row[m] for row in rows if row[m] is not None] for m in METRICS}
            return {
                "target": candidate["target"],
                "differs": {f: [own[f], candidate[f]] for f in fields if candidate[f] != own[f]},
                "medians": {m: median(values[m]) for m in METRICS},
                "n": len(rows),
                "result_event_ids": [row["event_id"] for row in rows],
            }
    return None


def adopted_policy(state: State) -> MetricPolicy:
    """Return the metric policy in force, the default when none was adopted."""
    from projections.results.metric_policy import policy_from

    rows = state.rows("SELECT name, policy FROM metric_policies WHERE current", {})
    if not rows:
        return MetricPolicy()
    from ledger import canonical

    return policy_from(canonical.decode(rows[0]["policy"]), where=f"adopted policy {rows[0]['name']}")

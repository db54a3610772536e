"""`perfledger backtest`: which past verdicts another policy would flip."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from commands.cli.app import App, command
from ledger import canonical
from projections.results.backtest import Outcome, PastResult, judge_again
from projections.results.identity import IDENTITY_FIELDS
from projections.results.metric_policy import read_policy_file
from projections.results.record_shape import METRICS

if TYPE_CHECKING:
    from projections.state.state import State

SHOWN = 30


@command("backtest", reads=True)
@click.option("--policy", "policy_file", required=True, metavar="FILE", help="The policy to try.")
@click.option(
    "--since", metavar="TIME", help="Report only results from TIME on; what was before still fills the windows."
)
@click.option("--target", metavar="TARGET", help="Only this target.")
def backtest(app: App, policy_file: str, since: str | None, target: str | None) -> int:
    """Judge the whole history again under another policy and list the verdicts that would be others.

    Nothing is recorded. A changed verdict changes the windows after it, as it would have.
    """
    policy = read_policy_file(policy_file)
    start = _instant(since) if since else None
    outcomes: list[Outcome] = []
    with app.state(app.ledger()) as state:
        for outcome in judge_again(past_results(state, target), policy):
            if start is None or (outcome.past.instant or outcome.past.recorded_at) >= start:
                outcomes.append(outcome)
    document = _document(outcomes, policy_file, policy.digest())
    app.emit(document, lambda: _text(document))
    return 0


def _instant(since: str) -> str:
    from ledger.identifiers import format_time, parse_time

    return format_time(parse_time(since))


def past_results(state: State, target: str | None) -> Iterator[PastResult]:
    """Yield every result of the history, target by target in the baseline's order, with the status it got."""
    rows = state.rows(
        f"""SELECT event_id, target, instant, recorded_at, model_id, gpu_type, {", ".join(IDENTITY_FIELDS)},
                   claims_identity, {", ".join(METRICS)}, success, status, run_source, run_source_claimed, seeded,
                   counted, regression_thresholds, static_limits
            FROM results
            WHERE superseded IS NULL AND ($target IS NULL OR target = $target)
            ORDER BY target, COALESCE(instant, TIMESTAMPTZ '0001-01-01 00:00:00+00'), full_path, event_id""",  # noqa: S608
        {"target": target},
    )
    for row in rows:
        record: dict[str, Any] = {name: row[name] for name in ("model_id", "gpu_type", *METRICS)}
        record |= {name: row[name] for name in IDENTITY_FIELDS if row[name] is not None}
        if row["claims_identity"]:
            record["result_schema_version"] = 2
        if row["regression_thresholds"]:
            record["regression_thresholds"] = canonical.decode(row["regression_thresholds"])
        yield PastResult(
            event_id=row["event_id"],
            target=row["target"],
            instant=row["instant"],
            recorded_at=row["recorded_at"],
            record=record,
            static_limits=canonical.decode(row["static_limits"] or "{}"),
            run_source=row["run_source"] or "unknown",
            has_source_claim=row["run_source_claimed"],
            # a history without statuses only says whether a run succeeded
            was=row["status"] or ("PASS" if row["success"] else "REGRESSION"),
            counted=row["counted"],
            seeded=row["seeded"],
        )


def _document(outcomes: list[Outcome], policy_file: str, digest: str) -> dict[str, Any]:
    flips = [outcome for outcome in outcomes if outcome.flipped]
    moves = Counter((outcome.past.was, outcome.status) for outcome in flips)
    return {
        "policy": policy_file,
        "policy_digest": digest,
        "results": len(outcomes),
        "flips": len(flips),
        "targets": len({outcome.past.target for outcome in outcomes}),
        "moves": [{"was": was, "would_be": now, "count": count} for (was, now), count in sorted(moves.items())],
        "records": [outcome.as_dict() for outcome in flips],
    }


def _text(document: dict[str, Any]) -> str:
    lines = [
        f"{document['flips']} of {document['results']} verdicts over {document['targets']} targets "
        f"would be others under {document['policy']}"
    ]
    lines += [f"  {row['was']} -> {row['would_be']}: {row['count']}" for row in document["moves"]]
    for row in document["records"][:SHOWN]:
        lines.append(f"{(row['instant'] or 'no time')[:19]}  {row['target']}  {row['was']} -> {row['would_be']}")
        lines.append(f"  {row['reason']}")
    if len(document["records"]) > SHOWN:
        lines.append(f"and {len(document['records']) - SHOWN} more; --json lists all")
    return "\n".join(lines)

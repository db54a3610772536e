"""Explain verdicts, results and pins: everything a verdict used is in its event, and shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from commands.cli.app import App
from commands.explain.command import headline
from commands.results.check_summary import asides, number, percent
from ledger.outside import shown
from projections.results.metric_policy import CATALOGUE
from projections.results.record_shape import METRICS

if TYPE_CHECKING:
    from ledger.event import Event
    from ledger.ledger import Ledger


def find_verdict(app: App, ledger: Ledger, text: str) -> str | None:
    """Return the event id of the latest verdict on a target, or None when it is no target with a verdict."""
    if "@" not in text and not text.startswith("identity:"):
        return None
    with app.state(ledger) as state:
        rows = state.rows(
            "SELECT event_id FROM judgements WHERE target = $target ORDER BY recorded_at DESC, position DESC LIMIT 1",
            {"target": text},
        )
    return rows[0]["event_id"] if rows else None


def explain_verdict(app: App, ledger: Ledger, event: Event) -> tuple[dict[str, Any], str]:
    """Explain a verdict: the result, the window it was compared with, each metric, the policy."""
    verdict = event.body()
    wanted = [verdict["result_event_id"], *verdict["window_event_ids"]]
    results = _results(app, ledger, wanted)
    window = [results.get(event_id, {"event_id": event_id}) for event_id in verdict["window_event_ids"]]
    document = {"verdict": verdict, "result": results.get(verdict["result_event_id"]), "window": window}
    lines = [
        headline(event),
        f"{verdict['status']}  {verdict['target']}",
        f"  {verdict['reason']}",
        "",
        f"judged result   {verdict['result_event_id']}  {_origin(results.get(verdict['result_event_id']))}",
        f"run source      {verdict['run_source']}",
        f"baseline        {verdict['baseline_status']}, {len(window)} of at most {verdict['window']} results"
        + (":" if window else ""),
    ]
    lines += [f"  {row['event_id']}  {_values(row)}  {_origin(row)}" for row in window]
    lines += ["", *_metric_lines(verdict), ""]
    lines += [
        f"fixed limit     {row['field']} {row['current']} > {row['threshold']}" for row in verdict["static_failures"]
    ]
    if verdict["run_failed_unexplained"]:
        lines.append("test run        failed, and no result of it breached a fixed limit")
    lines += [f"also            {aside}" for aside in asides(verdict)]
    lines.append(
        f"then            success={_word(verdict['success'])}, "
        f"may enter later baselines={_word(verdict['baseline_eligible'])}"
    )
    lines.append(
        f"policy          {verdict['policy']['name']}, digest {verdict['policy_digest'][:12]}; all of it with --json"
    )
    return document, shown.text_of(lines)


def _metric_lines(verdict: dict[str, Any]) -> list[str]:
    lines = [f"{'metric':<16}{'now':>12}{'median':>12}{'worse by':>22}   limits (both must be exceeded)"]
    for name in METRICS:
        m = verdict["metrics"].get(name)
        if m is None or (m["current"] is None and m["baseline"] is None):
            continue
        worse = (
            "not compared"
            if m["delta_percent"] is None
            else (f"{percent(m['delta_percent'])} / {m['delta_absolute']:+.{CATALOGUE[name].decimals}f}")
        )
        floor = "" if m["threshold_absolute"] is None else f" and {m['threshold_absolute']:g} {CATALOGUE[name].unit}"
        outcome = "REGRESSED" if m["regressed"] else "exceeded, not gated" if m["exceeded"] else "within"
        lines.append(
            f"{CATALOGUE[name].label:<16}{number(name, m['current']):>12}{number(name, m['baseline']):>12}"
            f"{worse:>22}   {m['threshold_percent'] * 100:.1f}%{floor}: {outcome}"
        )
    return lines


def _results(app: App, ledger: Ledger, event_ids: list[str]) -> dict[str, dict[str, Any]]:
    with app.state(ledger) as state:
        rows = state.rows(
            f"""SELECT event_id, target, instant, commit_sha, full_path, {", ".join(METRICS)}, counted, status
                FROM results WHERE list_contains($ids, event_id)""",  # noqa: S608
            {"ids": event_ids},
        )
    return {row["event_id"]: row for row in rows}


def _origin(row: dict[str, Any] | None) -> str:
    return f"{(row['instant'] or 'no time')[:19]}  {row['full_path']}" if row and "instant" in row else ""


def _values(row: dict[str, Any]) -> str:
    return "  ".join(f"{CATALOGUE[m].label} {number(m, row[m])}" for m in METRICS if row.get(m) is not None)


def _word(value: bool) -> str:
    return "yes" if value else "no"


def explain_result(app: App, ledger: Ledger, event: Event) -> tuple[dict[str, Any], str]:
    """Explain a result: what was recorded, the verdicts on it, whether it counts, and which verdicts used it."""
    from commands.results.baseline_reading import WHY_SQL

    body = event.body()
    with app.state(ledger) as state:
        mine = state.rows(
            f"SELECT counted, {WHY_SQL} AS why FROM results WHERE target = $target AND event_id = $id",  # noqa: S608
            {"target": body["target"], "id": event.event_id},
        )
        verdicts = state.rows(
            "SELECT event_id, status, reason, recorded_at FROM judgements "
            "WHERE target = $target AND result_event_id = $id ORDER BY recorded_at, position",
            {"target": body["target"], "id": event.event_id},
        )
        used = state.rows(
            """SELECT event_id, json_extract_string(payload, '$.status') AS status, recorded_at FROM events
               WHERE unread IS NULL AND type = 'ResultJudged' AND stream = $stream AND contains(payload, $id)
                 AND json_extract_string(payload, '$.result_event_id') <> $id
               ORDER BY recorded_at, position""",
            {"stream": event.stream, "id": event.event_id},
        )
    document = {"result": body, "baseline": mine[0] if mine else None, "verdicts": verdicts, "used_by": used}
    lines = [
        headline(event),
        body["target"],
        f"  {_values(body['record'])}",
        f"  read as {body['format']} from {body['path']}" + (f" of {body['source']}" if body["source"] else ""),
        f"  original bytes: evidence {body['sha256']}",
    ]
    lines += [f"  field {name} was not kept: {reason}" for name, reason in body["unusable"].items()]
    lines.append(f"  for the baseline: {mine[0]['why']}" if mine else "  not known at that moment")
    lines += [f"  judged {row['recorded_at']}  {row['status']}  {row['event_id']}" for row in verdicts]
    lines += [f"  in the window of {row['event_id']}  {row['status']}" for row in used]
    return document, shown.text_of(lines)


def explain_pin(app: App, ledger: Ledger, event: Event) -> tuple[dict[str, Any], str]:
    """Explain a pinned baseline: its medians and the results they come from."""
    body = event.body()
    rows = _results(app, ledger, body["result_event_ids"])
    lines = [
        headline(event),
        f"{body['target']} pinned as {body['name']}: {body['reason']}",
        f"  {_values(body['medians'])}",
    ]
    lines += [f"  from {event_id}  {_origin(rows.get(event_id))}" for event_id in body["result_event_ids"]]
    return {"pin": body, "results": list(rows.values())}, shown.text_of(lines)

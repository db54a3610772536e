"""`perfledger calibrate apply`: write worst-of-N into the threshold literals of the test files."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from commands.calibrate.plan_apply import require_ready
from commands.calibrate.session_options import Opened, open_session, run_dir_options
from commands.calibrate.sessions import read_session
from commands.cli import streams
from commands.cli.app import App, command
from commands.ledger_commands import approving
from ledger.errors import Conflict, Refused

if TYPE_CHECKING:
    from commands.calibrate.applying.decisions import Decision
    from commands.calibrate.applying.plan import ApplyPlan, MetricPlan
    from commands.calibrate.applying.targets import Rewrite
    from ledger.events.thresholds import ThresholdApplyPlanned
    from ledger.identity.signing import Signed
    from ledger.ledger import Ledger

PHRASE = "apply thresholds"
APPROVE_PHRASE = "approve thresholds"
NEXT_APPROVAL = (
    f'another approver: perfledger calibrate apply ... --approve --sign-key KEY --confirm "{APPROVE_PHRASE}"'
)
UNDO = "perfledger calibrate apply ... --rollback puts it back"


@dataclass(frozen=True)
class Asked:
    """What the options of `apply` say."""

    run_dir: Path
    stages_yaml: Path | None
    repo_root: Path | None
    mode: str
    keep: tuple[str, ...]
    assignments: tuple[str, ...]
    confirm: str | None
    approve: bool
    sign_key: str | None
    dry_run: bool
    rollback: bool


@command("apply", asks=Asked)
@run_dir_options
@click.option(
    "--mode",
    type=click.Choice(["report", "smart", "full"]),
    required=True,
    help="report: write nothing; smart: ask about what loosens; full: write all.",
)
@click.option("--keep", multiple=True, metavar="KEY", help="Leave this metric, stage, @group, or all that `loosens`.")
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    help="Write this number; VALUE `write_value` is the planned one.",
)
@click.option("--confirm", metavar="PHRASE", help=f'"{PHRASE}" to write without being asked.')
@click.option(
    "--approve", is_flag=True, help="Approve these very changes, where the policy asks for it; write nothing."
)
@click.option("--sign-key", metavar="KEY", help="SSH key to sign the approval with.")
@click.option("--dry-run", is_flag=True, help="Show the diff; write nothing.")
@click.option("--rollback", is_flag=True, help="Put an interrupted apply's files back.")
def apply(app: App, asked: Asked) -> int:
    """Write the worst of N into the literals of a ready session's test files.

    KEY is STAGE.METRIC, a literal, symbol, stage, metric, @GROUP or direction. Every other byte of the
    files stays. An apply that was interrupted is finished first, or put back with --rollback.
    """
    from commands.calibrate.applying import execute
    from commands.calibrate.applying.decisions import decide, parse_answers
    from commands.calibrate.applying.plan import build_plan
    from commands.calibrate.applying.targets import check_targets, rewrites_of
    from commands.calibrate.measured_repository import root_to_write

    answers = parse_answers(asked.keep, asked.assignments)
    opened = open_session(app, asked.run_dir, stages_yaml=asked.stages_yaml, repo_root=asked.repo_root)
    ledger, session = opened.ledger, opened.session
    root = root_to_write(session, opened.place, asked.repo_root)
    writes_nothing = asked.dry_run or (asked.mode == "report" and not asked.rollback)
    ended = _end_interrupted(opened, root, asked.rollback, refuse=writes_nothing)
    if ended is not None or asked.rollback:
        ended = ended or {"outcome": "nothing_interrupted", "changes": []}
        app.emit(ended, _ended_text(ended))
        return 0
    require_ready(session, asked.run_dir)
    plan = build_plan(session, root)
    if asked.mode == "report":
        app.emit(_document(plan, decide(plan, "report", answers), [], "nothing"), lambda: _table(plan))
        return 0
    ask = _ask if _may_ask(asked.dry_run) else None
    decisions = decide(plan, _mode(asked.mode), answers, ask, leave_open=asked.dry_run)
    rewrites = rewrites_of(plan, decisions)
    if not rewrites:
        app.emit(_document(plan, decisions, rewrites, "nothing"), lambda: _listing(decisions))
        return 0
    check_targets(plan, rewrites, lambda: ledger.read_counted(types=["ThresholdApplyPlanned"]))
    if asked.dry_run:
        app.emit(_document(plan, decisions, rewrites, "dry_run"), lambda: _preview(decisions, rewrites))
        return 0
    planned = execute.planned_event(ledger, plan, rewrites, decisions, asked.mode)
    what = execute.decision(planned)
    if asked.approve:
        app.confirm(APPROVE_PHRASE, given=asked.confirm, question=_preview(decisions, rewrites))
        _approve(app, ledger, what, asked.sign_key)
        return 0
    approving.require(ledger, what, hint=NEXT_APPROVAL)
    app.confirm(PHRASE, given=asked.confirm, question=_preview(decisions, rewrites))
    after = _write(ledger, plan, decisions, planned)
    _renew_report(opened)
    document = _document(after, decisions, rewrites, "applied")
    app.emit(document, lambda: _result(after, decisions))
    return 0


def _approve(app: App, ledger: Ledger, what: Signed, sign_key: str | None) -> None:
    counted = approving.give(ledger, what, sign_key=sign_key, hint=NEXT_APPROVAL)
    following = "perfledger calibrate apply" if all(one.enough for one in counted) else NEXT_APPROVAL
    app.emit(
        approving.document(what, counted, ledger.actor, following=following),
        approving.line(what, counted, ledger.actor, following=following),
    )


def _write(ledger: Ledger, plan: ApplyPlan, decisions: list[Decision], planned: ThresholdApplyPlanned) -> ApplyPlan:
    """Write, then read the files again: every written literal must say what was decided."""
    from commands.calibrate.applying import execute
    from commands.calibrate.applying.plan import build_plan

    execute.write(ledger, planned, plan.root, position=plan.session.position)
    after = build_plan(plan.session, plan.root)
    now = {metric.name: metric for metric in after.metrics}
    for decision in decisions:
        if decision.action == "write":
            seen = now[decision.metric.name]
            if seen.current != decision.value:
                raise Conflict(
                    f"{seen.file}: {seen.literal} reads {seen.current!r} right after {decision.text} was written; "
                    "another process is editing it",
                    code="file_moved",
                    hint=f"git -C {plan.root} diff",
                )
    return after


def _end_interrupted(opened: Opened, root: Path, rollback: bool, *, refuse: bool) -> dict[str, Any] | None:
    """Finish (or put back) an apply of this session that was cut short; None when there is none.

    It was confirmed when it was announced. Raises `Refused` instead for a call that must not write.
    """
    from commands.calibrate.applying import execute
    from ledger.events.thresholds import ThresholdApplyPlanned

    ledger, stream = opened.ledger, opened.session.stream
    announced = execute.unfinished(ledger, stream)
    if announced is None:
        return None
    if refuse:
        raise Refused(
            "an apply of this session was interrupted and is not finished",
            code="apply_interrupted",
            hint="apply with --mode smart or full finishes it, --rollback puts it back",
            apply=announced.body()["apply"],
        )
    if not rollback:
        # what is announced was approved, or the announcement is forged
        planned = announced.typed()
        assert isinstance(planned, ThresholdApplyPlanned)
        approving.require(ledger, execute.decision(planned), hint=UNDO)
    ended = execute.carry_on(ledger, stream, root, back=rollback)
    if ended is None:
        return None
    outcome, changes = ended
    _renew_report(opened)
    return {"outcome": outcome, "interrupted": True, "changes": execute.as_json(changes)}


def _ended_text(ended: dict[str, Any]) -> str:
    if ended["outcome"] == "nothing_interrupted":
        return "no apply was interrupted; nothing to put back"
    word = "finished" if ended["outcome"] == "applied" else "put back"
    lines = [f"  {each['file']}: {each['literal']} = {each['new']!r}" for each in ended["changes"]]
    return "\n".join([f"an interrupted apply was {word}; run apply again for more", *lines])


def _renew_report(opened: Opened) -> None:
    """Write the report again where there is one, so that it lists the applied changes."""
    from commands.calibrate.report import write_report

    directory = opened.directory
    if directory is not None and directory.report_path.is_file():
        current = read_session(opened.ledger, opened.session.id)
        assert current is not None
        write_report(opened.ledger, current, directory, shown_dir=str(opened.named))


def _may_ask(dry_run: bool) -> bool:
    return not dry_run and sys.stdin.isatty()


def _mode(text: str) -> Any:
    assert text in ("report", "smart", "full"), text
    return text


def _ask(metric: MetricPlan) -> str:
    """Ask at the terminal about one metric until the answer is keep, write_value or a number."""
    from commands.calibrate.applying.decisions import WRITE_VALUE, parse_answers
    from ledger.errors import BadInput

    streams.note(
        f"{metric.name}: {metric.literal} is {metric.current!r}, worst of {len(metric.values)} is "
        f"{metric.worst!r}; writing {metric.write!r} {metric.direction}"
    )
    while True:
        answer: str = click.prompt(f"keep, {WRITE_VALUE}, or a number", default="keep", err=True)
        if answer in ("keep", WRITE_VALUE):
            return answer
        try:
            parse_answers((), (f"{metric.name}={answer}",))
        except BadInput as error:
            streams.note(error.message)
        else:
            return answer


def _table(plan: ApplyPlan) -> str:
    from commands.calibrate.apply_text import plan_table

    return f"{plan_table(plan)}\nnothing was written"


def _listing(decisions: list[Decision]) -> str:
    from commands.calibrate.apply_text import decision_lines

    return "\n".join([*decision_lines(decisions), "nothing was written"])


def _preview(decisions: list[Decision], rewrites: list[Rewrite]) -> str:
    from commands.calibrate.apply_text import decision_lines, diff_of

    return "\n".join([*decision_lines(decisions), "", diff_of(rewrites)])


def _result(after: ApplyPlan, decisions: list[Decision]) -> str:
    from commands.calibrate.apply_text import decision_lines

    written = [decision for decision in decisions if decision.action == "write"]
    names = {decision.metric.name for decision in written}
    lines = decision_lines(decisions)
    lines.append("")
    shown: set[tuple[Path, str]] = set()  # stages that share a literal wrote it once
    for metric in after.metrics:
        if metric.name in names and (metric.file, metric.literal) not in shown:
            shown.add((metric.file, metric.literal))
            state = "equal" if metric.direction == "equal" else f"set ({metric.direction} to plan)"
            lines.append(f"  {metric.file.relative_to(after.root)}:{metric.literal} = {metric.current!r}  {state}")
    lines.append(f"{len(shown)} literal(s) written; next: perfledger calibrate discover")
    return "\n".join(lines)


def _document(plan: ApplyPlan, decisions: list[Decision], rewrites: list[Rewrite], outcome: str) -> dict[str, Any]:
    """One entry per metric; `direction` is that of the file as it is now."""
    from commands.calibrate.apply_text import diff_of

    now = {metric.name: metric for metric in plan.metrics}
    return {
        "session": plan.session.id,
        "repo_root": str(plan.root),
        "outcome": outcome,
        "files": [
            {"file": r.relative, "before_sha256": r.before_sha256, "after_sha256": r.after_sha256} for r in rewrites
        ],
        "metrics": [
            {
                "metric": each.metric.name,
                "literal": each.metric.literal,
                "file": str(each.metric.file),
                "action": each.action,
                "why": each.why,
                "old": each.metric.current,
                "new": each.value if each.action == "write" else each.metric.current,
                "direction": each.metric.direction,
                "direction_now": now[each.metric.name].direction,
            }
            for each in decisions
        ],
        "diff": diff_of(rewrites),
    }

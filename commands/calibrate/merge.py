"""`perfledger calibrate merge`: disjoint partitions of one calibration become one session."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from commands.calibrate.config.stamps import utc_stamp
from commands.calibrate.run_directory import SESSION_KEY, RunDirectory, run_file_document, to_file_json
from commands.calibrate.session_options import Opened, open_session
from commands.calibrate.sessions import read_session
from commands.cli.app import App, command
from ledger import canonical
from ledger.errors import BadInput, Refused
from ledger.event import NewEvent
from ledger.events.calibrations import CalibrationMerged, Plan, PlanContinued, RepeatImported
from ledger.layout import outside_ledger
from projections.calibration.audit import readiness
from projections.calibration.session import STREAM_PREFIX, Session, plan_in_parts

if TYPE_CHECKING:
    from ledger.ledger import Ledger

# what two partitions must have in common to be one calibration
SAME = ("model", "repeats", "calibration_git_sha", "stages_yaml_sha256", "gpu_summary", "versions", "venv_python")


@command("merge")
@click.argument("run_dirs", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--output-dir", type=click.Path(path_type=Path), required=True, help="The merged run; a fresh folder.")
@click.option("--stages-yaml", type=click.Path(path_type=Path), help="The schema of the runs.")
@click.option("--repo-root", type=click.Path(path_type=Path), help="The measured repository.")
@click.option("--dry-run", is_flag=True, help="Say what would be merged; write nothing.")
def merge(
    app: App,
    run_dirs: tuple[Path, ...],
    output_dir: Path,
    stages_yaml: Path | None,
    repo_root: Path | None,
    dry_run: bool,
) -> None:
    """Merge strict-ready run directories with disjoint stages, equal commit, schema and environment."""
    if len(run_dirs) < 2:
        raise BadInput("merging takes two run directories or more", code="too_few", hint="name another")
    outside_ledger(output_dir)
    opened = [open_session(app, d, stages_yaml=stages_yaml, repo_root=repo_root) for d in run_dirs]
    ledger, sessions = opened[0].ledger, [each.session for each in opened]
    check_mergeable(opened)
    target = RunDirectory(output_dir)
    plan = merged_plan(sessions, output_dir)
    merged_id = _merged_id(sessions)
    document = {
        "session": merged_id,
        "run_dir": str(output_dir),
        "dry_run": dry_run,
        "sources": [s.id for s in sessions],
        "stages": [s.key for s in plan.stages],
    }
    if target.exists() and target.plan()[0].get(SESSION_KEY) != merged_id:
        raise BadInput(f"{output_dir} holds another run", code="plan_exists", hint="give a fresh --output-dir")
    if not dry_run:
        session = _append(ledger, merged_id, plan, opened)
        target.path.mkdir(parents=True, exist_ok=True)
        target.project(session)
    verb = "would merge" if dry_run else "merged"
    app.emit(document, f"{verb} {len(sessions)} partitions, {len(plan.stages)} stages into {output_dir}")


def check_mergeable(opened: list[Opened]) -> None:
    """Raise `Refused` naming the first thing that makes the partitions different calibrations."""
    for each in opened:
        result = readiness(each.session)
        if not result.ready:
            raise Refused(
                f"{each.named} is not ready: {'; '.join(result.reasons)}",
                code="not_ready",
                hint=f"perfledger calibrate audit {each.named}",
            )
    first = opened[0]
    for other in opened[1:]:
        for field in SAME:
            ours, theirs = getattr(first.session.plan, field), getattr(other.session.plan, field)
            if ours != theirs:
                raise Refused(
                    f"{first.named} and {other.named} differ in {field}: {ours} and {theirs}",
                    code="not_mergeable",
                    hint="only partitions of one calibration can be merged",
                    field=field,
                )
    seen: dict[str, Path] = {}
    for each in opened:
        for key in each.session.stages:
            if key in seen:
                raise Refused(
                    f"stage {key} is in {seen[key]} and in {each.named}",
                    code="stages_overlap",
                    hint="merge disjoint partitions",
                    stage=key,
                )
            seen[key] = each.named


def merged_plan(sessions: list[Session], output_dir: Path) -> Plan:
    """The plan over all partitions: the first one's provenance, the stages of all in the given order."""
    plans = [session.plan for session in sessions]
    started = min(plan.started_at for plan in plans)
    accepted = sorted({c for s in sessions for c in s.accepted_commits} - {plans[0].calibration_git_sha})
    return msgspec.structs.replace(
        plans[0],
        stages=[stage for plan in plans for stage in plan.stages],
        started_at=started,
        run_dir=str(output_dir.resolve()),
        dirty=any(plan.dirty for plan in plans),
        equivalent_commits=accepted,
        diff_sha256=plans[0].diff_sha256,
    )


def _merged_id(sessions: list[Session]) -> str:
    """The same partitions always merge into the same session."""
    identity = [[s.id, s.event_ids[-1]] for s in sessions]
    return f"merged-{hashlib.sha256(canonical.encode(identity)).hexdigest()[:16]}"


def _append(ledger: Ledger, merged_id: str, plan: Plan, opened: list[Opened]) -> Session:
    known = read_session(ledger, merged_id)
    if known is not None:
        return known
    stream = STREAM_PREFIX + merged_id
    sessions = [each.session for each in opened]
    whole, parts = plan_in_parts(plan)
    payload = CalibrationMerged(
        session=merged_id,
        plan=whole,
        sources=[s.id for s in sessions],
        source_run_dirs=[str(each.place or each.session.plan.run_dir) for each in opened],
        merged_at=utc_stamp(),
    )
    continued = [PlanContinued(session=merged_id, part=n, stages=p) for n, p in enumerate(parts, 1)]
    events = [NewEvent(stream=stream, payload=p) for p in (payload, *continued)]
    for session in sessions:
        events += [NewEvent(stream=stream, payload=copy) for copy in copies(session, merged_id)]
    ledger.append(events, seen={stream: 0})
    session_after = read_session(ledger, merged_id)
    assert session_after is not None
    return session_after


def copies(session: Session, merged_id: str) -> list[RepeatImported]:
    """A session's observations as run files of another session, each naming the event it copies."""
    found = []
    for (stage, repeat), seen in sorted(session.observations.items()):
        document = run_file_document(session, seen)
        found.append(
            RepeatImported(
                session=merged_id,
                stage=stage,
                repeat=repeat,
                sha256=hashlib.sha256(to_file_json(document)).hexdigest(),
                readable=seen.readable,
                status=seen.status,
                reason=seen.reason,
                metrics=dict(seen.metrics),
                not_finite=dict(seen.not_finite),
                samples_total=seen.samples_total,
                samples_ok=seen.samples_ok,
                duration_s=seen.duration_s,
                attempts=seen.attempts,
                git_sha=seen.commits[0] if seen.commits else "",
                recorded_at=seen.recorded_at,
                pytest_log=seen.pytest_log,
                basetemp=seen.basetemp,
                pytest_rc=seen.pytest_rc,
                destructive=document.get("destructive") is True,
                block_discarded=document.get("block_discarded") is True,
                destructive_evidence=list(document.get("destructive_evidence", [])),
                log_found=dict(seen.log_found),
                log_sha256=seen.log_sha256,
                extra=dict(seen.extra),
                from_event=seen.event_id,
            )
        )
    return found

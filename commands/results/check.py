"""`perfledger check`: judge results against their rolling baseline."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from commands.cli.app import App, command
from commands.cli.numbers import Whole
from commands.intake.formats.detect import FORMATS, find_files, read_file
from commands.intake.formats.measured import Measured, refuse_unusable
from commands.intake.recording import record_results
from commands.results import check_summary
from commands.results.judging import Judged, judge_all
from ledger.errors import BadInput
from ledger.layout import outside_ledger
from projections.results.metric_policy import MetricPolicy, read_policy_file
from projections.results.record_shape import artifact_name, safe_float, unused
from projections.results.run_source import UPLOAD_POLICIES, upload_policy
from projections.results.verdict import exit_code, worst

if TYPE_CHECKING:
    from ledger.ledger import Ledger
    from projections.state.state import State

# what CI sets for artifacts and summaries: places that `check` writes to besides the ones its options name
OUTPUT_VARIABLES = ("PERF_REPORTS_DIR", "GITHUB_STEP_SUMMARY")


@dataclass(frozen=True)
class Asked:
    """What the options of `check` say."""

    files: tuple[str, ...]
    tracking_root: str | None
    window: int | None
    policy_file: str | None
    upload: str | None
    dry_run: bool
    pytest_rc: int
    markdown_file: str | None
    normalized_dir: str | None
    format_name: str


@command("check", asks=Asked)
@click.argument("files", nargs=-1, metavar="FILE...")
@click.option(
    "--tracking-root",
    metavar="DIR|hf://...",
    envvar="PERFORMANCE_TRACKING_ROOT",
    help="Import this folder (or dataset) of records first. [env: PERFORMANCE_TRACKING_ROOT]",
)
@click.option("--window", type=Whole(1), metavar="N", help="Results per baseline. Default: the policy's, 5.")
@click.option("--policy", "policy_file", metavar="FILE", help="Judge by this policy file, not by the adopted policy.")
@click.option(
    "--upload",
    type=click.Choice(UPLOAD_POLICIES),
    metavar="never|pass|always",
    help="Queue judged records for upload. Default: PERF_UPLOAD_POLICY, else never.",
)
@click.option("--dry-run", is_flag=True, help="Record and judge, but only show what --upload would send.")
@click.option(
    "--pytest-rc",
    type=int,
    metavar="N",
    envvar="PERF_PYTEST_RC",
    default=0,
    help="Exit code of the test run behind these results. [env: PERF_PYTEST_RC]",
)
@click.option("--markdown", "markdown_file", metavar="FILE", help="Write the summary as Markdown.")
@click.option(
    "--normalized-dir", metavar="DIR", help="Write each judged record there. Default: $PERF_REPORTS_DIR/results."
)
@click.option("--format", "format_name", type=click.Choice(FORMATS), default="auto", help="How the files are written.")
def check(app: App, asked: Asked) -> int:
    """Judge results against their rolling baseline.

    A FILE is a raw result (perf_*.json), a normalized record, or a folder of them. A result fails when a
    gated metric is worse than the median of its last results by more than the percent floor and by more
    than the absolute floor. Every verdict is an event: `perfledger explain` shows what it rests on.

    \b
    Exit codes: 0 pass or calibration needed, 1 regression, mismatch or infra error, 5 nothing measured.
    """
    env = os.environ
    policy = read_policy_file(asked.policy_file) if asked.policy_file else None
    _refuse_bad_outputs(asked.markdown_file, asked.normalized_dir)
    ledger = app.ledger()
    for output in filter(None, (asked.markdown_file, asked.normalized_dir, *map(env.get, OUTPUT_VARIABLES))):
        outside_ledger(output, ledger.path)
    if asked.tracking_root:
        _import_first(app, ledger, asked.tracking_root)
    results = [read_file(path, format_name=asked.format_name, env=env) for path in find_files(asked.files)]
    _refuse_not_finite(app, ledger, results, policy)
    recorded = record_results(ledger, results)
    with app.state(ledger) as state:
        policy = effective_policy(state, policy, window=asked.window, env=env)
        judged = judge_all(ledger, state, recorded, policy, env=env, run_failed=asked.pytest_rc != 0)
    document = document_of(judged, policy)
    _write_artifacts(app, judged, asked.normalized_dir, env)
    _write_summary(app, document, asked.markdown_file, env)
    app.emit(document, lambda: check_summary.text(document, colour=not app.no_color))
    chosen = _to_upload(judged, asked.upload or upload_policy(env.get("PERF_UPLOAD_POLICY")))
    if chosen and asked.dry_run:
        _show_uploads(app, chosen)
    elif chosen:
        from commands.results.upload_queue import queue_records

        queue_records(app, ledger, chosen)
    return int(document["exit_code"])


def _refuse_bad_outputs(markdown_file: str | None, normalized_dir: str | None) -> None:
    """Refuse outputs that cannot be written before anything is recorded, not after the verdict."""
    if markdown_file and not Path(markdown_file).absolute().parent.is_dir():
        raise BadInput(
            f"--markdown {markdown_file}: its folder does not exist; nothing was recorded",
            code="no_folder",
            hint="make the folder, or choose another",
        )
    if normalized_dir and Path(normalized_dir).exists() and not Path(normalized_dir).is_dir():
        raise BadInput(
            f"--normalized-dir {normalized_dir} is a file; nothing was recorded",
            code="not_a_folder",
            hint="choose a folder",
        )


def document_of(judged: Sequence[Judged], policy: MetricPolicy) -> dict[str, Any]:
    """Return the answer of a check: the worst status over its records, and the records."""
    records = [one.as_dict() for one in judged]
    status = worst([row["status"] for row in records])
    document = {
        "status": status,
        "exit_code": exit_code(status, policy),
        "window": policy.window,
        "records": records,
        "policy": policy.name,
        "policy_digest": policy.digest(),
    }
    if not records:
        document["reason"] = "there was no result file to judge"
    return document


def effective_policy(
    state: State, given: MetricPolicy | None, *, window: int | None, env: Mapping[str, str]
) -> MetricPolicy:
    """Return the policy to judge by: the given file's, else the adopted one, with what options and
    environment set on top. `PERF_MAX_REGRESSION` is the older single limit of results without identity."""
    import msgspec

    from projections.results.window import adopted_policy

    policy = given or adopted_policy(state)
    single = env.get("PERF_MAX_REGRESSION")
    if single and policy.rules.legacy_max_regression is None:
        limit = safe_float(single)
        if limit is None or not math.isfinite(limit):
            raise BadInput(
                f"PERF_MAX_REGRESSION is {single!r}; it must be a fraction such as 0.05",
                code="bad_environment",
                hint="unset it, or set a number",
            )
        rules = msgspec.structs.replace(policy.rules, legacy_max_regression=limit)
        policy = msgspec.structs.replace(policy, rules=rules)
    return policy if window is None else msgspec.structs.replace(policy, window=window)


def _refuse_not_finite(app: App, ledger: Ledger, results: Sequence[Measured], policy: MetricPolicy | None) -> None:
    """Refuse NaN and infinities before anything is recorded, unless the policy drops them."""
    if not any(measured.unusable for measured in results):
        return
    if policy is None:
        from projections.results.window import adopted_policy

        with app.state(ledger) as state:
            policy = adopted_policy(state)
    for measured in results:
        if policy.rules.not_finite == "refuse":
            refuse_unusable(measured)
        for name, reason in measured.unusable.items():
            app.note(f"warning: {measured.path}: field {name} is not measured: {reason}")


def _import_first(app: App, ledger: Ledger, root: str) -> None:
    """Bring a history in before judging. A missing folder is an empty history, as it is for the existing tool.

    A dataset that cannot be reached is an error (exit 4): judging without it could pass what it would fail.
    """
    if not root.startswith("hf://") and not Path(root).is_dir():
        app.note(f"warning: tracking root {root} is not a folder; judging without it")
        return
    from commands.imports.hf_tracking import import_history

    report = import_history(app, ledger, root)
    for row in report.skipped:
        app.note(f"warning: {root}/{row['path']} skipped: {row['reason']}")
    for row in report.unusable:
        app.note(f"warning: {root}/{row['path']}: field {row['field']} not kept: {row['reason']}")


def _write_artifacts(app: App, judged: Sequence[Judged], folder: str | None, env: Mapping[str, str]) -> None:
    """Write each judged record under its artifact name; two results of one name get numbers, none is lost."""
    reports = env.get("PERF_REPORTS_DIR")
    target = Path(folder) if folder else Path(reports) / "results" if reports else None
    if target is None or not judged:
        return
    from commands.cli.output import to_json
    from commands.literals.files import replace_file

    with _best_effort(app, folder is None, target):
        target.mkdir(parents=True, exist_ok=True)
        taken: set[str] = set()
        for one in judged:
            record = one.normalized()
            name = unused(artifact_name(record), taken)
            taken.add(name)
            replace_file(target / name, (to_json(record) + "\n").encode())


def _write_summary(app: App, document: dict[str, Any], given: str | None, env: Mapping[str, str]) -> None:
    """Write the Markdown summary where it was asked for, and append it to `$GITHUB_STEP_SUMMARY`."""
    reports, step = env.get("PERF_REPORTS_DIR"), env.get("GITHUB_STEP_SUMMARY")
    if not (given or reports or step):
        return
    from commands.literals.files import replace_file

    summary = check_summary.markdown(document)
    if given:
        replace_file(Path(given), summary.encode())
    if reports:
        commit = (env.get("BUILDKITE_COMMIT") or "unknown")[:7]
        name = f"perf_{commit}_{time.strftime('%Y%m%d_%H%M%S')}.md"
        with _best_effort(app, True, Path(reports) / name):
            Path(reports).mkdir(parents=True, exist_ok=True)
            replace_file(Path(reports) / name, summary.encode())
    if step:
        with _best_effort(app, True, Path(step)), Path(step).open("a", encoding="utf-8") as file:
            file.write(summary + "\n")


@contextlib.contextmanager
def _best_effort(app: App, wanted: bool, where: Path) -> Iterator[None]:
    """What only the environment asked for must not cost the verdict: say what failed and go on."""
    try:
        yield
    except OSError as error:
        if not wanted:
            raise
        app.note(f"warning: could not write {error.filename or where}: {error.strerror}")


def _to_upload(judged: Sequence[Judged], policy: str) -> list[Judged]:
    """Return the results whose records the upload policy sends: all of them, the successful ones, or none."""
    return [one for one in judged if policy == "always" or (policy == "pass" and one.verdict.success)]


def _show_uploads(app: App, chosen: Sequence[Judged]) -> None:
    from commands.results.upload_queue import record_files

    for file in record_files(chosen):
        app.note(f"would upload {file.path} ({len(file.data)} bytes), the record of {file.target}")

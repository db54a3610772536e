"""The run directory in the layout that calibration tools and their watchers know.

For a session of this ledger it is a projection: every file but the logs can be written again from
the events, and nothing here is read to decide anything. A directory another tool wrote is read here
and becomes events (`import_run.py`).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from commands.intake.formats import json_text
from ledger.errors import BadInput
from ledger.events.calibrations import RepeatImported
from projections.calibration.session import Observation, Session, unit_of

SESSION_KEY = "perfledger_session"
LAYOUT_VERSION = "0.6.0"
READ_BYTES = 1 << 20
# an audit shows a cell for every repeat up to the last: a number from a file must not decide how much work that is
REPEATS_MAX = 9_999
_RUN_FILE = re.compile(r"run([1-9][0-9]{0,3})\.json")

PLAN_HINT = "name a run directory written by `calibrate run` or tune.py"
# what a plan cannot do without
_PLAN_FIELDS: tuple[tuple[str, type, str], ...] = (
    ("model", str, "text"),
    ("stages", list, "a list of stage keys"),
    ("repeats", int, "a whole number"),
)

# the fields of run{k}.json that an event has a place of its own for
_KNOWN_FIELDS = {
    "status",
    "reason",
    "metrics",
    "sample_counts",
    "duration_s",
    "attempts",
    "git_sha",
    "recorded_at",
    "pytest_log",
    "basetemp",
    "pytest_rc",
    "destructive",
    "destructive_evidence",
    "block_discarded",
}


class RunDirectory:
    """One run directory; `path` as given by the user."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def plan_path(self) -> Path:
        """plan.json, which makes a folder a run directory."""
        return self.path / "plan.json"

    @property
    def log_path(self) -> Path:
        """run.log, the milestone stream; only ever appended to."""
        return self.path / "run.log"

    @property
    def report_path(self) -> Path:
        """Return the path of report.md; its HTML twin is in the same folder."""
        return self.path / "report.md"

    def absolute(self) -> RunDirectory:
        """The same folder by its absolute path, as processes that work elsewhere need it."""
        return RunDirectory(self.path.resolve())

    def exists(self) -> bool:
        """Whether there is a plan here."""
        return self.plan_path.is_file()

    def plan(self) -> tuple[dict[str, Any], bytes]:
        """Return plan.json and its bytes. Raises `BadInput` when it is missing or no plan."""
        try:
            data = self.plan_path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise BadInput(
                f"no plan.json in {self.path}",
                code="no_plan",
                hint="name a run directory; `perfledger sql 'FROM calibrations'` lists the known ones",
                run_dir=str(self.path),
            ) from None
        plan = _json_object(self.plan_path, data)
        for field, kind, words in _PLAN_FIELDS:
            if not isinstance(plan.get(field), kind) or isinstance(plan.get(field), bool):
                raise BadInput(
                    f"{self.plan_path}: {field} must be {words}",
                    code="bad_plan",
                    hint=PLAN_HINT,
                    field=field,
                )
        _refuse_wrong_plan(self.plan_path, plan)
        return plan, data

    def precheck(self) -> dict[str, Any]:
        """Return precheck.json; empty when there is none."""
        path = self.path / "precheck.json"
        return _json_object(path, path.read_bytes()) if path.is_file() else {}

    def run_files(self, stages: list[str]) -> Iterator[tuple[str, int, bytes]]:
        """Yield (stage, repeat, bytes) of every run{k}.json of these stages, repeats ascending."""
        for stage in stages:
            folder = self.path / stage
            if not folder.is_dir():
                continue
            with os.scandir(folder) as entries:
                found = [m for entry in entries if (m := _RUN_FILE.fullmatch(entry.name))]
            for match in sorted(found, key=lambda m: int(m[1])):
                yield stage, int(match[1]), _bytes_of(f"{folder}/{match[0]}")

    def run_file(self, stage: str, repeat: int) -> Path:
        """The path of one observation."""
        return self.path / stage / f"run{repeat}.json"

    def pytest_log(self, unit: str, repeat: int) -> Path:
        """The combined pytest output of one repeat of a unit."""
        return self.path / "_pytest" / unit / f"run{repeat}.log"

    def basetemp(self, unit: str, repeat: int) -> Path:
        """The folder pytest gets as --basetemp for one repeat of a unit."""
        return self.path / "_pytest" / unit / f"basetemp_run{repeat}"

    # -------------------------------------------------------------- projecting

    def project(self, session: Session) -> None:
        """Write every file the events imply and remove the run files they do not; idempotent."""
        self.write_plan(session)
        for stage in session.plan.stages:
            wanted = set(session.rounds(stage.key))
            folder = self.path / stage.key
            present = [int(m[1]) for p in folder.glob("run*.json") if (m := _RUN_FILE.fullmatch(p.name))]
            for repeat in present:
                if repeat not in wanted:
                    self.remove_run_file(stage.key, repeat)
            for repeat in sorted(wanted):
                self.write_run_file(session, session.observations[stage.key, repeat])

    def write_plan(self, session: Session) -> None:
        """Write plan.json as the existing tool lays it out, with the session's name added."""
        plan, resumed = session.plan, session.resumes[-1] if session.resumes else None
        document: dict[str, Any] = {
            "model": plan.model,
            "stages": [stage.key for stage in plan.stages],
            "repeats": plan.repeats,
            "timestamp": plan.started_at,
            "calibration_started_at": plan.started_at,
            "calibration_git_sha": plan.calibration_git_sha,
            "git_sha": plan.calibration_git_sha,
            "git_branch": plan.git_branch,
            "dirty": resumed.dirty if resumed else plan.dirty,
            "venv_python": plan.venv_python,
            "venv_source": plan.venv_source,
            "tune_version": plan.tune_version or LAYOUT_VERSION,
            "stages_yaml": plan.stages_yaml,
        }
        if resumed:
            document["last_resume_at"] = resumed.resumed_at
            document["last_resume_git_sha"] = resumed.git_sha
        equivalent = session.accepted_commits - {plan.calibration_git_sha}
        if equivalent:
            document["equivalent_commits"] = sorted(equivalent)
        if session.sources:
            document["source_runs"] = list(session.sources)
        document[SESSION_KEY] = session.id
        write_if_changed(self.plan_path, to_file_json(document))

    def write_run_file(self, session: Session, seen: Observation) -> None:
        """Write one run{k}.json and the run{k}.log that points at the shared log."""
        path = self.run_file(seen.stage, seen.repeat)
        write_if_changed(path, to_file_json(run_file_document(session, seen)))
        pointer = (
            f"# stage: {seen.stage} run {seen.repeat}\n# pytest log: {seen.pytest_log}\n# basetemp: {seen.basetemp}\n"
        )
        write_if_changed(path.with_suffix(".log"), pointer.encode())

    def remove_run_file(self, stage: str, repeat: int) -> None:
        """Remove one observation's file and pointer; the shared log stays."""
        path = self.run_file(stage, repeat)
        path.unlink(missing_ok=True)
        path.with_suffix(".log").unlink(missing_ok=True)

    def append_log(self, line: str) -> None:
        """Append a milestone line to run.log."""
        with self.log_path.open("a", encoding="utf-8") as log:
            log.write(line + "\n")


def run_file_document(session: Session, seen: Observation) -> dict[str, Any]:
    """The content of run{k}.json, fields in the existing tool's order, later ones after them."""
    document: dict[str, Any] = {
        "status": seen.status,
        "reason": seen.reason,
        "metrics": _in_schema_order(session, seen),
        "sample_counts": {"total": seen.samples_total, "ok": seen.samples_ok},
        "duration_s": round(seen.duration_s or 0.0, 2),
        "attempts": seen.attempts,
        "git_sha": seen.commits[0] if seen.commits else "",
        "recorded_at": seen.recorded_at,
        "pytest_log": seen.pytest_log,
        "basetemp": seen.basetemp,
    }
    stage = session.stages.get(seen.stage)
    docs = stage is not None and stage.is_docs and not seen.sha256
    if seen.pytest_rc is not None and not docs:  # the layout has no exit code for documentation stages
        document["pytest_rc"] = seen.pytest_rc
    document |= seen.extra
    round_ = (unit_of(session.plan, seen.stage), seen.repeat)
    rejected = session.rejected.get(round_)
    if rejected or seen.destructive:
        document["destructive"] = True
    if rejected:
        document["destructive_evidence"] = [
            msgspec.to_builtins(e) for e in rejected.evidence if e.stage == seen.stage
        ] or [msgspec.to_builtins(e) for e in rejected.evidence]
    if round_ in session.discarded or seen.block_discarded:
        document["block_discarded"] = True
    return document


def _in_schema_order(session: Session, seen: Observation) -> dict[str, float | None]:
    """The metrics as the schema orders them; events keep keys sorted."""
    stage = session.stages.get(seen.stage)
    known = [m.key for m in stage.metrics if m.key in seen.metrics] if stage else []
    return {key: seen.metrics[key] for key in [*known, *(k for k in seen.metrics if k not in known)]}


def read_run_file(session: str, stage: str, repeat: int, data: bytes) -> RepeatImported:
    """Turn the bytes of a run{k}.json into an event payload; bytes that are no object are kept as such.

    Values that are not finite become null, with their text in `not_finite`. Texts and booleans in
    the place of numbers are null too: the existing tool read `"5"` and `true` as measurements.
    """
    digest = hashlib.sha256(data).hexdigest()
    try:
        document = json_text.loads(data)
    except (ValueError, UnicodeDecodeError, RecursionError):
        document = None
    if not isinstance(document, dict):
        return RepeatImported(session=session, stage=stage, repeat=repeat, sha256=digest, readable=False)
    metrics, not_finite = _numbers(document.get("metrics"))
    counts = document.get("sample_counts")
    counts = counts if isinstance(counts, dict) else {}
    extra = {k: _storable(v) for k, v in document.items() if k not in _KNOWN_FIELDS}
    evidence = document.get("destructive_evidence")
    return RepeatImported(
        session=session,
        stage=stage,
        repeat=repeat,
        sha256=digest,
        status=_text(document.get("status")),
        reason=_text(document.get("reason")),
        metrics=metrics,
        not_finite=not_finite,
        samples_total=_count(counts.get("total")),
        samples_ok=_count(counts.get("ok")),
        duration_s=_number(document.get("duration_s")),
        attempts=_count(document.get("attempts")),
        git_sha=_text(document.get("git_sha")),
        recorded_at=_text(document.get("recorded_at")),
        pytest_log=_text(document.get("pytest_log")),
        basetemp=_text(document.get("basetemp")),
        pytest_rc=_count(document.get("pytest_rc")),
        destructive=document.get("destructive") is True,
        block_discarded=document.get("block_discarded") is True,
        destructive_evidence=[_storable(v) for v in evidence] if isinstance(evidence, list) else [],
        extra=extra,
    )


def to_file_json(document: Mapping[str, Any]) -> bytes:
    """JSON as the existing tool writes it: two spaces, non-ASCII escaped, order kept."""
    return (json.dumps(document, indent=2, allow_nan=False) + "\n").encode("ascii")


def write_if_changed(path: Path, data: bytes) -> bool:
    """Replace a file as a whole, so that a reader or a crash never sees half of it.

    Files that hold these bytes already are left alone, which keeps their times for watchers. Raises `OSError` with
    the name of the file when there is no room; nothing of it stays then.
    """
    try:
        if path.read_bytes() == data:
            return False
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_bytes(data)
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from None
    return True


def _refuse_wrong_plan(path: Path, plan: Mapping[str, Any]) -> None:
    """Raise `BadInput` for fields of the right type with values that no run can have."""
    stages: list[Any] = plan["stages"]
    twice = next((key for n, key in enumerate(stages) if key in stages[:n]), None)
    wrong = ""
    if not all(isinstance(key, str) for key in stages):
        field, wrong = "stages", "must be a list of stage keys"
    elif twice is not None:
        field, wrong = "stages", f"names {twice!r} twice"
    elif not 1 <= plan["repeats"] <= REPEATS_MAX:
        field, wrong = "repeats", f"must be from 1 to {REPEATS_MAX}"
    if wrong:
        raise BadInput(f"{path}: {field} {wrong}", code="bad_plan", hint=PLAN_HINT, field=field)


def _bytes_of(path: str) -> bytes:
    """Read a small file with three system calls: an audit reads a thousand, and pathlib doubles their cost."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.read(descriptor, READ_BYTES)
        while len(data) % READ_BYTES == 0 and (more := os.read(descriptor, READ_BYTES)):
            data += more
        return data
    except OSError as error:  # of a read, which does not know the name: a folder in the file's place
        raise OSError(error.errno, error.strerror, path) from None
    finally:
        os.close(descriptor)


def _json_object(path: Path, data: bytes) -> dict[str, Any]:
    try:
        document = json_text.loads(data)
    except (ValueError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not JSON: {error}", code="bad_json", hint=f"restore {path}") from None
    if not isinstance(document, dict):
        raise BadInput(f"{path} is not a JSON object", code="bad_json", hint=f"restore {path}")
    return document


def _numbers(value: Any) -> tuple[dict[str, float | None], dict[str, str]]:
    metrics: dict[str, float | None] = {}
    not_finite: dict[str, str] = {}
    for key, raw in (value if isinstance(value, dict) else {}).items():
        metrics[key] = _number(raw)
        if isinstance(raw, float) and metrics[key] is None:
            not_finite[key] = str(raw)
    return metrics, not_finite


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if number - number == 0 else None  # false for NaN and both infinities


def _count(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and abs(value) < 2**63 else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _storable(value: Any) -> Any:
    """Replace what an event cannot hold (NaN, huge integers) by its text."""
    if isinstance(value, dict):
        return {str(k): _storable(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_storable(v) for v in value]
    if isinstance(value, float) and value - value != 0:
        return str(value)
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return str(value)
    return value

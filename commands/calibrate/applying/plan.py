"""What `apply` would write: every metric of a calibration beside the literal in the file today."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import msgspec

from commands.calibrate.applying.write_value import percent_change, write_value
from commands.calibrate.config.metrics import Registry, default_registry
from commands.calibrate.config.stages import WorstOp
from commands.calibrate.measured_repository import moved_along
from commands.literals.finder import Constants, NumberSite, find_constants
from commands.literals.rewriter import locate
from commands.literals.source import read_source
from ledger.errors import BadInput, Refused
from ledger.events.calibrations import PlannedMetric, PlannedStage
from projections.calibration.session import Session
from projections.calibration.worst_of_n import direction, metric_worst

_BARE = re.compile(r"_?[A-Z][A-Z0-9_]*\Z")
_NESTED = re.compile(r"(_?[A-Z][A-Z0-9_]*)\[\s*(['\"])([^'\"]+)\2\s*\]\Z")
CONCURRENCY = "CONCURRENCY"


class MetricPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One metric: what was measured, what the file contains, what would be written.

    Values are raw. `direction`: `tightens`, `loosens`, `equal`, `unknown` (no literal to compare
    with), `fixed` (pinned by hand). `site` is the literal's place; `problem` says why there is none.
    """

    stage: PlannedStage
    metric: PlannedMetric
    source_kind: str
    symbol: str
    subkey: str | None
    file: Path
    concurrency: int | None
    values: tuple[float, ...]
    repeats: tuple[int, ...]
    worst: float | None
    write: int | float | None
    site: NumberSite | None
    problem: str
    problem_code: str
    direction: str

    @property
    def name(self) -> str:
        """`stage.metric`, how options and messages name it."""
        return f"{self.stage.key}.{self.metric.key}"

    @property
    def worst_op(self) -> WorstOp:
        """`min` for a lower bound, `max` for an upper one."""
        return cast(WorstOp, self.metric.worst)

    @property
    def current(self) -> int | float | None:
        """The number in the file; None when there is none, or the literal is `None`."""
        return None if self.site is None else self.site.value

    @property
    def literal(self) -> str:
        """The literal with the concurrency put in: `_MMSU_P95[16]['throughput_qps']`."""
        if self.site is not None:
            return self.site.name
        if self.subkey is None or self.concurrency is None:
            return self.metric.source
        return f"{self.symbol}[{self.concurrency}][{self.subkey!r}]"

    def as_json(self) -> dict[str, Any]:
        """The existing tool's fields first, then what it does not know."""
        return {
            "metric_key": self.metric.key,
            "source": self.metric.source,
            "source_kind": self.source_kind,
            "symbol": self.symbol,
            "subkey": self.subkey,
            "stage_group": self.stage.group,
            "worst_op": self.metric.worst,
            "per_run_raw": list(self.values),
            "worst_raw": self.worst,
            "worst_rounded": None if self.worst is None else round(self.worst, self.metric.digits),
            "write_value": self.write,
            "digits": self.metric.digits,
            "scale": self.metric.scale,
            "label": self.metric.label,
            "current_raw": self.current,
            "direction": self.direction,
            "per_run_repeats": list(self.repeats),
            "percent": percent_change(self.current, self.write),
            "literal": self.literal,
            "current_text": None if self.site is None else self.site.text,
            "line": None if self.site is None else self.site.line,
            "problem": self.problem or None,
        }


class ApplyPlan(msgspec.Struct, frozen=True, kw_only=True):
    """All metrics of a session in plan order, and the files as they were read for it."""

    session: Session
    root: Path
    registry: Registry
    metrics: tuple[MetricPlan, ...]
    constants: Mapping[Path, Constants]

    def as_json(self, *, run_dir: str) -> dict[str, Any]:
        """The document of `plan-apply --json`; stages without metrics are left out."""
        return {
            "model": self.session.plan.model,
            "run_dir": run_dir,
            "repeats": self.session.plan.repeats,
            "stages": [
                self._stage(stage, [m for m in self.metrics if m.stage.key == stage.key])
                for stage in self.session.plan.stages
                if stage.metrics
            ],
        }

    def _stage(self, stage: PlannedStage, metrics: list[MetricPlan]) -> dict[str, Any]:
        rounds = self.session.rounds(stage.key)
        rejected = [r for r in rounds if self.session.set_aside(stage.key, r)]
        return {
            "stage_key": stage.key,
            "test": str(self.root / stage.test),
            "threshold_file": str(self.root / (stage.threshold_file or stage.test)),
            "title": stage.title,
            "stage_group": stage.group,
            "variant": stage.variant,
            "calibration_preset": stage.calibration_preset,
            "gpus": stage.gpus,
            "concurrency": metrics[0].concurrency,
            "rounds": len(rounds),
            "rejected_rounds": rejected,
            "effective_n": len(rounds) - len(rejected),
            "metrics": [metric.as_json() for metric in metrics],
        }


def build_plan(session: Session, root: Path) -> ApplyPlan:
    """Compare a session's worst values with the literals below the repository root.

    Raises `BadInput` for a test or threshold file that is missing or not Python.
    """
    registry = registry_of(session, root)
    constants: dict[Path, Constants] = {}
    metrics = [
        _metric_plan(session, stage, metric, root, registry, constants)
        for stage in session.plan.stages
        for metric in stage.metrics
    ]
    return ApplyPlan(session=session, root=root, registry=registry, metrics=tuple(metrics), constants=constants)


def registry_of(session: Session, root: Path) -> Registry:
    """Return the metric registry of the session's model: its config.yaml beside stages.yaml.

    A run directory that came without its configuration gets the defaults.
    """
    from commands.calibrate.config.model import load_model

    if session.plan.stages_yaml:
        path = moved_along(session.plan, root, session.plan.stages_yaml).with_name("config.yaml")
        if path.is_file():
            return load_model(path).registry
    return default_registry()


def _metric_plan(
    session: Session,
    stage: PlannedStage,
    metric: PlannedMetric,
    root: Path,
    registry: Registry,
    constants: dict[Path, Constants],
) -> MetricPlan:
    kind, symbol, subkey = split_source(metric.source)
    file = root / (stage.threshold_file or stage.test)
    found = _read(file, constants)
    concurrency = _concurrency([_read(root / stage.test, constants), found])
    seen = metric_worst(session, stage, metric.key)
    site, problem, problem_code = _site(found, kind, symbol, subkey, concurrency)
    spec = registry.metrics.get(metric.key)
    value = write_value(
        seen.worst_raw,
        rule=registry.group(stage.group).write,
        worst_op=cast(WorstOp, metric.worst),
        digits=metric.digits,
        count=spec.count if spec is not None else (metric.digits == 0 and metric.scale == 1),
    )
    move = direction(metric.worst, site.value if site else None, value)
    if registry.is_fixed(symbol):
        value, move = None, "fixed"
    return MetricPlan(
        stage=stage,
        metric=metric,
        source_kind=kind,
        symbol=symbol,
        subkey=subkey,
        file=file,
        concurrency=concurrency,
        values=seen.values,
        repeats=seen.repeats,
        worst=seen.worst_raw,
        write=value,
        site=site,
        problem=problem,
        problem_code=problem_code,
        direction=move,
    )


def split_source(source: str) -> tuple[str, str, str | None]:
    """Return (`bare` | `nested` | `unknown`, symbol, subkey) of a source as `stages.yaml` has it."""
    if _BARE.match(source):
        return "bare", source, None
    nested = _NESTED.match(source)
    if nested:
        return "nested", nested[1], nested[3]
    return "unknown", source, None


def _site(
    constants: Constants, kind: str, symbol: str, subkey: str | None, concurrency: int | None
) -> tuple[NumberSite | None, str, str]:
    """The literal's place, or why there is none, as a sentence and as the code of the refusal."""
    if kind == "unknown":
        return None, f"{symbol!r} is not a constant of a Python file", "no_literal"
    try:
        return locate(constants, symbol, subkey, concurrency), "", ""
    except Refused as refusal:
        return None, refusal.message, refusal.code


def _read(path: Path, constants: dict[Path, Constants]) -> Constants:
    if path not in constants:
        try:
            data = path.read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise BadInput(
                f"{path} is missing; its thresholds cannot be compared",
                code="test_file_missing",
                hint="give the measured repository with --repo-root DIR",
                file=str(path),
            ) from None
        constants[path] = find_constants(read_source(data, path))
    return constants[path]


def _concurrency(files: Iterable[Constants]) -> int | None:
    """The `CONCURRENCY` of the test file, else of the threshold file; zero counts as not found."""
    for constants in files:
        value = constants.integer(CONCURRENCY)
        if value:
            return value
    return None

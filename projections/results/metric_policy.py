"""How much worse is too much: limits per metric, and the rules of a comparison.

A metric regresses when it is worse by more than its percent floor AND by more than its absolute floor,
both strictly. A policy file may change limits and choose older rules; the result's own
`regression_thresholds` win over it, field by field.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from ledger import canonical
from ledger.errors import BadInput
from ledger.outside.files import read_bytes
from projections.facts import record
from projections.results.record_shape import METRICS

_YES = frozenset({"1", "true", "yes", "on"})
_NO = frozenset({"0", "false", "no", "off"})


class Limit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When one metric counts as worse: by more than both floors.

    threshold_percent is a fraction of the baseline, threshold_absolute is in the metric's unit; without
    an absolute floor (null) the percent floor decides alone.
    """

    threshold_percent: float
    threshold_absolute: float | None
    gated: bool = True


class Metric(msgspec.Struct, frozen=True):
    """One metric: how it is shown, its unit, which direction is better, and its default limit."""

    name: str
    label: str
    unit: str
    decimals: int
    higher_is_better: bool
    limit: Limit


CATALOGUE: dict[str, Metric] = {
    m.name: Metric(m.name, m.label, m.unit, m.decimals, m.higher_is_better, Limit(m.percent, m.absolute))
    for m in record.METRICS
}


class LimitChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a policy file changes of one metric's limit; what it leaves out stays as it is."""

    threshold_percent: float | None = None
    threshold_absolute: float | None = None
    gated: bool | None = None


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rules around the limits. Each default is the safe one; the other values are older behaviours.

    nothing_measured: a result without any metric is `inconclusive` (exit 5), or a `pass`.
    not_finite: NaN and infinities in a result `refuse` the file, or are `drop`ped: not measured.
    calibration_needed: an empty cohort is a `pass` with a warning, or `inconclusive` (exit 5).
    legacy_comparison: results without identity are compared on the `rolling` window, or `none`.
    legacy_match: they are matched by their own `model_id`, or by the `directory` that holds them.
    legacy_eligibility: history counts when `trusted` (no run source, scheduled main, or marked
      eligible), or whenever `successful`.
    legacy_max_regression: one percent-only limit for every metric of such results; null: the limits.
    order: the window is ordered by `instant` and then path, or by `path` alone.
    success_text: the text "false" in `success` means `meaning` what it says, or `truth`: any text is yes.
    record_overrides: a result's own `regression_thresholds` are `honoured`, or `ignored`.
    pinned: exceeding a pinned baseline is `inform`ation, or a `fail`.
    eligible_run_sources: the run sources whose passing results enter the baseline.
    """

    nothing_measured: Literal["inconclusive", "pass"] = "inconclusive"
    not_finite: Literal["refuse", "drop"] = "refuse"
    calibration_needed: Literal["pass", "inconclusive"] = "pass"
    legacy_comparison: Literal["rolling", "none"] = "rolling"
    legacy_match: Literal["model_id", "directory"] = "model_id"
    legacy_eligibility: Literal["trusted", "successful"] = "trusted"
    legacy_max_regression: float | None = None
    order: Literal["instant", "path"] = "instant"
    success_text: Literal["meaning", "truth"] = "meaning"
    record_overrides: Literal["honoured", "ignored"] = "honoured"
    pinned: Literal["inform", "fail"] = "inform"
    eligible_run_sources: tuple[Literal["pr", "local", "scheduled_main", "unknown"], ...] = ("scheduled_main",)


class MetricPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole policy: the window's length, changed limits per metric, and the rules."""

    name: str = "default"
    window: int = 5
    metrics: dict[str, LimitChange] = {}
    rules: Rules = Rules()

    def limit(self, metric: str) -> Limit:
        """Return a metric's limit under this policy, before a result's own overrides."""
        change = self.metrics.get(metric, LimitChange())
        default = CATALOGUE[metric].limit
        return Limit(
            default.threshold_percent if change.threshold_percent is None else change.threshold_percent,
            default.threshold_absolute if change.threshold_absolute is None else change.threshold_absolute,
            default.gated if change.gated is None else change.gated,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the policy as plain data, every rule spelled out."""
        data: dict[str, Any] = msgspec.to_builtins(self)
        data["metrics"] = {name: msgspec.to_builtins(self.limit(name)) for name in METRICS}
        return data

    def digest(self) -> str:
        """Return SHA-256 hex over the canonical JSON of `as_dict` without the name."""
        data = self.as_dict()
        del data["name"]
        return hashlib.sha256(canonical.encode(data)).hexdigest()


def policy_from(data: Any, *, where: str) -> MetricPolicy:
    """Return a policy from the data of a file or event. Raises `BadInput` naming `where` and the field."""
    if data is None:
        data = {}
    try:
        policy = msgspec.convert(data, MetricPolicy)
    except msgspec.ValidationError as error:
        raise _refused(where, str(error).replace(" - at `$", " at `")) from None
    for name, change in policy.metrics.items():
        if name not in CATALOGUE:
            raise _refused(where, f"metrics.{name} is not a metric; the metrics are {', '.join(METRICS)}")
        for field in ("threshold_percent", "threshold_absolute"):
            value = getattr(change, field)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise _refused(where, f"metrics.{name}.{field} is {value}; it must be a number of at least 0")
    if policy.window < 1:
        raise _refused(where, f"window is {policy.window}; it must be at least 1")
    limit = policy.rules.legacy_max_regression
    if limit is not None and not math.isfinite(limit):
        raise _refused(where, f"rules.legacy_max_regression is {limit}; it must be a number")
    return policy


def _refused(where: str, what: str) -> BadInput:
    return BadInput(
        f"{where}: {what}", code="bad_policy", hint="perfledger policy show prints a complete policy", file=where
    )


def read_policy_file(path: str) -> MetricPolicy:
    """Read a YAML (or JSON) policy file. Raises `BadInput` naming the file and field."""

    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        data = YAML(typ="safe", pure=True).load(read_bytes(path).decode("utf-8"))
    except (YAMLError, UnicodeDecodeError, ValueError) as error:
        line = str(getattr(error, "problem", None) or error).splitlines()[0]
        raise _refused(path, f"not readable as YAML: {line}") from None
    except RecursionError:
        raise _refused(path, "nested too deeply") from None
    return policy_from(data, where=path)


def overrides_of(container: Any) -> dict[str, dict[str, float | bool]]:
    """Return the valid overrides in a `regression_thresholds` value, per known metric.

    Numbers and numeric text count, booleans and junk do not; `gated` may be a bool or one of
    1/true/yes/on, 0/false/no/off. Unknown metrics and containers that are no objects are dropped.
    A floor that is not finite is junk too: nothing could ever exceed NaN.
    """
    found: dict[str, dict[str, float | bool]] = {}
    if not isinstance(container, dict):
        return found
    for metric in METRICS:
        block = container.get(metric)
        if not isinstance(block, dict):
            continue
        fields: dict[str, float | bool] = {}
        for name in ("threshold_percent", "threshold_absolute"):
            number = _floor(block.get(name))
            if number is not None:
                fields[name] = number
        gated = _flag(block.get("gated"))
        if gated is not None:
            fields["gated"] = gated
        if fields:
            found[metric] = fields
    return found


def _floor(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _flag(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower() if isinstance(value, str | int) else ""
    if text in _YES:
        return True
    return False if text in _NO else None


def effective_limits(overrides: Any, policy: MetricPolicy | None = None) -> dict[str, Limit]:
    """Return the limit of every metric for one result: its overrides over the policy over the defaults.

    A normalized record spells out all limits, so an override that equals the default is ignored: it must
    not undo what a policy file says.
    """
    policy = policy or MetricPolicy()
    found = overrides_of(overrides) if policy.rules.record_overrides == "honoured" else {}
    limits: dict[str, Limit] = {}
    for metric in METRICS:
        default = CATALOGUE[metric].limit
        changed = {key: value for key, value in found.get(metric, {}).items() if value != getattr(default, key)}
        limits[metric] = msgspec.structs.replace(policy.limit(metric), **changed)
    return limits


def limits_as_dict(limits: Mapping[str, Limit]) -> dict[str, dict[str, Any]]:
    """Return limits as a normalized record spells them: metric to threshold_percent, threshold_absolute, gated."""
    return {name: msgspec.to_builtins(limit) for name, limit in limits.items()}

"""The metric registry: which metrics exist, which constant names bound them, what apply writes.

The defaults are `metrics.yaml` beside this file; a model's `config.yaml` may add metrics, name
patterns, groups and pinned symbols of its own, so that a new model needs no Python change.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast

import msgspec

from commands.calibrate.config.stages import Display, WorstOp, scalar_text
from ledger.errors import BadInput

WriteRule = Literal["raw", "ceil4", "ceil", "rounded"]
SmartRule = Literal["always", "tightens", "ask"]


class MetricSpec(msgspec.Struct, frozen=True):
    """One metric: its group, its bound and its display. `count`: whole numbers by nature."""

    key: str
    group: str
    worst: WorstOp
    display: Display
    nested: bool = False
    count: bool = False


class GroupRule(msgspec.Struct, frozen=True):
    """What `apply` does with a group: which number it writes, and what `smart` writes unasked."""

    write: WriteRule = "rounded"
    smart: SmartRule = "ask"


class SampleConstant(msgspec.Struct, frozen=True):
    """A constant that says how many samples a stage has; empty `groups` or `variants` fit all."""

    constant: str
    groups: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()

    def fits(self, group: str, variant: str | None) -> bool:
        """Whether the constant names a stage of this group and variant."""
        return (not self.groups or group in self.groups) and (not self.variants or variant in self.variants)


class Convention(msgspec.Struct, frozen=True):
    """Where tests that import `imports` (None: any test) keep their numbers by default."""

    paths: dict[str, str]
    sample_counts: dict[str, str]
    imports: str | None = None


class Registry(msgspec.Struct, frozen=True):
    """Metrics, name patterns in the order they are tried, groups, pinned symbols, conventions."""

    metrics: dict[str, MetricSpec] = {}
    patterns: tuple[tuple[re.Pattern[str], str | None], ...] = ()
    groups: dict[str, GroupRule] = {}
    fixed_symbols: frozenset[str] = frozenset()
    sample_constants: tuple[SampleConstant, ...] = ()
    conventions: tuple[Convention, ...] = ()

    def metric_of(self, symbol: str, subkey: str | None = None) -> MetricSpec | None:
        """Return the metric a constant bounds; of a nested table its `subkey` alone decides.

        None means that the name is no threshold as far as the patterns know.
        """
        if subkey is not None:
            found = self.metrics.get(subkey)
            return found if found is not None and found.nested else None
        for pattern, metric in self.patterns:
            if pattern.fullmatch(symbol):
                return None if metric is None else self.metrics[metric]
        return None

    def group(self, name: str) -> GroupRule:
        """Return the rule of a group; an undeclared group is written rounded, on request."""
        return self.groups.get(name) or GroupRule()

    def is_fixed(self, symbol: str) -> bool:
        """Whether the symbol is pinned by hand and must never be written."""
        return symbol in self.fixed_symbols


@functools.cache
def default_registry() -> Registry:
    """Return the registry of `metrics.yaml`."""
    from commands.calibrate.config.yaml_reader import parse_yaml

    path = Path(__file__).with_name("metrics.yaml")
    return extend_registry(Registry(), parse_yaml(path.read_bytes(), path), path)


def extend_registry(base: Registry, document: Mapping[str, Any], path: Path) -> Registry:
    """Return `base` plus what a configuration declares; its patterns are tried first.

    Raises `BadInput` naming file and field for what is not as `docs/calibrate.md` says.
    """
    metrics = dict(base.metrics)
    for key, entry in _mapping(document, "metrics", path).items():
        metrics[key] = _metric(key, entry, path)
    patterns = [
        _pattern(number, entry, metrics, path)
        for number, entry in enumerate(_list(document, "metric_patterns", path), start=1)
    ]
    groups = dict(base.groups)
    for name, entry in _mapping(document, "groups", path).items():
        groups[name] = _group(name, entry, path)
    fixed = {scalar_text(item) for item in _list(document, "fixed_symbols", path)}
    samples = [
        _sample_constant(number, entry, path)
        for number, entry in enumerate(_list(document, "sample_constants", path), start=1)
    ]
    conventions = [
        _convention(number, entry, path) for number, entry in enumerate(_list(document, "conventions", path), start=1)
    ]
    return Registry(
        metrics,
        (*patterns, *base.patterns),
        groups,
        base.fixed_symbols | frozenset(fixed),
        (*samples, *base.sample_constants),
        (*conventions, *base.conventions),
    )


def _metric(key: str, entry: Any, path: Path) -> MetricSpec:
    field = f"metrics.{key}"
    if not isinstance(entry, dict):
        raise bad_config(path, field, "a mapping with group, worst, label, scale and digits")
    if entry.get("worst") not in ("min", "max"):
        raise bad_config(path, f"{field}.worst", "`min` or `max`")
    if not entry.get("group"):
        raise bad_config(path, f"{field}.group", "the name of a group")
    scale, digits = entry.get("scale", 1), entry.get("digits", 4)
    if isinstance(scale, bool) or not isinstance(scale, (int, float)) or scale <= 0:
        raise bad_config(path, f"{field}.scale", "a number above 0")
    if isinstance(digits, bool) or not isinstance(digits, int) or not 0 <= digits <= 15:
        raise bad_config(path, f"{field}.digits", "a whole number from 0 to 15")
    display = Display(scalar_text(entry.get("label", key)), scale, digits)
    return MetricSpec(
        key,
        scalar_text(entry["group"]),
        cast(WorstOp, entry["worst"]),
        display,
        nested=entry.get("nested") is True,
        count=entry.get("count") is True,
    )


def _pattern(
    number: int, entry: Any, metrics: Mapping[str, MetricSpec], path: Path
) -> tuple[re.Pattern[str], str | None]:
    field = f"metric_patterns[{number}]"
    if not isinstance(entry, dict) or "match" not in entry or "metric" not in entry:
        raise bad_config(path, field, "a mapping with match and metric")
    metric = entry["metric"]
    if metric is not None and metric not in metrics:
        raise bad_config(path, f"{field}.metric", f"a declared metric, not {metric!r}")
    return compile_pattern(scalar_text(entry["match"]), path, f"{field}.match"), metric


def _group(name: str, entry: Any, path: Path) -> GroupRule:
    write = entry.get("write", "rounded") if isinstance(entry, dict) else None
    smart = entry.get("smart", "ask") if isinstance(entry, dict) else None
    if write not in ("raw", "ceil4", "ceil", "rounded"):
        raise bad_config(path, f"groups.{name}.write", "`raw`, `ceil4`, `ceil` or `rounded`")
    if smart not in ("always", "tightens", "ask"):
        raise bad_config(path, f"groups.{name}.smart", "`always`, `tightens` or `ask`")
    return GroupRule(write, smart)


def _sample_constant(number: int, entry: Any, path: Path) -> SampleConstant:
    field = f"sample_constants[{number}]"
    if not isinstance(entry, dict) or not entry.get("constant"):
        raise bad_config(path, field, "a mapping with constant, and groups or variants")
    return SampleConstant(
        scalar_text(entry["constant"]),
        tuple(scalar_text(item) for item in _list(entry, "groups", path)),
        tuple(scalar_text(item) for item in _list(entry, "variants", path)),
    )


def _convention(number: int, entry: Any, path: Path) -> Convention:
    if not isinstance(entry, dict):
        raise bad_config(path, f"conventions[{number}]", "a mapping with paths and sample_counts")
    imports = entry.get("imports")
    return Convention(
        {k: scalar_text(v) for k, v in _mapping(entry, "paths", path).items()},
        {k: scalar_text(v) for k, v in _mapping(entry, "sample_counts", path).items()},
        None if imports is None else scalar_text(imports),
    )


def compile_pattern(text: str, path: Path, field: str) -> re.Pattern[str]:
    """Compile a regular expression of a configuration. Raises `BadInput` naming file and field."""
    try:
        return re.compile(text)
    except re.error as error:
        raise bad_config(path, field, f"a regular expression ({error})") from None


def bad_config(path: Path, field: str, expected: str) -> BadInput:
    """Return the one error every malformed configuration field gives."""
    return BadInput(
        f"{path}: {field} must be {expected}",
        code="bad_config",
        hint=f"correct {field} in {path}",
        file=str(path),
        field=field,
    )


def _mapping(document: Mapping[str, Any], field: str, path: Path) -> dict[str, Any]:
    value = document.get(field)
    if value is None or value == []:
        return {}
    if not isinstance(value, dict):
        raise bad_config(path, field, "a mapping")
    return value


def _list(document: Mapping[str, Any], field: str, path: Path) -> list[Any]:
    value = document.get(field)
    if value is None or value == {}:
        return []
    if not isinstance(value, list):
        raise bad_config(path, field, "a list")
    return value

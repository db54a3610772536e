"""`metric_sources` of a model's config: where a test file's numbers are, per variant and preset."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from commands.calibrate.config.metrics import bad_config, compile_pattern
from commands.calibrate.config.stages import JsonPath, SampleCounts, scalar_text

MATCH_ALL = re.compile(r".*")


class Preset(msgspec.Struct, frozen=True):
    """One `calibration_presets` entry: the same tests measured under another environment."""

    name: str
    extra_env: dict[str, str] = {}
    gpus: int | None = None
    constant_filter: re.Pattern[str] = MATCH_ALL
    hf_model_ids: tuple[str, ...] = ()


class Routing(msgspec.Struct, frozen=True, kw_only=True):
    """Where the numbers of a file or of one variant of it lie.

    A path is `dotted.path` in `json_file`, or `file::dotted.path`.
    `expected_samples` is by group; the key None holds for all groups.
    """

    json_file: str | None = None
    paths: dict[str, str | None] = {}
    sample_counts: dict[str, str | None] | None = None
    sample_counts_by_group: dict[str, dict[str, str | None]] = {}
    expected_samples: dict[str | None, int] = {}
    observation_validity: str | None = None
    allowed_pytest_failure: str | None = None

    def at(self, dotted: str | None) -> JsonPath:
        """Return the place a configured path names; nothing when file or path is missing."""
        if dotted is None:
            return JsonPath()
        file, separator, path = dotted.partition("::")
        if separator:
            return JsonPath(file, path)
        return JsonPath(self.json_file, dotted) if self.json_file is not None else JsonPath()

    def counts(self, group: str) -> SampleCounts:
        """Return where a group's sample counts lie; four nulls when nothing is configured."""
        both = self.sample_counts_by_group.get(group) or self.sample_counts or {}
        return SampleCounts(self.at(both.get("total")), self.at(both.get("ok")))

    def expected(self, group: str) -> int | None:
        """Return the configured number of samples of a group, if any."""
        return self.expected_samples.get(group, self.expected_samples.get(None))


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """One `variants` entry: which constants it claims, and where their numbers lie."""

    name: str
    routing: Routing
    constant_filter: re.Pattern[str] = MATCH_ALL
    stage_base_override: str | None = None
    omit_variant_suffix: bool = False
    context_vars: tuple[str, ...] | None = None


class MetricSource(msgspec.Struct, frozen=True, kw_only=True):
    """One `metric_sources` entry."""

    routing: Routing
    ignored_constants: tuple[str, ...] = ()
    threshold_file: str | None = None
    presets: tuple[Preset, ...] = ()
    variants: tuple[Variant, ...] = ()


def metric_source_from(entry: Any, path: Path, field: str) -> MetricSource:
    """Read one entry. Raises `BadInput` naming file and field."""
    body = _mapping(entry, path, field)
    routing = routing_from(body, path, field)
    presets = _mapping(body.get("calibration_presets"), path, f"{field}.calibration_presets")
    variants = _mapping(body.get("variants"), path, f"{field}.variants")
    return MetricSource(
        routing=routing,
        ignored_constants=_texts(body.get("ignored_constants"), path, f"{field}.ignored_constants"),
        threshold_file=_text(body, "threshold_file", path, field),
        presets=tuple(
            _preset(name, value, path, f"{field}.calibration_presets.{name}") for name, value in presets.items()
        ),
        variants=tuple(
            _variant(name, value, routing, path, f"{field}.variants.{name}") for name, value in variants.items()
        ),
    )


def routing_from(body: Mapping[str, Any], path: Path, field: str) -> Routing:
    """Read the keys that say where numbers lie."""
    by_group = _mapping(body.get("sample_counts_by_group"), path, f"{field}.sample_counts_by_group")
    counts = body.get("sample_counts")
    return Routing(
        json_file=_text(body, "json_file", path, field),
        paths=_paths(body.get("paths"), path, f"{field}.paths"),
        sample_counts=None if counts is None else _paths(counts, path, f"{field}.sample_counts"),
        sample_counts_by_group={
            group: _paths(value, path, f"{field}.sample_counts_by_group.{group}") for group, value in by_group.items()
        },
        expected_samples=_expected(body.get("expected_samples"), path, f"{field}.expected_samples"),
        observation_validity=_text(body, "observation_validity", path, field),
        allowed_pytest_failure=_text(body, "allowed_pytest_failure", path, field),
    )


def merged(base: Routing, over: Routing) -> Routing:
    """Return `base` with what `over` says: its values win, its maps are merged key by key."""
    return Routing(
        json_file=over.json_file if over.json_file is not None else base.json_file,
        paths={**base.paths, **over.paths},
        sample_counts=over.sample_counts
        if base.sample_counts is None
        else {**base.sample_counts, **(over.sample_counts or {})},
        sample_counts_by_group={**base.sample_counts_by_group, **over.sample_counts_by_group},
        expected_samples={**base.expected_samples, **over.expected_samples},
        observation_validity=over.observation_validity or base.observation_validity,
        allowed_pytest_failure=over.allowed_pytest_failure or base.allowed_pytest_failure,
    )


def _preset(name: str, entry: Any, path: Path, field: str) -> Preset:
    body = _mapping(entry, path, field)
    return Preset(
        name,
        extra_env={k: scalar_text(v) for k, v in _mapping(body.get("extra_env"), path, f"{field}.extra_env").items()},
        gpus=_integer(body.get("gpus"), path, f"{field}.gpus"),
        constant_filter=_filter(body, path, field),
        hf_model_ids=_texts(body.get("hf_model_ids"), path, f"{field}.hf_model_ids"),
    )


def _variant(name: str, entry: Any, above: Routing, path: Path, field: str) -> Variant:
    body = _mapping(entry, path, field)
    own = routing_from(body, path, field)
    contexts = body.get("context_vars")
    return Variant(
        name=name,
        routing=_inherit(above, own),
        constant_filter=_filter(body, path, field),
        stage_base_override=_text(body, "stage_base_override", path, field),
        omit_variant_suffix=body.get("omit_variant_suffix") is True,
        context_vars=None if contexts is None else _texts(contexts, path, f"{field}.context_vars"),
    )


def _inherit(above: Routing, own: Routing) -> Routing:
    """A variant's paths stand alone; its file and what guards a repeat default to the test's."""
    return msgspec.structs.replace(
        own,
        json_file=own.json_file if own.json_file is not None else above.json_file,
        expected_samples={**above.expected_samples, **own.expected_samples},
        observation_validity=own.observation_validity or above.observation_validity,
        allowed_pytest_failure=own.allowed_pytest_failure or above.allowed_pytest_failure,
    )


def _filter(body: Mapping[str, Any], path: Path, field: str) -> re.Pattern[str]:
    text = _text(body, "constant_filter", path, field)
    if text is None:
        return MATCH_ALL
    return compile_pattern(text, path, f"{field}.constant_filter")


def _expected(value: Any, path: Path, field: str) -> dict[str | None, int]:
    if value is None or value == {}:
        return {}
    if isinstance(value, dict):
        pairs = {group: _integer(n, path, f"{field}.{group}") for group, n in value.items()}
        return {group: n for group, n in pairs.items() if n is not None}
    whole = _integer(value, path, field)
    return {} if whole is None else {None: whole}


def _paths(value: Any, path: Path, field: str) -> dict[str, str | None]:
    pairs = _mapping(value, path, field)
    for key, dotted in pairs.items():
        if isinstance(dotted, (dict, list)):
            raise bad_config(path, f"{field}.{key}", "`dotted.path` or `file::dotted.path`")
    return {k: None if v is None else scalar_text(v) for k, v in pairs.items()}


def _text(body: Mapping[str, Any], key: str, path: Path, field: str) -> str | None:
    value = body.get(key)
    if value is None or value == {}:
        return None
    if isinstance(value, (dict, list)):
        raise bad_config(path, f"{field}.{key}", "one value")
    return scalar_text(value)


def _texts(value: Any, path: Path, field: str) -> tuple[str, ...]:
    if value is None or value == {}:
        return ()
    if not isinstance(value, list):
        raise bad_config(path, field, "a list")
    return tuple(scalar_text(item) for item in value)


def _integer(value: Any, path: Path, field: str) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise bad_config(path, field, "a whole number")
    return value


def _mapping(value: Any, path: Path, field: str) -> dict[str, Any]:
    if value is None or value == []:
        return {}
    if not isinstance(value, dict):
        raise bad_config(path, field, "a mapping")
    return value

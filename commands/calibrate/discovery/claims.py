"""Which constants are thresholds, and which stage each of them belongs to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import msgspec

from commands.calibrate.config.metrics import MetricSpec, Registry
from commands.calibrate.config.sources import MetricSource, Preset, Variant
from commands.literals.finder import Binding, Constants
from ledger.errors import BadInput

# Names that suggest a bound; when no pattern matches them, the user is told.
_BOUND_WORD = re.compile(r"(?:.*_)?(?:MIN|MAX|REF|REFERENCE)(?:_.*)?\Z")
# Limits of the work asked for, not of how well it went.
_SCOPE_WORD = re.compile(r"(?:.*_)?(?:SAMPLES|TOKENS|CONCURRENCY|SEQ_LEN|TIMEOUT)(?:_.*)?\Z")
# Of several constants for one metric the reference is the one that calibration writes.
_PREFERRED_ENDINGS = ("_REF", "_REFERENCE")


class Candidate(msgspec.Struct, frozen=True):
    """A constant that bounds a metric: `SYMBOL`, or `SYMBOL['subkey']` below a concurrency."""

    symbol: str
    subkey: str | None
    metric: MetricSpec
    line: int

    @property
    def source(self) -> str:
        """How `stages.yaml` writes it."""
        return self.symbol if self.subkey is None else f"{self.symbol}[{self.subkey!r}]"


class Thresholds(msgspec.Struct, frozen=True):
    """What a file's constants are: thresholds, values computed from others, bounds of unknown metrics."""

    candidates: tuple[Candidate, ...]
    derived: tuple[Binding, ...]
    unmatched: tuple[str, ...]
    bound_twice: tuple[str, ...]


def thresholds_of(constants: Constants, registry: Registry, ignored: Iterable[str] = ()) -> Thresholds:
    """Sort a file's constants. `ignored` are symbols or sources that the configuration leaves out."""
    left_out = frozenset(ignored)
    candidates: dict[str, Candidate] = {}
    derived: list[Binding] = []
    unmatched: list[str] = []
    for binding in constants.bindings:
        if binding.symbol in left_out:
            continue
        metric = registry.metric_of(binding.symbol)
        if binding.kind == "table":
            found, unknown = _entries(binding, registry)
            unmatched += unknown
        elif binding.kind in ("number", "none", "expression") and metric is not None:
            found = [Candidate(binding.symbol, None, metric, binding.line)]
        else:
            found = []
            if binding.kind == "derived" and metric is not None:
                derived.append(binding)
            elif binding.kind == "number" and _looks_like_bound(binding.symbol, registry):
                unmatched.append(binding.symbol)
        for candidate in found:
            if candidate.source not in left_out:
                candidates.setdefault(candidate.source, candidate)
    twice = [
        f"{symbol} (lines {', '.join(map(str, lines))})"
        for symbol in dict.fromkeys(each.symbol for each in candidates.values())
        if len(lines := _lines_of(constants, symbol)) > 1
    ]
    unmatched = [name for name in dict.fromkeys(unmatched) if name not in left_out]
    return Thresholds(tuple(candidates.values()), tuple(derived), tuple(unmatched), tuple(twice))


def _entries(binding: Binding, registry: Registry) -> tuple[list[Candidate], list[str]]:
    found, unknown = [], []
    for site in binding.sites:
        subkey = site.keys[-1]
        if not isinstance(subkey, str) or len(site.keys) > 2:
            continue
        metric = registry.metric_of(binding.symbol, str(subkey))
        if metric is not None:
            found.append(Candidate(binding.symbol, str(subkey), metric, site.line))
        elif len(site.keys) == 2:
            unknown.append(f"{binding.symbol}[{str(subkey)!r}]")
    return found, unknown


def _looks_like_bound(symbol: str, registry: Registry) -> bool:
    name = symbol.lstrip("_")
    if not _BOUND_WORD.match(name) or _SCOPE_WORD.match(name):
        return False
    # a pattern that maps the name to nothing says on purpose that it is no threshold
    return not any(p.fullmatch(symbol) and metric is None for p, metric in registry.patterns)


def _lines_of(constants: Constants, symbol: str) -> list[int]:
    plain = [binding.line for binding in constants.of(symbol)]
    return sorted([*plain, *constants.rebound.get(symbol, ())])


class Claim(msgspec.Struct, frozen=True):
    """What one variant and preset take of a file's thresholds, by group in order of appearance."""

    variant: Variant | None
    preset: Preset | None
    groups: dict[str, dict[str, Candidate]]


def claims_of(thresholds: Thresholds, source: MetricSource, file: str) -> list[Claim]:
    """Give every threshold to the variants and presets whose filters fit it.

    A filter is matched at the start of the name without leading underscores. A preset's filter
    holds with and without variants. Order: variant, then preset. Raises `BadInput` naming both
    constants when two of one claim bound the same metric.
    """
    claims = []
    for variant in source.variants or (None,):
        for preset in source.presets or (None,):
            mine = [candidate for candidate in thresholds.candidates if _fits(candidate.symbol, variant, preset)]
            claims.append(Claim(variant, preset, _by_group(mine, variant, preset, file)))
    return claims


def unclaimed_by(thresholds: Thresholds, claims: Sequence[Claim]) -> list[Candidate]:
    """Return the thresholds that no variant or preset took."""
    return [
        candidate
        for candidate in thresholds.candidates
        if not any(_fits(candidate.symbol, claim.variant, claim.preset) for claim in claims)
    ]


def _fits(symbol: str, variant: Variant | None, preset: Preset | None) -> bool:
    name = symbol.lstrip("_")
    return all(owner is None or owner.constant_filter.match(name) is not None for owner in (variant, preset))


def _by_group(
    candidates: Sequence[Candidate], variant: Variant | None, preset: Preset | None, file: str
) -> dict[str, dict[str, Candidate]]:
    rivals: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        rivals.setdefault(candidate.metric.key, []).append(candidate)
    groups: dict[str, dict[str, Candidate]] = {}
    for key, several in rivals.items():
        chosen = _preferred(several)
        if len(chosen) > 1:
            raise _duplicates(file, key, chosen, variant, preset)
        groups.setdefault(chosen[0].metric.group, {})[key] = chosen[0]
    return groups


def _preferred(several: list[Candidate]) -> list[Candidate]:
    for ending in _PREFERRED_ENDINGS:
        references = [candidate for candidate in several if candidate.symbol.endswith(ending)]
        if references:
            return references
    return several


def _duplicates(
    file: str,
    metric: str,
    several: list[Candidate],
    variant: Variant | None,
    preset: Preset | None,
) -> BadInput:
    names = [f"{each.source} (line {each.line})" for each in several]
    of = "".join(
        f" of {what} {owner.name!r}" for what, owner in (("variant", variant), ("preset", preset)) if owner is not None
    )
    return BadInput(
        f"{file}: {' and '.join(names)} both bound {metric}{of}",
        code="duplicate_constants",
        hint="list one of them under ignored_constants, or separate them by constant_filter",
        file=file,
        metric=metric,
        constants=[each.source for each in several],
    )

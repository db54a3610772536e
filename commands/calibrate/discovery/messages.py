"""The lines `discover` prints about each file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from commands.calibrate.config.sources import MetricSource, Routing
from commands.calibrate.discovery.claims import Candidate, Claim, Thresholds


def source_line(file: str, inferred: Routing | None, entry: MetricSource | None, metrics: Iterable[str]) -> str | None:
    """Say whether convention, configuration or both know where the numbers lie.

    Nothing is said when only the configuration does, or when every variant says it for itself.
    `metrics` are those the file bounds; a suggested entry names no others.
    """
    if entry is None:
        if inferred is None:
            return f"  [warn] {file}: no auto-inference available, needs metric_sources in config.yaml"
        return f"  [auto] {file}: inferred from AST (convention).\n" + _suggestion(file, inferred, set(metrics))
    if inferred is None or (entry.variants and entry.routing.json_file is None):
        return None
    differing = _differences(inferred, entry.routing)
    if not differing:
        return f"  [ok] {file}: config matches inference"
    return f"  [override] {file}: config.yaml overrides convention ({', '.join(differing)} differ)"


def _differences(inferred: Routing, configured: Routing) -> list[str]:
    differing = []
    if configured.json_file is not None and configured.json_file != inferred.json_file:
        differing.append("json_file")
    if any(inferred.paths.get(key) != path for key, path in configured.paths.items()):
        differing.append("paths")
    counts = inferred.sample_counts or {}
    if any(counts.get(k) != path for k, path in (configured.sample_counts or {}).items()):
        differing.append("sample_counts")
    return differing


def _suggestion(file: str, inferred: Routing, metrics: set[str]) -> str:
    lines = [
        "    suggested entry for metric_sources:",
        f"      {file}:",
        f'        json_file: "{inferred.json_file}"',
        "        sample_counts:",
        *(f'          {key}: "{path}"' for key, path in (inferred.sample_counts or {}).items()),
        "        paths:",
        *(f'          {key}: "{path}"' for key, path in inferred.paths.items() if key in metrics),
    ]
    return "\n".join(lines)


def constant_lines(file: str, thresholds: Thresholds, loose: Sequence[Candidate]) -> list[str]:
    """Say which constants no stage measures, and why."""
    lines = []
    if loose:
        names = ", ".join(f"{each.source} ({each.metric.key})" for each in loose)
        lines.append(f"  [unclaimed] {file}: no variant or preset takes {names}")
    if thresholds.derived:
        names = ", ".join(f"{binding.symbol} (from {', '.join(binding.reads)})" for binding in thresholds.derived)
        lines.append(f"  [derived] {file}: computed, never calibrated: {names}")
    if thresholds.unmatched:
        names = ", ".join(thresholds.unmatched)
        lines.append(f"  [unmatched] {file}: no metric pattern knows {names}")
    if thresholds.bound_twice:
        names = ", ".join(thresholds.bound_twice)
        lines.append(f"  [ambiguous] {file}: bound more than once, apply will refuse: {names}")
    return lines


def shared_lines(file: str, claims: Iterable[Claim]) -> list[str]:
    """Say which literals several stages would write."""
    owners: dict[str, list[str]] = {}
    for claim in claims:
        label = "/".join(part.name for part in (claim.preset, claim.variant) if part)
        for group in claim.groups.values():
            for candidate in group.values():
                owners.setdefault(candidate.source, []).append(label)
    return [
        f"  [shared] {file}: {source} belongs to {', '.join(labels)}; apply refuses different values"
        for source, labels in owners.items()
        if len(labels) > 1
    ]

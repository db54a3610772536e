"""Metrics and sample counts out of the result files a test left in its basetemp.

A value counts when it is a finite number at its configured path in a file that is really inside this attempt's
basetemp. Everything else is null with its reason, in the words of the tool whose run directories we share.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu_runner.request import StageSpec, ValueSource


@dataclass(frozen=True, slots=True)
class Extracted:
    """One stage's values. problems: metric, or `samples.total`, to why it is null. misread: a problem that HALTs.

    A metric without configuration (`NEEDS_CONFIG`) is null too, but no reason to halt.
    """

    metrics: dict[str, float | None]
    sample_counts: dict[str, int | None]
    problems: dict[str, str]
    misread: bool
    valid: bool | None = None
    allowed_failure: bool | None = None

    @property
    def complete(self) -> bool:
        """Every configured metric has a value."""
        return not self.misread


class ResultFiles:
    """The JSON files below one basetemp, each read once."""

    def __init__(self, basetemp: Path) -> None:
        self.basetemp = basetemp.resolve()
        self._documents: dict[str, Any] = {}
        self._failures: dict[str, str] = {}

    def number(self, source: ValueSource) -> tuple[float | None, str]:
        """The finite number at a source, or None and why."""
        found, why = self.value(source)
        if why:
            return None, why
        where = f"{source.json_file}::{source.json_path}"
        if isinstance(found, bool) or found is None:
            return None, f"read failed at {where} — {json.dumps(found)} is not a number"
        try:
            number = float(found)
        except (TypeError, ValueError, OverflowError) as error:
            return None, f"read failed at {where} — {type(error).__name__}"
        if not math.isfinite(number):
            return None, f"read failed at {where} — {number} is not a measurement"
        return number, ""

    def value(self, source: ValueSource) -> tuple[Any, str]:
        """Return the value at a source, or None and why it could not be read."""
        document, why = self._document(source.json_file)
        if why:
            return None, why
        for part in source.json_path.split("."):
            if part == "__len__" and isinstance(document, list):
                document = len(document)
            elif isinstance(document, dict) and part in document:
                document = document[part]
            else:
                return None, f"read failed at {source.json_file}::{source.json_path} — no key {part!r}"
        return document, ""

    def used(self) -> dict[str, Path]:
        """The result files that were read: name relative to basetemp, and path."""
        return {name: self.basetemp / name for name in sorted(self._documents)}

    def _document(self, name: str) -> tuple[Any, str]:
        if name not in self._documents and name not in self._failures:
            path = (self.basetemp / name).resolve()
            try:
                if not path.is_relative_to(self.basetemp):
                    raise ValueError("it lies outside this attempt's basetemp")
                self._documents[name] = json.loads(path.read_bytes())
            except FileNotFoundError:
                self._failures[name] = f"file missing — {self.basetemp / name}"
            except (OSError, ValueError, RecursionError) as error:
                self._failures[name] = f"read failed at {name} — {type(error).__name__}: {error}"
        return self._documents.get(name), self._failures.get(name, "")


def extract(stage: StageSpec, files: ResultFiles) -> Extracted:
    """Read every metric and count of a stage."""
    metrics: dict[str, float | None] = {}
    problems: dict[str, str] = {}
    misread = False
    for key, source in stage.metrics.items():
        if source is None:
            metrics[key], problems[key] = None, "no json_file/json_path in stages.yaml"
            continue
        metrics[key], why = files.number(source)
        if why:
            problems[key], misread = why, True
    counts: dict[str, int | None] = {}
    for name, source in stage.sample_counts.items():
        counts[name], why = (None, "") if source is None else _count(source, files)
        if why:
            problems[f"samples.{name}"] = why
    return Extracted(
        metrics=metrics,
        sample_counts=counts,
        problems=problems,
        misread=misread,
        valid=_boolean(stage.validity, files),
        allowed_failure=_boolean(stage.allowed_failure, files),
    )


def _count(source: ValueSource, files: ResultFiles) -> tuple[int | None, str]:
    number, why = files.number(source)
    if number is None:
        return None, why
    if number != int(number):
        return None, f"read failed at {source.json_file}::{source.json_path} — {number} is not a count"
    return int(number), ""


def _boolean(source: ValueSource | None, files: ResultFiles) -> bool | None:
    if source is None:
        return None
    found, _ = files.value(source)
    return found if isinstance(found, bool) else None


def misread_causes(extracted: Mapping[str, Extracted]) -> list[str]:
    """`stage.metric: why` for each configured metric that could not be read."""
    return [
        f"{stage}.{name}: {why}"
        for stage, values in extracted.items()
        if values.misread
        for name, why in values.problems.items()
        if name in values.metrics and not why.startswith("no json_file")
    ]

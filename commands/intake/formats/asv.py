"""Result files of airspeed velocity: `results/<machine>/<hash8>-<env>.json`, version 2, with `benchmarks.json`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from commands.intake.formats import json_text
from commands.intake.formats.measured import Measured, Unreadable, parse_object
from commands.intake.formats.series import Point, result_of

NAME = "asv"
_NO_RESULTS = frozenset({"benchmarks.json", "machine.json"})


def benchmarks(root: Path) -> dict[str, Any]:
    """Return what `benchmarks.json` says of each benchmark (unit, type); empty when there is none."""
    try:
        return parse_object((root / "benchmarks.json").read_bytes())
    except (OSError, Unreadable):
        return {}


def files(root: Path) -> list[Path]:
    """Return the result files below a results folder, in path order."""
    return sorted(p for p in root.glob("*/*.json") if p.name not in _NO_RESULTS)


def points(path: Path, relative: str, known: Mapping[str, Any]) -> Iterator[tuple[str, Measured | str]]:
    """Yield (path, result or reason) of every measured parameter combination of one result file.

    null is a failed and NaN a skipped benchmark: neither is a result, and neither is worth a word.
    """
    try:
        # a file holds every benchmark of a commit, so it may be larger than one record
        value = json_text.loads(path.read_bytes().decode("utf-8"))
    except json_text.TwiceGiven as error:
        yield relative, str(error)
        return
    except (ValueError, RecursionError) as error:
        yield relative, f"not JSON: {error}"
        return
    if not isinstance(value, dict) or value.get("version") != 2 or not isinstance(value.get("results"), dict):
        yield relative, "not a result file of version 2"
        return
    columns = value.get("result_columns")
    if not isinstance(columns, list):
        yield relative, "no result_columns"
        return
    for name, row in value["results"].items():
        # trailing columns may be missing
        cells = dict(zip(columns, row, strict=False)) if isinstance(row, list) else {"result": row}
        yield from _benchmark(value, str(name), cells, relative, known.get(name))


def _benchmark(
    value: Mapping[str, Any], name: str, cells: Mapping[str, Any], relative: str, about: Any
) -> Iterator[tuple[str, Measured | str]]:
    about = about if isinstance(about, dict) else {}
    results = cells.get("result")
    results = results if isinstance(results, list) else [results]
    axes = cells.get("params") if isinstance(cells.get("params"), list) else []
    labels = [", ".join(map(str, combination)) for combination in itertools.product(*(axes or []))] or [""]
    params = value.get("params") if isinstance(value.get("params"), dict) else {}
    assert isinstance(params, dict)
    version = str(cells.get("version") or "")[:8]
    for label, number in zip(labels, results, strict=False):
        if number is None or number != number:
            continue
        # a changed `version` is another benchmark and starts its own series
        model = f"{name}({label})" if label else name
        yield (
            f"{relative}#{model}",
            result_of(
                Point(
                    model_id=f"{model} v{version}" if version else model,
                    unit=_unit(about),
                    value=number,
                    where=f"{params.get('machine') or 'unknown'}/{value.get('env_name') or 'unknown'}",
                    at_ms=cells.get("started_at") or value.get("date"),
                    commit=str(value.get("commit_hash") or ""),
                    path=f"{relative}#{model}",
                    format_name=NAME,
                    bigger_is_better=False,
                    more={"benchmark_type": str(about.get("type") or "unknown")},
                )
            ),
        )


def _unit(about: Mapping[str, Any]) -> str:
    unit = about.get("unit")
    if isinstance(unit, str) and unit:
        return unit
    return {"time": "seconds", "peakmemory": "bytes", "memory": "bytes"}.get(str(about.get("type")), "seconds")

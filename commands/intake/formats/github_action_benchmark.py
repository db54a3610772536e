"""The `data.js` of github-action-benchmark: `window.BENCHMARK_DATA = {...}`, suites of runs of benches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from commands.intake.formats import json_text
from commands.intake.formats.measured import Measured, Unreadable
from commands.intake.formats.series import Point, result_of

NAME = "github-action-benchmark"
_BIGGER = {"customBiggerIsBetter": True, "customSmallerIsBetter": False}


def parse(data: bytes) -> dict[str, Any]:
    """Return the object of a data.js (or of the JSON in it). Raises `Unreadable` with the reason."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unreadable(f"not UTF-8 at byte {error.start}") from None
    start = text.find("{")
    try:
        value = json_text.DECODER.raw_decode(text, start)[0] if start >= 0 else None
    except json_text.TwiceGiven as error:
        raise Unreadable(str(error)) from None
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"not JSON after the assignment: {error}") from None
    if not isinstance(value, dict) or not isinstance(value.get("entries"), dict):
        raise Unreadable("no `entries` object in it")
    return value


def source_of(value: Mapping[str, Any], fallback: str) -> str:
    """Return the name of the history: the repository it is of, else the file."""
    repository = value.get("repoUrl")
    return f"{NAME}:{repository}" if isinstance(repository, str) and repository else fallback


def points(value: Mapping[str, Any]) -> Iterator[tuple[str, Measured | str]]:
    """Yield (path, result or reason) of every bench of every run.

    People's names, addresses and messages are in the file; they are not kept.
    """
    for suite, runs in value["entries"].items():
        for run in runs if isinstance(runs, list) else []:
            if not isinstance(run, dict):
                yield str(suite), "a run that is not an object"
                continue
            commit = run.get("commit")
            sha = str(commit.get("id") or "") if isinstance(commit, dict) else ""
            benches = run.get("benches")
            for bench in benches if isinstance(benches, list) else []:
                yield _point(str(suite), run, sha, bench)


def _point(suite: str, run: Mapping[str, Any], sha: str, bench: Any) -> tuple[str, Measured | str]:
    if not isinstance(bench, dict) or not isinstance(bench.get("name"), str):
        return suite, "a bench without a name"
    tool = str(run.get("tool") or "unknown")
    path = f"{suite}/{bench['name']}/{sha[:12] or 'unknown'}/{run.get('date')}"
    more = {key: bench[key] for key in ("range", "extra") if isinstance(bench.get(key), str)}
    return path, result_of(
        Point(
            model_id=f"{suite}/{bench['name']}",
            where="unknown",
            unit=str(bench.get("unit") or ""),
            value=bench.get("value"),
            at_ms=run.get("date"),
            commit=sha,
            path=path,
            format_name=NAME,
            bigger_is_better=_BIGGER.get(tool),
            more={"tool": tool, **more},
        )
    )

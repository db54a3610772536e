"""Benchmarks at a tiny size: they run, and each row says what it measured. How fast or how large is not asserted."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import names
from benchmarks.peak import Cost, cost

COLUMNS = {"name", "value", "unit", "ratio", "against", "limit", "ok"}


def rows_of(name: str, *sizes: int) -> list[dict[str, Any]]:
    """Run a benchmark at these sizes; return its rows, which have every column and a value that was measured."""
    rows: list[dict[str, Any]] = importlib.import_module(f"benchmarks.{name}").main(*sizes)
    for row in rows:
        assert set(row) == COLUMNS, row
        assert isinstance(row["value"], int | float), row
        assert row["ratio"] is None or row["against"], f"a ratio names its peer: {row}"
    return rows


def test_every_benchmark_says_first_what_it_measures() -> None:
    assert {"pull", "sql", "imports", "webhook_memory", "start", "log"} <= set(names())
    for name in names():
        assert (importlib.import_module(f"benchmarks.{name}").__doc__ or "").strip(), name


def test_a_pull_is_measured_from_a_folder_and_from_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", os.environ.copy())  # the benchmark points it at its Hub
    rows = rows_of("pull", 100, 1)
    assert [row["unit"] for row in rows] == ["ms", "ms", "MiB", "ms", "MiB"]
    assert all(row["ratio"] > 0 for row in rows)


def test_proofs_are_measured_cold_warm_and_in_bytes() -> None:
    rows = rows_of("proofs", 300)
    assert [row["unit"] for row in rows] == ["ms", "ms", "ms", "bytes"]
    assert 1_000 < rows[-1]["value"] < 4_096


def test_sql_is_measured_from_start_to_answer_against_a_bare_table() -> None:
    rows = rows_of("sql", 100, 1)
    assert [row["against"].partition(" (")[0] for row in rows if "start to answer" in row["name"]] == [
        "duckdb on a bare table"
    ]


def test_the_memory_of_both_imports_is_measured_against_their_input() -> None:
    rows = rows_of("imports", 100, 100)
    assert [row["name"].split(",")[0] for row in rows] == ["peak memory", "what nine tenths add"] * 2
    assert all(row["value"] > 0 for row in rows if row["name"].startswith("peak"))


def test_the_memory_of_the_webhook_server_is_measured_while_it_serves() -> None:
    many, large = rows_of("webhook_memory", 64, 20_000)
    assert many["value"] > 0 and "64 deliveries" in many["name"]
    assert "bodies" in large["against"]


def test_deliveries_among_strangers_are_measured_against_the_same_without_them() -> None:
    late, memory = rows_of("strangers", 10, 40)
    assert late["unit"] == "ms" and late["ratio"] > 0
    assert memory["value"] > 0


def test_a_pass_reads_and_folds_each_event_once_at_any_size() -> None:
    """Counts, not times: they are the same on every machine, so they are asserted."""
    rows = rows_of("stream", 24, 240)
    assert [row["name"].split(",")[0] for row in rows] == ["events read", "events folded"] * 3
    assert all(row["ok"] for row in rows), rows


def test_the_peak_is_that_of_the_command_and_not_of_who_asks(tmp_path: Path) -> None:
    mine = bytearray(200 * 1024 * 1024)
    mine[::4096] = b"x" * len(mine[::4096])  # every page is in memory
    found = cost([sys.executable, "-S", "-c", "pass"], cwd=tmp_path)
    assert isinstance(found, Cost) and 0 < found.mib < 100
    assert cost([sys.executable, "-S", "-c", "b'x' * (150 << 20)"], cwd=tmp_path).mib > 150


def test_a_command_that_fails_is_no_measurement(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="no such thing"):
        cost([sys.executable, "-c", "raise SystemExit('no such thing')"], cwd=tmp_path)

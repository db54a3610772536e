"""Run every benchmark: `python -m benchmarks [NAME ...] [--quick] [--json FILE] [--write-docs]`.

Each prints a ratio against a peer or a physical limit measured in the same run: milliseconds are a guide, ratios the
result. `--quick` scales the long ones down. `--write-docs` puts this run's own output into docs/performance.md, where
the sections of benchmarks that did not run stay as they are, each with its own date and load.
Exit code 1 when a ratio is outside its limit.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

from benchmarks.start import print_rows

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "performance.md"


def names() -> list[str]:
    """Return the benchmark modules: those that have a `main`."""
    return sorted(p.stem for p in HERE.glob("*.py") if not p.stem.startswith("_") and "\ndef main(" in p.read_text())


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as a Markdown table."""
    lines = ["| what | measured | ratio | against | limit | |", "|---|---:|---:|---|---:|---|"]
    for row in rows:
        limit, ratio = ("" if row[key] is None else f"{row[key]}" for key in ("limit", "ratio"))
        verdict = "ok" if row["ok"] else "**missed**"
        lines.append(
            f"| {row['name']} | {row['value']:,} {row['unit']} | {ratio} | {row['against']} | {limit} | {verdict} |"
        )
    return "\n".join(lines)


def sections(page: str) -> dict[str, str]:
    """Return the sections of docs/performance.md as they are there, by benchmark."""
    found = (part.partition("\n") for part in page.split("\n## ")[1:])
    return {name: text.strip("\n") for name, _, text in found}


def section(name: str, rows: list[dict[str, Any]], about: dict[str, Any]) -> str:
    """Return the section of one benchmark: what it is, when and where it ran, its table."""
    described = (importlib.import_module(f"benchmarks.{name}").__doc__ or "").strip().split("\n\n")[0]
    ran = (
        f"Run on {about['when']}: {about['cores']} cores, load average {about['load']} before and "
        f"{about['load_after']} after, Python {about['python']}, {about['system']}"
        f"{', scaled down with --quick' if about['quick'] else ''}."
    )
    return "\n\n".join((" ".join(described.split()), ran, table(rows)))


def page(found: dict[str, str]) -> str:
    """Return docs/performance.md of these sections, in the order of `names`; those of no benchmark are left out."""
    parts = [
        "# Performance",
        "Made by `python -m benchmarks --write-docs` from its own output; do not edit it by hand. A section stays as "
        "it is until its benchmark runs again.",
        "Each ratio has its peer in the same run, so it holds on a busy machine better than the milliseconds do; the "
        "load average says how busy it was.",
    ]
    parts += [f"## {name}\n\n{found[name]}" for name in names() if name in found]
    return "\n\n".join(parts) + "\n"


def about(load: float, *, quick: bool) -> dict[str, Any]:
    """Return when and where a benchmark has just run. `load`: the load average when it began."""
    return {
        "when": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d"),
        "cores": os.cpu_count(),
        "load": f"{load:.1f}",
        "load_after": f"{os.getloadavg()[0]:.1f}",
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "quick": quick,
    }


def main() -> int:
    """Run what is asked for. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these benchmarks")
    parser.add_argument("--quick", action="store_true", help="scale the long ones down")
    parser.add_argument("--json", metavar="FILE", help="write all rows to FILE")
    parser.add_argument("--write-docs", action="store_true", help="write docs/performance.md")
    given = parser.parse_args()
    if given.quick:
        os.environ["PERFLEDGER_BENCH_QUICK"] = "1"
    results: dict[str, list[dict[str, Any]]] = {}
    ran: dict[str, dict[str, Any]] = {}
    for name in given.names or names():
        load = os.getloadavg()[0]
        results[name] = [dict(row) for row in importlib.import_module(f"benchmarks.{name}").main()]
        ran[name] = about(load, quick=given.quick)
        print(name)
        print_rows(results[name])
    if given.json:
        Path(given.json).write_text(json.dumps({"about": ran, "results": results}, indent=1) + "\n")
    if given.write_docs:
        new = {name: section(name, rows, ran[name]) for name, rows in results.items()}
        PAGE.write_text(page(sections(PAGE.read_text()) | new))
    return 0 if all(row["ok"] for rows in results.values() for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())

"""What `perfledger sql` and its sandbox cost, against the same query in plain DuckDB.

Plain means: a fresh Python process that imports duckdb, attaches the same state file read-only, defines the
same view, runs the query and prints JSON; no guard, no walls, no second process. A bare table is less still: the same
columns and rows as one table of a DuckDB file of its own, with no join and no view.

    python -m benchmarks.sql
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.log import QUICK
from benchmarks.start import PERFLEDGER, print_rows
from benchmarks.timing import in_turns

RESULTS = 10_000 if QUICK else 100_000
BATCH = 5_000

SHORT = "SELECT target, count(*) AS n, median(latency) AS latency FROM results GROUP BY target ORDER BY target"
LONG = "SELECT count(*) AS n FROM results a, range(1500) r WHERE (a.position * r.range) % 7 = 3"
WIDE = "SELECT * FROM results"

PLAIN = """
import json, sys
import duckdb
from pathlib import Path
folder, query = Path(sys.argv[1]), sys.argv[2]
connection = duckdb.connect()
connection.execute("SET threads = 1; SET TimeZone = 'UTC'")
connection.execute(f"ATTACH '{folder / 'state.duckdb'}' AS state (READ_ONLY)")
connection.execute("CREATE TEMP VIEW results AS SELECT * FROM state.fact_result "
                   "JOIN (SELECT * EXCLUDE (target) FROM state.fact_result_shared) USING (shared)")
cursor = connection.execute(query)
names = [column[0] for column in cursor.description]
print(json.dumps([dict(zip(names, row)) for row in cursor.fetchall()], default=str))
"""

BARE = """
import json, sys
import duckdb
connection = duckdb.connect(sys.argv[1], read_only=True)
connection.execute("SET threads = 1")
cursor = connection.execute(sys.argv[2])
names = [column[0] for column in cursor.description]
print(json.dumps([dict(zip(names, row)) for row in cursor.fetchall()], default=str))
"""


def build(folder: Path, results: int) -> Path:
    """Make a ledger of so many results, sealed and projected; return its path."""
    from ledger.event import NewEvent
    from ledger.events.results import ResultRecorded
    from ledger.ledger import Ledger
    from projections.state.state import State

    ledger = Ledger.create(folder, origin="bench", actor="bench@example.org")
    for start in range(0, results, BATCH):
        ledger.append(
            [
                NewEvent(
                    stream=f"target/m{n % 50}@GPU",
                    payload=ResultRecorded(
                        target=f"m{n % 50}@GPU",
                        path=f"run-{n}.json",
                        format="normalized",
                        sha256="0" * 64,
                        record={"model_id": f"m{n % 50}", "gpu_type": "GPU", "latency": 20 + n % 17, "success": True},
                    ),
                )
                for n in range(start, min(start + BATCH, results))
            ]
        )
    ledger.seal()
    State.open(ledger).close()
    return ledger.path


def plain(ledger: Path, query: str) -> None:
    """Run a query the plain way, as a process."""
    subprocess.run([sys.executable, "-c", PLAIN, str(ledger), query], stdout=subprocess.DEVNULL, check=True)


def bare_table(ledger: Path, target: Path) -> Path:
    """Write the rows of `results` as one table of a DuckDB file; return its path."""
    import duckdb

    with duckdb.connect(str(target)) as connection:
        connection.execute(f"ATTACH '{ledger / 'state.duckdb'}' AS state (READ_ONLY)")
        connection.execute(
            "CREATE TABLE results AS SELECT * FROM state.fact_result "
            "JOIN (SELECT * EXCLUDE (target) FROM state.fact_result_shared) USING (shared)"
        )
    return target


def bare(table: Path, query: str) -> None:
    """Run a query on the bare table, as a process."""
    subprocess.run([sys.executable, "-c", BARE, str(table), query], stdout=subprocess.DEVNULL, check=True)


def main(results: int = RESULTS, repeats: int = 7) -> list[dict[str, Any]]:
    """Measure; return rows for the benchmark table."""
    from projections.console.query import Limits, Question, ask

    rows: list[dict[str, Any]] = []

    def add(name: str, seconds: float, peer: float, against: str, limit: float) -> None:
        rows.append(
            {
                "name": name,
                "value": round(seconds * 1000, 1),
                "unit": "ms",
                "ratio": round(seconds / peer, 2),
                "against": f"{against} ({peer * 1000:.0f} ms)",
                "limit": limit,
                "ok": seconds / peer <= limit,
            }
        )

    def sandboxed(query: str, form: Any = "json") -> None:
        ask(ledger, Question(query, format=form), io.BytesIO(), Limits(timeout_s=120))

    with tempfile.TemporaryDirectory() as folder:
        ledger = build(Path(folder), results)
        table = bare_table(ledger, Path(folder) / "bare.duckdb")
        command = [PERFLEDGER, "sql", SHORT, "--json", "--ledger", str(ledger)]
        short_peer, short, bare_peer, whole = in_turns(
            repeats,
            lambda: plain(ledger, SHORT),
            lambda: sandboxed(SHORT),
            lambda: bare(table, SHORT),
            lambda: subprocess.run(command, stdout=subprocess.DEVNULL, check=True),
        )
        long_peer, long = in_turns(repeats, lambda: plain(ledger, LONG), lambda: sandboxed(LONG))
        wide_peer, wide = in_turns(repeats, lambda: plain(ledger, WIDE), lambda: sandboxed(WIDE))
        against = "plain duckdb process"
        add("sql: a short query, sandboxed", short, short_peer, against, 3.0)
        add("sql: a short query, `perfledger sql`", whole, short_peer, against, 4.0)
        name = f"sql: a short query over {results:,} results, `perfledger sql`, start to answer"
        add(name, whole, bare_peer, "duckdb on a bare table", 5.0)
        add("sql: a long query, sandboxed", long, long_peer, against, 1.5)
        add(f"sql: {results:,} whole rows as JSON, sandboxed", wide, wide_peer, against, 4.0)
        rows.append(
            {
                "name": "sql: what the sandbox adds to a query",
                "value": round((short - short_peer) * 1000, 1),
                "unit": "ms",
                "ratio": None,
                "against": "",
                "limit": None,
                "ok": True,
            }
        )
    return rows


if __name__ == "__main__":
    print_rows(main())

"""Interrupted and killed: one sentence and exit 130, and nothing left behind for ever."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ledger.ledger import Ledger
from tests.conftest import PERFLEDGER, clean_env
from tests.waiting import until

RESULT = {"model_id": "m", "gpu_type": "G", "timestamp": "2026-05-01T00:00:00Z", "latency": 1.5, "success": True}
FOREVER = "SELECT count(*) FROM range(100000000) a, range(100000) b"


def test_an_interrupted_query_is_no_bug(ledger: Ledger, tmp_path: Path) -> None:
    asking = subprocess.Popen(
        [PERFLEDGER, "sql", FOREVER, "--timeout", "60", "--json"],
        cwd=tmp_path,
        env=clean_env(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    children = Path(f"/proc/{asking.pid}/task/{asking.pid}/children")
    until(children.read_text)  # the process of the query: the command waits for its answer
    asking.send_signal(signal.SIGINT)
    out, err = asking.communicate(timeout=30)
    assert asking.returncode == 130, out + err
    assert json.loads(out)["error"]["code"] == "interrupted"


def test_what_a_killed_builder_left_is_removed_by_the_next(
    cli: Callable[..., Any],
    ledger: Ledger,
    tmp_path: Path,
) -> None:
    (tmp_path / "r.json").write_text(json.dumps(RESULT))
    cli("record", "r.json", code=0)
    left = [
        ledger.path / name for name in (".state.duckdb.4711", ".state.duckdb.4711.wal", ".state-recent.duckdb.4712")
    ]
    for path in left:
        path.write_bytes(b"half")
    spill = ledger.path / ".state.duckdb.4711.spill"
    spill.mkdir()
    (spill / "block").write_bytes(b"x")
    cli("baseline", "list", code=0)
    assert [p for p in (*left, spill) if p.exists()] == []
    assert (ledger.path / "state.duckdb").is_file()

"""Three machines that push and pull at the same time end with the same history."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.ledger import Ledger
from ledger.remotes.open import open_remote
from ledger.sync import checkpoint
from ledger.verification.walk import verify
from projections.state import catalogue
from projections.state.state import State
from tests.hub_server import HubServer
from tests.ledger.sync.samples import HUB_URL, do_pull, do_push

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

ROUNDS = 50
MACHINE = """
import sys
from ledger.ledger import Ledger
from tests.ledger.sync.samples import do_pull, do_push, write

ledger = Ledger.open(sys.argv[1], actor="machine")
for number in range(int(sys.argv[3])):
    write(ledger, f"{ledger.origin} {number}")
    do_push(ledger, sys.argv[2])
    do_pull(ledger, sys.argv[2])
"""


def export(ledger: Ledger, heads: dict[str, int]) -> dict[str, list[tuple[object, ...]]]:
    """Every fact row of the shared events, sorted. When each machine learned of them is its own affair."""
    with State.open(ledger) as state:
        found = {}
        for name in (name for name, table in catalogue.facts().items() if table.of_events):
            whole = "fact_result JOIN fact_result_shared USING (shared, target)" if name == "fact_result" else name
            rows = state.rows(f"SELECT * EXCLUDE (learned_at) FROM {whole} ORDER BY origin, position, item")
            found[name] = [tuple(row.values()) for row in rows if row["position"] <= heads[row["origin"]]]
        return found


def run_machines(folders: list[Path], url: str, rounds: int) -> None:
    """Let one process per ledger write, push and pull, all at the same time."""
    root = Path(__file__).resolve().parents[3]
    machines = [
        subprocess.Popen(
            [sys.executable, "-c", MACHINE, str(folder), url, str(rounds)],
            cwd=root,
            env=dict(os.environ),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for folder in folders
    ]
    for machine in machines:
        output, _ = machine.communicate(timeout=240)
        assert machine.returncode == 0, output


def test_three_machines_pushing_and_pulling_fifty_times_agree(hub: HubServer, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("alpha", "beta", "gamma")]
    for folder in folders:
        Ledger.create(folder, origin=folder.name, actor="x")
    run_machines(folders, HUB_URL, ROUNDS)
    ledgers = [Ledger.open(folder, actor="x") for folder in folders]
    for step in (do_push, do_pull):
        for ledger in ledgers:
            step(ledger)
    heads = {origin: head.position for origin, head in checkpoint.heads(open_remote(HUB_URL)).items()}
    assert sorted(heads) == ["alpha", "beta", "gamma"]
    histories = []
    for ledger in ledgers:
        assert verify(ledger).ok
        shared = {(e.origin, e.position, e.hash) for e in ledger.read() if e.position <= heads[e.origin]}
        histories.append(shared)
        # what is not shared yet is nothing but own notes about the last pull and push
        rest = {e.type for e in ledger.read() if e.position > heads[e.origin]}
        assert rest <= {"EventsPulled", "PushStarted", "PushFinished"}
    assert histories[0] == histories[1] == histories[2]
    assert len(histories[0]) == sum(heads.values())
    exports = [export(ledger, heads) for ledger in ledgers]
    assert exports[0] == exports[1] == exports[2]
    assert len(exports[0]["fact_pin"]) == 3 * ROUNDS
    conflicts = hub.count("POST */commit/*") - (len(hub.repos["org/perf"].commits) - 1)
    assert conflicts > 0, "the machines never met: the test proves nothing"


def test_machines_that_share_a_folder_agree_too(tmp_path: Path) -> None:
    (tmp_path / "share").mkdir()
    url = (tmp_path / "share").as_uri()
    folders = [tmp_path / name for name in ("alpha", "beta")]
    for folder in folders:
        Ledger.create(folder, origin=folder.name, actor="x")
    run_machines(folders, url, 10)
    ledgers = [Ledger.open(folder, actor="x") for folder in folders]
    for ledger in ledgers:
        do_pull(ledger, url)
    heads = {origin: head.position for origin, head in checkpoint.heads(open_remote(url)).items()}
    assert export(ledgers[0], heads) == export(ledgers[1], heads)

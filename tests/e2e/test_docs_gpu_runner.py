"""docs/gpu-runner.md: its commands exist, its query runs, and its outcomes are the ones the code knows."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gpu_runner.health import REASONS
from gpu_runner.outcome import RETRIED_KINDS
from ledger.event import NewEvent
from ledger.ledger import Ledger
from tests.gpu_runner.payloads import telemetry

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "gpu-runner.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ perfledger ([^#\n]+)", PAGE, flags=re.MULTILINE)


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_of_the_page_exists_with_its_options(cli: Callable[..., Any], line: str) -> None:
    words = line.split()
    path = [word for word in words[:2] if not word.startswith("-")] if words[0] != "doctor" else words[:1]
    shown = cli(*path, "--help", code=0).out
    for option in (word for word in words if word.startswith("-")):
        assert re.search(rf"(?m)(?:^|[\s,]){re.escape(option)}\b", shown), (line, option)


def test_the_query_of_the_page_runs(cli: Callable[..., Any], ledger: Ledger, tmp_path: Path) -> None:
    ledger.append([NewEvent(stream="calibration/s1", payload=telemetry(4, unit="test_tts_ci__moss"))])
    (query,) = re.findall(r"```sql\n(.*?)```", PAGE, flags=re.DOTALL)
    document = cli("sql", query, "--json", cwd=tmp_path, code=0).json
    (row,) = document["rows"] if isinstance(document, dict) else document
    assert (row["clock"], row["hottest"], row["throttled"]) == (1980.0, 63, 0.25)


def test_the_table_of_outcomes_says_what_is_tried_again_as_the_code_does(cli: Callable[..., Any]) -> None:
    table = PAGE.split("| how it ended |")[1].split("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    assert {row[2].split(":")[0] for row in rows if row[3] == "yes"} == RETRIED_KINDS
    assert {row[2].split(":")[0] for row in rows if row[3] == "no"} == {"passed", "assertion", "usage"}
    for reason in REASONS:
        assert f"`{reason}:`" in PAGE

"""Ledgers of every released format version are read for ever: the same events, hashes and evidence."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ledger.ledger import Ledger
from ledger.verification.walk import verify
from projections.state.state import State
from tests.conftest import Result
from tests.ledger.samples import result

HERE = Path(__file__).parent
FORMATS = sorted(p.name.removesuffix(".tar.xz") for p in HERE.glob("format-*.tar.xz"))


@pytest.fixture(params=FORMATS)
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Ledger, dict[str, Any]]:
    """An unpacked golden ledger and what must be read from it."""
    with tarfile.open(HERE / f"{request.param}.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    expected = json.loads((HERE / f"{request.param}.json").read_text(encoding="utf-8"))
    return Ledger.open(tmp_path, actor="tester"), expected


def test_format_1_is_among_the_golden_ledgers() -> None:
    assert "format-1" in FORMATS


def test_every_event_of_a_golden_ledger_reads_as_it_was_written(golden: tuple[Ledger, dict[str, Any]]) -> None:
    ledger, expected = golden
    assert [event.as_dict() for event in ledger.read()] == expected["events"]
    assert verify(ledger).ok


def test_every_piece_of_evidence_of_a_golden_ledger_is_there(golden: tuple[Ledger, dict[str, Any]]) -> None:
    ledger, expected = golden
    assert {d: sha256(ledger.evidence.get(d)).hexdigest() for d in expected["evidence"]} == expected["evidence"]


def test_a_golden_ledger_can_be_asked_and_written(
    golden: tuple[Ledger, dict[str, Any]], cli: Callable[..., Result]
) -> None:
    ledger, expected = golden
    with State.open(ledger) as state:
        found = state.rows("SELECT count(*) AS n FROM fact_result")
    assert found == [{"n": sum(e["type"] == "ResultRecorded" for e in expected["events"])}]
    own = [e for e in expected["events"] if e["origin"] == ledger.origin]
    assert ledger.append([result(1)])[0].position == own[-1]["position"] + 1
    cli("verify", code=0)
    cli("replay", "--check", code=0)

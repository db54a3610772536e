"""`import perfledger`: the door for programs. And `perfledger.ledger`, whose names are a promise."""

from __future__ import annotations

import datetime
import decimal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import ledger as room
import perfledger
from ledger import Ledger, Receipt
from ledger.errors import BadInput, Conflict
from tests.ledger.samples import result

HEAVY = {"click", "duckdb", "huggingface_hub", "libcst", "msgspec", "pyarrow", "rich", "sqlite3", "sqlmodel", "numpy"}


def loaded(code: str) -> set[str]:
    """The modules that a fresh interpreter has after `code` and did not have before."""
    program = f"import sys\nbefore = set(sys.modules)\n{code}\nprint(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_door_loads_the_door_alone() -> None:
    assert loaded("import perfledger") <= {"perfledger", "__future__"}
    assert loaded("import ledger as room") <= {"ledger", "__future__"}
    assert not loaded("from ledger import Conflict") & HEAVY


def test_the_public_names_of_the_ledger_are_these_and_all_are_there() -> None:
    """A name is added on purpose and never removed: programs import it."""
    assert room.__all__ == [
        "BadInput",
        "Conflict",
        "Damaged",
        "Event",
        "EventPayload",
        "Inconclusive",
        "Ledger",
        "NewEvent",
        "OutcomeUnknown",
        "PerfledgerError",
        "Receipt",
        "Refused",
        "Unavailable",
        "event_type",
    ]
    assert [getattr(room, name).__name__ for name in room.__all__] == room.__all__
    assert dir(room) == room.__all__
    with pytest.raises(AttributeError, match="Ledgerr"):
        room.Ledgerr  # noqa: B018
    assert perfledger.__all__ == ["open"]


def test_a_program_asks_in_sql_and_gets_rows_or_arrow(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    receipts = ledger.append([result(n) for n in range(3)])
    assert all(isinstance(receipt, Receipt) for receipt in receipts)
    monkeypatch.chdir(ledger.path.parent)
    with perfledger.open() as opened:
        answer = opened.sql("SELECT event_id, recorded_at FROM events WHERE event_id = $id", id=receipts[1].event_id)
        assert answer.columns == ["event_id", "recorded_at"]
        assert len(answer) == 1 and answer.arrow().num_rows == 1
        (row,) = answer.rows
        assert row["event_id"] == receipts[1].event_id
        assert isinstance(row["recorded_at"], datetime.datetime) and row["recorded_at"].tzinfo is not None
        assert opened.sql("SELECT count(*) AS n FROM results").rows == [{"n": 3}]
        assert opened.sql("SELECT 1 AS one WHERE false").rows == []


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("it's; DROP", "VARCHAR"),
        (-7, "BIGINT"),
        (1e-300, "DOUBLE"),
        (True, "BOOLEAN"),
        (decimal.Decimal("1.25"), "DECIMAL(9, 2)"),
        (datetime.date(2026, 2, 28), "DATE"),
        (datetime.datetime(2026, 2, 28, 1, 2, 3, 4, datetime.UTC), "TIMESTAMPTZ"),
        (datetime.time(23, 59, 59), "TIME"),
    ],
)
def test_a_parameter_comes_back_as_it_was_given(ledger: Ledger, value: Any, kind: str) -> None:
    with perfledger.open(ledger.path) as opened:
        assert opened.sql(f"SELECT CAST($v AS {kind}) AS v", v=value).rows == [{"v": value}]


def test_what_cannot_be_asked_is_refused_in_a_sentence(ledger: Ledger, tmp_path: Path) -> None:
    with perfledger.open(ledger.path) as opened:
        with pytest.raises(BadInput, match="parameter v is NoneType"):
            opened.sql("SELECT $v", v=None)  # type: ignore[arg-type]
        with pytest.raises(BadInput):
            opened.sql("COPY (SELECT 1) TO '/tmp/out'")
    with pytest.raises(Conflict, match="was closed"):
        opened.sql("SELECT 1")
    with pytest.raises(BadInput):
        perfledger.open(tmp_path / "nowhere")

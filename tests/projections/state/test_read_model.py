"""The fact tables in another database: whole or not at all, and never a word of the password."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from ledger.errors import BadInput, Unavailable
from ledger.ledger import Ledger
from projections.state import catalogue, read_model
from tests.ledger.samples import result


def asked(path: Path, query: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(path) as database:
        found = database.execute(query).fetchall()
    database.close()
    return found


@pytest.fixture
def filled(ledger: Ledger, tmp_path: Path) -> Path:
    """An SQLite file with the facts of three results."""
    ledger.append([result(n) for n in range(3)])
    read_model.fill(ledger, f"sqlite:///{tmp_path / 'facts.db'}")
    return tmp_path / "facts.db"


def test_every_fact_table_is_there_with_the_rows_that_are_told(ledger: Ledger, tmp_path: Path) -> None:
    ledger.append([result(n) for n in range(3)])
    counts = read_model.fill(ledger, f"sqlite:///{tmp_path / 'facts.db'}")
    assert set(counts) == set(catalogue.facts())
    for table, count in counts.items():
        assert asked(tmp_path / "facts.db", f"SELECT count(*) FROM {table}") == [(count,)], table
    assert counts["fact_result"] == 3


def test_filling_again_replaces_and_doubles_nothing(ledger: Ledger, filled: Path) -> None:
    ledger.append([result(3)])
    for _ in range(2):
        read_model.fill(ledger, f"sqlite:///{filled}")
        assert asked(filled, "SELECT count(*), count(DISTINCT event_id) FROM fact_result") == [(4, 4)]


def test_tables_of_others_in_the_same_database_stay(ledger: Ledger, filled: Path) -> None:
    with sqlite3.connect(filled) as database:
        database.execute("CREATE TABLE dashboards AS SELECT 1 AS one")
    database.close()
    read_model.fill(ledger, f"sqlite:///{filled}")
    assert asked(filled, "SELECT one FROM dashboards") == [(1,)]


@pytest.mark.parametrize("table", ["fact_result", "fact_upload"])
def test_when_one_table_cannot_be_replaced_all_of_them_stay_as_they_were(
    ledger: Ledger, filled: Path, table: str
) -> None:
    """What the hint says: nothing was changed there."""
    others = [name for name in catalogue.facts() if name != table]
    with sqlite3.connect(filled) as database:
        database.execute(f"DROP TABLE {table}")
        database.execute(f"CREATE VIEW {table} AS SELECT 'mine' AS of_somebody")
    database.close()
    before = {name: asked(filled, f"SELECT * FROM {name} ORDER BY 1, 2, 3, 4, 5, 6") for name in others}
    ledger.append([result(9)])
    with pytest.raises(Unavailable, match="the database refused") as caught:
        read_model.fill(ledger, f"sqlite:///{filled}")
    assert (caught.value.code, "nothing was changed" in caught.value.hint) == ("database_failed", True)
    assert {name: asked(filled, f"SELECT * FROM {name} ORDER BY 1, 2, 3, 4, 5, 6") for name in others} == before
    assert asked(filled, f"SELECT * FROM {table}") == [("mine",)]


def test_a_file_that_is_no_database_is_left_as_it_is(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("my notes, and no database at all\n" * 50)
    with pytest.raises(Unavailable, match="not a database"):
        read_model.fill(ledger, f"sqlite:///{tmp_path / 'notes.txt'}")
    assert (tmp_path / "notes.txt").read_text().startswith("my notes")


def test_a_folder_that_is_missing_is_named_by_the_database(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="unable to open"):
        read_model.fill(ledger, f"sqlite:///{tmp_path / 'none' / 'facts.db'}")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "facts.db",
        "nosuch://host/db",
        "sqlite",
        "postgresql+nosuch://ada:secret@host/db",
        "postgresql+psycopg://ada:secret@host:port/db",
        "nosuch://ada:se@cret@host/db",
    ],
)
def test_a_url_that_names_no_database_is_refused_with_examples_and_without_its_password(
    ledger: Ledger, url: str
) -> None:
    with pytest.raises(BadInput, match="as a database") as caught:
        read_model.fill(ledger, url)
    assert caught.value.code == "bad_database_url" and "sqlite:///FILE" in caught.value.hint
    assert "secret" not in caught.value.message and "cret" not in caught.value.message.replace("secret", "")


def test_a_server_that_is_not_there_is_unavailable_and_its_password_is_not_told(ledger: Ledger) -> None:
    with pytest.raises(Unavailable) as caught:
        read_model.fill(ledger, "postgresql+psycopg://ada:secret@127.0.0.1:1/db?connect_timeout=2")
    assert caught.value.exit_code == 4 and "secret" not in caught.value.message


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:///facts.db", "facts.db"),
        ("sqlite:////abs/facts.db", "/abs/facts.db"),
        ("sqlite:///:memory:", None),
        ("postgresql+psycopg://host/db", None),
        ("no url", None),
        ("http://host:port/", None),
        ("", None),
    ],
)
def test_which_file_an_address_writes_is_known_before_it_is_opened(url: str, file: str | None) -> None:
    """It must not lie inside a ledger; the command asks before it fills."""
    assert read_model.file_of(url) == file

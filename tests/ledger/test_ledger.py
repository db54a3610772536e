"""One event asked for by its id or by `position@origin`, and whose name stands on what is appended."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ledger.errors import BadInput
from ledger.layout import ORIGIN_PATTERN
from ledger.ledger import Ledger, default_actor, default_origin
from tests.ledger.samples import result


@pytest.fixture(params=[False, True], ids=["in the tail", "sealed"])
def filled(request: pytest.FixtureRequest, ledger: Ledger) -> Ledger:
    """A ledger with three results, in the journal or in a segment."""
    ledger.append([result(n) for n in range(3)])
    if request.param:
        ledger.seal()
    return ledger


def test_an_event_is_found_by_its_id_and_by_its_place(filled: Ledger) -> None:
    for event in filled.read():
        assert filled.event(event.event_id) == filled.event(f"{event.position}@{event.origin}") == event


@pytest.mark.parametrize("position", ["0", "5", "00000", "9" * 18])
def test_a_place_past_the_end_of_the_log_is_named(filled: Ledger, position: str) -> None:
    with pytest.raises(BadInput, match="no event at position"):
        filled.event(f"{position}@testbed")


def test_a_place_in_an_origin_that_was_never_pulled_is_named_with_the_way_to_see_all(filled: Ledger) -> None:
    with pytest.raises(BadInput, match="no origin elsewhere here") as caught:
        filled.event("1@elsewhere")
    assert "origins" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@",
        "1",
        "@testbed",
        "-1@testbed",
        "1.0@testbed",
        "²@testbed",
        "①@testbed",
        f"{'9' * 19}@testbed",
        f"{'9' * 5000}@testbed",
        "x" * 500,
    ],
)
def test_what_is_neither_an_id_nor_a_place_is_an_event_that_does_not_exist(filled: Ledger, text: str) -> None:
    with pytest.raises(BadInput, match="no event ") as caught:
        filled.event(text)
    assert caught.value.code == "no_such_event"


def test_an_event_of_another_origin_is_found_by_its_id(filled: Ledger, tmp_path: Path) -> None:
    other = Ledger.create(tmp_path / "other", origin="other", actor="x")
    (receipt,) = other.append([result(9)])
    other.seal()
    (other.path / "log" / "other").rename(filled.path / "log" / "other")
    assert filled.origins() == ["testbed", "other"]
    assert filled.event(receipt.event_id).origin == "other"
    assert filled.event(f"{receipt.position}@other").event_id == receipt.event_id


def test_a_folder_without_a_log_is_no_origin(filled: Ledger) -> None:
    (filled.path / "log" / "empty").mkdir()
    (filled.path / "log" / "notes.txt").write_text("not a log")
    assert filled.origins() == ["testbed"]


def test_a_new_origin_is_a_valid_name_and_another_each_time() -> None:
    names = {default_origin() for _ in range(50)}
    assert len(names) == 50 and all(ORIGIN_PATTERN.fullmatch(name) for name in names)


def test_the_actor_is_who_git_says_and_else_the_user_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("USER", "ada")
    monkeypatch.chdir(tmp_path)
    assert default_actor().startswith("ada@")
    subprocess.run(["git", "init", "-q"], check=True)
    subprocess.run(["git", "config", "user.email", "ada@example.org"], check=True)
    assert default_actor() == "ada@example.org"
    monkeypatch.setenv("PATH", "/nonexistent")
    assert default_actor().startswith("ada@"), "without git"
    monkeypatch.delenv("USER")
    monkeypatch.delenv("LOGNAME", raising=False)
    assert default_actor().startswith("uid"), "a container may have no name for its user"


def test_a_given_actor_is_taken_without_asking_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    ledger = Ledger.create(tmp_path, origin="o", actor="bot@example.org")
    assert [event.actor for event in ledger.read()] == ["bot@example.org"]

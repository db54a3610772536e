"""Slash commands of comments: each is decided once, by the policy and the head the log knows, whoever decides."""

from __future__ import annotations

from typing import Any

import pytest

from commands.service.desk import CommandDesk
from ledger.event import NewEvent
from ledger.events.checks import CommandDecided, CommentReceived, PullRequestObserved
from ledger.ledger import Ledger

STREAM = "pull/o/r/5"


def comment(number: int = 1, body: str = "/merge", association: str = "MEMBER") -> NewEvent:
    """A comment on pull request 5."""
    return NewEvent(
        stream=STREAM,
        payload=CommentReceived(
            repository="o/r", number=5, comment_id=number, author="ada", association=association, body=body
        ),
    )


def head(sha: str, at: str | None) -> NewEvent:
    """A sight of pull request 5."""
    return NewEvent(
        stream=STREAM,
        payload=PullRequestObserved(
            repository="o/r", number=5, title="t", state="open", head_sha=sha, head_ref=f"ref-{sha[0]}", updated_at=at
        ),
    )


def decided(ledger: Ledger) -> list[CommandDecided]:
    """The decisions in the log."""
    return [
        each for event in ledger.read(types=["CommandDecided"]) if isinstance(each := event.typed(), CommandDecided)
    ]


def test_a_comment_is_decided_once_by_however_many_desks(ledger: Ledger) -> None:
    ledger.append([comment()])
    assert [CommandDesk().decide(ledger) for _ in range(3)] == [1, 0, 0]
    desk = CommandDesk()
    assert desk.decide(ledger) == 0
    ledger.append([comment(2)])
    assert (desk.decide(ledger), desk.decide(ledger)) == (1, 0)
    assert [each.comment_id for each in decided(ledger)] == [1, 2]


def test_two_desks_that_read_before_either_decided_record_one_decision(ledger: Ledger) -> None:
    first, second = CommandDesk(), CommandDesk()
    ledger.append([comment()])
    first._catch_up(ledger)
    second._catch_up(ledger)
    assert first.decide(ledger) + second.decide(ledger) == 1
    assert len(decided(ledger)) == 1


@pytest.mark.parametrize("body", ["", "nice work", "see /path/to/file", "text /merge in a line"])
def test_a_comment_without_a_command_is_answered_by_nobody(ledger: Ledger, body: str) -> None:
    ledger.append([comment(body=body)])
    assert CommandDesk().decide(ledger) == 0 and decided(ledger) == []


def test_every_command_of_a_comment_is_decided_under_its_place(ledger: Ledger) -> None:
    ledger.append([comment(body="/merge\nand\n/test nonsense\n")])
    assert CommandDesk().decide(ledger) == 2
    assert [(each.item, each.known) for each in decided(ledger)] == [(1, True), (2, False)]


@pytest.mark.parametrize(
    ("heads", "sha"),
    [
        ([], None),
        ([("a", "2026-06-01T10:00:00Z")], "a"),
        ([("a", "2026-06-01T10:00:00Z"), ("b", "2026-06-01T11:00:00Z")], "b"),
        ([("b", "2026-06-01T11:00:00Z"), ("a", "2026-06-01T10:00:00Z")], "b"),
        ([("a", "2026-06-01T10:00:00Z"), ("b", "2026-06-01T10:00:00Z")], "b"),
    ],
)
def test_a_command_is_for_the_latest_head_by_its_own_time(
    ledger: Ledger, heads: list[tuple[str, str]], sha: str | None
) -> None:
    ledger.append([*(head(name * 40, at) for name, at in heads), comment()])
    CommandDesk().decide(ledger)
    (one,) = decided(ledger)
    assert one.sha == (sha * 40 if sha else None)
    assert one.ref == (f"ref-{sha}" if sha else None)


@pytest.mark.parametrize(("association", "allowed"), [("MEMBER", True), ("OWNER", True), ("NONE", False), ("", False)])
def test_a_stranger_is_answered_and_not_obeyed(ledger: Ledger, association: str, allowed: bool) -> None:
    ledger.append([comment(association=association)])
    CommandDesk().decide(ledger)
    (one,) = decided(ledger)
    assert one.allowed is allowed and one.answer


def test_who_waits_for_decisions_is_told_only_when_there_is_a_new_one(ledger: Ledger) -> None:
    told: list[Any] = []
    desk = CommandDesk(lambda: told.append(len(decided(ledger))))
    desk.decide(ledger)
    assert told == []
    ledger.append([comment()])
    desk.after(ledger, [head("a" * 40, None)])
    assert told == []
    desk.after(ledger, [comment()])
    desk.after(ledger, [])
    assert told == [1]

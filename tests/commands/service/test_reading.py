"""What payloads share: times, commits and the text of strangers become values the ledger can keep, or are refused."""

from __future__ import annotations

import msgspec
import pytest

from commands.service import reading
from ledger.errors import BadInput
from ledger.events.checks import CheckReported, WebhookReceived


class Payload(msgspec.Struct):
    """A payload with one field that counts."""

    number: int


@pytest.mark.parametrize("body", [b'{"number": 1}', b'{"number": 1, "more": {"deep": [1]}}'])
def test_fields_nobody_asked_for_are_passed_over(body: bytes) -> None:
    assert reading.decode(body, Payload, "thing").number == 1


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "thing"),
        (b"{", "thing"),
        (b"{}", "number"),
        (b'{"number": "1"}', "$.number"),
        (b'{"number": null}', "$.number"),
        (b"[1]", "Expected `object`"),
        (b"[" * 100_000, "thing"),
    ],
)
def test_a_payload_that_is_not_as_documented_is_refused_by_field(body: bytes, told: str) -> None:
    with pytest.raises(BadInput) as refused:
        reading.decode(body, Payload, "thing")
    assert refused.value.code == "bad_payload" and refused.value.message.startswith("thing: ")
    assert told in refused.value.message


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("2026-06-01T10:00:00Z", "2026-06-01T10:00:00.000000Z"),
        ("2026-06-01T12:00:00+02:00", "2026-06-01T10:00:00.000000Z"),
        ("2026-06-01 10:00:00 UTC", "2026-06-01T10:00:00.000000Z"),
        (" 2026-06-01T10:00:00Z ", "2026-06-01T10:00:00.000000Z"),
        (0, "1970-01-01T00:00:00.000000Z"),
        (1_780_308_000, "2026-06-01T10:00:00.000000Z"),
    ],
)
def test_a_time_is_written_as_the_ledger_writes_it(given: str | int, written: str) -> None:
    assert reading.time_text(given) == written


@pytest.mark.parametrize(
    "given",
    [None, "", "soon", "2026-13-45", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:00-01:00", 10**12, 2**80, -(2**80)],
)
def test_what_is_no_time_is_none_and_never_an_invented_one(given: str | int | None) -> None:
    assert reading.time_text(given) is None


@pytest.mark.parametrize("text", ["", "abcdef", "HEAD", "g" * 40, "a" * 65, "a" * 20 + "\n" + "b" * 20])
def test_what_is_no_commit_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="not a commit"):
        reading.sha(text)


def test_a_refused_commit_is_shown_short() -> None:
    with pytest.raises(BadInput) as refused:
        reading.sha("x" * 10_000)
    assert len(refused.value.message) < 120


@pytest.mark.parametrize(
    ("value", "limit", "text"),
    [
        (None, 5, ""),
        ("", 5, ""),
        ("12345", 5, "12345"),
        ("123456", 5, "1234…"),
        (12, 5, "12"),
        ("äöüßé!", 5, "äöüß…"),
    ],
)
def test_text_of_a_stranger_is_cut_with_a_sign(value: object, limit: int, text: str) -> None:
    assert reading.short(value, limit) == text


def events(*, delivery: str = "d1", body: str = "0" * 64, facts: int = 2) -> list[str | None]:
    """The keys of one delivery's events."""
    found = [
        reading.Fact("check/abcdefa", CheckReported(sha="abcdefa", context=f"c{nth}", state="success"))
        for nth in range(facts)
    ]
    new = reading.events(
        "github", delivery, "status", body_sha256=body, body_bytes=1, reading=reading.Reading(found, "created")
    )
    first = new[0].payload
    assert isinstance(first, WebhookReceived)
    assert first.understood is (facts > 0)
    return [event.key for event in new]


def test_the_same_body_under_another_delivery_is_noted_and_says_nothing_twice() -> None:
    once, again = events(), events(delivery="d2")
    assert once[0] != again[0] and once[1:] == again[1:]


def test_another_body_under_the_same_delivery_is_the_same_delivery() -> None:
    once, other = events(), events(body="1" * 64)
    assert once[0] == other[0] and not set(once[1:]) & set(other[1:])


def test_every_fact_of_a_delivery_has_its_own_key_and_one_without_facts_is_not_understood() -> None:
    assert len(set(events(facts=5))) == 6
    assert len(events(facts=0)) == 1

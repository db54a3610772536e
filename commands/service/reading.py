"""What webhook payloads share: strict reading of the few fields the ledger keeps, and clean values."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from ledger.errors import BadInput
from ledger.event import EventPayload, NewEvent
from ledger.identifiers import format_time, parse_time

T = TypeVar("T")

FILES_MAX = 5_000
COMMENT_MAX = 65_536


class Fact(msgspec.Struct, frozen=True):
    """One thing a delivery says: the stream it belongs to and its payload."""

    stream: str
    payload: EventPayload


class Reading(msgspec.Struct, frozen=True):
    """What a delivery says. facts is empty for kinds that carry nothing the ledger keeps."""

    facts: list[Fact]
    action: str | None = None
    repository: str | None = None


def decode(body: bytes, kind: type[T], what: str) -> T:
    """Read a payload as `kind`, ignoring unknown fields. Raises `BadInput` naming the field."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(
            f"{what}: {error}", code="bad_payload", hint="send the payload as the sender documents it"
        ) from None


def is_name(text: str) -> bool:
    """Whether a text can name an event or a delivery: 1 to 200 printable ASCII characters, as senders write them."""
    return 0 < len(text) <= 200 and text.isascii() and text.isprintable()


def time_text(text: str | int | None) -> str | None:
    """Return a time of a payload as the ledger writes it, None for none or one that is no time."""
    if text is None or text == "":
        return None
    try:
        if isinstance(text, int):
            text = format_time(text * 1_000_000)  # read again: the ledger keeps no year of five digits
        return format_time(parse_time(text.strip().removesuffix(" UTC")))  # Buildkite: `2026-06-01 10:00:00 UTC`
    except (BadInput, OverflowError, ValueError, OSError):
        return None


def sha(text: str) -> str:
    """Return a commit's name in lower case. Raises `BadInput`."""
    name = text.strip().lower()
    if not re.fullmatch(r"[0-9a-f]{7,64}", name):
        raise BadInput(f"not a commit: {text[:80]!r}", code="bad_payload", hint="a commit is 40 hexadecimal digits")
    return name


def events(
    source: str,
    delivery: str,
    event: str,
    *,
    body_sha256: str,
    body_bytes: int,
    reading: Reading,
) -> list[NewEvent]:
    """Return the events of one delivery: that it came, keyed by its id, and its facts, keyed by the exact body.

    So a delivery that is sent twice is one, and a captured one that is sent again under another id is noted
    but its facts are not recorded again.
    """
    from ledger.events.checks import WebhookReceived

    received = NewEvent(
        stream=f"webhook/{source}",
        key=f"webhook/{source}/{delivery}",
        payload=WebhookReceived(
            source=source,
            delivery=delivery,
            event=event,
            body_sha256=body_sha256,
            body_bytes=body_bytes,
            action=reading.action,
            repository=reading.repository,
            understood=bool(reading.facts),
        ),
    )
    return [
        received,
        *(
            NewEvent(stream=fact.stream, key=f"webhook/{source}/{event}/{body_sha256}/{nth}", payload=fact.payload)
            for nth, fact in enumerate(reading.facts)
        ),
    ]


def short(value: Any, limit: int = 200) -> str:
    """Return untrusted text cut to a limit, with a mark where it was cut."""
    text = "" if value is None else str(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"

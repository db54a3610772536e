"""The hash chain: how an event becomes bytes, and how bytes prove they are the event.

`hash` is the SHA-256 of the event's canonical JSON without the `hash` field; `prev_hash`, the hash of
position - 1, is inside it (64 zeros for position 1), so no event can be changed, dropped, added or
reordered without every later hash changing.
"""

from __future__ import annotations

from hashlib import sha256

import msgspec

from ledger.event import Event

_text = msgspec.json.encode
_decoder = msgspec.json.Decoder(Event)
_batch_decoder = msgspec.json.Decoder(list[Event])


def _optional(value: str | None) -> bytes:
    return b"null" if value is None else _text(value)


def halves(event: Event) -> tuple[bytes, bytes]:
    """Return the canonical JSON of an event in two parts, between which the `hash` field stands."""
    head = b'{"actor":%b,"causation_id":%b,"correlation_id":%b,"event_id":%b,"git_sha":%b' % (
        _text(event.actor), _optional(event.causation_id), _optional(event.correlation_id),
        _text(event.event_id), _optional(event.git_sha),
    )
    tail = (
        b',"host":%b,"key":%b,"origin":%b,"payload":%b,"position":%d,"prev_hash":"%b",'
        b'"recorded_at":"%b","schema_version":%d,"stream":%b,"type":%b,"version":%d}'
    ) % (
        _text(event.host), _optional(event.key), _text(event.origin), bytes(event.payload), event.position,
        event.prev_hash.encode(), event.recorded_at.encode(), event.schema_version, _text(event.stream),
        _text(event.type), event.version,
    )
    return head, tail


def hash_of(event: Event) -> str:
    """Return the SHA-256 hex of an event's canonical JSON without its `hash`."""
    head, tail = halves(event)
    return sha256(head + tail).hexdigest()


def to_json(event: Event) -> bytes:
    """Return the event's canonical JSON, `hash` included."""
    head, tail = halves(event)
    return b'%b,"hash":"%b"%b' % (head, event.hash.encode(), tail)


def link(event: Event) -> tuple[Event, bytes]:
    """Return the event with its hash filled in, and its canonical JSON."""
    head, tail = halves(event)
    digest = sha256(head + tail).hexdigest()
    return msgspec.structs.replace(event, hash=digest), b'%b,"hash":"%b"%b' % (head, digest.encode(), tail)


def parse_line(line: bytes, *, check: bool = True) -> list[Event] | None:
    """Return the events of one journal line (one event, or a batch as an array), or None when it is not whole.

    Whole means: it decodes, it is in canonical form to the byte, and every hash is right. Without `check` only
    the first of the three.
    """
    try:
        events = _batch_decoder.decode(line) if line.startswith(b"[") else [_decoder.decode(line)]
        if not check:
            return events
        for event in events:
            if hash_of(event) != event.hash:
                return None
    except (msgspec.MsgspecError, UnicodeError):
        return None
    return events if join_batch([to_json(event) for event in events]) == line else None


def join_batch(items: list[bytes]) -> bytes:
    """Return the journal line (without newline) of a batch: the event itself, or an array of several."""
    return items[0] if len(items) == 1 else b"[" + b",".join(items) + b"]"


def first_break(events: list[Event], *, position: int, prev_hash: str) -> str | None:
    """Say what is wrong where events do not continue a chain that ended at `position` with `prev_hash`."""
    for event in events:
        if event.position != position + 1:
            return f"position {event.position} follows {position}"
        if event.prev_hash != prev_hash:
            return f"position {event.position} does not chain to position {position}"
        position, prev_hash = event.position, event.hash
    return None

"""The hash chain: how an event becomes bytes, and how bytes prove they are the event.

`hash` is the SHA-256 of the event's canonical JSON without the `hash` field; `prev_hash`, the hash of
position - 1, is inside it (64 zeros for position 1), so no event can be changed, dropped, added or
reordered without every later hash changing.
"""

from __future__ import annotations

from hashlib import sha256

import msgspec

from ledger.event import Event

_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(Event)
_batch_decoder = msgspec.json.Decoder(list[Event])
_HASH = b',"hash":"'
_HASH_HEX = 64

# The fields of Event are declared in alphabetical order and msgspec writes them in that order, so its encoding of an
# event is the canonical one. In it, the first `,"hash":"` is the envelope's own: before it come only null and
# strings, and quotes inside a string are escaped.
assert list(Event.__struct_fields__) == sorted(Event.__struct_fields__)


def hash_of(event: Event) -> str:
    """Return the SHA-256 hex of an event's canonical JSON without its `hash`."""
    return _hash_of(_encode(event), len(event.hash))


def _hash_of(data: bytes, length: int) -> str:
    at = data.index(_HASH)
    digest = sha256(data[:at])
    digest.update(data[at + len(_HASH) + length + 1 :])
    return digest.hexdigest()


def to_json(event: Event) -> bytes:
    """Return the event's canonical JSON, `hash` included."""
    return _encode(event)


def link(event: Event) -> bytes:
    """Fill in the hash of an event that has none yet, and return its canonical JSON.

    The one place where an event is changed: between its making and its first use.
    """
    data = _encode(event)
    at = data.index(_HASH)
    head, tail = data[:at], data[at + len(_HASH) + 1 :]
    digest = sha256(head)
    digest.update(tail)
    text = digest.hexdigest()
    msgspec.structs.force_setattr(event, "hash", text)
    return b'%b,"hash":"%b"%b' % (head, text.encode(), tail)


def parse_line(line: bytes, *, check: bool = True) -> list[Event] | None:
    """Return the events of one journal line (one event, or a batch as an array), or None when it is not whole.

    Whole means: it decodes, it is in canonical form to the byte, and every hash is right. Without `check` only
    the first of the three.
    """
    try:
        events = _batch_decoder.decode(line) if line.startswith(b"[") else [_decoder.decode(line)]
    except (msgspec.MsgspecError, UnicodeError):
        return None
    if not events:
        return None  # nobody writes an empty batch: a line of none would be bytes that no hash covers
    if not check:
        return events
    items = [_encode(event) for event in events]
    if join_batch(items) != line:
        return None
    for event, item in zip(events, items, strict=True):
        if len(event.hash) != _HASH_HEX or _hash_of(item, _HASH_HEX) != event.hash:
            return None
    return events


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

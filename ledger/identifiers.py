"""UUIDv7 event ids and the hybrid clock: time that orders events and never goes backwards."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from ledger.errors import BadInput

MICROSECONDS = 1_000_000
TIME_MIN_US, TIME_MAX_US = -62_135_596_800 * MICROSECONDS, 253_402_300_800 * MICROSECONDS - 1  # the years 1 to 9999


def new_event_id(now_us: int, entropy: bytes) -> str:
    """Return a UUIDv7 (RFC 9562): 48 bits of milliseconds, then 74 random bits.

    `now_us` is the event's own recorded time in microseconds, so that ids sort as events do; `entropy` is
    10 random bytes (a batch asks the kernel once).
    """
    random = int.from_bytes(entropy, "big")
    value = (now_us // 1000) << 80
    value |= 0x7 << 76
    value |= (random >> 68 & 0xFFF) << 64
    value |= 0b10 << 62
    value |= random & 0x3FFF_FFFF_FFFF_FFFF
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def clock() -> int:
    """Return the machine's time in microseconds UTC: the one place that asks it."""
    return time.time_ns() // 1000


def next_time(last_us: int) -> int:
    """Return the time of the next event in microseconds UTC: the clock, or one more than the last event's.

    A machine whose clock jumps back keeps counting from the last event until the clock has caught up,
    so positions and times always have the same order within one origin. A pull moves it forward too: what is
    recorded after it comes after what it brought (`Ledger.append`, not_before).
    """
    return max(clock(), last_us + 1)


_second_cache: tuple[int, str] = (-1, "")


def format_time(us: int) -> str:
    """Return microseconds since the epoch as `2026-06-01T00:00:00.000000Z`."""
    global _second_cache
    second, rest = divmod(us, MICROSECONDS)
    if _second_cache[0] != second:
        t = time.gmtime(second)
        text = f"{t.tm_year:04d}-{t.tm_mon:02d}-{t.tm_mday:02d}T{t.tm_hour:02d}:{t.tm_min:02d}:{t.tm_sec:02d}"
        _second_cache = (second, text)
    return f"{_second_cache[1]}.{rest:06d}Z"


def parse_time(text: str) -> int:
    """Return microseconds since the epoch of any ISO 8601 time; without an offset it is UTC.

    Raises `BadInput` when the text is no time, or one that is outside the years 1 to 9999 in UTC.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
        # an offset can lead out of the years that `format_time` writes in a form that can be read again
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadInput(
            f"not a time: {text!r}", code="bad_time", hint="use ISO 8601, for example 2026-06-01T14:00:00Z"
        ) from None
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86400 + delta.seconds) * MICROSECONDS + delta.microseconds

"""What every adapter returns: one measured result, normalized, with what its file said besides."""

from __future__ import annotations

from typing import Any

import msgspec

from commands.intake.formats import json_text
from ledger.errors import BadInput
from projections.results.record_shape import Record

RECORD_BYTES_MAX = 512 * 1024  # an event may have 1 MiB; a result record is a few kilobytes


class Measured(msgspec.Struct, frozen=True):
    """One result read from a file. The fields mean what `ResultRecorded` says of them; `data` are its bytes."""

    record: Record
    path: str
    format: str
    data: bytes
    unusable: dict[str, str] = msgspec.field(default_factory=dict)
    samples: dict[str, list[float]] = msgspec.field(default_factory=dict)
    static_limits: dict[str, float] = msgspec.field(default_factory=dict)
    run_source_claimed: bool = True


class Unreadable(Exception):
    """These bytes are no JSON object; the text says why, without naming the file."""


def parse_object(data: bytes, *, settled: bool = False) -> dict[str, Any]:
    """Return the JSON object in `data`, accepting what Python's own reader does (the bare tokens NaN and
    Infinity). Raises `Unreadable` with the reason.

    A duplicate key is also an error. `settled` are bytes the ledger took before: there the last value won.
    """
    if len(data) > RECORD_BYTES_MAX:
        raise Unreadable(f"{len(data)} bytes are too many for one record (at most {RECORD_BYTES_MAX})")
    try:
        value = msgspec.json.decode(data) if settled else json_text.decode(data)
    except json_text.TwiceGiven as error:
        raise Unreadable(str(error)) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        value = _parse_slowly(data, settled=settled)
    if not isinstance(value, dict):
        raise Unreadable(f"a JSON {_kind(value)}, not an object")
    return value


def _parse_slowly(data: bytes, *, settled: bool) -> Any:
    import json

    if not data.strip():
        raise Unreadable("the file is empty")
    if data.startswith(b"\xef\xbb\xbf"):
        raise Unreadable("the file starts with a byte order mark")
    try:
        text = data.decode("utf-8")
        return json.loads(text) if settled else json_text.loads(text)
    except UnicodeDecodeError as error:
        raise Unreadable(f"not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise Unreadable("nested too deeply") from None
    except json_text.TwiceGiven as error:
        raise Unreadable(str(error)) from None
    except ValueError as error:
        raise Unreadable(f"not JSON: {error}") from None


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    return {bool: "boolean", list: "array", str: "text"}.get(type(value), "number")


def refuse_unusable(measured: Measured) -> None:
    """Raise `BadInput` naming file and field when a metric is NaN or infinite: that is no measurement."""
    for name, reason in measured.unusable.items():
        if reason in ("NaN", "infinite"):
            raise BadInput(
                f"{measured.path}: field {name} is {reason}, which is not a measurement; nothing was recorded",
                code="not_finite",
                hint="correct the benchmark; a policy file with `rules: {not_finite: drop}` reads it as not measured",
                file=measured.path,
                field=name,
            )

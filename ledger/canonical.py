"""Canonical JSON: the one byte sequence of a value, so that a hash means the same on every machine.

The rules, complete enough for any language to recompute them:

* UTF-8, no insignificant white space, no byte order mark;
* object keys are strings, sorted by their UTF-8 bytes, each key once;
* strings escape only `"` `\\` and U+0000 to U+001F: `\\b \\t \\n \\f \\r` where JSON has a short
  form, else `\\u00xx` in lower-case hex; everything else stands as itself; lone surrogates are refused;
* integers are decimal digits, between -2^63 and 2^63 - 1;
* other numbers are IEEE 754 doubles with the fewest digits that read back as the same double (of
  those, the nearest). With D the digits and E the decimal exponent of the first one:
  plain notation for -5 <= E <= 15 (`0.00001`, `1.0`, `1234500.0`; at least one digit after the
  point), else scientific: first digit, the rest after a point if there is any, `e`, E without `+`
  or leading zeros (`1e-6`, `1.5e16`); minus zero is `-0.0`;
* NaN and the infinities do not exist: the boundary refuses them, naming the field;
* `true`, `false`, `null`.

A test recomputes this page independently on random values.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from ledger.errors import BadInput

INT_MIN, INT_MAX = -(2**63), 2**63 - 1
NESTING_MAX = 200  # arrays and objects inside each other; readers that recurse stay far from the end of their stack

_DIGITS_AS_ZERO = bytes.maketrans(b"123456789", b"000000000")
_LONG = b"0" * 19
_ENCODER = msgspec.json.Encoder(order="sorted", decimal_format="string")


def encode(value: Any) -> bytes:
    """Return the canonical bytes of a JSON value or typed payload.

    Raises `BadInput` naming the field for NaN, infinities, integers outside 64 bits and text that
    is not valid Unicode.
    """
    check_storable(value)
    return encode_unchecked(value)


def encode_unchecked(value: Any) -> bytes:
    """Encode a value that is checked by other means: NaN becomes null here without a word."""
    try:
        return _ENCODER.encode(value)
    except (UnicodeEncodeError, TypeError) as error:
        raise BadInput(f"not storable as JSON: {error}", code="not_json") from None


def has_long_digits(data: bytes) -> bool:
    """Whether canonical bytes hold 19 digits in a row, as only an integer near or outside 64 bits must have."""
    return _LONG in data.translate(_DIGITS_AS_ZERO)  # a regular expression takes twenty times as long


def is_exceptional(data: bytes) -> bool:
    """Whether a JSON text may break a limit of `check_limits`: it has a long number, or many brackets."""
    return has_long_digits(data) or data.count(b"{") + data.count(b"[") > NESTING_MAX


def check_limits(value: Any) -> None:
    """Raise `BadInput` for a value read from JSON with an integer outside 64 bits, or nested too deep."""
    level = [value]
    for _ in range(NESTING_MAX + 1):
        inside = [item for item in level if isinstance(item, (dict, list))]
        if not inside:
            break
        level = [child for item in inside for child in (item.values() if isinstance(item, dict) else item)]
    else:
        raise BadInput(f"nested deeper than {NESTING_MAX} levels", code="nested_too_deep")
    check_storable(value)


def decode(data: bytes | str) -> Any:
    """Read canonical JSON back into plain Python values."""
    return msgspec.json.decode(data)


def is_unicode(text: str) -> bool:
    """Whether text can be written as UTF-8: an argument or a file name of any bytes holds lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_storable(value: Any) -> None:
    """Raise `BadInput` naming the first field that JSON cannot hold exactly.

    msgspec writes NaN as null without a word, which is why this walk exists.
    """
    if not _storable(value):
        _name_offender(value, "")


_PLAIN = frozenset({str, bool, type(None), bytes, msgspec.Raw})


def _storable(value: Any) -> bool:
    """The walk every event takes: loops inside, calls only for nested values, no paths."""
    kind = type(value)
    items: Any
    if kind is dict:
        items = value.values()
    elif kind is list or kind is tuple:
        items = value
    elif isinstance(value, msgspec.Struct):
        items = [getattr(value, name) for name in value.__struct_fields__]
    else:
        items = (value,)
    for item in items:
        kind = type(item)
        if kind in _PLAIN:
            continue
        if kind is float:
            if item - item != 0.0:  # NaN and the infinities only
                return False
        elif kind is int:
            if not INT_MIN <= item <= INT_MAX:
                return False
        elif not _storable(item):
            return False
    return True


def _name_offender(value: Any, path: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise BadInput(
            f"field {path or 'value'} is {value}: NaN and infinities are not measurements",
            code="not_finite",
            hint="remove the field or store null with the reason",
            field=path,
        )
    if isinstance(value, int) and not INT_MIN <= value <= INT_MAX:
        raise BadInput(f"field {path or 'value'} is outside 64 bits: {value}", code="integer_too_large", field=path)
    if isinstance(value, dict):
        for key, item in value.items():
            _name_offender(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _name_offender(item, f"{path}[{index}]")
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            _name_offender(getattr(value, name), f"{path}.{name}" if path else name)

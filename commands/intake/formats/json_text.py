"""JSON in which a duplicate key is an error: RFC 8259 does not define its value, and the last must not win silently.

The fast reader does not report it. So the keys that it read are counted against the text: a `":` follows every key
of the text and perhaps in a string, so a count equal to the number of keys means no duplicate. Only texts that the
count does not settle are read again, slowly.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import msgspec

_SPACED_KEY = re.compile(rb'"\s+:')
_CONTAINERS = (dict, list)


class TwiceGiven(ValueError):
    """An object has a key twice; the text says which."""


def decode(data: bytes) -> Any:
    """Return the JSON value in `data`. Raises `TwiceGiven`, or what msgspec raises for what is not strict JSON."""
    value = msgspec.json.decode(data)
    if data.count(b'":') != _keys(value) or _SPACED_KEY.search(data):
        loads(data.decode("utf-8"))
    return value


def loads(text: str | bytes) -> Any:
    """Return the JSON value in `text` as Python's reader takes it, NaN and Infinity included.

    Raises `TwiceGiven`, `ValueError` for what is not JSON, `RecursionError` for what is nested too deeply.
    """
    return json.loads(text, object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise TwiceGiven(f"the key {json.dumps(twice)} is given twice in one object")
    return found


def _keys(value: Any) -> int:
    """Count the keys of all objects in a value."""
    count = 0
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if type(one) is dict:
            count += len(one)
            waiting += [each for each in one.values() if type(each) in _CONTAINERS]
        elif type(one) is list:
            waiting += [each for each in one if type(each) in _CONTAINERS]
    return count


DECODER = json.JSONDecoder(object_pairs_hook=_once)

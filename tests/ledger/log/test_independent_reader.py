"""The chain recomputed by a reader that shares no code with the writer.

Written only from the docstrings of `ledger/canonical.py` and `ledger/log/chain.py`, in plain Python: what it
recomputes, any language can.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import canonical
from ledger.event import NewEvent
from ledger.events.results import ResultRecorded
from ledger.ledger import Ledger
from tests.conftest import Result

SHORT = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}


def text(value: str) -> str:
    """Return a JSON string by the rules of the docstring."""
    return '"' + "".join(SHORT.get(c) or (f"\\u{ord(c):04x}" if c < " " else c) for c in value) + '"'


def number(value: float) -> str:
    """Return a double by the rules of the docstring: fewest digits, plain for -5 <= E <= 15, else scientific."""
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    assert isinstance(exponent, int)
    significant = "".join(map(str, digits)).lstrip("0")
    minus = "-" if sign else ""
    if not significant:
        return minus + "0.0"
    stripped = significant.rstrip("0")
    first = exponent + len(significant) - 1  # the exponent of the first digit
    if not -5 <= first <= 15:
        return f"{minus}{stripped[0]}{'.' + stripped[1:] if len(stripped) > 1 else ''}e{first}"
    if first < 0:
        return f"{minus}0.{'0' * (-first - 1)}{stripped}"
    whole = stripped[: first + 1].ljust(first + 1, "0")
    return f"{minus}{whole}.{stripped[first + 1 :] or '0'}"


def independent(value: Any) -> str:
    """Return the canonical JSON of a value."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return text(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return number(value)
    if isinstance(value, list):
        return "[" + ",".join(map(independent, value)) + "]"
    items = sorted(value.items(), key=lambda item: item[0].encode())
    return "{" + ",".join(f"{text(k)}:{independent(v)}" for k, v in items) + "}"


floats = st.floats(allow_nan=False, allow_infinity=False)
near_powers = st.builds(lambda m, e: m * 10.0**e, st.floats(0.5, 20), st.integers(-12, 22)).filter(math.isfinite)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | floats | near_powers | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=600, deadline=None)
@given(values)
def test_canonical_json_can_be_recomputed_from_its_docstring(value: Any) -> None:
    assert canonical.encode(value) == independent(value).encode()


@settings(max_examples=2_000, deadline=None)
@given(floats | near_powers)
def test_every_double_reads_back_as_itself(value: float) -> None:
    written = canonical.encode(value)
    assert written == number(value).encode()
    back = float(written)
    assert back == value
    assert math.copysign(1, back) == math.copysign(1, value)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    records=st.lists(st.dictionaries(st.text(max_size=8), values, max_size=5), min_size=1, max_size=4),
    seal=st.booleans(),
)
def test_what_export_writes_recomputes_to_the_same_chain_without_our_code(
    tmp_path_factory: Any, records: list[dict[str, Any]], seal: bool
) -> None:
    folder: Path = tmp_path_factory.mktemp("export")
    ledger = Ledger.create(folder, origin="testbed", actor='tester "x" \u2028')
    ledger.append(
        [
            NewEvent(
                stream="s/\u00e9",
                payload=ResultRecorded(target="m@GPU", record=record, path="a.json", format="normalized", sha256=""),
            )
            for record in records
        ]
    )
    if seal:
        ledger.seal()
    from ledger.log import chain

    recompute(b"".join(chain.to_json(event) + b"\n" for event in ledger.read()), count=len(records) + 1)


def recompute(exported: bytes, *, count: int) -> None:
    """Check exported lines: canonical to the byte, hashed, chained, positions from 1."""
    previous = "0" * 64
    lines = exported.split(b"\n")[:-1]
    assert len(lines) == count
    for position, line in enumerate(lines, 1):
        event = json.loads(line)
        assert independent(event).encode() == line
        said = event.pop("hash")
        assert sha256(independent(event).encode()).hexdigest() == said
        assert (event["position"], event["prev_hash"]) == (position, previous)
        previous = said


def test_the_export_command_writes_the_same_lines(ledger: Ledger, cli: Callable[..., Result]) -> None:
    ledger.append(
        [
            NewEvent(
                stream="s",
                payload=ResultRecorded(
                    target="m@GPU", record={"latency": 0.1 + 0.2, "note": "Grüße\n"}, path="a", format="raw", sha256=""
                ),
            )
        ]
    )
    recompute(cli("events", "export", code=0).out.encode(), count=2)

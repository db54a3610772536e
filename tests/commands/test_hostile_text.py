"""A hostile text in every text field of every event type reaches no reader but as text.

The events are made from the event classes, so that a new type or field is tested as soon as it is there.
"""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import click
import msgspec

from commands.main import root
from ledger.event import EventPayload, NewEvent, load_catalogue
from ledger.ledger import Ledger
from projections.results.metric_policy import MetricPolicy
from tests.ledger.outside.hostile import FORGED, STORABLE, obeyed
from tests.terminal import on_terminal

SHA = "5" * 40
# What commands find a thing by, and what a projection needs to take an event in: the second event of a type has these.
KNOWN: dict[str, Any] = {
    "session": "s1",
    "reseed": "r1",
    "repository": "org/repo",
    "sha": SHA,
    "head_sha": SHA,
    "git_sha": SHA,
    "calibration_git_sha": SHA,
    "number": 7,
    "target": "model@gpu",
    "status": "ok",
    "instant": "2026-06-01T10:00:00.000000Z",
    "started_at": "2026-06-01T10:00:00Z",
    "recorded_at": "2026-06-01T10:00:00Z",
    "worst": "min",
    "static_failures": [],
    "pinned": None,
    "nearest": None,
}
RECORD = {"model_id": STORABLE, "gpu_type": STORABLE, "latency": 10.0, "timestamp": "2026-06-01T10:00:00+00:00"}
STREAMS = {"calibrations": "calibration/s1", "observations": "calibration/s1", "reseeds": "reseed/r1"}

TIMES = ("instant", "started_at", "measured_at", "sampled_at", "at", "created_at", "updated_at", "finished_at")

# The arguments of each command that reads. A new one that is not listed here fails the test.
READING: dict[str, list[list[str]]] = {
    "baseline list": [[]],
    "baseline show": [["model@gpu"], [STORABLE]],
    "baseline history": [["model@gpu"], [STORABLE]],
    "baseline plot": [["model@gpu"]],
    "policy show": [[]],
    "reseed show": [["r1"]],
    "reseed list": [[]],
    "reseed policy": [[]],
    "calibrate status": [["s1"]],
    "calibrate audit": [["s1"]],
    "calibrate report": [["s1", "--dry-run"]],
    "calibrate watch": [["s1", "--no-follow"]],
    "calibrate plan-apply": [["s1"]],
    "calibrate pr-body": [["s1"]],
    "calibrate compare": [["s1", "s1"]],
    "ci lanes": [["--changed", STORABLE]],
    "ci labels": [["--title", STORABLE, "--changed", STORABLE]],
    "ci command": [[STORABLE], [f"/test {STORABLE}"]],
    "ci status": [[SHA]],
    "ci gate": [["7"]],
    "ci lint": [[]],
    "ci policy show": [[]],
    "ci policy list": [[]],
    "events export": [[]],
    "events list": [[]],
    "events show": [["2@testbed"], ["9@testbed"]],
    "events tail": [["--no-follow", "-n", "1000"]],
    "sql": [["FROM events"], ["FROM events", "--format", "csv"], ["FROM events", "--format", "json"]],
    "explain": [["2@testbed"], ["model@gpu"]],
    "backtest": [["policy.yaml"]],
    "sync status": [[]],
}
# These read the present only.
PRESENT = [["verify"], ["doctor"], ["replay", "--check"], ["events", "types"], ["sql", "--list"]]


def reading_commands(group: click.Command = root, path: str = "") -> list[str]:
    """Return the commands that take --as-of: those that read."""
    if isinstance(group, click.Group):
        names = group.list_commands(click.Context(group))
        below = [(group.get_command(click.Context(group), name), f"{path} {name}".strip()) for name in names]
        return [found for one, where in below if one is not None for found in reading_commands(one, where)]
    return [path] if any("--as-of" in option.opts for option in group.params) else []


class Filler:
    """Makes a payload of a class. known: fields by which things are found have their usual values."""

    def __init__(self, evidence: str, *, known: bool) -> None:
        self.evidence = evidence
        self.known = known

    def payload(self, kind: type[EventPayload]) -> EventPayload:
        """Return a payload with a hostile text in each text field."""
        return msgspec.convert(self.value(msgspec.inspect.type_info(kind)), kind)

    def value(self, kind: Any, name: str = "") -> Any:
        """Return a value of a type, as plain data."""
        info = msgspec.inspect
        if isinstance(kind, info.Metadata):
            return self.evidence if (kind.extra or {}).get("evidence") else self.value(kind.type, name)
        if name == "policy" and isinstance(kind, info.DictType):
            return {**MetricPolicy().as_dict(), "name": STORABLE}
        if name in TIMES:
            return "2026-06-01T10:00:00.000000Z"
        if self.known and name in KNOWN and (KNOWN[name] is not None or isinstance(kind, info.UnionType)):
            return KNOWN[name]
        if isinstance(kind, info.StructType):
            return {field.encode_name: self.value(field.type, field.encode_name) for field in kind.fields}
        if isinstance(kind, info.UnionType):
            given = [one for one in kind.types if not isinstance(one, info.NoneType)]
            text = [one for one in given if isinstance(one, info.StrType)]
            return self.value((text or given)[0], name)
        if isinstance(kind, info.ListType):
            return [self.value(kind.item_type)]
        if isinstance(kind, info.DictType):
            return {STORABLE: self.value(kind.value_type)} if name != "record" else RECORD
        if isinstance(kind, info.LiteralType):
            return kind.values[0]
        if isinstance(kind, info.StrType):
            return self.evidence if kind.pattern else STORABLE
        plain = {info.IntType: 1, info.FloatType: 1.5, info.BoolType: True, info.AnyType: STORABLE}
        return plain.get(type(kind), STORABLE)


def hostile_ledger(folder: Path) -> Ledger:
    """Return a ledger with two events of each type, the first hostile in every field."""
    ledger = Ledger.create(folder, origin="testbed", actor="tester@example.org")
    digest = ledger.evidence.put(STORABLE.encode(), "text/plain")
    for name, kind in load_catalogue().items():
        if name == "LedgerCreated":
            continue
        area = kind.payload.__module__.rpartition(".")[2]
        for known in (False, True):
            payload = Filler(digest, known=known).payload(kind.payload)
            stream = STREAMS.get(area, f"{area}/one") if known else f"{area}/{STORABLE}"
            ledger.append([NewEvent(stream=stream, payload=payload)])
    ledger.seal()
    return ledger


def test_every_command_that_reads_is_looked_at() -> None:
    assert sorted(READING) == sorted(reading_commands())


def test_no_command_obeys_or_forges_a_line_of_a_hostile_ledger(tmp_path: Path) -> None:
    hostile_ledger(tmp_path / ".perfledger")
    (tmp_path / "policy.yaml").write_text("window: 3\n")
    lines = [[*name.split(), *args] for name, several in READING.items() for args in several] + PRESENT
    lines += [[*line, "--json"] for line in lines[::3] if "--format" not in line]
    wrong: list[tuple[object, ...]] = []
    shown = 0
    for line, (code, seen) in zip(lines, on_terminal(lines, cwd=tmp_path), strict=True):
        said = " ".join(line)[:60]
        shown += "\\x1b]52" in seen or "\\u001b]52" in seen
        if obeyed(seen):
            wrong.append((said, code, obeyed(seen)))
        if code in (70, -11) or "Traceback" in seen:
            wrong.append((said, code, seen[-300:]))
        if "csv" not in line and re.search(rf"(?m)^[^\w\\]{{0,5}}{FORGED}", seen.replace("\r\n", "\n")):
            wrong.append((said, code, "a forged line"))
        if "csv" in line:
            cells = [cell for row in csv.reader(io.StringIO(seen, newline="")) for cell in row]
            wrong += [(said, cell) for cell in cells if cell.startswith(tuple("=+-@\t\r"))]
    assert wrong == [], "\n".join(map(str, wrong))
    assert shown > 20, "the text is there to be seen"

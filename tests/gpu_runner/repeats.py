"""Requests for repeats of small, real pytest files."""

from __future__ import annotations

import os
import sys
import textwrap
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from gpu_runner.repeat import GatePolicy, Limits, RepeatObserved, RepeatRequest, StageSpec, ValueSource, run_repeat
from ledger.event import EventPayload

QPS = ValueSource(json_file="test_it0/r.json", json_path="speed.qps")
SPEED = StageSpec(key="it_speed", metrics={"throughput_qps": QPS})

WRITES = """
    import json, os
    def measured(tmp_path, qps=17.5):
        (tmp_path / "r.json").write_text(json.dumps({"speed": {"qps": qps}}))
"""
PASSES = (
    WRITES
    + """
    def test_it(tmp_path):
        measured(tmp_path)
"""
)


class Store:
    """An evidence store in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def put(self, data: bytes, media_type: str = "") -> str:
        digest = sha256(data).hexdigest()
        self.kept[digest] = data
        return digest

    def put_file(self, path: str | os.PathLike[str]) -> str:
        return self.put(Path(path).read_bytes())


@dataclass
class Bench:
    """A folder with a test file, and what came out of running it."""

    root: Path
    events: list[EventPayload] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    store: Store = field(default_factory=Store)

    def write(self, code: str, name: str = "test_it.py") -> Path:
        path = self.root / name
        path.write_text(textwrap.dedent(code), encoding="utf-8")
        return path

    def request(self, **changes: Any) -> RepeatRequest:
        values: dict[str, Any] = {
            "unit": "test_it",
            "repeat": 1,
            "python": sys.executable,
            "test": "test_it.py",
            "cwd": self.root,
            "basetemp": self.root / "run" / "basetemp_run1",
            "log": self.root / "run" / "run1.log",
            "stages": (SPEED,),
            "emit": self.events.append,
            "say": self.words.append,
            "evidence": self.store,
            "env": {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            "extra_args": ("-p", "no:cacheprovider"),
            "limits": Limits(poll_s=0.05, term_grace_s=1.0),
            "gate": GatePolicy(wait_s=0.0, poll_s=0.05, settle_s=0.05, release_wait_s=0.5),
        }
        return RepeatRequest(**{**values, **changes})

    def run(self, code: str | None = None, **changes: Any) -> RepeatObserved:
        if code is not None:
            self.write(code)
        return run_repeat(self.request(**changes))

    def named(self, name: str) -> list[Any]:
        return [event for event in self.events if type(event).__name__ == name]

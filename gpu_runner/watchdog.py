"""Reads a growing log once, line by line, and says when the run behind it is lost.

One pass finds everything anybody asks of the log: crash signatures, broken environments, memory and time errors,
proof patterns. The limits on silence and total time are judged here too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gpu_runner.request import Limits
from gpu_runner.signatures import (
    INFRASTRUCTURE,
    OUT_OF_MEMORY,
    PYTEST_ERROR,
    RETRIED,
    TIMED_OUT,
    CrashSignature,
    EnvironmentSignature,
)

READ_BYTES = 1 << 20
READS_PER_LOOK_MAX = 64  # a log that grows faster than 64 MiB a look is read on at the next one
LINE_BYTES_MAX = 16_384  # a line longer than this is data, not a message; its start is what gets searched
CAUSE_CHARS = 300


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a run has to be ended. kind: `crash` or `timeout`; outcome: as the attempt's record stores it."""

    kind: str
    outcome: str
    cause: str


@dataclass(slots=True)
class Findings:
    """What the log said. Each is the first matching line, or None.

    error_*: only in pytest's own error lines (`E   `, `FAILED `, `ERROR `), where a retried and
    later successful operation never shows up.
    """

    out_of_memory: str | None = None
    timed_out: str | None = None
    error_line: str | None = None
    error_out_of_memory: str | None = None
    error_timed_out: str | None = None
    error_infrastructure: str | None = None
    environment: list[str] = field(default_factory=list)
    patterns: dict[str, str | None] = field(default_factory=dict)


class LogWatch:
    """Follows one log file. Call `look` regularly; `stop` is set when the run is lost."""

    def __init__(
        self,
        log: Path,
        limits: Limits,
        *,
        now: float,
        crashes: tuple[CrashSignature, ...] = (),
        environment: tuple[EnvironmentSignature, ...] = (),
        patterns: Mapping[str, str] | None = None,
    ) -> None:
        self.log = log
        self.limits = limits
        self.findings = Findings(patterns=dict.fromkeys(patterns or {}))
        self.bytes_read = 0
        self._rest = b""
        self._started = self._grew = now
        self._crashes = [(c, re.compile(c.pattern), re.compile(c.recovered) if c.recovered else None) for c in crashes]
        self._environment = [(e, re.compile(e.pattern)) for e in environment]
        self._patterns = {name: re.compile(pattern) for name, pattern in (patterns or {}).items()}
        self._suspected: dict[str, tuple[CrashSignature, re.Pattern[str] | None, str, float]] = {}
        # most lines say nothing: one search over all patterns at once decides that
        self._anything = _any_of(
            [*(c.pattern for c in crashes), *(c.recovered for c in crashes if c.recovered)]
            + [e.pattern for e in environment]
            + list((patterns or {}).values())
            + [OUT_OF_MEMORY.pattern, TIMED_OUT.pattern, PYTEST_ERROR.pattern]
        )

    def look(self, now: float) -> Stop | None:
        """Read what was written since the last look and judge. `now` is a monotonic time in seconds."""
        for _ in range(READS_PER_LOOK_MAX):
            if not self._read(now):
                break
            self._grew = now
        for crash, _, line, since in self._suspected.values():
            if now - since >= crash.confirm_s:
                return Stop("crash", f"crashed ({crash.name})", line)
        silent, running = now - self._grew, now - self._started
        if self.limits.wall_s is not None and running >= self.limits.wall_s:
            return Stop("timeout", f"timeout ({self.limits.wall_s:g} s limit)", "the wall-clock limit was reached")
        if self.limits.stall_s is not None and silent >= self.limits.stall_s:
            return Stop("timeout", f"timeout (no output for {self.limits.stall_s:g} s)", self._last_line())
        return None

    def finish(self, now: float) -> Findings:
        """Read the rest of the log, including a last line without an end."""
        while self._read(now):
            pass
        if self._rest:
            self._line(self._rest, now)
            self._rest = b""
        return self.findings

    def silent_s(self, now: float) -> float:
        """Seconds since the log last grew."""
        return now - self._grew

    def suspected(self) -> str | None:
        """Return the crash line that no later line has cancelled so far, if any."""
        return next((line for _, _, line, _ in self._suspected.values()), None)

    def _read(self, now: float) -> bool:
        try:
            with self.log.open("rb") as file:
                file.seek(self.bytes_read)
                data = file.read(READ_BYTES)
        except FileNotFoundError:
            return False
        self.bytes_read += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._line(line, now)
        if len(self._rest) > LINE_BYTES_MAX:
            self._rest = self._rest[:LINE_BYTES_MAX]
        return bool(data)

    def _line(self, raw: bytes, now: float) -> None:
        line = raw[:LINE_BYTES_MAX].decode("utf-8", "replace").rstrip("\r")
        if not self._anything.search(line):
            return
        self._crash(line, now)
        found = self.findings
        for name, pattern in self._patterns.items():
            if found.patterns[name] is None and pattern.search(line):
                found.patterns[name] = _short(line)
        for signature, pattern in self._environment:
            sentence = signature.explain(line) if pattern.search(line) else None
            if sentence and sentence not in found.environment:
                found.environment.append(sentence)
        memory, late = OUT_OF_MEMORY.search(line), TIMED_OUT.search(line)
        found.out_of_memory = found.out_of_memory or (_short(line) if memory else None)
        found.timed_out = found.timed_out or (_short(line) if late else None)
        if PYTEST_ERROR.match(line):
            found.error_line = found.error_line or _short(line)
            found.error_out_of_memory = found.error_out_of_memory or (_short(line) if memory else None)
            found.error_timed_out = found.error_timed_out or (_short(line) if late else None)
            if found.error_infrastructure is None and INFRASTRUCTURE.search(line):
                found.error_infrastructure = _short(line)

    def _crash(self, line: str, now: float) -> None:
        for crash, pattern, recovered in self._crashes:
            if recovered and crash.name in self._suspected and recovered.search(line):
                del self._suspected[crash.name]
            if crash.name not in self._suspected and pattern.search(line) and not RETRIED.search(line):
                self._suspected[crash.name] = (crash, recovered, _short(line), now)

    def _last_line(self) -> str:
        with self.log.open("rb") as file:
            file.seek(max(0, self.bytes_read - 2000))
            lines = file.read().decode("utf-8", "replace").strip().splitlines()
        return "last line: " + _short(lines[-1]) if lines else "the log stayed empty"


def _any_of(patterns: list[str]) -> re.Pattern[str]:
    if any(re.search(r"\\[1-9]|\(\?P=|\(\?\(", pattern) for pattern in patterns):
        return re.compile("")  # references to groups do not survive being joined: look at every line
    # inline flags are only allowed at the start of an expression, so (?i) becomes a scoped group
    parts = [f"(?i:{p[4:]})" if p.startswith("(?i)") else f"(?:{p})" for p in patterns]
    # group names may repeat between signatures; they are not used here
    return re.compile("|".join(re.sub(r"\(\?P<\w+>", "(?:", part) for part in parts))


def _short(line: str) -> str:
    return line.strip()[:CAUSE_CHARS]

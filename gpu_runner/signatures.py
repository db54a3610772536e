"""Lines of a log that mean something: crashes the run cannot survive, and environments that are broken.

Signatures are data, so that a host or model can add its own without code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashSignature:
    """A log line after which a run is lost, though pytest may go on waiting for minutes.

    pattern: regular expression searched in each line, case-sensitive. confirm_s: the run is stopped only if it
    is still going this many seconds later and no line matched `recovered` meanwhile. A line that says itself that
    something is retried (`RETRIED`) never counts: that is how a server's start-up looks to an impatient client.
    """

    name: str
    pattern: str
    confirm_s: float = 20.0
    recovered: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentSignature:
    """A log line that shows a broken environment: reported with its way out, never as a regression.

    explanation is a format string; `{line}` is the line and named groups of the pattern are available.
    seconds_over: the group `seconds` must exceed this for the signature to count.
    """

    name: str
    pattern: str
    explanation: str
    seconds_over: float | None = None


RETRIED = re.compile(r"\bretry(?:ing)?\b|\bretries\b|\battempt \d+\s*(?:/|of)\s*\d+", re.IGNORECASE)

# What a server says once it is up again; cancels the crashes that a supervisor may heal.
SERVER_UP = r"(?i)application startup complete|uvicorn running on|server is (?:ready|healthy|up)|recovered|restarted"

DEFAULT_CRASHES: tuple[CrashSignature, ...] = ()
DEFAULT_ENVIRONMENT: tuple[EnvironmentSignature, ...] = ()

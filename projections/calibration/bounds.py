"""Which side a threshold bounds, derived from its name, and what an edit of it therefore does.

A lower bound (`min`) holds things that are better when larger: throughput, accuracy, similarity. An upper one
(`max`) holds the others: latency, error rates, failures. The last word of the name that tells decides, after
an explicit MIN or MAX; a name that tells nothing has no direction, rather than a guessed one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

LOWER_BOUND = {
    "throughput",
    "qps",
    "tok",
    "acc",
    "accuracy",
    "similarity",
    "sim",
    "utmos",
    "mos",
    "fps",
    "goodput",
}
UPPER_BOUND = {
    "latency",
    "rtf",
    "wer",
    "cer",
    "der",
    "failed",
    "failures",
    "errors",
    "above",
    "ttft",
    "ttfa",
    "itl",
    "chunk",
    "memory",
    "delta",
}
# Sizes of a test, not limits on its result, though they carry MAX or MIN; a count of valid samples is a result.
NO_BOUND = {"samples", "concurrency", "seed", "turns", "timeout", "slack", "batch"}
NO_BOUND_PHRASES = ("max_tokens", "max_new_tokens", "max_length")
GROUPS = (
    ("wer", {"wer", "cer", "der", "above"}),
    ("accuracy", {"acc", "accuracy"}),
    ("similarity", {"similarity", "sim"}),
    ("utmos", {"utmos", "mos"}),
    ("reliability", {"failed", "failures", "errors"}),
    ("speed", {"throughput", "qps", "tok", "latency", "rtf", "ttft", "ttfa", "itl", "chunk", "fps", "goodput"}),
    ("memory", {"memory"}),
)
EQUAL_WITHIN = 1e-12

_LITERAL = re.compile(r"(?P<symbol>\w+)(?:\[(?P<row>[^\]]*)\])?(?:\[['\"](?P<subkey>[^'\"\]]+)['\"]\])?")


@dataclass(frozen=True)
class Name:
    """A threshold's name taken apart: `_MMSU_P95[16]['rtf_mean']` is symbol `_MMSU_P95`, subkey `rtf_mean`."""

    symbol: str
    subkey: str | None


def parse_literal(literal: str) -> Name:
    """Take a literal's name apart; text that has no such shape is the symbol as a whole."""
    found = _LITERAL.fullmatch(literal)
    return Name(found["symbol"], found["subkey"]) if found else Name(literal, None)


def _words(text: str) -> list[str]:
    return [word for word in text.lower().split("_") if word]


def bound_of(name: Name) -> str | None:
    """Return `min`, `max`, or None when the name does not tell."""
    for text in (name.subkey, name.symbol):
        if not text:
            continue
        words = _words(text)
        if (set(words) & NO_BOUND and "valid" not in words) or any(p in text.lower() for p in NO_BOUND_PHRASES):
            return None
        if ("min" in words) != ("max" in words):
            return "min" if "min" in words else "max"
        telling = [w for w in words if w in LOWER_BOUND or w in UPPER_BOUND]
        if telling:
            # `output_tok_per_req_s` and `throughput` are rates; `latency_p95_s` a time: the first word that tells
            return "min" if telling[0] in LOWER_BOUND else "max"
    return None


def group_of(name: Name) -> str | None:
    """Return the metric group a name belongs to, or None."""
    words = set(_words(name.subkey or "")) | set(_words(name.symbol))
    return next((group for group, telling in GROUPS if words & telling), None)


def direction_of(worst_op: str | None, old: float | None, new: float | None) -> str | None:
    """Return `tightens`, `loosens` or `equal`; None when the bound or a value is unknown."""
    if old is None or new is None:
        return None
    if abs(new - old) < EQUAL_WITHIN:
        return "equal"
    if worst_op is None:
        return None
    return "tightens" if (new > old) == (worst_op == "min") else "loosens"


def percent_of(old: float | None, new: float | None) -> float | None:
    """Return the signed change as a fraction of the old value's size; None from nothing or zero."""
    if old is None or new is None or old == 0:
        return None
    return (new - old) / abs(old)

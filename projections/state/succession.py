"""Which adopted policy is in force, and what the next adoption replaces; the rule is `views/parts/in_force.sql`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ledger.canonical import INT_MAX
from projections.state import catalogue

if TYPE_CHECKING:
    from projections.state.state import State

# Asked again of those that count, where not all do: the rule is one text.
_JUDGED = """WITH adopted AS (
    SELECT kind, name, digest, adopted_at AS recorded_at, policy, replaces_events, number, event_id, origin, position
    FROM policies WHERE kind = $kind AND ($all OR list_contains($counting, event_id))
)
SELECT name, digest, event_id, origin, policy, number, current, replaced FROM ({rule}) AS judged
ORDER BY current DESC, event_id"""


@dataclass(frozen=True)
class InForce:
    """An adopted policy in force. policy: canonical JSON. rivals: adoptions that replaced the same one and lost."""

    name: str
    digest: str
    event_id: str
    origin: str
    policy: str
    rivals: tuple[dict[str, Any], ...] = ()

    def document(self) -> dict[str, Any]:
        """Return what an answer says of it."""
        named = ("name", "digest", "event_id", "origin")
        rivals = [{name: rival[name] for name in named} for rival in self.rivals]
        return {**{name: getattr(self, name) for name in named}, "rivals": rivals}


def in_force(state: State, kind: str, counting: Sequence[str] | None = None) -> InForce | None:
    """Return the adopted policy in force of a kind, `ci` or `metric`; None when none was adopted.

    counting: the adoptions that count, by event id, where others lack the approvals they need; None: all.
    """
    rows = [row for row in _judged(state, kind, counting) if row["current"] or not row["replaced"]]
    if not rows:
        return None
    first, *rivals = rows
    return InForce(
        name=first["name"],
        digest=first["digest"],
        event_id=first["event_id"],
        origin=first["origin"],
        policy=first["policy"],
        rivals=tuple(rivals),
    )


def successor(state: State, kind: str, counting: Sequence[str] | None = None) -> tuple[list[str], int]:
    """Return what an adoption of a kind replaces, by event id, and its number: one more than any that counts."""
    rows = _judged(state, kind, counting)
    highest = max((row["number"] for row in rows), default=0)
    return [row["event_id"] for row in rows if not row["replaced"]], min(highest + 1, INT_MAX)


def _judged(state: State, kind: str, counting: Sequence[str] | None) -> list[dict[str, Any]]:
    return state.rows(
        _JUDGED.format(rule=catalogue.part("in_force")),
        {"kind": kind, "all": counting is None, "counting": list(counting or [])},
    )


def told(now: InForce | None, event_id: str) -> str:
    """Return, in a sentence, what is in force after an adoption with an event id; empty when it is that one."""
    if now is None or now.event_id == event_id:
        return ""
    return f"in force is {now.name} ({now.digest[:12]}), adopted on {now.origin} ({now.event_id})"


def rivals_told(now: InForce) -> str:
    """Return, in a sentence, which adoptions replaced the same one; empty when none did."""
    if not now.rivals:
        return ""
    others = ", ".join(f"{one['name']} ({one['digest'][:12]}) on {one['origin']}" for one in now.rivals)
    return f"{others} replaced the same policy as {now.name} ({now.digest[:12]}) on {now.origin}, which is in force"

"""Typed events, a hash-chained log on disk, evidence, and sync with remotes. Imports no other room.

What a program needs of it can be imported from here; each name is loaded when it is first asked for, so that importing
this package, or one of its modules, costs nothing else.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as `typing` says it, which takes longer to import than all of this
if TYPE_CHECKING:
    from ledger.errors import (
        BadInput,
        Conflict,
        Damaged,
        Inconclusive,
        OutcomeUnknown,
        PerfledgerError,
        Refused,
        Unavailable,
    )
    from ledger.event import Event, EventPayload, NewEvent, event_type
    from ledger.ledger import Ledger
    from ledger.log.incoming import Receipt

__all__ = [
    "BadInput",
    "Conflict",
    "Damaged",
    "Event",
    "EventPayload",
    "Inconclusive",
    "Ledger",
    "NewEvent",
    "OutcomeUnknown",
    "PerfledgerError",
    "Receipt",
    "Refused",
    "Unavailable",
    "event_type",
]

# Errors are not named here: they are what is left.
_MODULES = {
    "Event": "event",
    "EventPayload": "event",
    "Ledger": "ledger",
    "NewEvent": "event",
    "Receipt": "log.incoming",
    "event_type": "event",
}


def __getattr__(name: str) -> object:
    """Load a public name from the module that has it, and keep it here."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    found: object = getattr(importlib.import_module(f"{__name__}.{_MODULES.get(name, 'errors')}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)

"""Every error the product raises on purpose, one class per thing the user can do about it.

    PerfledgerError
    ├── Refused        a rule says no                                   exit 1
    ├── BadInput       wrong usage, a bad file or field                 exit 2
    ├── Conflict       someone else was first; look again               exit 3
    ├── Unavailable    disk, network, Hub, GPU; safe to run again       exit 4
    ├── Inconclusive   nothing measured, or too little to judge         exit 5
    ├── OutcomeUnknown a write may or may not have happened             exit 6
    └── Damaged        the ledger does not verify                       exit 7

A broken invariant of our own code is an `assert`, never one of these.
"""

from __future__ import annotations

from typing import Any, ClassVar


class PerfledgerError(Exception):
    """An error that reaches the user as one sentence, a hint and an exit code.

    `code` is the stable snake_case name scripts match on; `hint` is the next step; `details` are the
    values of the sentence, JSON-ready. None of the three tells a credential, whatever they were made of.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, code: str, hint: str = "", **details: Any) -> None:
        from ledger.outside.redaction import told  # here, so that a start without an error does not pay for it

        self.message: str = told(message)
        super().__init__(self.message)
        self.code = code
        self.hint: str = told(hint)
        self.details: dict[str, Any] = told(details)


class Refused(PerfledgerError):
    """A domain rule says no: regression, not ready, not approved."""

    exit_code = 1


class BadInput(PerfledgerError):
    """Wrong usage or bad input; nothing was recorded or written."""

    exit_code = 2


class Conflict(PerfledgerError):
    """Someone else was first: the stream moved, the plan is stale, an origin forked."""

    exit_code = 3


class Unavailable(PerfledgerError):
    """The outside world failed (disk full, Hub, network, GPU); nothing happened; run it again."""

    exit_code = 4


class Inconclusive(PerfledgerError):
    """Nothing was measured, or too little to judge."""

    exit_code = 5


class OutcomeUnknown(PerfledgerError):
    """A write may or may not have happened; the hint names the command that finds out."""

    exit_code = 6


class Damaged(PerfledgerError):
    """The ledger does not verify; nothing was written."""

    exit_code = 7

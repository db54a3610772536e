"""The ledger for programs: open one, ask it in SQL.

    import perfledger

    with perfledger.open() as ledger:
        for row in ledger.sql("FROM results WHERE target = $target", target="decode@H100").rows:
            ...

Importing this costs next to nothing; what answers a query is imported when the first one is asked.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as `typing` says it, which takes longer to import than all of this
if TYPE_CHECKING:
    import os

    from perfledger.session import OpenLedger

__all__ = ["open"]


def open(path: str | os.PathLike[str] | None = None, *, actor: str | None = None) -> OpenLedger:  # noqa: A001
    """Open the ledger at `path`, or the nearest one from the working directory upward; use it in a `with` block.

    actor: who writes; default: git's user.email, else user@host. Raises `BadInput` of `perfledger.ledger` when there
    is no ledger.
    """
    from perfledger.session import OpenLedger

    return OpenLedger.at(path, actor=actor)

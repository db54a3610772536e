"""Making a proof: which checkpoint it leads to, and what connects that with the one of whoever asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ledger.errors import Conflict, Refused
from ledger.log import chain
from ledger.proofs import checkpoints, notes
from ledger.proofs.checkpoints import WITNESSED, Known
from ledger.proofs.keys import SigningKey
from ledger.proofs.notes import Note
from ledger.proofs.proof import Proof

if TYPE_CHECKING:
    from ledger.event import Event
    from ledger.ledger import Ledger


def prove(ledger: Ledger, event: Event, *, key: Callable[[], SigningKey], lead_to: bytes | None = None) -> Proof:
    """Return the proof that an event is in its origin's log.

    It leads to the newest checkpoint with a co-signature that covers the event, else to the newest; of this ledger's
    own origin one is signed where none covers it. lead_to: a checkpoint of that log that whoever asks has; the proof
    leads to it too. Raises `Refused` (`no_checkpoint`) for another origin that has told none that covers the event,
    `Conflict` when the log here is not the one of the checkpoints.
    """
    origin = event.origin
    asked = notes.parse_note(lead_to) if lead_to is not None else None
    kept = [found for name in (WITNESSED, checkpoints.NAME) if (found := checkpoints.read(ledger, origin, name))]
    main = next((found for found in kept if found.size >= event.position), None)
    if main is None and origin == ledger.origin:
        main = checkpoints.sign(ledger, key())
    if main is None:
        raise Refused(
            f"no checkpoint of {origin} that is here covers position {event.position}",
            code="no_checkpoint",
            hint=f"perfledger sync pull, once the machine of {origin} did `checkpoint sign` and `sync push`",
            origin=origin,
            position=event.position,
        )
    return _connected(ledger, event, main, asked)


def request(ledger: Ledger, origin: str, known: Known, old: int) -> bytes:
    """Return what a witness is sent for its co-signature: the body of `add-checkpoint` of c2sp.org/tlog-witness.

    old: the size of the last checkpoint of this log that the witness co-signed, 0 for none.
    """
    if not 0 <= old <= known.size:
        raise Conflict(
            f"the witness has seen {old:,} events of {origin}, the newest checkpoint is of {known.size:,}",
            code="checkpoint_ahead",
            hint="perfledger checkpoint sign",
        )
    tree = checkpoints.tree_of(ledger, origin, known)
    lines = [f"old {old}", *map(notes.encoded, tree.consistency(old, known.size))]
    return "\n".join(lines).encode() + b"\n\n" + known.note.encode()


def _connected(ledger: Ledger, event: Event, main: Known, asked: Note | None) -> Proof:
    """Return the proof for `main`, and where another checkpoint is asked for, its connection with that."""
    line = chain.to_json(event)
    wanted = notes.parse_checkpoint(asked.text) if asked else None
    tree = checkpoints.tree_of(ledger, event.origin, main, wanted.size if wanted else None)
    assert chain.hash_of(event) == event.hash, event.position  # a reader of the log has no other
    path = tuple(tree.inclusion(event.position, main.size))
    if asked is None or wanted is None:
        return Proof(line, path, main.note)
    if wanted.log != main.checkpoint.log or tree.root(wanted.size) != wanted.root:
        raise Conflict(
            f"the checkpoint that the proof should lead to is not of the log that is here: at {wanted.size:,} events "
            f"of {wanted.log} the two have different roots",
            code="checkpoint_of_another_history",
            hint="compare it with `perfledger checkpoint show`: one of the two logs was rewritten, or is a copy that "
            "went another way",
            origin=event.origin,
        )
    if wanted.size == main.size:
        return Proof(line, path, main.note)
    old, new = sorted((main.size, wanted.size))
    return Proof(line, path, main.note, asked, tuple(tree.consistency(old, new)))

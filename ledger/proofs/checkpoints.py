"""The checkpoints kept for an origin: the newest one that was signed, and the newest one that a witness co-signed.

    log/<origin>/checkpoint              the newest
    log/<origin>/checkpoint.witnessed    the newest with a co-signature

Both are notes as c2sp.org/tlog-checkpoint publishes them, and both are told to others. They are not derived: a log must
never sign what contradicts them, so each new one is made on the tree of the last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ledger import disk
from ledger.errors import BadInput, Conflict, Damaged, PerfledgerError, Refused
from ledger.log import lock
from ledger.proofs import keys, notes
from ledger.proofs.notes import Checkpoint, Note, Signed, VerifierKey
from ledger.proofs.tree import Tree, contradicted, open_tree

if TYPE_CHECKING:
    from ledger.ledger import Ledger

NAME = "checkpoint"
WITNESSED = "checkpoint.witnessed"
LOCK = "checkpoint.lock"


@dataclass(frozen=True)
class Known:
    """A note whose text is a checkpoint of an origin, signed by a key that the origin's log names."""

    note: Note
    checkpoint: Checkpoint
    signed: tuple[Signed, ...]

    @property
    def size(self) -> int:
        """How many events its tree has."""
        return self.checkpoint.size


def path_of(ledger: Ledger, origin: str, name: str = NAME) -> Path:
    """Return where a checkpoint of an origin is kept. name: NAME or WITNESSED."""
    return ledger.path / "log" / origin / name


def genuine(data: bytes, origin: str, known: Sequence[VerifierKey]) -> Known:
    """Read a note as a checkpoint of an origin. Raises `BadInput` for no checkpoint or one of another log, `Refused`
    when no key of `known` signed it, or one of them wrongly."""
    note = notes.parse_note(data)
    checkpoint = notes.parse_checkpoint(note.text)
    if not keys.signs_for(checkpoint.log, origin):
        raise BadInput(
            f"this is a checkpoint of {checkpoint.log}, not of {origin}",
            code="checkpoint_of_another_log",
            hint="perfledger checkpoint show ORIGIN",
        )
    signed = note.signed_by(key for key in known if key.name == checkpoint.log)
    if not signed:
        raise Refused(
            f"no key that the log of {origin} names has signed this checkpoint",
            code="checkpoint_not_signed",
            hint=f"perfledger events list --stream origin/{origin} --type SigningKeyNamed",
            origin=origin,
        )
    return Known(note, checkpoint, tuple(signed))


def read(
    ledger: Ledger, origin: str, name: str = NAME, *, known: Callable[[], Sequence[VerifierKey]] | None = None
) -> Known | None:
    """Return a kept checkpoint, or None when there is none. Raises `Damaged` when the file is not what was kept."""
    path = path_of(ledger, origin, name)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        return genuine(data, origin, known() if known else keys.known(ledger, origin))
    except (BadInput, Refused) as error:
        raise Damaged(
            f"{path} is not the checkpoint that was kept there: {error.message}",
            code="kept_checkpoint_damaged",
            hint=f"restore it from a copy or from whoever you gave it to; without one, remove {path}",
            file=str(path),
        ) from None


def sign(ledger: Ledger, key: keys.SigningKey, *, size: int | None = None) -> Known:
    """Sign this ledger's log as it is, or its first `size` events, and keep that where it is the newest.

    Raises `Conflict` (`checkpoint_contradicted`) when the log is not the one that was signed before.
    """
    with lock.exclusive(ledger.path / LOCK):
        head = ledger.log.settled().position
        before = read(ledger, ledger.origin, known=lambda: _own_keys(ledger, key))
        if before is not None and before.size > head:
            raise contradicted(ledger.origin, before.size)
        wanted = head if size is None else size
        assert 0 < wanted <= head, (wanted, head)
        if before is not None and before.size == wanted and key.verifier in [one.key for one in before.signed]:
            return before
        tree = open_tree(ledger.log, head, before.checkpoint if before else None)
        checkpoint = Checkpoint(key.name, wanted, tree.root(wanted))
        note = Note(checkpoint.text(), (notes.sign(checkpoint.text(), key.private, key.name),))
        if before is None or before.size <= wanted:
            disk.overwrite(path_of(ledger, ledger.origin), note.encode())
        return Known(note, checkpoint, (Signed(key.verifier, None),))


def tree_of(ledger: Ledger, origin: str, known: Known, size: int | None = None) -> Tree:
    """Return an origin's tree, which begins with that of a checkpoint, over `size` events (None: the checkpoint's).

    Raises `Conflict` when the log here is another one, or does not reach so far.
    """
    log = ledger.log_of(origin)
    reach = ledger.log.settled().position if origin == ledger.origin else log.head().position
    wanted = max(known.size, size or 0)
    if reach < wanted:
        raise Conflict(
            f"the log of {origin} has {reach:,} events here, the checkpoint is of {wanted:,}",
            code="checkpoint_ahead",
            hint="perfledger sync pull" if origin != ledger.origin else "perfledger verify",
            origin=origin,
        )
    return open_tree(log, wanted, known.checkpoint)


def take(ledger: Ledger, origin: str, data: bytes) -> Known:
    """Keep a checkpoint of an origin that came from elsewhere, where it is the newest. Checks it against the log here.

    Raises what `genuine` and `tree_of` raise.
    """
    with lock.exclusive(ledger.path / LOCK):
        found = genuine(data, origin, keys.known(ledger, origin))
        tree_of(ledger, origin, found)
        _keep(ledger, origin, found.note, NAME)
        if len(found.note.signatures) > len(found.signed):
            _keep(ledger, origin, found.note, WITNESSED)
        return found


def witnessed(ledger: Ledger, origin: str, data: bytes, witnesses: Sequence[VerifierKey]) -> list[Signed]:
    """Keep the co-signatures that these witnesses made of a checkpoint of an origin. Returns them.

    data: the whole co-signed checkpoint, or the signature lines that a witness answered; those are over the newest
    checkpoint. Raises `Refused` when none of the witnesses signed, or one of them wrongly.
    """
    found = _with_lines(ledger, origin, data)
    with lock.exclusive(ledger.path / LOCK):
        signed = found.note.signed_by(key.as_witness() for key in witnesses)
        if not signed:
            raise Refused(
                "none of these witnesses co-signed this checkpoint",
                code="not_cosigned",
                hint="give the witness's public key with --witness NAME+ID+KEY",
                witnesses=[key.name for key in witnesses],
            )
        tree_of(ledger, origin, found)
        ours = {(one.key.name, one.key.key_id) for one in (*signed, *found.signed)}
        lines = tuple(line for line in found.note.signatures if (line.name, line.key_id) in ours)
        _keep(ledger, origin, Note(found.note.text, lines), WITNESSED)
        newest = read(ledger, origin)
        if newest is not None and newest.note.text == found.note.text:
            _keep(ledger, origin, Note(found.note.text, lines), NAME)
        return signed


def cosign(ledger: Ledger, key: keys.SigningKey, origin: str, data: bytes, *, time: int) -> Note:
    """Co-sign a checkpoint of another origin, whose log is here: a statement that it is the largest seen of that log.

    time: seconds since 1970 UTC. Raises `Refused` (`cosigned_larger`) after a larger one, and what `take` raises.
    """
    found = genuine(data, origin, keys.known(ledger, origin))
    with lock.exclusive(ledger.path / LOCK):
        before = read(ledger, origin, WITNESSED)
        if before is not None and before.size > found.size and before.note.signed_by([key.verifier.as_witness()]):
            raise Refused(
                f"a checkpoint of {origin} with {before.size:,} events was co-signed here, this one has "
                f"{found.size:,}: a witness never goes back",
                code="cosigned_larger",
                hint=f"co-sign the newest one: perfledger checkpoint show {origin}",
            )
        tree_of(ledger, origin, found)
        note = found.note.with_signatures([notes.cosign(found.note.text, key.private, key.name, time=time)])
        _keep(ledger, origin, note, WITNESSED)
        return note


def _with_lines(ledger: Ledger, origin: str, data: bytes) -> Known:
    """Return the checkpoint that co-signatures are of, with them."""
    try:
        return genuine(data, origin, keys.known(ledger, origin))
    except BadInput:
        newest = read(ledger, origin)
        if newest is None or b"\n\n" in data:
            raise
        try:
            lines = [notes.parse_signature(line) for line in data.decode().removesuffix("\n").split("\n")]
        except ValueError as error:
            raise BadInput(
                f"neither a checkpoint nor signature lines: {error}",
                code="bad_note",
                hint="give what the witness answered, or the whole checkpoint with its co-signature",
            ) from None
        return Known(newest.note.with_signatures(lines), newest.checkpoint, newest.signed)


def _keep(ledger: Ledger, origin: str, note: Note, name: str) -> None:
    """Write a note that was checked, unless a larger one is kept; co-signatures of the same text come together."""
    size = notes.parse_checkpoint(note.text).size
    try:
        before = read(ledger, origin, name)
    except PerfledgerError:
        before = None  # what is kept there is not genuine; this is
    if before is not None and before.size > size:
        return
    if before is not None and before.note.text == note.text:
        note = before.note.with_signatures(note.signatures)
    disk.overwrite(path_of(ledger, origin, name), note.encode())


def _own_keys(ledger: Ledger, key: keys.SigningKey) -> list[VerifierKey]:
    """The own key, and those the log names: a checkpoint may have been signed by one that was replaced since."""
    try:
        data = path_of(ledger, ledger.origin).read_bytes()
        if genuine(data, ledger.origin, [key.verifier]):
            return [key.verifier]  # the log need not be searched
    except PerfledgerError:
        pass
    return [key.verifier, *keys.known(ledger, ledger.origin)]

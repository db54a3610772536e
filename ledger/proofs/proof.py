"""A proof that an event is in a log, in one small file that anybody can check offline: c2sp.org/tlog-proof.

    c2sp.org/tlog-proof@v1
    extra <base64>
    index <position - 1>
    <audit path, one hash in base64 a line>

    <the signed checkpoint>

The extra data, which the format leaves to us, is the event's canonical JSON and a newline, and after it, where the
proof names a second checkpoint of the log, the consistency proof between the two (the smaller first), an empty line and
that checkpoint. docs/proofs.md says how to check all of it without this program.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ledger.errors import BadInput, Inconclusive, Refused
from ledger.event import Event
from ledger.log import chain
from ledger.proofs import keys, merkle, notes
from ledger.proofs.merkle import DoesNotHold
from ledger.proofs.notes import Checkpoint, Note, Signed, VerifierKey, encoded

HEADER = "c2sp.org/tlog-proof@v1"
PROOF_BYTES_MAX = 4 * 2**20  # an event has at most a quarter of it
PATH_MAX = 64  # the depth of a tree over as many events as a position can count


@dataclass(frozen=True)
class Proof:
    """An event, where it is in the tree of a checkpoint, and how that goes together with another checkpoint.

    event: the canonical JSON, `hash` included. other, connection: a second checkpoint of the same log and the
    consistency proof between the two; None and empty when there is only one.
    """

    event: bytes
    path: tuple[bytes, ...]
    note: Note
    other: Note | None = None
    connection: tuple[bytes, ...] = ()

    def encode(self) -> bytes:
        """Return the bytes of the file."""
        extra = self.event + b"\n"
        if self.other is not None:
            extra += "".join(f"{encoded(step)}\n" for step in self.connection).encode() + b"\n" + self.other.encode()
        lines = [HEADER, f"extra {encoded(extra)}", f"index {parse_event(self.event).position - 1}"]
        lines += map(encoded, self.path)
        return "\n".join(lines).encode() + b"\n\n" + self.note.encode()


@dataclass(frozen=True)
class Trust:
    """What whoever checks a proof goes by.

    keys: of the log. witnesses: each must have co-signed. anchor: a checkpoint the checker has from elsewhere and
    believes; the proof must lead to it.
    """

    keys: Sequence[VerifierKey] = ()
    witnesses: Sequence[VerifierKey] = ()
    anchor: Checkpoint | None = None


@dataclass(frozen=True)
class Shown:
    """What a proof that holds has shown. `signed` is empty where it was believed for its anchor alone."""

    event: Event
    checkpoint: Checkpoint
    other: Checkpoint | None
    signed: list[Signed] = field(default_factory=list)
    witnessed: list[Signed] = field(default_factory=list)


def parse(data: bytes) -> Proof:
    """Read a proof. Raises `BadInput` (`bad_proof`) when it is none; what it says is not checked yet."""
    if len(data) > PROOF_BYTES_MAX:
        raise _bad("it is too large")
    head, gap, note = data.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
        if not gap or lines[0] != HEADER:
            raise ValueError(f"its first line is not {HEADER}")
        if len(lines) < 3 or not lines[1].startswith("extra ") or not lines[2].startswith("index "):
            raise ValueError("the lines `extra` and `index` are expected")
        event, end, rest = notes.unbase64(lines[1].removeprefix("extra ")).partition(b"\n")
        if not end:
            raise ValueError("its extra data is not an event and a newline")
        path = _path(lines[3:])
        other: Note | None = None
        connection: tuple[bytes, ...] = ()
        if rest:
            steps, gap, text = (b"\n" + rest).partition(b"\n\n")
            if not gap:
                raise ValueError("its second checkpoint is not one")
            connection, other = _path(steps.decode("ascii").split("\n")[1:]), notes.parse_note(text)
        found = Proof(event, path, notes.parse_note(note), other, connection)
        if notes.number_of(lines[2].removeprefix("index ")) != parse_event(event).position - 1:
            raise ValueError("its index is not that of its event's position")
        return found
    except ValueError as error:
        raise _bad(str(error)) from None


def parse_event(data: bytes) -> Event:
    """Read an event's canonical JSON. Raises `ValueError` unless it is whole and has the hash it says."""
    found = chain.parse_line(data)
    if found is None or len(found) != 1 or data.startswith(b"["):
        raise ValueError("its event is not whole: its content does not match its hash, or it is not canonical JSON")
    return found[0]


def check(proof: Proof, trust: Trust) -> Shown:
    """Return what a proof shows to somebody with this trust.

    Raises `Refused` (`proof_refused`, `note_signature_wrong`, `witness_missing`) when it does not hold, and
    `Inconclusive` (`proof_signer_unknown`, `proof_not_connected`) when it holds and leads to nothing that is trusted.
    """
    event = parse_event(proof.event)
    checkpoint = notes.parse_checkpoint(proof.note.text)
    other = notes.parse_checkpoint(proof.other.text) if proof.other else None
    try:
        if not keys.signs_for(checkpoint.log, event.origin):
            raise DoesNotHold(f"its checkpoint is of {checkpoint.log}, its event of {event.origin}")
        leaf = merkle.leaf_hash(bytes.fromhex(event.hash))
        merkle.check_inclusion(leaf, event.position - 1, checkpoint.size, proof.path, checkpoint.root)
        if other is not None:
            if other.log != checkpoint.log:
                raise DoesNotHold(f"its second checkpoint is of {other.log}, not of {checkpoint.log}")
            old, new = sorted((checkpoint, other), key=lambda one: one.size)
            if old.size == new.size:
                raise DoesNotHold("its two checkpoints have one size")
            merkle.check_consistency(old.size, new.size, old.root, new.root, proof.connection)
    except DoesNotHold as error:
        raise _refused(str(error)) from None
    both = [proof.note, *([proof.other] if proof.other else [])]
    signed = _signatures(both, checkpoint.log, trust)
    witnessed = [one for note in both for one in note.signed_by(key.as_witness() for key in trust.witnesses)]
    for key in trust.witnesses:
        if key.as_witness() not in [one.key for one in witnessed]:
            raise Refused(
                f"the witness {key.name} has not co-signed this proof's checkpoint",
                code="witness_missing",
                hint="ask for a proof with the co-signed checkpoint: perfledger prove EVENT",
                witness=key.name,
            )
    if trust.anchor is not None:
        _lead_to(trust.anchor, checkpoint, other)
    return Shown(event, checkpoint, other, signed, witnessed)


def _signatures(both: Sequence[Note], log: str, trust: Trust) -> list[Signed]:
    """Return the log's own signatures: on each checkpoint of the proof, unless an anchor is believed instead."""
    named = [key for key in trust.keys if key.name == log]
    if not named and trust.anchor is not None and not trust.keys:
        return []
    if not named:
        claimed = ", ".join(dict.fromkeys(f"{s.name}+{s.key_id.hex()}" for s in both[0].signatures if s.name == log))
        raise Inconclusive(
            f"nothing here says which key signs for {log}; this proof was signed by {claimed or 'no key of that name'}",
            code="proof_signer_unknown",
            hint="give the key as the log's owner publishes it: perfledger verify --proof FILE --key NAME+ID+KEY",
            log=log,
        )
    found = []
    for note in both:
        signed = note.signed_by(named)
        if not signed:
            raise _refused(f"its checkpoint is not signed by a key of {log} that is trusted")
        found += signed
    return found


def _lead_to(anchor: Checkpoint, checkpoint: Checkpoint, other: Checkpoint | None) -> None:
    """Raise unless a checkpoint of the proof is the anchor."""
    if anchor.log != checkpoint.log:
        raise _refused(f"the checkpoint to compare with is of {anchor.log}, this proof of {checkpoint.log}")
    for one in (checkpoint, *([other] if other else [])):
        if one.size == anchor.size:
            if one.root != anchor.root:
                raise _refused(f"its log is not the one of the checkpoint to compare with, at {anchor.size:,} events")
            return
    raise Inconclusive(
        f"this proof leads to a checkpoint of {checkpoint.size:,} events, the one to compare with has {anchor.size:,}",
        code="proof_not_connected",
        hint="ask for a proof that leads to it: perfledger prove EVENT --checkpoint FILE",
    )


def _path(lines: Sequence[str]) -> tuple[bytes, ...]:
    if len(lines) > PATH_MAX:
        raise ValueError(f"a path of {len(lines)} hashes")
    return tuple(notes.hash_of_line(line) for line in lines)


def _refused(why: str) -> Refused:
    return Refused(
        f"the proof does not hold: {why}",
        code="proof_refused",
        hint="ask for it again; if it stays so, the log was changed, or this was made for another one",
    )


def _bad(why: str) -> BadInput:
    return BadInput(f"not a proof: {why}", code="bad_proof", hint="perfledger prove EVENT -o FILE writes one")

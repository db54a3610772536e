"""Signed notes and checkpoints as C2SP publishes them, with Ed25519: parsed, checked, signed and co-signed.

c2sp.org/signed-note, tlog-checkpoint and tlog-cosignature (`cosignature/v1`). A note is text, an empty line, and
signature lines. A checkpoint is a note whose text is a log's name, its size and the root hash of its tree. Signatures
of keys that a reader does not know are passed over, as the format asks; one of a known key that is wrong is refused.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from ledger.errors import BadInput, Refused
from ledger.proofs.merkle import HASH_BYTES

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

NOTE = 0x01  # the signature types of signed-note
COSIGNATURE = 0x04
NOTE_BYTES_MAX = 64 * 2**10
SIGNATURES_MAX = 100
_DASH = "\u2014 "
_NAME = re.compile(r"[^\s+]+")
_CONTROL = re.compile(rb"[\x00-\x09\x0b-\x1f\x7f]")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True)
class VerifierKey:
    """A public Ed25519 key with the name it signs under. `kind` is NOTE or COSIGNATURE."""

    name: str
    kind: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        """The four bytes by which a signature line names this key."""
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(bytes([self.kind]) + self.public).decode()}"

    def as_witness(self) -> VerifierKey:
        """Return this key as one of co-signatures: witnesses are often named by the key of their notes."""
        return VerifierKey(self.name, COSIGNATURE, self.public)

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Read `name+id+key`. Raises `BadInput` when it is none, or its id is not that of its key."""
        name, _, rest = text.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        try:
            raw = unbase64(encoded)
        except ValueError:
            raw = b""
        found = cls(name, raw[0] if raw else 0, raw[1:])
        if not is_name(name) or found.kind not in (NOTE, COSIGNATURE) or len(found.public) != 32:
            raise BadInput(f"{text!r} is not a public key of notes: NAME+ID+KEY, with Ed25519", code="bad_verifier_key")
        if key_id != found.key_id.hex():
            raise BadInput(f"the id {key_id} of the key {name} is not that of its key", code="bad_verifier_key")
        return found


@dataclass(frozen=True)
class Signature:
    """A signature line: who signed, by which key, and what."""

    name: str
    key_id: bytes
    data: bytes

    def __str__(self) -> str:
        return f"{_DASH}{self.name} {base64.b64encode(self.key_id + self.data).decode()}"


@dataclass(frozen=True)
class Signed:
    """A signature that was checked. `time` is the witness's, in seconds since 1970; None for the log's own."""

    key: VerifierKey
    time: int | None


@dataclass(frozen=True)
class Note:
    """Text, ending in a newline, and its signatures."""

    text: bytes
    signatures: tuple[Signature, ...]

    def encode(self) -> bytes:
        """Return the note's bytes."""
        return self.text + b"\n" + "".join(f"{line}\n" for line in self.signatures).encode()

    def signed_by(self, keys: Iterable[VerifierKey]) -> list[Signed]:
        """Return the signatures of these keys. Raises `Refused` when one of them is wrong."""
        known = {(key.name, key.key_id): key for key in keys}
        found = []
        for signature in self.signatures:
            key = known.get((signature.name, signature.key_id))
            if key is not None:
                found.append(_check(self.text, signature, key))
        return found

    def with_signatures(self, more: Iterable[Signature]) -> Note:
        """Return the note with more signatures; a newer one takes the place of an older one of the same key."""
        kept = {(s.name, s.key_id): s for s in (*self.signatures, *more)}
        return Note(self.text, tuple(kept.values()))


@dataclass(frozen=True)
class Checkpoint:
    """A log's name, how many leaves its tree has, and the root hash. `extensions` are further lines of the text."""

    log: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def text(self) -> bytes:
        """Return the text of the note."""
        return "".join(f"{line}\n" for line in (self.log, self.size, encoded(self.root), *self.extensions)).encode()


def is_name(text: str) -> bool:
    """Whether a text can be the name of a key: no spaces, no plus sign."""
    return bool(_NAME.fullmatch(text)) and text.isprintable()


def encoded(data: bytes) -> str:
    """Return standard base64."""
    return base64.b64encode(data).decode()


def unbase64(text: str) -> bytes:
    """Read standard base64 in its one form; any other raises `ValueError`, also where the bytes would be the same."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(str(error)) from None
    if base64.b64encode(data).decode() != text:
        raise ValueError("not the one form of its bytes")
    return data


def hash_of_line(line: str) -> bytes:
    """Read a line that is one hash in base64. Raises `ValueError`."""
    data = unbase64(line)
    if len(data) != HASH_BYTES:
        raise ValueError(f"{len(data)} bytes instead of {HASH_BYTES}")
    return data


def number_of(text: str) -> int:
    """Read a decimal number of the formats: digits without leading zeros. Raises `ValueError`."""
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{text[:20]!r} is not a number")
    return int(text)


def parse_note(data: bytes) -> Note:
    """Read a signed note. Raises `BadInput` (`bad_note`) when it is none."""
    if len(data) > NOTE_BYTES_MAX:
        raise _bad_note(f"it has more than {NOTE_BYTES_MAX} bytes")
    text, gap, rest = data.rpartition(b"\n\n")
    if not gap or not rest.endswith(b"\n") or _CONTROL.search(data):
        raise _bad_note("text, an empty line and signature lines are expected")
    try:
        data.decode()
        lines = rest[:-1].decode().split("\n")
        if len(lines) > SIGNATURES_MAX:
            raise _bad_note(f"it has more than {SIGNATURES_MAX} signatures")
        return Note(text + b"\n", tuple(parse_signature(line) for line in lines))
    except ValueError as error:
        raise _bad_note(str(error)) from None


def parse_signature(line: str) -> Signature:
    """Read one signature line without its newline. Raises `ValueError`."""
    name, space, blob = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not space or not is_name(name):
        raise ValueError(f"{line[:60]!r} is not a signature line")
    data = unbase64(blob)
    if len(data) < 5:
        raise ValueError(f"the signature of {name} is too short")
    return Signature(name, data[:4], data[4:])


def parse_checkpoint(text: bytes) -> Checkpoint:
    """Read the text of a note as a checkpoint. Raises `BadInput` (`bad_note`)."""
    lines = text.decode().split("\n")
    try:
        if len(lines) < 4 or not all(lines[:-1]):
            raise ValueError("three lines are expected: the log, its size and its root")
        return Checkpoint(lines[0], number_of(lines[1]), hash_of_line(lines[2]), tuple(lines[3:-1]))
    except ValueError as error:
        raise _bad_note(str(error)) from None


def sign(text: bytes, key: Ed25519PrivateKey, name: str) -> Signature:
    """Sign a note's text under a name."""
    verifier = VerifierKey(name, NOTE, key.public_key().public_bytes_raw())
    return Signature(name, verifier.key_id, key.sign(text))


def cosign(text: bytes, key: Ed25519PrivateKey, name: str, *, time: int) -> Signature:
    """Sign a checkpoint's text as a witness. time: seconds since 1970 UTC, which the signature covers."""
    verifier = VerifierKey(name, COSIGNATURE, key.public_key().public_bytes_raw())
    return Signature(name, verifier.key_id, time.to_bytes(8, "big") + key.sign(_cosigned(text, time)))


def _check(text: bytes, signature: Signature, key: VerifierKey) -> Signed:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    message, data, time = text, signature.data, None
    if key.kind == COSIGNATURE:
        time = int.from_bytes(data[:8], "big")
        message, data = _cosigned(text, time), data[8:]
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(data, message)
    except (InvalidSignature, ValueError):
        raise Refused(
            f"the signature of {key.name} is not over this text",
            code="note_signature_wrong",
            hint="get the checkpoint again from whoever gave it to you; do not use this one",
            name=key.name,
        ) from None
    return Signed(key, time)


def _cosigned(text: bytes, time: int) -> bytes:
    return b"cosignature/v1\ntime %d\n" % time + text


def _bad_note(why: str) -> BadInput:
    return BadInput(
        f"not a signed checkpoint: {why}",
        code="bad_note",
        hint="perfledger checkpoint show writes one; see docs/proofs.md",
    )


def names(signed: Sequence[Signed]) -> list[str]:
    """Return the names of who signed, each once, in order."""
    return list(dict.fromkeys(one.key.name for one in signed))

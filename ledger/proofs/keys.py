"""Keys that sign checkpoints: the private one in a file that only its owner may read, the public ones in the log.

A private key is one line, `PRIVATE+KEY+NAME+ID+SEED`, as Go's `sumdb/note` and the tools around it write it, so a
key made by one of them may be named instead of our own file. It is never pushed.
"""

from __future__ import annotations

import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ledger import disk
from ledger.errors import BadInput
from ledger.event import NewEvent
from ledger.proofs.notes import NOTE, VerifierKey, encoded, is_name, unbase64

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from ledger.ledger import Ledger

FILE_NAME = "signing-key"
DEFAULT_PREFIX = "perfledger"
NAMED = "SigningKeyNamed"
_PREFIX = "PRIVATE+KEY+"
_KEY_BYTES_MAX = 4096


@dataclass(frozen=True)
class SigningKey:
    """A private key and the name it signs under."""

    name: str
    private: Ed25519PrivateKey

    @property
    def verifier(self) -> VerifierKey:
        """The public half."""
        return VerifierKey(self.name, NOTE, self.private.public_key().public_bytes_raw())


def default_path(ledger: Ledger) -> Path:
    """Return where a ledger keeps its own key."""
    return ledger.path / FILE_NAME


def signs_for(name: str, origin: str) -> bool:
    """Whether a key of this name may sign for an origin: the name's last part is the origin's own."""
    return name.rpartition("/")[2] == origin


def ready(ledger: Ledger, *, given: str | None = None, name: str | None = None) -> SigningKey:
    """Return the key that signs this ledger's checkpoints, made and announced in the log where that was not done.

    given: a key file of the user's; None stands for the ledger's own. name: for a key that is made, `[PREFIX/]ORIGIN`.
    Raises `BadInput` for a file that is no key, that others may read, or whose name is not this origin's.
    """
    path = Path(given) if given else default_path(ledger)
    if not given and not path.exists():
        _make(path, name or f"{DEFAULT_PREFIX}/{ledger.origin}", ledger.origin)
    key = load(path, ledger.origin)
    if name is not None and key.name != name:
        raise BadInput(
            f"the key in {path} has the name {key.name}, not {name}",
            code="signing_key_other_name",
            hint=f"a log keeps its name: leave --name out, or move {path} away to begin with another key",
        )
    _announce(ledger, key.verifier)
    return key


def load(path: Path, origin: str) -> SigningKey:
    """Read a key file that signs for an origin. Raises `BadInput`; see `ready`."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    with path.open("rb") as file:
        if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
            raise BadInput(
                f"{path} may be read by others than its owner",
                code="signing_key_open",
                hint=f"chmod 600 {path}; if somebody may have read it, move it away, so that a new key is made",
            )
        text = file.read(_KEY_BYTES_MAX).decode(errors="replace").strip()
    name, _, rest = text.removeprefix(_PREFIX).partition("+")
    key_id, _, seed = rest.partition("+")
    try:
        raw = unbase64(seed)
    except ValueError:
        raw = b""
    if not text.startswith(_PREFIX) or len(raw) != 33 or raw[0] != NOTE or not is_name(name):
        raise BadInput(
            f"{path} is not a private key of notes: one line, PRIVATE+KEY+NAME+ID+SEED, with Ed25519",
            code="bad_signing_key",
            hint="name the file that holds it with --signing-key, or leave that out: the ledger makes its own",
        )
    key = SigningKey(name, Ed25519PrivateKey.from_private_bytes(raw[1:]))
    if key.verifier.key_id.hex() != key_id:
        raise BadInput(
            f"{path}: the id of the key is not that of its name and seed",
            code="bad_signing_key",
            hint="restore the file from a copy",
        )
    if not signs_for(name, origin):
        raise BadInput(
            f"the key in {path} is named {name}, which does not end with this ledger's origin {origin}",
            code="signing_key_other_origin",
            hint=f"each origin is a log of its own: make a key whose name is {origin} or ends with /{origin}",
        )
    return key


def known(ledger: Ledger, origin: str) -> list[VerifierKey]:
    """Return the keys that an origin's log names for its checkpoints, oldest first."""
    found = []
    for event in ledger.read(origin=origin, types=[NAMED]):
        if event.why_unreadable() is not None:
            continue
        try:
            key = VerifierKey.parse(str(event.body()["verifier_key"]))
        except (BadInput, KeyError, TypeError):
            continue  # of another machine, and maybe of a newer version: a key that cannot be read signs nothing
        if signs_for(key.name, origin):
            found.append(key)
    return found


def _make(path: Path, name: str, origin: str) -> None:
    if not is_name(name) or not signs_for(name, origin):
        raise BadInput(
            f"{name!r} is not a name for the checkpoints of {origin}",
            code="bad_checkpoint_name",
            hint=f"the origin, or a prefix such as example.com/perf before it: --name example.com/perf/{origin}",
        )
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.generate()
    verifier = SigningKey(name, private).verifier
    seed = encoded(bytes([NOTE]) + private.private_bytes_raw())
    line = f"{_PREFIX}{name}+{verifier.key_id.hex()}+{seed}\n"
    aside = path.parent / f".tmp-{os.getpid()}-{secrets.token_hex(6)}"
    fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        disk.write_all(fd, line.encode())
        os.fsync(fd)
    finally:
        os.close(fd)
    disk.publish(aside, path)  # where another process was first, that one's key is the ledger's


def _announce(ledger: Ledger, verifier: VerifierKey) -> None:
    from ledger.events.origins import SigningKeyNamed

    payload = SigningKeyNamed(verifier_key=str(verifier))
    ledger.append([NewEvent(stream=f"origin/{ledger.origin}", key=f"signing-key/{verifier}", payload=payload)])

"""Signed checkpoints at a remote, `log/<origin>/checkpoint`: sent with a push where there is a key, kept by a pull.

They lie beside HEAD.json, which says the same to machines that have the log. A signed one speaks to everybody else too;
a remote whose writers have no key has none, and nothing is missing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

from ledger.errors import BadInput, Conflict, Refused
from ledger.ledger import Ledger
from ledger.proofs import checkpoints, keys
from ledger.proofs.checkpoints import NAME, WITNESSED
from ledger.proofs.keys import SigningKey
from ledger.proofs.notes import NOTE_BYTES_MAX
from ledger.remotes.remote import Remote, Snapshot
from ledger.remotes.retry import asking

VARIABLE = "PERFLEDGER_SIGNING_KEY"


def key_of(ledger: Ledger, *, say: Callable[[str], None]) -> SigningKey | None:
    """Return the key that signs what a push sends, or None: a push makes no key, and none stops it."""
    given = os.environ.get(VARIABLE) or None
    if given is None and not keys.default_path(ledger).exists():
        return None
    try:
        return keys.ready(ledger, given=given)
    except (BadInput, OSError) as error:
        say(f"the checkpoint is sent as it was signed last: {error}")
        return None


def files(ledger: Ledger, key: SigningKey | None, through: int) -> dict[str, bytes]:
    """Return what a push that ends at position `through` sends: by path, the newest checkpoint and the co-signed one.

    Raises `Conflict` (`checkpoint_contradicted`) when the log is not the one that was signed before.
    """
    found = {}
    newest = checkpoints.sign(ledger, key, size=through) if key else checkpoints.read(ledger, ledger.origin)
    for name, known in ((NAME, newest), (WITNESSED, checkpoints.read(ledger, ledger.origin, WITNESSED))):
        if known is not None and known.size <= through:
            found[f"log/{ledger.origin}/{name}"] = known.note.encode()
    return found


def pull(ledger: Ledger, remote: Remote, snapshot: Snapshot, origin: str, *, say: Callable[[str], None]) -> None:
    """Keep the checkpoints that an origin has at a remote, where its log here is the one they were signed over.

    Raises `Conflict` (`checkpoint_contradicted`) when it is another. One that cannot be read or that no key of the log
    signed is said and left: the log itself is verified by its chain.
    """
    for name in (NAME, WITNESSED):
        path = f"log/{origin}/{name}"
        listed, held = snapshot.files.get(path), checkpoints.path_of(ledger, origin, name)
        if listed is None or (listed.has_digest and held.is_file() and listed.is_content(held.read_bytes())):
            continue
        if listed.size > NOTE_BYTES_MAX:
            say(f"{remote.url}/{path} was not kept: it has {listed.size:,} bytes, which no checkpoint has")
            continue
        data = asking(partial(remote.read, snapshot, path), remote.policy, name=remote.url)
        try:
            checkpoints.take(ledger, origin, data)
        except Conflict as error:
            if error.code != "checkpoint_ahead":  # its writer pushed since our listing; the next pull takes that in
                raise
        except (BadInput, Refused) as error:
            say(f"{remote.url}/{path} was not kept: {error.message}")

"""The seed records in their staging folder, byte for byte as planned."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from commands.reseed.work.approval import require_approved
from commands.reseed.work.history import DEFAULT_STAGING_ROOT, STAGING_ROOT_VARIABLE, own_folder, whole_or_gone
from commands.reseed.work.recording import record
from ledger import disk
from ledger.errors import Conflict
from ledger.events.reseeds import RecordsPrepared
from projections.reseed import fold as decider

if TYPE_CHECKING:
    from ledger.ledger import Ledger


def write(ledger: Ledger, state: decider.Reseed) -> decider.Reseed:
    """Write and record the prepared files. Running it again writes them again into a folder of its own."""
    decider.require(state, "prepared", "RecordsPrepared")
    require_approved(ledger, state)
    plan = state.needed()
    root = Path(os.environ.get(STAGING_ROOT_VARIABLE) or DEFAULT_STAGING_ROOT)
    folder = own_folder(root, state.id, state.id)
    with whole_or_gone(folder):
        for seed in plan.prepared:
            goal = folder / seed.path
            disk.make_directory(goal.parent)
            disk.put_if_absent(goal, ledger.evidence.get(seed.sha256))
    paths = [seed.path for seed in plan.prepared]
    return record(ledger, state, RecordsPrepared(reseed=state.id, digest=plan.digest, folder=str(folder), paths=paths))


def staged(state: decider.Reseed) -> dict[str, bytes]:
    """Return the prepared files by their path in the dataset. Raises `Conflict` for one that is not as planned."""
    plan, made = state.needed(), state.prepared
    assert made is not None
    files = {}
    for seed in plan.prepared:
        path = Path(made.folder) / seed.path
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            data = b""
        if path.is_symlink() or sha256(data).hexdigest() != seed.sha256:
            raise Conflict(
                f"{path} is not the file that was prepared and approved; nothing was uploaded",
                code="prepared_changed",
                hint=f"perfledger reseed prepare {state.id} writes it again",
            )
        files[seed.path] = data
    return files

"""The dataset's records as a reseed needs them: synced for certain, read with their bytes, backed up."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from commands.imports.hub_mirror import mirror
from commands.intake.formats.measured import Unreadable, parse_object
from ledger import disk
from ledger.errors import BadInput
from ledger.layout import outside_ledger
from projections.reseed.medians import HistoryRecord
from projections.results.identity import target_of
from projections.results.record_shape import sanitize

if TYPE_CHECKING:
    from ledger.ledger import Ledger

BACKUP_ROOT_VARIABLE = "PERFORMANCE_RESEED_BACKUP_ROOT"
STAGING_ROOT_VARIABLE = "PERFORMANCE_RESEED_STAGING_ROOT"
DEFAULT_BACKUP_ROOT = "/tmp/performance_reseed_backup"  # noqa: S108  (where the existing workflow keeps them)
DEFAULT_STAGING_ROOT = "/tmp/performance_reseed_prepared"  # noqa: S108
PROVENANCE = "PROVENANCE.txt"
CREATED_MARK = ".perfledger-reseed"  # holds the reseed's id: only folders with our mark are ever removed


@dataclass(frozen=True)
class History:
    """All records of a dataset at one commit, and what could not be read."""

    dataset: str
    revision: str
    root: Path
    records: list[HistoryRecord]
    unreadable: list[str]

    def of(self, target: str) -> list[HistoryRecord]:
        """Return the records of a target, in baseline order."""
        return sorted((r for r in self.records if target_of(r.record) == target), key=lambda r: r.order)


def dataset_url(given: str | None) -> str:
    """Return the dataset as a URL: the option, else HF_REPO_ID. Raises `BadInput` when there is neither."""
    name = given or os.environ.get("HF_REPO_ID", "")
    if not name:
        raise BadInput("no dataset is named", code="no_dataset", hint="--dataset OWNER/NAME, or set HF_REPO_ID")
    return name if name.startswith("hf://") else f"hf://datasets/{name}"


def sync(ledger: Ledger, dataset: str) -> History:
    """Bring the dataset's mirror up to its newest commit and read it. A sync that fails stops here, never stale."""
    report = mirror(ledger, dataset)
    records, unreadable = [], []
    for path in sorted(p for p in report.root.rglob("*.json") if not _hidden(p, report.root)):
        relative = str(path.relative_to(report.root))
        data = path.read_bytes()
        try:
            records.append(HistoryRecord(relative, parse_object(data), sha256(data).hexdigest()))
        except Unreadable as error:
            unreadable.append(f"{relative}: {error}")
    return History(dataset, report.revision, report.root, records, unreadable)


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def back_up(
    history: History, target: str, *, reseed_id: str, provenance: dict[str, object], now: datetime
) -> Path | None:
    """Copy the target's records (of an identity: the whole history) into a folder of its own, with PROVENANCE.txt.

    Returns the folder, or None when there is nothing to back up.
    """
    identity = target.startswith("identity:")
    records = history.records if identity else history.of(target)
    if not records:
        return None
    model = sanitize(str(provenance["model_id"]))
    stamp = now.astimezone(UTC).strftime("%Y%m%d_%H%M%S")
    name = f"{stamp}_{history.revision[:12]}_{model}{'_v2_exact_identity' if identity else ''}"
    folder = own_folder(Path(os.environ.get(BACKUP_ROOT_VARIABLE) or DEFAULT_BACKUP_ROOT), name, reseed_id)
    with whole_or_gone(folder):
        for record in records:
            goal = folder / record.path
            goal.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(history.root / record.path, goal)
        lines = [f"{key}: {' '.join(str(value).split())}" for key, value in provenance.items()]
        disk.overwrite(folder / PROVENANCE, ("\n".join(lines) + "\n").encode("utf-8", "backslashreplace"))
    return folder


@contextlib.contextmanager
def whole_or_gone(folder: Path) -> Iterator[None]:
    """Remove a folder this call created when filling it fails (a full disk, Ctrl-C): half a backup misleads."""
    try:
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def own_folder(root: Path, name: str, reseed_id: str) -> Path:
    """Create a folder that did not exist, marked as this reseed's. A name that is taken gets a number."""
    root = outside_ledger(root)  # absolute: the event that names the folder is read from other working directories
    disk.make_directory(root)
    for attempt in range(1, 1000):
        folder = root / (name if attempt == 1 else f"{name}.{attempt}")
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            continue
        disk.overwrite(folder / CREATED_MARK, reseed_id.encode())
        return folder
    raise BadInput(f"{root} has a thousand folders named {name}", code="too_many_folders", hint="clean up that folder")

"""A local mirror of the record files in a dataset that other tools write: only new files travel.

The mirror is what the dataset's tree says at one commit, compared by content, so nothing stale is ever taken for
current: not after a failed sync, not after a file changed upstream, not after the mirror was edited.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from ledger import disk
from ledger.errors import BadInput
from ledger.remotes.hub import DatasetUrl, HubRepo
from ledger.remotes.hub_access import HubAddress, access_to
from ledger.remotes.remote import RemoteFile
from ledger.remotes.retry import RetryPolicy, asking, default_policy

INDEX_NAME = ".perfledger-mirror"  # what we wrote here: path to [digest, size, mtime_ns]
MARKER_NAME = ".hf_sync_complete"  # what the dataset's own tools look for; only there after a whole sync
DOWNLOADS_AT_ONCE = 8
_REVISION = re.compile(r"[0-9a-f]{40}")


@dataclass
class MirrorReport:
    """What a mirror did. `revision` is the commit the folder now equals; paths are relative to it."""

    url: str
    root: Path
    revision: str
    downloaded: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    unchanged: int = 0


class _Index(msgspec.Struct, frozen=True):
    url: str
    revision: str
    files: dict[str, tuple[str, int, int]]
    endpoint: str | None = None
    token_tag: str | None = None


def mirror_dataset(
    url: str,
    root: Path,
    token: str | None = None,
    *,
    policy: RetryPolicy | None = None,
    endpoint: str | None = None,
) -> MirrorReport:
    """Bring a folder up to a dataset: `hf://datasets/OWNER/NAME[/PREFIX][@REVISION]`, its `*.json` files only.

    REVISION is a full commit id; without one, the newest commit. Each file is verified against the id its tree names
    before it gets its name. A file that is gone upstream is removed if this function had put it there. Takes the
    token from the environment when none is given, and the Hub the folder was last filled from unless `endpoint` names
    another. Raises what the Hub's failures mean; the folder then still holds
    whole files only, and no marker that says it is complete.
    """
    plain, _, revision = url.partition("@")
    if revision and not _REVISION.fullmatch(revision):
        raise BadInput(
            f"{revision!r} in {url} is not a full commit id",
            code="bad_revision",
            hint="give all 40 hexadecimal digits, or leave @REVISION out for the newest commit",
        )
    dataset = DatasetUrl.parse(plain)
    index = _read_index(root)
    same = index is not None and index.url == str(dataset)
    known = HubAddress(index.endpoint, index.token_tag) if index and same and index.endpoint else None
    repo = HubRepo(dataset.repo_id, token=token, access=access_to(str(dataset), known, chosen=endpoint))
    patient = policy or default_policy()
    at = revision or asking(repo.head, patient, name=repo.name)
    disk.make_directory(root)
    if index is not None and (index.url, index.revision) == (str(dataset), at) and _untouched(root, index):
        return MirrorReport(str(dataset), root, at, unchanged=len(index.files))
    cut = len(dataset.prefix) + 1 if dataset.prefix else 0
    tree = asking(lambda: repo.tree(at, dataset.prefix), patient, name=repo.name)
    wanted = {path[cut:]: file for path, file in tree.items() if _is_record(path[cut:])}
    report = MirrorReport(str(dataset), root, at)
    absent = [path for path, file in wanted.items() if not _is_there(root, path, file, index)]
    report.unchanged = len(wanted) - len(absent)
    (root / MARKER_NAME).unlink(missing_ok=True)
    _download(repo, at, {path: wanted[path] for path in absent}, root, patient)
    report.downloaded = sorted(absent)
    for path in sorted(set(index.files if index else ()) - set(wanted)):
        (root / path).unlink(missing_ok=True)
        report.removed.append(path)
    _write_index(root, str(dataset), at, wanted, repo.access.address)
    _write_marker(root, repo, at)
    return report


def _is_record(path: str) -> bool:
    return path.endswith(".json") and not any(part.startswith(".") for part in path.split("/"))


def _identity(file: RemoteFile) -> str:
    return file.sha256 or file.git_sha1 or ""


def _is_there(root: Path, path: str, file: RemoteFile, index: _Index | None) -> bool:
    """Whether the local file has the listed content: by the index when its stat is unchanged, else by its bytes."""
    local = root / path
    try:
        found = local.stat()
    except OSError:
        return False
    if index and index.files.get(path) == (_identity(file), found.st_size, found.st_mtime_ns):
        return True
    return local.is_file() and found.st_size == file.size and file.is_content(local.read_bytes())


def _untouched(root: Path, index: _Index) -> bool:
    for path, (_, size, mtime_ns) in index.files.items():
        try:
            found = (root / path).stat()
        except OSError:
            return False
        if (found.st_size, found.st_mtime_ns) != (size, mtime_ns):
            return False
    return True


def _download(repo: HubRepo, revision: str, files: dict[str, RemoteFile], root: Path, policy: RetryPolicy) -> None:
    def get(item: tuple[str, RemoteFile]) -> None:
        path, file = item
        data = asking(lambda: repo.read(revision, file), policy, name=repo.name)
        target = root / path
        disk.make_directory(target.parent)
        disk.overwrite(target, data)

    with ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
        for _ in pool.map(get, files.items()):
            pass


def _read_index(root: Path) -> _Index | None:
    try:
        return msgspec.json.decode((root / INDEX_NAME).read_bytes(), type=_Index)
    except (OSError, msgspec.MsgspecError):
        return None


def _write_index(root: Path, url: str, revision: str, wanted: dict[str, RemoteFile], address: HubAddress) -> None:
    rows = {}
    for path, file in wanted.items():
        found = (root / path).stat()
        rows[path] = (_identity(file), found.st_size, found.st_mtime_ns)
    disk.overwrite(root / INDEX_NAME, msgspec.json.encode(_Index(url, revision, rows, **asdict(address))))


def _write_marker(root: Path, repo: HubRepo, revision: str) -> None:
    now = datetime.now(UTC).isoformat()
    marker = {"endpoint": repo.endpoint, "repo_id": repo.repo_id, "synced_at": now, "revision": revision}
    disk.overwrite(root / MARKER_NAME, msgspec.json.encode(marker))

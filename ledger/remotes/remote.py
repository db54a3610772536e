"""What a place to share a ledger must offer: look, read, and publish without ever replacing what is there.

A remote holds, below its prefix, the same files as a ledger folder:

    log/<origin>/<first position>.parquet     sealed segments, never changed
    log/<origin>/HEAD.json                    the origin's checkpoint, replaced by each push
    log/<origin>/checkpoint                   the same, signed, and `checkpoint.witnessed`: where its writer has a key
    evidence/<origin>/<digest>.parquet        packs of small evidence, named by their content
    evidence/sha256/ab/<digest>               large evidence, named by its content

Each origin writes only its own files, so machines never contend for a name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha1, sha256
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ledger.errors import Unavailable
from ledger.limits import LIMITS, Limits
from ledger.remotes.retry import RetryPolicy

if TYPE_CHECKING:
    from ledger.remotes.hub_access import HubAddress


@dataclass(frozen=True)
class RemoteFile:
    """One file as a listing shows it. The digests are None where the store does not tell them."""

    path: str
    size: int
    git_sha1: str | None = None
    sha256: str | None = None

    def is_content(self, data: bytes) -> bool:
        """Whether `data` agrees with everything the listing says of this file."""
        if len(data) != self.size:
            return False
        if self.sha256 is not None:
            return sha256(data).hexdigest() == self.sha256
        return self.git_sha1 in (None, git_blob_id(data))

    @property
    def has_digest(self) -> bool:
        """Whether the listing binds the content, not only its size."""
        return self.sha256 is not None or self.git_sha1 is not None


@dataclass(frozen=True)
class Snapshot:
    """Every file below the prefix at one moment. `revision` pins it where the store can do that."""

    files: Mapping[str, RemoteFile]
    revision: str | None = None


@dataclass(frozen=True)
class Upload:
    """What one push adds: new files in the order they must appear, then the checkpoint to replace, if it moved.

    signed: further files that are replaced, before the checkpoint, which names what is complete.
    """

    additions: Mapping[str, Path]
    checkpoint_path: str
    checkpoint: bytes | None
    message: str
    signed: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def replaced(self) -> Mapping[str, bytes]:
        """The files that take the place of older ones, in the order they must appear."""
        last = {} if self.checkpoint is None else {self.checkpoint_path: self.checkpoint}
        return {**self.signed, **last}


class Taken(Exception):
    """A file that was to be added exists with other content."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


class Remote(ABC):
    """A place that holds a shared ledger.

    Methods raise `Busy` for what may pass by itself and a `PerfledgerError` for what will not: no access,
    no such place, a token that is not accepted.
    """

    url: str
    policy: RetryPolicy
    limits: Limits = LIMITS
    address: HubAddress | None = None  # of the Hub it is at, which its URL does not name; events remember it
    files_per_write: int | None = None  # a push of more is split, each part whole in itself

    def require_write_access(self) -> None:  # noqa: B027  (most stores only find out by writing)
        """Refuse what cannot end well before anything is noted or sent: no token, for example."""

    @abstractmethod
    def snapshot(self) -> Snapshot:
        """Look: list everything below the prefix. One request per thousand files, none per file."""

    @abstractmethod
    def read(self, snapshot: Snapshot, path: str) -> bytes:
        """Return a file's bytes as of the snapshot, checked against what its listing says."""

    @abstractmethod
    def publish(self, snapshot: Snapshot, upload: Upload) -> str | None:
        """Add files that the snapshot does not have, then set the checkpoint; return the new revision.

        Raises `Moved` when the remote changed since the snapshot and nothing was written, `Unsure` when
        the answer was lost, `Taken` when a name exists with other content. Trying once is enough: the
        caller looks and repeats.
        """


def is_replaced(path: str) -> bool:
    """Whether a file at a remote is one that pushes replace: it may be another one than a moment ago."""
    return path.rpartition("/")[2] in ("HEAD.json", "checkpoint", "checkpoint.witnessed")


def git_blob_id(data: bytes) -> str:
    """Return the id git gives these bytes, which is how a Hub names a small file's content."""
    return sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def safe_path(path: str) -> str:
    """Return a path a remote named, or refuse one that would leave the folder it is put in."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or "\\" in path or "\0" in path or any(p in ("..", ".") for p in parts):
        raise Unavailable(
            f"the remote lists a file named {path!r}, which is not a path inside it; nothing was taken",
            code="remote_bad_path",
            hint="look at the remote's files; this one has a name that is never written",
        )
    return path

"""The dataset repositories of the test Hub: commits over whole trees, in memory.

Blob ids are git's (SHA-1 over a `blob` header and the bytes), those of LFS files are the ids of their
pointer files, as on the real Hub; so a client that verifies what it downloads verifies it here too.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field


def git_oid(data: bytes) -> str:
    """The id git gives these bytes."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@dataclass(frozen=True)
class Blob:
    """One file's content; `lfs` says how it is stored, which changes its blob id."""

    data: bytes
    lfs: bool = False

    @property
    def sha256(self) -> str:
        """Digest of the content, the name of an LFS object."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def pointer(self) -> bytes:
        """The small text file git holds in place of an LFS object."""
        return (
            f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {len(self.data)}\n"
        ).encode()

    @property
    def oid(self) -> str:
        """Git's id of what the tree holds."""
        return git_oid(self.pointer if self.lfs else self.data)

    @property
    def etag(self) -> str:
        """What `resolve` answers: the SHA-256 of an LFS file, else the blob id."""
        return self.sha256 if self.lfs else self.oid

    def entry(self, path: str) -> dict[str, object]:
        """The file as the tree and paths-info endpoints describe it."""
        row: dict[str, object] = {"type": "file", "oid": self.oid, "size": len(self.data), "path": path}
        if self.lfs:
            row["lfs"] = {"oid": self.sha256, "size": len(self.data), "pointerSize": len(self.pointer)}
        return row


@dataclass(frozen=True)
class Commit:
    """One commit: its whole tree by path."""

    oid: str
    parent: str | None
    title: str
    files: dict[str, Blob]


@dataclass
class Repo:
    """A dataset repository with one branch, `main`."""

    repo_id: str
    private: bool = False
    commits: list[Commit] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._append("initial commit", {".gitattributes": Blob(b"*.parquet filter=lfs diff=lfs merge=lfs -text\n")})

    @property
    def head(self) -> Commit:
        """The newest commit of main."""
        return self.commits[-1]

    def files(self) -> dict[str, bytes]:
        """Path to content at the head, without the file every repository is born with."""
        return {path: blob.data for path, blob in sorted(self.head.files.items()) if path != ".gitattributes"}

    def at(self, revision: str) -> Commit | None:
        """The commit a revision names: `main`, or a full commit id."""
        if revision == "main":
            return self.head
        return next((commit for commit in reversed(self.commits) if commit.oid == revision), None)

    def commit(self, title: str, add: dict[str, Blob], *, delete: tuple[str, ...] = ()) -> Commit:
        """Apply additions and deletions of files or folders (`name/`) as one commit on the head."""
        files = dict(self.head.files)
        for path in delete:
            files = {
                name: blob
                for name, blob in files.items()
                if name != path and not (path.endswith("/") and name.startswith(path))
            }
        return self._append(title, files | add)

    def _append(self, title: str, files: dict[str, Blob]) -> Commit:
        parent = self.commits[-1].oid if self.commits else None
        seed = f"{self.repo_id}\0{len(self.commits)}\0{parent}\0{title}\0" + "\0".join(
            f"{path}\0{blob.oid}" for path, blob in sorted(files.items())
        )
        commit = Commit(hashlib.sha1(seed.encode()).hexdigest(), parent, title, files)
        self.commits.append(commit)
        return commit

    def tree(self, commit: Commit, folder: str, *, recursive: bool) -> list[dict[str, object]] | None:
        """Entries below `folder` in path order; None when there is no such folder."""
        prefix = f"{folder}/" if folder else ""
        entries: dict[str, dict[str, object]] = {}
        for path, blob in commit.files.items():
            if not path.startswith(prefix):
                continue
            parts = path[len(prefix) :].split("/")
            for depth in range(1, len(parts)):
                if recursive or depth == 1:
                    name = prefix + "/".join(parts[:depth])
                    entries[name] = {"type": "directory", "oid": git_oid(name.encode()), "size": 0, "path": name}
            if recursive or len(parts) == 1:
                entries[path] = blob.entry(path)
        if folder and not entries:
            return None
        return [entries[path] for path in sorted(entries)]

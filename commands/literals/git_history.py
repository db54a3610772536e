"""The mainline of a git repository: its commits, which files each one changed, and their bytes."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

import msgspec

from ledger.errors import BadInput, Unavailable

_CHUNK_BYTES = 1 << 16
# `Change something (#123)` of a squash merge, `Merge pull request #123 from ...` of a merge commit
_PULL_REQUEST = re.compile(r"\(#(\d+)\)\s*\Z|\AMerge pull request #(\d+)\b")


class FileChange(msgspec.Struct, frozen=True):
    """One file of one commit; a blob id is None where the file does not exist on that side."""

    path: str
    old_blob: str | None
    new_blob: str | None


class Commit(msgspec.Struct, frozen=True):
    """One commit of the mainline: full id, committer time (ISO 8601 with zone), author, subject."""

    id: str
    committed_at: str
    author_email: str
    subject: str
    changes: tuple[FileChange, ...]

    @property
    def pull_request(self) -> int | None:
        """The pull request the subject names, if it names one."""
        found = _PULL_REQUEST.search(self.subject)
        return int(found[1] or found[2]) if found else None


def mainline(repo: Path, paths: Sequence[str], since: str | None) -> Iterator[Commit]:
    """Yield the first-parent commits that touch `paths`, oldest first; `since` itself is left out.

    A merge counts as one commit that brings everything of its branch, which is when it reached the
    mainline. Renames are a removal and an addition. Raises `BadInput` for a folder that is no
    repository and for an unknown revision.
    """
    revisions = f"{_resolve(repo, since)}..HEAD" if since else "HEAD"
    _resolve(repo, "HEAD")
    command = [
        "log",
        "--first-parent",
        "-m",
        "--raw",
        "-z",
        "--no-renames",
        "--no-abbrev",
        "--reverse",
        "--no-show-signature",
        "--format=%x01%H%x1f%cI%x1f%aE%x1f%s",
        revisions,
        "--",
        *paths,
    ]
    process = _start(repo, command)
    assert process.stdout is not None
    try:
        yield from _commits(_tokens(process.stdout))
    finally:
        process.stdout.close()
        if process.poll() is None:
            process.terminate()
        process.wait()
    if process.returncode != 0:
        raise Unavailable(
            f"git log failed in {repo} (exit {process.returncode})",
            code="git_failed",
            hint=f"git -C {repo} fsck",
        )


def _tokens(stream: object) -> Iterator[str]:
    """Split a stream at NUL bytes."""
    rest = b""
    read = stream.read  # type: ignore[attr-defined]
    while chunk := read(_CHUNK_BYTES):
        *whole, rest = (rest + chunk).split(b"\0")
        yield from (piece.decode("utf-8", "surrogateescape") for piece in whole)
    if rest:
        yield rest.decode("utf-8", "surrogateescape")


def _commits(tokens: Iterator[str]) -> Iterator[Commit]:
    head: list[str] = []
    changes: list[FileChange] = []
    for raw in tokens:
        token = raw.lstrip("\n")
        if token.startswith("\x01"):
            if head:
                yield _commit(head, changes)
            head = token[1:].split("\x1f", 3)
            changes = []
        elif token.startswith(":"):
            _, _, old, new, _ = token.split(" ")
            path = next(tokens)
            changes.append(FileChange(path, _blob(old), _blob(new)))
    if head:
        yield _commit(head, changes)


def _commit(head: list[str], changes: list[FileChange]) -> Commit:
    name, committed_at, author_email, subject = head
    return Commit(name, committed_at, author_email, subject, tuple(changes))


def _blob(name: str) -> str | None:
    return None if set(name) == {"0"} else name


class BlobReader:
    """Reads blobs through one `git cat-file --batch` process. A context manager."""

    def __init__(self, repo: Path) -> None:
        self.repo = repo
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> BlobReader:
        self.process = _start(self.repo, ["cat-file", "--batch"], stdin=subprocess.PIPE)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self.process is not None and self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process.wait()

    def read(self, blob: str) -> bytes:
        """Return the bytes of a blob. Raises `Unavailable` when the repository lacks it."""
        assert self.process is not None
        out, to = self.process.stdout, self.process.stdin
        assert out is not None and to is not None
        to.write(blob.encode() + b"\n")
        to.flush()
        header = out.readline().split()
        if len(header) != 3:
            raise Unavailable(
                f"git in {self.repo} has no object {blob}",
                code="git_object_missing",
                hint="fetch the whole history: git fetch --unshallow",
            )
        data = out.read(int(header[2]))
        out.read(1)
        return data


def _resolve(repo: Path, revision: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(repo), "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"],
        capture_output=True,
        env=_environment(),
        check=False,
    )
    if done.returncode == 0:
        return done.stdout.decode().strip()
    inside = subprocess.run(
        ["git", "-C", str(repo), "rev-parse", "--git-dir"],
        capture_output=True,
        env=_environment(),
        check=False,
    )
    if inside.returncode != 0:
        said = inside.stderr.decode("utf-8", "replace").strip().splitlines() or ["no message"]
        raise BadInput(
            f"{repo} is not a readable git repository ({said[0]})",
            code="no_repository",
            hint="give one with --repo PATH",
        )
    raise BadInput(f"{repo} has no revision {revision!r}", code="unknown_revision", hint=f"git -C {repo} log")


def _start(repo: Path, arguments: list[str], stdin: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            ["git", "-C", str(repo), *arguments],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
        )
    except FileNotFoundError:
        raise Unavailable("git is not installed", code="no_git", hint="install git") from None


def _environment() -> dict[str, str]:
    """The process environment without settings that change what git prints."""
    return {**os.environ, "LC_ALL": "C", "GIT_PAGER": "cat", "GIT_OPTIONAL_LOCKS": "0"}

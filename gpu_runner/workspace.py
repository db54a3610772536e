"""The commit and the uncommitted changes a repeat runs on, as git says."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ledger.layout import FOLDER_NAME

GIT_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Workspace:
    """sha: full HEAD, None outside a repository. dirty: any line of `git status`, untracked files included, but not
    what the run itself writes.

    diff: the bytes of `git diff HEAD` (untracked files are not in it), empty when clean.
    """

    sha: str | None
    dirty: bool | None
    diff: bytes = b""


def look(root: Path, ours: Sequence[Path] = ()) -> Workspace:
    """Read the state of the repository at `root`; without git or a repository everything is unknown.

    ours: paths the run writes; an untracked folder that holds one of them, and a ledger, do not count as dirt.
    """
    sha = head(root)
    if sha is None:
        return Workspace(None, None)
    status = _git(root, "status", "--porcelain", "-z")
    top = _git(root, "rev-parse", "--show-toplevel")
    dirty = None if status is None or top is None else _is_dirty(status, Path(os.fsdecode(top).strip()), ours)
    return Workspace(sha, dirty, (_git(root, "diff", "HEAD", "--binary") or b"") if dirty else b"")


def _is_dirty(status: bytes, top: Path, ours: Sequence[Path]) -> bool:
    # git names an untracked folder once, whatever is in it
    untracked = [entry[3:] for entry in status.split(b"\0") if entry.startswith(b"?? ")]
    changed = sum(bool(entry) for entry in status.split(b"\0")) > len(untracked)
    return changed or any(not _is_ours(top / os.fsdecode(name), ours) for name in untracked)


def _is_ours(path: Path, ours: Sequence[Path]) -> bool:
    if path.name == FOLDER_NAME:
        return True
    real = path.resolve()
    return any(own.resolve().is_relative_to(real) or real.is_relative_to(own.resolve()) for own in ours)


def head(root: Path) -> str | None:
    """The full sha of HEAD, or None."""
    sha = _git(root, "rev-parse", "--verify", "HEAD")
    return sha.decode().strip() if sha else None


def _git(root: Path, *args: str) -> bytes | None:
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", "-C", str(root), *args],
            capture_output=True,
            timeout=GIT_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None

"""The commit and the uncommitted changes a repeat runs on, as git says."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

GIT_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Workspace:
    """sha: full HEAD, None outside a repository. dirty: any line of `git status`, untracked files included.

    diff: the bytes of `git diff HEAD` (untracked files are not in it), empty when clean.
    """

    sha: str | None
    dirty: bool | None
    diff: bytes = b""


def look(root: Path) -> Workspace:
    """Read the state of the repository at `root`; without git or a repository everything is unknown."""
    sha = head(root)
    if sha is None:
        return Workspace(None, None)
    status = _git(root, "status", "--porcelain")
    dirty = None if status is None else bool(status.strip())
    return Workspace(sha, dirty, (_git(root, "diff", "HEAD", "--binary") or b"") if dirty else b"")


def head(root: Path) -> str | None:
    """The full sha of HEAD, or None."""
    sha = _git(root, "rev-parse", "--verify", "HEAD")
    return sha.decode().strip() if sha else None


def _git(root: Path, *args: str) -> bytes | None:
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", "-C", str(root), *args],
            capture_output=True, timeout=GIT_TIMEOUT_S, check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None

"""What git reports about the measured repository: commits, branch, changes, and proofs of equivalence."""

from __future__ import annotations

import subprocess
from collections.abc import Collection, Sequence
from pathlib import Path

from ledger.errors import BadInput, Unavailable
from projections.calibration.provenance import not_equivalent

TIMEOUT_S = 120


class Repository:
    """A git checkout. Raises `BadInput` where git says that something does not exist."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def head(self) -> str:
        """Return the full commit. Raises `BadInput` when `root` is no checkout or has no commit."""
        return self._git("rev-parse", "--verify", "HEAD").decode().strip()

    def branch(self) -> str:
        """Return the branch; `HEAD` when detached."""
        return self._git("rev-parse", "--abbrev-ref", "HEAD").decode().strip()

    def dirty(self, *, ours: Sequence[Path]) -> bool:
        """Whether anything differs from HEAD, untracked files included.

        Untracked folders that only hold what this tool writes itself (`ours`: ledger and run
        directory, absolute) do not count: a calibration must not make its own workspace dirty.
        """
        out = self._git("status", "--porcelain", "-z").decode("utf-8", "surrogateescape")
        for entry in filter(None, out.split("\0")):
            path = (self.root / entry[3:]).resolve()
            if not (entry.startswith("?? ") and any(own.is_relative_to(path) for own in ours)):
                return True
        return False

    def has(self, commit: str) -> bool:
        """Whether this checkout knows a commit."""
        done = self._run("cat-file", "-e", f"{commit}^{{commit}}")
        return done.returncode == 0

    def changed(self, old: str, new: str) -> list[str]:
        """Return the paths that differ between two commits, renames as removal and addition."""
        out = self._git("diff", "--name-only", "--no-renames", "-z", old, new)
        return [path for path in out.decode("utf-8", "surrogateescape").split("\0") if path]

    def subjects(self, old: str, new: str) -> list[str]:
        """Return `<sha8> <subject>` of the commits of `new` that `old` does not have, newest first."""
        out = self._git("log", "--format=%h %s", "--abbrev=8", f"{old}..{new}")
        return out.decode("utf-8", "replace").splitlines()

    def show(self, commit: str, path: str) -> bytes | None:
        """Return a file's bytes at a commit; None when it does not exist there."""
        done = self._run("show", f"{commit}:{path}")
        return done.stdout if done.returncode == 0 else None

    def prove_equivalent(self, old: str, new: str) -> tuple[list[str], list[str]]:
        """Compare two commits file by file; return (changed files, those that break equivalence)."""
        for commit in (old, new):
            if not self.has(commit):
                raise BadInput(
                    f"{self.root} does not have the commit {commit}",
                    code="unknown_commit",
                    hint=f"git -C {self.root} fetch origin {commit}",
                )
        changed = self.changed(old, new)
        contents = {path: (self.show(old, path), self.show(new, path)) for path in changed}
        return changed, not_equivalent(contents)

    def modified(self, files: Sequence[str]) -> bool:
        """Whether any of these files differs from HEAD."""
        return bool(self._git("status", "--porcelain", "--", *files).strip())

    def commit(self, files: Sequence[str], message: str) -> str:
        """Commit exactly these files, whatever else is staged, and return the new commit."""
        self._git("commit", "--quiet", "--only", "--message", message, "--", *files)
        return self._git("rev-parse", "HEAD").decode().strip()

    def commit_of(self, files: Collection[str], message: str, *, but_not: Collection[str]) -> str | None:
        """Return the newest commit on any branch that changes only these files and holds this message, or None.

        but_not: full commits that are something else. A hook may have added lines to the message.
        """
        *_, line = message.splitlines()
        # the search is for one line; the whole is compared below, without what git does to white space
        out = self._git("log", "--all", "HEAD", "--format=%H", "--fixed-strings", f"--grep={line}")
        wanted = " ".join(message.split())
        for commit in out.decode().split():
            said = self._git("show", "--no-patch", "--format=%B", commit).decode("utf-8", "replace")
            listed = self._git("show", "--name-only", "--no-renames", "--format=", "-z", commit)
            changed = {path for path in listed.decode("utf-8", "surrogateescape").strip("\n").split("\0") if path}
            if commit not in but_not and wanted in " ".join(said.split()) and changed and changed <= set(files):
                return commit
        return None

    def _git(self, *args: str) -> bytes:
        done = self._run(*args)
        if done.returncode < 0:
            raise Unavailable(
                f"git {args[0]} was ended by signal {-done.returncode} in {self.root}",
                code="git_killed",
                hint="run it again",
            )
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise BadInput(
                f"git {args[0]} failed in {self.root}: {said[-1] if said else 'no message'}",
                code="git_refused",
                hint="give the measured repository with --repo-root",
                repo_root=str(self.root),
            )
        return done.stdout

    def _run(self, *args: str) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                ["git", "-c", "core.quotepath=off", *args],
                cwd=self.root,
                capture_output=True,
                timeout=TIMEOUT_S,
                check=False,
            )
        except FileNotFoundError as error:
            if error.filename == "git":
                raise Unavailable("git is not installed", code="no_git", hint="install git") from None
            raise BadInput(f"no such folder: {self.root}", code="no_repository", hint="give --repo-root") from None
        except NotADirectoryError:
            raise BadInput(f"not a folder: {self.root}", code="no_repository", hint="give --repo-root") from None
        except subprocess.TimeoutExpired:
            raise Unavailable(
                f"git {args[0]} did not answer within {TIMEOUT_S} s",
                code="git_timeout",
                hint="run it again",
            ) from None

"""Whether these files may be written: they are what was measured, and git has all their changes."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from commands.calibrate.applying.decisions import Decision
from commands.calibrate.applying.plan import ApplyPlan
from commands.literals.rewriter import Edit, rewrite
from ledger.errors import Refused, Unavailable
from ledger.event import Event

GIT_TIMEOUT_S = 60


class Rewrite(msgspec.Struct, frozen=True, kw_only=True):
    """One file to write: its path, its bytes now and then, and the decisions behind the change."""

    path: Path
    relative: str
    before: bytes
    after: bytes
    decisions: tuple[Decision, ...]

    @property
    def before_sha256(self) -> str:
        """Digest of the bytes that are there now."""
        return hashlib.sha256(self.before).hexdigest()

    @property
    def after_sha256(self) -> str:
        """Digest of the bytes that will be there."""
        return hashlib.sha256(self.after).hexdigest()


def rewrites_of(plan: ApplyPlan, decisions: Iterable[Decision]) -> list[Rewrite]:
    """Return the new bytes of every file in which something is written, in plan order."""
    by_file: dict[Path, list[Decision]] = {}
    for decision in decisions:
        if decision.action == "write":
            by_file.setdefault(decision.metric.file, []).append(decision)
    rewrites = []
    for path, several in by_file.items():
        _refuse_outside(plan.root, path)
        constants = plan.constants[path]
        edits: dict[int, Edit] = {}
        for decision in several:
            assert decision.metric.site is not None and decision.text is not None
            # stages that share a literal agree on its value by now
            edits.setdefault(decision.metric.site.start, Edit(decision.metric.site, decision.text))
        rewrites.append(
            Rewrite(
                path=path,
                relative=path.relative_to(plan.root).as_posix(),
                before=constants.source.to_bytes(),
                after=rewrite(constants, edits.values()),
                decisions=tuple(several),
            )
        )
    return rewrites


def _refuse_outside(root: Path, path: Path) -> None:
    """Refuse a schema or a link that would direct a write out of its repository."""
    if not path.resolve().is_relative_to(root.resolve()):
        raise Refused(
            f"{path} is outside the repository {root}; nothing was written",
            code="outside_repository",
            hint="give the repository that holds it with --repo-root, or correct threshold_file",
            file=str(path),
        )


def check_targets(plan: ApplyPlan, rewrites: Iterable[Rewrite], applies: Callable[[], Iterable[Event]]) -> None:
    """Refuse files that git sees as changed, and files that are not what was measured.

    What was measured is what `discover` hashed and what the calibration commit holds. `applies` gives
    every announced apply of the ledger: bytes that applies left behind, one after the other, count
    as both, because they differ in thresholds only. Raises `Refused` naming every such file.
    """
    targets = list(rewrites)
    dirty = _dirty(plan.root, [target.relative for target in targets])
    moved = [target for target in targets if not _measured(plan, target)]
    if not dirty and not moved:
        return
    steps = [step for event in applies() for step in _steps(event)]
    left_behind = {after for _, _, after in steps}
    of_ours = {target.relative for target in targets if target.before_sha256 in left_behind}
    dirty = {file: state for file, state in dirty.items() if file not in of_ours}
    if dirty:
        named = [f"{file} ({state})" for file, state in dirty.items()]
        raise Refused(
            "has changes that git does not have: " + ", ".join(named),
            code="dirty_files",
            hint="commit or restore " + " ".join(dirty),
            files=list(dirty),
        )
    drifted = [target.relative for target in moved if not _reached(plan, target, steps)]
    if drifted:
        raise Refused(
            f"not the file that was measured on {plan.session.plan.calibration_git_sha[:8] or 'an unknown commit'}: "
            + ", ".join(drifted),
            code="drifted_files",
            hint="perfledger calibrate discover, then calibrate again on this commit",
            files=drifted,
        )


def _measured(plan: ApplyPlan, target: Rewrite) -> bool:
    """Whether the bytes are those that were measured, or what was measured is unknown."""
    known = _known_digests(plan, target)
    return not known or target.before_sha256 in known


def _known_digests(plan: ApplyPlan, target: Rewrite) -> set[str]:
    """Digests of the file as `discover` saw it and as the calibration commit holds it."""
    known = set()
    for stage in plan.session.plan.stages:
        if stage.test == target.relative and stage.test_file_sha256:
            known.add(stage.test_file_sha256)
        if stage.threshold_file == target.relative and stage.threshold_file_sha256:
            known.add(stage.threshold_file_sha256)
    commit = plan.session.plan.calibration_git_sha
    if target.before_sha256 not in known and commit and _is_checkout(plan.root):
        shown = _git(plan.root, "show", f"{commit}:./{target.relative}")
        if shown.returncode == 0:
            known.add(hashlib.sha256(shown.stdout).hexdigest())
    return known


def _steps(event: Event) -> Iterator[tuple[str, str, str]]:
    """(file, digest before, digest after) of each file of an announced apply."""
    for file in event.body().get("files", ()):
        yield file["file"], file["before_sha256"], file["after_sha256"]


def _reached(plan: ApplyPlan, target: Rewrite, steps: Sequence[tuple[str, str, str]]) -> bool:
    """Whether applies alone lead from the measured bytes to those that are there now."""
    states = _known_digests(plan, target)
    grown = True
    while grown:
        new = {after for file, before, after in steps if file == target.relative and before in states}
        grown = not new <= states
        states |= new
    return target.before_sha256 in states


def _dirty(root: Path, files: list[str]) -> dict[str, str]:
    """Return the files that differ from HEAD or that git does not know, with git's sign for each.

    A folder that is no checkout has nothing to compare with; the digests have spoken already.
    """
    if not files or not _is_checkout(root):
        return {}
    done = _git(root, "status", "--porcelain", "-z", "--untracked-files=all", "--ignored", "--", *files)
    if done.returncode != 0:
        raise _git_failed(root, done)
    entries = done.stdout.decode("utf-8", "surrogateescape").split("\0")
    states: dict[str, str] = {}
    for entry in entries:
        # paths are those of the repository, which may begin above `root`
        file = next((file for file in files if entry[3:] == file or entry[3:].endswith(f"/{file}")), None)
        if file is not None:
            states[file] = entry[:2].strip()
    return states


def _is_checkout(root: Path) -> bool:
    """Whether git keeps this folder. Raises `Unavailable` when git will not say."""
    done = _git(root, "rev-parse", "--is-inside-work-tree")
    if done.returncode != 0 and b"not a git repository" not in done.stderr:
        raise _git_failed(root, done)
    return done.stdout.strip() == b"true"


def _git_failed(root: Path, done: subprocess.CompletedProcess[bytes]) -> Unavailable:
    said = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return Unavailable(
        f"git failed in {root}: {said[0] if said else 'no message'}",
        code="git_failed",
        hint=f"git -C {root} status",
    )


def _git(root: Path, *args: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["git", "-C", str(root), *args],
            capture_output=True,
            timeout=GIT_TIMEOUT_S,
            check=False,
            env={**os.environ, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"},
        )
    except FileNotFoundError:
        raise Unavailable("git is not installed", code="no_git", hint="install git") from None
    except subprocess.TimeoutExpired:
        raise Unavailable(
            f"git did not answer within {GIT_TIMEOUT_S} s", code="git_timeout", hint="run it again"
        ) from None

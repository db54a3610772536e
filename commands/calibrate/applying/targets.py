"""May these files be written: are they what was measured, and does git have nothing to lose?"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterable, Mapping
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
    """A schema or a link must not lead a write out of the repository it speaks of."""
    if not path.resolve().is_relative_to(root.resolve()):
        raise Refused(
            f"{path} is outside the repository {root}; nothing was written",
            code="outside_repository",
            hint="give the repository that holds it with --repo-root, or correct threshold_file",
            file=str(path),
        )


def check_targets(plan: ApplyPlan, rewrites: Iterable[Rewrite], written: Iterable[Event]) -> None:
    """Refuse files that drifted from what was measured or that git sees as changed.

    `written` are this session's earlier applies: bytes they left behind are neither. Raises
    `Refused` naming every such file.
    """
    targets = list(rewrites)
    ours = {each["after_sha256"] for event in written for each in event.body().get("files", ())}
    drifted = _drifted(plan, targets, ours)
    if drifted:
        raise Refused(
            "changed since discover, so it is not what was measured: " + "; ".join(drifted),
            code="drifted_files",
            hint="perfledger calibrate discover, then calibrate again on this commit",
            files=drifted,
        )
    dirty = _dirty(plan.root, [t.relative for t in targets if t.before_sha256 not in ours])
    if dirty:
        raise Refused(
            "has changes that git does not have: " + ", ".join(dirty),
            code="dirty_files",
            hint="commit or restore " + " ".join(dirty),
            files=dirty,
        )


def _drifted(plan: ApplyPlan, targets: Iterable[Rewrite], ours: set[str]) -> list[str]:
    recorded: dict[str, set[str]] = {}
    for stage in plan.session.plan.stages:
        pairs: Mapping[str, str | None] = {
            stage.test: stage.test_file_sha256,
            **({stage.threshold_file: stage.threshold_file_sha256} if stage.threshold_file else {}),
        }
        for file, digest in pairs.items():
            if digest:
                recorded.setdefault(file, set()).add(digest)
    return [
        f"{target.relative} (sha256 {target.before_sha256[:8]}, stages.yaml has "
        f"{'/'.join(sorted(digest[:8] for digest in recorded[target.relative]))})"
        for target in targets
        if target.relative in recorded
        and target.before_sha256 not in ours
        and recorded[target.relative] != {target.before_sha256}
    ]


def _dirty(root: Path, files: list[str]) -> list[str]:
    """Return the files that differ from HEAD or that git does not know.

    A folder that is no checkout has nothing to compare with; the digests have spoken already.
    """
    if not files or not _is_checkout(root):
        return []
    done = _git(root, "status", "--porcelain", "-z", "--untracked-files=all", "--ignored", "--", *files)
    if done.returncode != 0:
        raise _git_failed(root, done)
    entries = done.stdout.decode("utf-8", "surrogateescape").split("\0")
    return sorted({f"{entry[3:]} ({entry[:2].strip()})" for entry in entries if len(entry) > 3})


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

"""Provenance: were all repeats measured on the commit the session was planned on?

A commit that differs only in ways that cannot change a measurement counts as the same: files below
`.claude/skills/`, and Python files whose syntax tree is equal once numeric literals are blanked.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from projections.calibration.session import Observation, Session

SKILLS_FOLDER = ".claude/skills/"
SHORT = 8

OK = "ok"
CORRUPT = "corrupt"
MISSING = "missing"
OTHER_COMMIT = "other commit"
OTHER_WORKSPACE = "other workspace"


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """Whether every observation belongs to the calibration commit.

    mismatches and missing are lines as the audit prints them; reason is empty when ok.
    """

    ok: bool
    reason: str
    calibration_git_sha: str
    mismatches: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    equivalent_commits: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The object `audit --json` shows."""
        return {
            "ok": self.ok,
            "reason": self.reason,
            "calibration_git_sha": self.calibration_git_sha,
            "mismatches": list(self.mismatches),
            "missing": list(self.missing),
            "equivalent_commits": list(self.equivalent_commits),
        }


def provenance(session: Session) -> Provenance:
    """Judge every observed repeat of the planned stages, in plan order, rounds ascending."""
    commit = session.plan.calibration_git_sha
    if not commit:
        return Provenance(ok=False, reason="plan.json has no calibration_git_sha", calibration_git_sha="")
    accepted = session.accepted_commits
    mismatches: list[str] = []
    missing: list[str] = []
    for stage in session.plan.stages:
        for repeat in session.rounds(stage.key):
            seen = session.observations[stage.key, repeat]
            found = verdict(session, seen, accepted)
            name = f"{stage.key}/run{repeat}"
            if found == MISSING:
                missing.append(name)
            elif found != OK:
                mismatches.append(f"{name}: {_explained(session, seen, accepted, found)}")
    return Provenance(
        ok=not mismatches and not missing,
        reason=_reason(len(mismatches), len(missing)),
        calibration_git_sha=commit,
        mismatches=tuple(mismatches),
        missing=tuple(missing),
        equivalent_commits=tuple(sorted(accepted - {commit})),
    )


def verdict(session: Session, seen: Observation, accepted: frozenset[str]) -> str:
    """Judge one observation: `OK`, or why it does not belong to the session, by the first rule that holds.

    accepted: `session.accepted_commits`, asked once for many observations. This is the only place where the
    rule is written: `calibrate audit` and the SQL relation `provenance` (`relation.py`) both ask it.
    """
    if not seen.readable:
        return CORRUPT
    if not seen.commits:
        return MISSING
    if not accepted.issuperset(seen.commits):
        return OTHER_COMMIT
    # a run file does not say what the workspace held at each repeat; our own observations do
    if not seen.foreign_file and seen.diff_sha256 != session.plan.diff_sha256:
        return OTHER_WORKSPACE
    return OK


def _explained(session: Session, seen: Observation, accepted: frozenset[str], found: str) -> str:
    if found == CORRUPT:
        return "corrupt json"
    if found == OTHER_WORKSPACE:
        return "tracked files were changed since the plan was made"
    other = next(commit for commit in seen.commits if commit not in accepted)
    return f"artifact {other[:SHORT]} != calibration {session.plan.calibration_git_sha[:SHORT]}"


def _reason(mismatches: int, missing: int) -> str:
    if missing:
        return f"{missing} run(s) missing git_sha (pre-v0.6.0 or stale — purge and re-run on current commit)"
    if mismatches:
        return f"{mismatches} run(s) recorded on a different commit"
    return ""


def not_equivalent(changed: Mapping[str, tuple[bytes | None, bytes | None]]) -> list[str]:
    """Return the changed files that could change a measurement; empty proves equivalence.

    changed: path to its bytes at the one commit and at the other, None where it does not exist.
    """
    return [
        path
        for path, (old, new) in sorted(changed.items())
        if not path.startswith(SKILLS_FOLDER) and not same_program(path, old, new)
    ]


def same_program(path: str, old: bytes | None, new: bytes | None) -> bool:
    """Whether two versions of a Python file are one program but for its numeric literals.

    Docstrings, names and strings must be equal; comments and layout are not part of a program.
    A file that was added or removed, is not Python, or does not parse is not the same.
    """
    if not path.endswith(".py") or old is None or new is None:
        return False
    try:
        return _blanked(old) == _blanked(new)
    except (SyntaxError, ValueError, RecursionError):
        return False


class _BlankNumbers(ast.NodeTransformer):
    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        number = isinstance(node.value, (int, float, complex)) and not isinstance(node.value, bool)
        return ast.Constant(value=0) if number else node


def _blanked(source: bytes) -> str:
    return ast.dump(_BlankNumbers().visit(ast.parse(source)), annotate_fields=False)


def performance_sensitive(paths: Iterable[str], patterns: Iterable[str]) -> list[str]:
    """Return the paths that match one of the glob patterns (`**` spans folders), sorted."""
    from fnmatch import fnmatch

    globs = [p.replace("**/", "*") for p in patterns]
    return sorted(p for p in paths if any(fnmatch(p, g) for g in globs))

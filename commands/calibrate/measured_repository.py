"""Which checkout holds the measured code: what was given, what came along with the run directory, what was recorded."""

from __future__ import annotations

from pathlib import Path

from commands.calibrate.config.repository import Repository
from ledger.errors import BadInput
from ledger.events.calibrations import Plan
from projections.calibration.session import Session


def root_of(session: Session, named: Path | None, given: Path | None = None) -> Path:
    """Return the measured repository to read. Raises `BadInput` when its place is not given anywhere.

    named: the run directory of the command line. given: `--repo-root`, which wins. A run directory that was copied or
    moved together with its checkout names the checkout that it is in now; else the plan's own applies.
    """
    root = given or came_along(session.plan, named)
    root = root or (Path(session.plan.repo_root) if session.plan.repo_root else None)
    if root is None or not root.is_dir():
        raise BadInput(
            f"the measured repository is not known here ({root or 'the run does not name it'})",
            code="no_repository",
            hint="give it with --repo-root DIR",
        )
    return root.resolve()


def root_to_write(session: Session, named: Path | None, given: Path | None = None) -> Path:
    """Return the measured repository to write into.

    Raises `BadInput` where only the plan names it, and the run directory or the working directory is in another
    checkout that has the measured commit too: which of them is meant is not ours to guess.
    """
    root = root_of(session, named, given)
    if given is not None or came_along(session.plan, named) is not None:
        return root
    for here in ([named.resolve()] if named else []) + [Path.cwd()]:
        checkout = next((p for p in (here, *here.parents) if (p / ".git").exists()), None)
        if checkout is None or checkout.samefile(root):
            continue
        if Repository(checkout).has(session.plan.calibration_git_sha):
            raise BadInput(
                f"the calibration was measured in {root}, and {checkout} has its commit too; nothing was written",
                code="which_repository",
                hint=f"--repo-root {checkout}, or --repo-root {root}",
                recorded=str(root),
                found=str(checkout),
            )
    return root


def came_along(plan: Plan, named: Path | None) -> Path | None:
    """Return the checkout that a run directory inside of one is in now; None for one that was elsewhere.

    It is as far above the folder as the recorded one was, and holds every test file of the plan.
    """
    if named is None or not plan.repo_root or not plan.run_dir:
        return None
    recorded, root = Path(plan.run_dir), Path(plan.repo_root)
    if not recorded.is_relative_to(root):
        return None
    inside, now = recorded.relative_to(root), named.resolve()
    if now.parts[len(now.parts) - len(inside.parts) :] != inside.parts:
        return None
    found = now.parents[len(inside.parts) - 1] if inside.parts else now
    return found if all((found / stage.test).is_file() for stage in plan.stages) else None


def moved_along(plan: Plan, root: Path, path: str) -> Path:
    """Return a recorded path inside the recorded checkout as it is in `root`; any other path as it was recorded."""
    recorded = Path(path)
    if plan.repo_root and recorded.is_relative_to(plan.repo_root):
        return root / recorded.relative_to(plan.repo_root)
    return recorded

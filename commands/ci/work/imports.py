"""What a lane's test files import, followed through a repository's own Python modules."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from pathlib import Path

from ledger.errors import BadInput
from projections.ci import globs
from projections.ci.lanes import Unwatched, unwatched
from projections.ci.policy import Policy

FILE_BYTES_MAX = 4 * 2**20


def unwatched_imports(policy: Policy, repo_dir: str, tracked: Sequence[str], asked: Iterable[str]) -> list[Unwatched]:
    """Return what the named lanes' files import, directly or not, and the lanes do not watch.

    `asked` holds `TEST_TYPE=PATTERN`; the pattern names the files to begin with. Raises `BadInput`.
    """
    found: list[Unwatched] = []
    modules = {_module(name): name for name in tracked if name.endswith(".py")}
    for item in asked:
        test_type, sign, pattern = item.partition("=")
        lane = next((lane for lane in policy.lanes if lane.test_type == test_type), None)
        if not sign or lane is None:
            raise BadInput(
                f"--imports {item!r}: no lane has the TEST_TYPE {test_type!r}",
                code="bad_lane",
                hint="--imports performance='fastvideo/tests/performance/**'",
            )
        begin = [name for name in modules.values() if globs.match_how(pattern, name)]
        if not begin:
            raise BadInput(
                f"--imports {item!r}: no tracked Python file matches", code="no_such_files", hint="git ls-files '*.py'"
            )
        found += unwatched(policy, lane, _closure(Path(repo_dir), modules, begin), why="imports")
    return found


def _module(name: str) -> str:
    return name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _closure(root: Path, modules: dict[str, str], begin: list[str]) -> set[str]:
    """Return the files reached from `begin` over import statements."""
    seen: set[str] = set()
    todo = list(begin)
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        todo += [modules[m] for m in _imported(root / name, _module(name), name) if m in modules]
    return seen


def _imported(path: Path, module: str, name: str) -> set[str]:
    """Return the modules a file imports, in every spelling that could name one of the repository's."""
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            return set()
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return set()  # a file this Python cannot read is not judged by its imports
    package = module if name.endswith("/__init__.py") else module.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, package)
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            continue
        for dotted in names:
            parts = dotted.split(".")
            # importing a.b.c runs a and a.b too
            found.update(".".join(parts[: n + 1]) for n in range(len(parts)))
    return found


def _base(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    base = ".".join(parts[: len(parts) - node.level + 1])
    return f"{base}.{node.module}" if node.module else base

"""The wheel holds one import name: every room goes below `perfledger`, and so do the imports that name it.

In the sources one writes `from ledger.errors import ...`; in the wheel that is `from perfledger.ledger.errors import
...`, on the same line. What cannot be rewritten is refused here, and docs/decisions/0006-import-names.md says why.
"""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NAME = "perfledger"
ROOMS = ("commands", "gpu_runner", "ledger", "projections")
BESIDE = ("CHANGELOG.md", "LICENSE", "README.md", "hatch_build.py", "pyproject.toml")  # what an sdist has too
_CODE = re.compile(rf"(?m)^\s*(?:from|import)\s+({'|'.join(ROOMS)})\b|[;:]\s*(?:from|import)\s+({'|'.join(ROOMS)})\b")
_DOTTED = re.compile(rf"({'|'.join(ROOMS)})((?:\.\w+)+)\.?(?::\w+)?")


class CannotRewrite(Exception):
    """A line names a room in a way that would break in the wheel. The message names file and line and what to write."""


def below(source: bytes, where: str, root: Path) -> bytes:
    """Return Python source with its imports of rooms below `NAME`; lines keep their numbers.

    where: the file's name for messages. root: the folder of the rooms, to tell a module's name from other words.
    Raises `CannotRewrite` for `import ledger` without `as`, and for a string that holds code or a module's name.
    """
    tree = ast.parse(source)
    lines = source.splitlines(keepends=True)
    for line, column, module in sorted(places(tree, where), reverse=True):
        text = lines[line - 1]
        assert text[column:].startswith(module.encode()), f"{where}:{line}: one space before {module}"
        lines[line - 1] = text[:column] + f"{NAME}.".encode() + text[column:]
    _refuse_strings(tree, where, root)
    return b"".join(lines)


def places(tree: ast.AST, where: str) -> Iterator[tuple[int, int, str]]:
    """Yield line, column (in bytes) and name of each module of a room that an import statement names.

    Raises `CannotRewrite` where the statement binds the room's own name.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level and of_a_room(node.module or ""):
            yield node.lineno, node.col_offset + len("from "), str(node.module)
        elif isinstance(node, ast.Import):
            for alias in filter(lambda alias: of_a_room(alias.name), node.names):
                if alias.asname is None:
                    raise CannotRewrite(
                        f"{where}:{node.lineno}: write `import {alias.name} as ...` or `from ... import`"
                    )
                yield alias.lineno, alias.col_offset, alias.name


def _refuse_strings(tree: ast.AST, where: str, root: Path) -> None:
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in prose:
            continue
        if _CODE.search(node.value) or module_of_a_room(root, node.value):
            raise CannotRewrite(
                f"{where}:{node.lineno}: the string {node.value[:60]!r} names a module by a name that it has in the "
                "sources only; build it from `__package__`"
            )


def module_of_a_room(root: Path, text: str) -> bool:
    """Whether a text is the name of a module of a room, as `room.module`, `room.module:name` or `room.package.`."""
    named = _DOTTED.fullmatch(text)
    path = root.joinpath(*(named[1] + named[2]).split(".")) if named else None
    return path is not None and (path.is_dir() or path.with_suffix(".py").is_file())


def of_a_room(module: str) -> bool:
    """Whether a module's full name begins with a room."""
    return module.split(".")[0] in ROOMS


def listed(root: Path) -> list[str]:
    """Return the files to ship, relative to `root`, sorted: what git lists in a checkout, all there is in an sdist."""
    folders = (NAME, *ROOMS)
    git = shutil.which("git") if (root / ".git").exists() else None
    if git is None:
        found = [p.relative_to(root) for name in folders for p in (root / name).rglob("*")]
        return sorted(str(p) for p in found if (root / p).is_file() and "__pycache__" not in p.parts)
    # the checkout may belong to somebody else, as in a container; its code is run by this build in any case
    command = [git, "-c", "safe.directory=*", "-c", "core.fsmonitor=false", "ls-files", "-z", "--", *folders]
    named = subprocess.run(command, cwd=root, check=True, capture_output=True).stdout.decode().split("\0")
    return sorted(name for name in named if name and (root / name).is_file())


def place(root: Path, target: Path) -> None:
    """Write what `import perfledger` finds into `target`, which stands for the folder of that name."""
    for name in listed(root):
        inside = Path(name) if of_a_room(name.replace("/", ".")) else Path(name).relative_to(NAME)
        (target / inside).parent.mkdir(parents=True, exist_ok=True)
        data = (root / name).read_bytes()
        (target / inside).write_bytes(below(data, name, root) if name.endswith(".py") else data)


class OneName(BuildHookInterface[Any]):
    """Hatchling calls this for the wheel and the sdist; an editable install takes the folders as they are."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Say what goes in: pyproject.toml excludes everything else."""
        root = Path(self.root)
        if self.target_name == "sdist":
            files = [*listed(root), *(name for name in BESIDE if (root / name).is_file())]
            build_data["force_include"].update({str(root / name): name for name in files})
        elif version != "editable":
            self.made = tempfile.TemporaryDirectory()
            place(root, Path(self.made.name, NAME))
            build_data["force_include"][str(Path(self.made.name, NAME))] = NAME

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the rewritten files."""
        del version, build_data, artifact_path
        if hasattr(self, "made"):
            self.made.cleanup()

"""A tree of source as numbers: files, functions, parameters, imports. Read from the AST, nothing is run."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
ROOMS = ("ledger", "projections", "gpu_runner", "commands")


@dataclass(frozen=True)
class Function:
    """A function of a file. `parameters` counts what a caller gives by name: not `self`, `cls`, `*args`, `**kwargs`."""

    file: str
    name: str
    lines: int
    parameters: int
    positional: int
    public: bool
    documented: bool
    returns: bool

    @property
    def where(self) -> str:
        """Return the name in a list: the file, two colons, the dotted name."""
        return f"{self.file}::{self.name}"


@dataclass(frozen=True)
class Source:
    """One Python file: its path below the top of the tree, its text and its syntax tree."""

    path: str
    text: str
    tree: ast.Module

    @property
    def lines(self) -> int:
        """Return the number of lines."""
        return self.text.count("\n")

    @property
    def module(self) -> str:
        """Return the dotted name it is imported by."""
        return self.path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")

    @functools.cached_property
    def functions(self) -> list[Function]:
        """Return every function of the file, methods and nested ones too, in the order of the text."""
        return list(_functions(self.path, self.tree, "", public=True))

    @functools.cached_property
    def imports(self) -> set[str]:
        """Return the dotted names imported anywhere in the file: inside functions and for type checkers only, too.

        `from a import b` gives `a.b`, which may be a module or a name of `a`.
        """
        found: set[str] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.path}:{node.lineno}: relative imports are not used here"
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
        return found


def _functions(file: str, tree: ast.AST, inside: str, public: bool) -> Iterator[Function]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            seen = public and not node.name.startswith("_")
            yield _measured(file, node, inside, seen)
            yield from _functions(file, node, f"{inside}{node.name}.", public=False)
        elif isinstance(node, ast.ClassDef):
            seen = public and not node.name.startswith("_")
            yield from _functions(file, node, f"{inside}{node.name}.", public=seen)
        else:
            yield from _functions(file, node, inside, public)


def _measured(file: str, node: ast.FunctionDef | ast.AsyncFunctionDef, inside: str, public: bool) -> Function:
    arguments = node.args
    positional = [a.arg for a in (*arguments.posonlyargs, *arguments.args) if a.arg not in ("self", "cls")]
    assert node.end_lineno is not None
    return Function(
        file=file,
        name=inside + node.name,
        lines=node.end_lineno - node.lineno + 1,
        parameters=len(positional) + len(arguments.kwonlyargs),
        positional=len(positional),
        public=public,
        documented=ast.get_docstring(node) is not None,
        returns=node.returns is not None,
    )


def sources(top: Path, *folders: str) -> list[Source]:
    """Return the Python files below these folders of a tree, by path. Folders that are missing give none."""
    paths = sorted(path for folder in folders for path in (top / folder).rglob("*.py"))
    texts = ((str(path.relative_to(top)), path.read_text(encoding="utf-8")) for path in paths)
    return [Source(path, text, ast.parse(text)) for path, text in texts]


def arrows(files: list[Source]) -> dict[str, set[str]]:
    """Return which of these modules each of them imports, at any depth of the text."""
    known = {file.module for file in files}
    found: dict[str, set[str]] = {}
    for file in files:
        named = {name if name in known else name.rpartition(".")[0] for name in file.imports}
        found[file.module] = (named & known) - {file.module}
    return found


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the groups of modules that reach each other (strongly connected, two or more), each sorted."""
    reached = {module: _reachable(graph, module) for module in graph}
    groups = {
        tuple(sorted(other for other in reached[module] if module in reached[other]))
        for module in graph
        if module in reached[module]
    }
    return [list(group) for group in sorted(groups)]


def _reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    open_ends = list(graph[start])
    while open_ends:
        module = open_ends.pop()
        if module not in seen:
            seen.add(module)
            open_ends += graph[module]
    return seen

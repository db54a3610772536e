"""Which constants a file may bind or change in ways other than a plain assignment."""

from __future__ import annotations

import ast
from collections.abc import Iterator

_CHANGING_CALLS = {"update", "setdefault", "pop", "popitem", "clear", "__setitem__", "__delitem__"}
_OWN_SCOPE = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def rebindings_of(module: ast.Module) -> dict[str, tuple[int, ...]]:
    """Return the lines at which each name is bound or changed other than by `A = ...` or `A: T = ...`.

    Counted: assignments of every form inside `if`, `try`, `with` and loops, tuple targets,
    `X[...] =`, `X += ...`, `:=`, imports, `def`, `class`, `del`, loop and `as` targets,
    `X.update(...)`, and `global X` in a function, which says that the function means to change it.
    Lines are those of the top-level statements.
    """
    found: dict[str, dict[int, None]] = {}
    for statement in module.body:
        plain = set(plain_targets(statement))
        for name in _walk(statement, inside=False):
            if name not in plain:
                found.setdefault(name, {})[statement.lineno] = None
    return {name: tuple(lines) for name, lines in found.items()}


def plain_targets(statement: ast.stmt) -> list[str]:
    """Return the names a plain or annotated assignment binds; nothing for any other statement."""
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        targets = [statement.target]
    else:
        return []
    names = [target.id for target in targets if isinstance(target, ast.Name)]
    return names if len(names) == len(targets) else []


def _walk(node: ast.AST, *, inside: bool) -> Iterator[str]:
    """Yield bound names; `inside` a function or class only `global` names are the module's."""
    if isinstance(node, ast.Lambda):
        yield from _walk(node.args, inside=inside)
        return
    if isinstance(node, ast.Global):
        yield from node.names
    elif not inside:
        yield from _bound_here(node)
    for child in _children(node):
        # decorators, bases, defaults and annotations are evaluated where the function or class stands
        own_scope = isinstance(node, _OWN_SCOPE) and isinstance(child, ast.stmt)
        yield from _walk(child, inside=inside or own_scope)


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """The parts that may bind: not a bare annotation's target, not a comprehension's own names."""
    skipped = None
    if isinstance(node, ast.comprehension) or (isinstance(node, ast.AnnAssign) and node.value is None):
        skipped = node.target
    return (child for child in ast.iter_child_nodes(node) if child is not skipped)


def _bound_here(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name):
        if not isinstance(node.ctx, ast.Load):
            yield node.id
    elif isinstance(node, ast.Subscript):
        if not isinstance(node.ctx, ast.Load):
            yield from _base_of(node.value)
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield node.name
    elif isinstance(node, ast.alias):
        yield node.asname or node.name.split(".")[0]
    elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)):
        if node.name is not None:
            yield node.name
    elif isinstance(node, ast.MatchMapping):
        if node.rest is not None:
            yield node.rest
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGING_CALLS:
        yield from _base_of(node.func.value)


def _base_of(node: ast.expr) -> Iterator[str]:
    """The name at the bottom of `X[...][...]`."""
    while isinstance(node, ast.Subscript):
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id

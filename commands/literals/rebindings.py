"""Which constants a statement may bind or change in ways other than a plain assignment."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

_CHANGING_CALLS = {"update", "setdefault", "pop", "popitem", "clear", "__setitem__", "__delitem__"}
_OWN_SCOPE = (cst.FunctionDef, cst.ClassDef)


def names_bound_by(statement: cst.CSTNode) -> list[str]:
    """Return the names a top-level statement may bind or change, in order, each once.

    Counted: assignments of every form inside `if`, `try`, `with` and loops, tuple targets,
    `X[...] =`, `X += ...`, `:=`, imports, `def`, `class`, `del`, loop and `as` targets,
    `X.update(...)`, and `global X` in a function, which says that the function means to change it.
    """
    return list(dict.fromkeys(_walk(statement, inside=False)))


def _walk(node: cst.CSTNode, *, inside: bool) -> Iterator[str]:
    """Yield bound names; `inside` a function or class only `global` speaks of the module."""
    if isinstance(node, cst.Lambda):
        return
    if isinstance(node, cst.Global):
        yield from (item.name.value for item in node.names)
    elif not inside:
        yield from _bound_here(node)
    for child in node.children:
        yield from _walk(child, inside=inside or isinstance(node, _OWN_SCOPE))


def _bound_here(node: cst.CSTNode) -> Iterator[str]:
    if isinstance(
        node,
        (cst.AssignTarget, cst.AugAssign, cst.NamedExpr, cst.For, cst.Del),
    ):
        yield from _names_of(node.target)
    elif isinstance(node, cst.AnnAssign):
        if node.value is not None:
            yield from _names_of(node.target)
    elif isinstance(node, (cst.FunctionDef, cst.ClassDef, cst.AsName)):
        yield from _names_of(node.name)
    elif isinstance(node, cst.ImportAlias):
        if node.asname is None:
            yield from _names_of(node.name)
    elif isinstance(node, cst.MatchAs):
        if node.name is not None:
            yield node.name.value
    elif (
        isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) and node.func.attr.value in _CHANGING_CALLS
    ):
        yield from _names_of(node.func.value)


def _names_of(target: cst.CSTNode) -> Iterator[str]:
    if isinstance(target, cst.Name):
        yield target.value
    elif isinstance(target, (cst.Tuple, cst.List)):
        for element in target.elements:
            yield from _names_of(element.value)
    elif isinstance(target, (cst.StarredElement, cst.Subscript)):
        yield from _names_of(target.value)

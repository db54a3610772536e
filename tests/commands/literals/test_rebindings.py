"""Every way Python can bind or change a module's name is seen, and what binds a name elsewhere is not."""

from __future__ import annotations

import ast

import pytest

from commands.literals.rebindings import plain_targets, rebindings_of


def seen(text: str) -> dict[str, tuple[int, ...]]:
    """The names a text rebinds, with their lines."""
    return rebindings_of(ast.parse(text))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("X = 1", []),
        ("X: int = 1", []),
        ("X = Y = 1", []),
        ("X: int", []),
        ("X += 1", ["X"]),
        ("X, Y = 1, 2", ["X", "Y"]),
        ("[X, *Y] = [1, 2]", ["X", "Y"]),
        ("X = (Y := 1)", ["Y"]),
        ("X[0] = 1", ["X"]),
        ("X['a']['b'] = 1", ["X"]),
        ("X[0] += 1", ["X"]),
        ("del X[0]", ["X"]),
        ("del X, Y", ["X", "Y"]),
        ("X.a = 1", []),
        ("for X in y:\n    pass", ["X"]),
        ("for a, (X, Y) in z:\n    pass", ["X", "Y", "a"]),
        ("with a as X, b as (Y, Z):\n    pass", ["X", "Y", "Z"]),
        ("try:\n    pass\nexcept E as X:\n    pass", ["X"]),
        ("try:\n    X = 1\nfinally:\n    Y = 2", ["X", "Y"]),
        ("while (X := f()):\n    pass", ["X"]),
        ("if a:\n    X = 1\nelse:\n    Y: int = 2", ["X", "Y"]),
        ("match v:\n    case [X, *Y]:\n        pass\n    case {'a': Z, **W}:\n        pass", ["W", "X", "Y", "Z"]),
        ("match v:\n    case int() as X:\n        pass", ["X"]),
        ("import X", ["X"]),
        ("import X.y", ["X"]),
        ("import a.b as X", ["X"]),
        ("from a import b as X, Y", ["X", "Y"]),
        ("def X():\n    pass", ["X"]),
        ("async def X():\n    pass", ["X"]),
        ("class X:\n    pass", ["X"]),
        ("X.update(a=1)", ["X"]),
        ("X['a'].setdefault('b', 1)", ["X"]),
        ("X.pop('a')", ["X"]),
        ("X.clear()", ["X"]),
        ("X.popitem()", ["X"]),
        ("X.__setitem__('a', 1)", ["X"]),
        ("y = [X.pop() for _ in z]", ["X"]),
        ("X.get('a')", []),
        ("f(X)", []),
        ("def f():\n    global X\n    X = 1", ["X", "f"]),
        ("class C:\n    def f(self):\n        global X, Y", ["C", "X", "Y"]),
        ("def f():\n    X = 1", ["f"]),
        ("class C:\n    X = 1", ["C"]),
        ("def f(X):\n    return X", ["f"]),
        ("y = [X for X in z]", []),
        ("y = {X: 1 for X in z if (W := X)}", ["W"]),
        ("y = lambda X: (Z := X)", []),
        ("y = lambda X=(Z := 1): X", ["Z"]),
        ("def f(a=(X := 1)):\n    Y = 1", ["X", "f"]),
        ("@g(X := 1)\ndef f():\n    Y = 1", ["X", "f"]),
        ("class C(B, k=(X := 1)):\n    Y = 1", ["C", "X"]),
        ("print(X)", []),
    ],
)
def test_each_statement_binds_exactly_these_names_beside_plain_assignments(text: str, names: list[str]) -> None:
    assert sorted(seen(text)) == names


def test_a_name_has_the_line_of_each_top_level_statement_once() -> None:
    text = "X = 1\nif a:\n    X = 2\n    X = 3\n\nfor X in b:\n    pass\n"
    assert seen(text) == {"X": (2, 6)}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("X = 1", ["X"]),
        ("X = Y = 1", ["X", "Y"]),
        ("X: int = 1", ["X"]),
        ("X: int", []),
        ("X, Y = 1, 2", []),
        ("X = Y[0] = 1", []),
        ("X.a = 1", []),
        ("X += 1", []),
        ("del X", []),
    ],
)
def test_only_a_name_alone_is_a_plain_target(text: str, names: list[str]) -> None:
    (statement,) = ast.parse(text).body
    assert plain_targets(statement) == names

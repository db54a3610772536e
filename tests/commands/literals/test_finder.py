"""Which constants a file binds and where each number stands, against Python's own parser."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given

from commands.literals.finder import Constants, find_constants
from commands.literals.source import read_source
from ledger.errors import BadInput
from tests.commands.literals.sources import FUZZ, files

PATH = Path("tests/test_x_ci.py")


def constants(text: str | bytes) -> Constants:
    data = text if isinstance(text, bytes) else text.encode()
    return find_constants(read_source(data, PATH))


def numbers_by_ast(data: bytes) -> dict[str, object]:
    """Top-level constants of plain and annotated assignments, by Python's own parser: last one wins."""
    found: dict[str, object] = {}
    for node in ast.parse(data).body:
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AnnAssign) and node.value:
            targets, value = [node.target], node.value
        else:
            continue
        if not all(isinstance(target, ast.Name) for target in targets):
            continue
        try:
            literal = ast.literal_eval(value)
        except ValueError:
            literal = "derived"
        for target in targets:
            assert isinstance(target, ast.Name)
            if target.id.lstrip("_")[:1].isupper():
                found[target.id] = literal
    return found


@FUZZ
@given(files())
def test_the_finder_sees_what_python_sees(data: bytes) -> None:
    """Fuzz: every number, every None, every nested entry, with the value Python gives it."""
    seen: dict[str, object] = {}
    for binding in constants(data).bindings:
        if binding.kind == "table":
            nested: dict[object, dict[object, object]] = {}
            for site in binding.sites:
                nested.setdefault(site.keys[0], {})[site.keys[1]] = site.value
            seen[binding.symbol] = nested
        elif binding.kind in ("number", "none"):
            seen[binding.symbol] = binding.sites[0].value
        else:
            seen[binding.symbol] = binding.kind
    assert seen == numbers_by_ast(data)


@FUZZ
@given(files())
def test_every_site_is_exactly_the_characters_of_its_number(data: bytes) -> None:
    found = constants(data)
    for binding in found.bindings:
        for site in binding.sites:
            assert found.source.text[site.start : site.end] == site.text
            assert ast.literal_eval(site.text) == site.value
            line = found.source.text.replace("\r\n", "\n").split("\n")[site.line - 1]
            assert site.text.split()[-1] in line


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("X_MIN = 0.5", 0.5),
        ("X_MIN: float = 0.5", 0.5),
        ("X_MIN = 0.5  # comment", 0.5),
        ("X_MIN = 3e-1", 0.3),
        ("X_MIN = 1_000", 1000),
        ("X_MIN = .75", 0.75),
        ("X_MIN = (0.25)", 0.25),
        ("X_MIN = -0.5", -0.5),
        ("_X_MIN = 7", 7),
        ("X_MIN: float | None = None", None),
    ],
)
def test_every_way_to_write_a_number_is_understood(text: str, value: float | None) -> None:
    """The literals the existing tool calls unknown (its defect 17) are plain numbers here."""
    (binding,) = constants(text + "\n").bindings
    assert binding.sites[0].value == value
    assert type(binding.sites[0].value) is type(value)


def test_a_name_computed_from_others_is_derived_and_says_from_what() -> None:
    found = constants("A_MIN = apply_wer_slack(A_REF)\nB_MIN = A_REF * config.SLACK\nC_MIN = 2 + 3\n")
    assert [(b.kind, b.reads) for b in found.bindings] == [
        ("derived", ("apply_wer_slack", "A_REF")),
        ("derived", ("A_REF", "config")),
        ("expression", ()),
    ]


def test_a_concurrency_written_as_a_name_is_resolved() -> None:
    found = constants("CONCURRENCY = 16\n_P95 = {CONCURRENCY: {'qps': 1.5}}\n")
    assert [site.name for site in found.of("_P95")[0].sites] == ["_P95[16]['qps']"]
    imported = constants("from config import CONCURRENCY\n_P95 = {CONCURRENCY: {'qps': 1.5}}\n")
    assert imported.of("_P95")[0].sites[0].name == "_P95[CONCURRENCY]['qps']"


@pytest.mark.parametrize(
    "other",
    [
        "X_MIN += 1",
        "if True:\n    X_MIN = 2",
        "try:\n    X_MIN = 2\nexcept ValueError:\n    pass",
        "for X_MIN in (1, 2):\n    pass",
        "with open('f') as X_MIN:\n    pass",
        "X_MIN, Y = 1, 2",
        "from config import X_MIN",
        "import config as X_MIN",
        "del X_MIN",
        "def f():\n    global X_MIN\n    X_MIN = 3",
        "def X_MIN():\n    pass",
        "class X_MIN:\n    pass",
        "print(X_MIN := 4)",
        "X_MIN['a'] = 1",
        "X_MIN.update(a=1)",
    ],
)
def test_every_other_way_to_bind_a_name_is_seen_with_its_line(other: str) -> None:
    assert constants(f"X_MIN = 0.5\n{other}\n").rebound["X_MIN"] == (2,)


@pytest.mark.parametrize(
    "harmless",
    [
        "def f():\n    X_MIN = 3",
        "class C:\n    X_MIN = 3",
        "assert 1 > X_MIN",
        "Y = lambda: (X_MIN := 3)",
        "X_MIN: float",
        "print(X_MIN)",
        "Y = [X_MIN for X_MIN in (1, 2)]",
        "Y = '\\d'",
    ],
)
def test_names_of_other_scopes_and_mere_readers_are_no_binding(harmless: str) -> None:
    assert "X_MIN" not in constants(f"X_MIN = 0.5\n{harmless}\n").rebound


def test_entries_that_may_be_replaced_are_doubted() -> None:
    found = constants("BASE = {}\n_P = {16: {'a': 1, 'a': 2, **BASE, f(): 3}}\n")
    doubts = "; ".join(found.of("_P")[0].doubts)
    assert "'a' is duplicated" in doubts
    assert "`**` may replace" in doubts
    assert "computed" in doubts


def test_bad_files_are_one_sentence_with_file_and_line() -> None:
    with pytest.raises(BadInput, match=r"tests/test_x_ci.py line 2 is not valid Python"):
        constants("A = 1\ndef (:\n")
    with pytest.raises(BadInput, match="is not valid Python"):
        constants("A_MIN = " + "-" * 5000 + "1\n")
    with pytest.raises(BadInput, match="cannot be read as Python source"):
        constants(b"# -*- coding: no-such-codec -*-\nA = 1\n")
    with pytest.raises(BadInput, match="cannot be read as Python source"):
        constants(b"A = '\xff'\n")

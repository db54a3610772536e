"""docs/errors.md and docs/environment.md: nothing is missing, a code means one thing, a hint names what there is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from commands.main import root
from commands.reference import environment, errors
from tests.house.sources import TOP

PLACES = errors.raised(TOP)


def test_a_code_has_one_exit_code_wherever_it_is_raised() -> None:
    codes: dict[str, set[int]] = {}
    for each in PLACES:
        codes.setdefault(each.code, set()).add(each.exit_code)
    assert len(codes) > 250, "the walk finds the errors"
    assert {code: exits for code, exits in codes.items() if len(exits) > 1} == {}


def test_a_code_is_one_snake_case_word_for_scripts() -> None:
    assert [each.code for each in PLACES if not re.fullmatch(r"[a-z][a-z0-9_]*", each.code)] == []


def test_every_literal_code_in_the_source_is_found() -> None:
    """A plain search of the text, which knows nothing of calls: what it finds the page has."""
    texts = [path.read_text(encoding="utf-8") for room in errors.ROOMS for path in (TOP / room).rglob("*.py")]
    written = {code for text in texts for code in re.findall(r'\bcode="([a-z0-9_]+)"', text)}
    assert written - {each.code for each in PLACES} == set()


@pytest.mark.parametrize("hint", sorted({each.hint for each in PLACES if "perfledger " in each.hint}))
def test_a_hint_that_names_a_command_names_one_that_exists(hint: str) -> None:
    for line in re.findall(r"perfledger ((?:[a-z-]+ ?)+)", hint):
        command: click.Command = root
        for word in line.split():
            if not isinstance(command, click.Group):
                break
            found = command.get_command(click.Context(command), word)
            assert found is not None, f"perfledger {line}: no command {word}"
            command = found


def test_every_variable_the_source_names_is_described_and_no_other() -> None:
    described = [name for variables in environment.VARIABLES.values() for name in variables]
    assert len(described) == len(set(described)) > 40
    assert sorted(environment.read_in(TOP)) == sorted(described)


def test_a_code_is_found_in_each_way_the_source_writes_one(tmp_path: Path) -> None:
    (tmp_path / "ledger").mkdir()
    (tmp_path / "ledger" / "sample.py").write_text(
        """
TABLE = {"A": ("from_table", "h")}

class Own(Conflict):
    def __init__(self, name):
        super().__init__(f"{name} moved", code="from_class", hint="look")

def plain(found):
    raise BadInput(f"{found.path}: no " + "good", code="plain", hint=f"perfledger init {found.name}")

def given(code, *, why):
    return Refused(why, code=code)

def callers():
    given("by_place", why="x")
    given(code="by_name", why="x")

def looked_up(kind):
    code, hint = TABLE.get(kind, ("from_default", "h"))
    return Unavailable("x", code=code, hint=hint)

def either(found):
    raise Damaged("x", code=found.code or "otherwise")
""",
        encoding="utf-8",
    )
    found = {each.code: each for each in errors.raised(tmp_path)}
    assert {code: each.exit_code for code, each in found.items()} == {
        "from_class": 3,
        "plain": 2,
        "by_place": 1,
        "by_name": 1,
        "from_table": 4,
        "from_default": 4,
        "otherwise": 7,
    }
    assert found["plain"].message == "<path>: no good" and found["plain"].hint == "perfledger init <name>"


def test_a_page_that_is_stale_is_named(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from commands import docs\n"
        "docs.GENERATED = {'page.md': lambda: 'new'}; docs.ROOT = Path(sys.argv.pop(1))\n"
        "sys.exit(docs.main())"
    )
    (tmp_path / "page.md").write_text("old")
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), "--check"], cwd=TOP, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, "stale: page.md; run `make docs`\n")

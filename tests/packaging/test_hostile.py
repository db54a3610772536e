"""Foreign packages with the names of our rooms: in the working directory, on PYTHONPATH, in another wheel."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from hatch_build import ROOMS
from tests.ledger.samples import result
from tests.packaging.conftest import Built, Environment

HOSTILE = (*ROOMS, "tests")
LOUD = "raise RuntimeError(f'foreign code runs: {__name__}')\n"

HELP = f"""
import sys
import click
from perfledger.commands import docs
from perfledger.commands.cli.app import load
from perfledger.commands.explain.command import DECISIONS, EXPLAINERS
from perfledger.commands.main import root
from perfledger.ledger.event import load_catalogue

pages = [command.get_help(click.Context(command, info_name=" ".join(path)))
         for path, command in docs._walk(root, ("perfledger",))]
assert all(page.startswith("Usage: perfledger") for page in pages)
for where in [*EXPLAINERS.values(), *DECISIONS]:
    load(where)
load_catalogue()
assert not set(sys.modules) & set({HOSTILE!r}), sorted(sys.modules)
print(len(pages))
"""

EVERY_MODULE = f"""
import importlib, pkgutil, sys
import perfledger
sys.path.append("")
for module in pkgutil.walk_packages(perfledger.__path__, "perfledger."):
    importlib.import_module(module.name)
assert not set(sys.modules) & set({HOSTILE!r})
print(perfledger.__file__)
"""

PROGRAM = """
import commands
import perfledger

with perfledger.open() as ledger:
    print(ledger.sql("SELECT count(*) AS n FROM results").rows, commands.MINE)
"""


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A folder whose own packages have the names of our rooms and fail loudly when anything imports them."""
    folder = tmp_path / "hostile"
    for name in HOSTILE:
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(LOUD)
    record = result(1).payload.record  # type: ignore[attr-defined]
    (folder / "r.json").write_text(json.dumps(record), encoding="utf-8")
    return folder


@pytest.fixture(params=[None, "."], ids=["alone", "with PYTHONPATH=."])
def path(request: pytest.FixtureRequest) -> dict[str, str]:
    """The variable that puts the working directory on Python's path, or nothing."""
    return {} if request.param is None else {"PYTHONPATH": request.param}


def test_the_help_of_every_command_and_every_table_of_names_is_ours(
    installed: Environment, hostile: Path, path: dict[str, str]
) -> None:
    assert int(installed.run(hostile, "python", "-c", HELP, env=path)) > 80


def test_commands_do_their_work_there(installed: Environment, hostile: Path, path: dict[str, str]) -> None:
    def run(*words: object) -> str:
        return installed.run(hostile, "perfledger", *words, env=path)

    assert "Usage: perfledger" in run("--help")
    run("init")
    run("record", "r.json")
    assert "PASS" in run("check", "r.json")
    assert json.loads(run("sql", "--json", "SELECT count(*) AS n FROM results")) == [{"n": 1}]
    run("verify")
    run("replay", "--check")
    run("doctor", "--fast")
    (hostile / "shared").mkdir()
    run("sync", "push", "--remote", f"file://{hostile / 'shared'}")
    assert list((hostile / "shared").rglob("*.parquet"))
    assert "perfledger" in installed.run(hostile, "python", "-P", "-m", "perfledger", "--version", env=path)


def test_every_module_can_be_imported_there(installed: Environment, hostile: Path) -> None:
    assert Path(installed.run(hostile, "python", "-P", "-c", EVERY_MODULE).strip()).is_relative_to(installed.packages)


def test_a_wheel_that_ships_commands_neither_replaces_ours_nor_takes_it_along(
    built: Built, tmp_path: Path, hostile: Path
) -> None:
    environment = Environment(tmp_path / "venv")
    environment.install(built.wheel)
    other = tmp_path / "other-1-py3-none-any.whl"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("commands/__init__.py", LOUD)
        archive.writestr("other-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: other\nVersion: 1\n")
        archive.writestr("other-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("other-1.dist-info/RECORD", "".join(f"{name},,\n" for name in archive.namelist()))
    environment.install(other)
    assert (environment.packages / "commands").is_dir()
    environment.run(hostile, "perfledger", "init")
    environment.run(hostile, "perfledger", "record", "r.json")
    environment.pip("uninstall", "--yes", "other")
    assert not (environment.packages / "commands" / "__init__.py").exists()
    environment.run(hostile, "perfledger", "sql", "FROM results")


def test_a_program_with_its_own_commands_package_keeps_it(installed: Environment, tmp_path: Path) -> None:
    (tmp_path / "commands").mkdir()
    (tmp_path / "commands" / "__init__.py").write_text("MINE = 'my own'\n")
    (tmp_path / "program.py").write_text(PROGRAM)
    installed.run(tmp_path, "perfledger", "init")
    assert installed.run(tmp_path, "python", "program.py") == "[{'n': 0}] my own\n"

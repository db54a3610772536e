"""One installed name (docs/decisions/0006-import-names.md): what the wheel holds, and what the build refuses."""

from __future__ import annotations

import ast
import hashlib
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

import hatch_build
from hatch_build import NAME, ROOMS, CannotRewrite, below, listed
from tests.packaging.conftest import ROOT, Built, Environment, build


def git_lists(*folders: str) -> set[str]:
    """The files of these folders that git tracks and that exist."""
    done = subprocess.run(["git", "ls-files", *folders], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name for name in done.stdout.split("\n") if name and (ROOT / name).is_file()}


def installed_as(name: str) -> str:
    """Where a file of the checkout is below site-packages."""
    return name if name.startswith(f"{NAME}/") else f"{NAME}/{name}"


def test_after_an_install_there_is_one_new_import_name_and_one_command(built: Built, tmp_path: Path) -> None:
    environment = Environment(tmp_path / "venv")
    before = {path.name for folder in (environment.packages, environment.bin) for path in folder.iterdir()}
    environment.install(built.wheel)
    after = {path.name for folder in (environment.packages, environment.bin) for path in folder.iterdir()}
    (metadata,) = environment.packages.glob("*.dist-info")
    assert after - before == {NAME, metadata.name}, "the command has the name of the package"
    assert (environment.bin / NAME).is_file()


def test_the_wheel_holds_what_git_lists_and_nothing_else(built: Built) -> None:
    names = {name for name in zipfile.ZipFile(built.wheel).namelist() if ".dist-info/" not in name}
    assert names == {installed_as(name) for name in git_lists(NAME, *ROOMS)}
    assert f"{NAME}/py.typed" in names and f"{NAME}/projections/facts/schema.sql" in names


def test_a_rewritten_file_has_every_line_where_it_was(built: Built) -> None:
    """Tracebacks, coverage and blame of an installed file are those of the checkout."""
    archive, moved = zipfile.ZipFile(built.wheel), 0
    for name in git_lists(NAME, *ROOMS):
        theirs, ours = archive.read(installed_as(name)), (ROOT / name).read_bytes()
        if not name.endswith(".py"):
            assert theirs == ours
            continue
        pairs = list(zip(theirs.splitlines(), ours.splitlines(), strict=True))
        changed = [(a, b) for a, b in pairs if a != b]
        moved += len(changed)
        assert all(a.replace(b"perfledger.", b"", 1) == b for a, b in changed), name
        for node in ast.walk(ast.parse(theirs)):
            if isinstance(node, ast.ImportFrom) and not node.level:
                assert (node.module or "").split(".")[0] not in ROOMS, name
    assert moved > 1000


def test_a_wheel_made_from_the_sdist_is_the_same_bytes(built: Built, tmp_path: Path) -> None:
    with tarfile.open(built.sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    build(unpacked, tmp_path / "again", "wheel")
    (again,) = (tmp_path / "again").iterdir()
    assert again.name == built.wheel.name
    assert hashlib.sha256(again.read_bytes()).digest() == hashlib.sha256(built.wheel.read_bytes()).digest()


def test_a_file_that_git_does_not_list_is_never_shipped(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    subprocess.run(["git", "clone", "--quiet", "--depth", "1", f"file://{ROOT}", copy], check=True, capture_output=True)
    tracked = listed(copy)
    (copy / "ledger" / "scratch.py").write_text("TOKEN = 'mine alone'\n")
    assert listed(copy) == tracked and "ledger/event.py" in tracked
    (copy / ".git").rename(tmp_path / "elsewhere")
    assert listed(copy) == sorted([*tracked, "ledger/scratch.py"]), "an sdist ships exactly its files"


@pytest.mark.parametrize(
    "line",
    [
        "import ledger",
        "import os, projections.state",
        "def f():\n    import gpu_runner.keeper",
        "BOOT = 'import sys; from gpu_runner.keeper import main; main()'",
        "BOOT = '''\nfrom ledger import disk\n'''",
        "LAZY = {'sql': 'commands.ledger_commands.sql:sql'}",
        "import importlib; importlib.import_module('ledger.event')",
        "import importlib\ndef f(area): importlib.import_module(f'ledger.events.{area}')",
    ],
)
def test_what_would_break_in_the_wheel_is_refused_with_file_and_line(line: str) -> None:
    with pytest.raises(CannotRewrite, match=r"^ledger/new\.py:\d+: "):
        below(line.encode(), "ledger/new.py", ROOT)


@pytest.mark.parametrize(
    ("line", "becomes"),
    [
        ("from ledger import disk", "from perfledger.ledger import disk"),
        ("import projections.facts as package", "import perfledger.projections.facts as package"),
        ("é = 1; from ledger.errors import BadInput", "é = 1; from perfledger.ledger.errors import BadInput"),
        ("if x:\n    from commands.main import (\n        root,\n    )", None),
        ("from ledgers import x", "from ledgers import x"),
        ('"""See ledger.event; from ledger import disk."""', '"""See ledger.event; from ledger import disk."""'),
        ("FILE = 'ledger.toml'", "FILE = 'ledger.toml'"),
        ("ROOM = 'commands'", "ROOM = 'commands'"),
    ],
)
def test_imports_go_below_the_one_name_and_other_words_stay(line: str, becomes: str | None) -> None:
    wanted = becomes if becomes is not None else line.replace("from commands", "from perfledger.commands")
    assert below(line.encode(), "ledger/new.py", ROOT).decode() == wanted


def test_every_file_of_the_rooms_can_be_rewritten() -> None:
    for name in hatch_build.listed(ROOT):
        if name.endswith(".py"):
            below((ROOT / name).read_bytes(), name, ROOT)

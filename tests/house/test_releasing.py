"""How a release is made (docs/releasing.md, changelog.d/): the recipe's commands work, its tables are true."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.layout import FORMAT_VERSION
from tests.house.sources import TOP
from tests.house.test_workflow_files import TARGETS

PAGE = (TOP / "docs" / "releasing.md").read_text(encoding="utf-8")
COLLECT = TOP / "changelog.d" / "collect.py"


def collect(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the generator on a copy of the changelog and its fragments."""
    command = [sys.executable, str(folder / "changelog.d" / "collect.py"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a folder with a changelog of two versions, the generator, and no fragment."""
    (tmp_path / "changelog.d").mkdir()
    shutil.copy(COLLECT, tmp_path / "changelog.d")
    (tmp_path / "CHANGELOG.md").write_text(
        "# Changelog\n\n## Unreleased\n\n### Features\n\n- known\n\n## 0.1.0 (2026-01-01)\n\n### Features\n\n- old\n"
    )
    return tmp_path


def test_the_fragments_here_and_the_changelog_make_a_release(tmp_path: Path) -> None:
    shutil.copytree(COLLECT.parent, tmp_path / "changelog.d")
    shutil.copy(TOP / "CHANGELOG.md", tmp_path)
    shown = collect(tmp_path)
    assert shown.returncode == 0, shown.stderr
    done = collect(tmp_path, "--release", "99.0.0", "--date", "2099-01-02")
    assert done.returncode == 0, done.stderr
    made = (tmp_path / "CHANGELOG.md").read_text()
    assert made.index("## Unreleased") < made.index("## 99.0.0 (2099-01-02)")
    assert list((tmp_path / "changelog.d").glob("*.md")) == []


def test_a_release_gathers_fragments_under_their_kinds_and_removes_them(copy: Path) -> None:
    folder = copy / "changelog.d"
    (folder / "b.features.md").write_text("second,\nin two lines\n")
    (folder / "a.safety.md").write_text("first\n")
    done = collect(copy, "--release", "0.2.0", "--date", "2026-02-03")
    assert done.returncode == 0, done.stderr
    assert (copy / "CHANGELOG.md").read_text() == (
        "# Changelog\n\n## Unreleased\n\n## 0.2.0 (2026-02-03)\n\n### Safety\n\n- first\n\n"
        "### Features\n\n- known\n- second, in two lines\n\n## 0.1.0 (2026-01-01)\n\n### Features\n\n- old\n"
    )
    assert list(folder.glob("*.md")) == []


@pytest.mark.parametrize(
    ("name", "text", "words", "said"),
    [
        ("a.novelty.md", "new", (), "a.novelty.md: a fragment is named"),
        ("Big.features.md", "new", (), "Big.features.md: a fragment is named"),
        ("a.features.md", " \n", (), "a.features.md is empty"),
        ("a.features.md", "new", ("--release", "0.1.0"), "has a section 0.1.0 already"),
    ],
)
def test_a_fragment_or_a_version_that_cannot_be_is_refused_and_nothing_changes(
    copy: Path, name: str, text: str, words: tuple[str, ...], said: str
) -> None:
    (copy / "changelog.d" / name).write_text(text)
    before = (copy / "CHANGELOG.md").read_text()
    done = collect(copy, *words)
    assert done.returncode == 2 and said in done.stderr, done
    assert (copy / "CHANGELOG.md").read_text() == before
    assert (copy / "changelog.d" / name).exists()


def test_the_table_of_formats_ends_with_what_this_version_reads_and_writes() -> None:
    rows = re.findall(r"^\| (\d[\d.]*) \| ([\d, ]+) \| (\d+) \|$", PAGE, re.MULTILINE)
    version = re.search(r'^version = "(\d+\.\d+)', (TOP / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    golden = sorted(int(path.stem.split("-")[1]) for path in (TOP / "tests" / "golden").glob("format-*.json"))
    newest, read, written = rows[-1]
    assert newest == version[1]
    assert [int(each) for each in read.split(",")] == golden
    assert int(written) == FORMAT_VERSION == golden[-1]


def test_every_command_of_the_recipe_is_there() -> None:
    lines = [line.strip() for block in re.findall(r"```\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
    commands = [line for line in lines if line]
    assert len(commands) == 10
    for command in commands:
        program, *words = command.split()
        if program == "make":
            assert set(words) <= TARGETS, command
        elif program == "bash":
            assert (TOP / words[0]).is_file(), command
        elif program == ".venv/bin/python":
            path = words[1].replace(".", "/") + ".py" if words[0] == "-m" else words[0]
            assert (TOP / path).is_file(), command
        else:
            assert program == "git", command


def test_two_builds_of_a_commit_in_two_places_are_the_same_bytes(tmp_path: Path) -> None:
    """What `make dist` runs; it exits 1 when a byte differs."""
    done = subprocess.run(
        ["bash", str(TOP / ".ci" / "dist"), str(tmp_path / "out")],
        env={"PATH": "/usr/bin:/bin", "PYTHON": sys.executable, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    names = {path.suffix for path in (tmp_path / "out").iterdir()}
    assert names == {".whl", ".gz", ""}
    again = subprocess.run(["bash", str(TOP / ".ci" / "dist"), str(tmp_path / "out")], capture_output=True, check=False)
    assert again.returncode == 2, "a folder that holds something is left as it is"

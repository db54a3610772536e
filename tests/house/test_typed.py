"""Everything written in Python here is held to `mypy --strict`: the rooms, the tests, the benchmarks, the scripts."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

from tests.house.sources import TOP

MYPY: dict[str, Any] = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]
SAMPLE = "examples/calibration_sample/"


def written_here() -> list[str]:
    """Return every Python file that git lists, or would list if it were added."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "*.py"]
    said = subprocess.run(command, cwd=TOP, check=True, capture_output=True).stdout.decode()
    return [name for name in said.split("\0") if name]


def test_mypy_reads_every_python_file_but_the_sample_of_another_repository() -> None:
    excluded = [re.compile(pattern) for pattern in MYPY["exclude"]]
    unread = [
        name
        for name in written_here()
        if not any(Path(name).is_relative_to(entry) for entry in MYPY["files"])
        or any(pattern.search(name) for pattern in excluded)
    ]
    assert [name for name in unread if not name.startswith(SAMPLE)] == []
    assert unread, "the sample is there"


def test_no_part_of_it_is_held_to_less_than_another() -> None:
    """Strict for all: an override may only name the libraries that say nothing about their types."""
    assert MYPY["strict"] is True and MYPY["warn_unreachable"] is True
    assert {"ignore_errors", "disable_error_code", "follow_imports"}.isdisjoint(MYPY)
    assert [set(override) for override in MYPY["overrides"]] == [{"module", "ignore_missing_imports"}]

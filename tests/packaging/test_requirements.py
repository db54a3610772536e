"""What the package needs: all that is imported is declared, all that is declared is used, and it stays small."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from hatch_build import NAME, ROOMS, listed
from tests.packaging.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = ("objects", "service", "postgres")
CORE_BYTES_MAX = 400 * 10**6  # surfaces, section 1: with numpy, which verdicts need
# numpy 2.4.6 for CPython 3.11 on x86-64, unpacked: numpy/, numpy.libs/ and its metadata. Counted until it is declared.
NUMPY_BYTES = 57_400_000
# Declared and imported by no statement of ours: who needs it.
NEEDED_BY_OTHERS = {
    "pytz": "duckdb imports it to hand out a TIMESTAMPTZ",
    "psycopg": "SQLAlchemy imports it for postgresql+psycopg:// addresses",
}
# Imported where the distribution that brings it is declared: a part of it that has a name of its own.
BROUGHT_BY = {"starlette": "fastapi", "sqlalchemy": "sqlmodel"}


def normal(name: str) -> str:
    """A distribution's name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(*extras: str) -> dict[str, Requirement]:
    """The requirements of the core, or of these extras, by name."""
    lines = [line for extra in extras for line in PROJECT["optional-dependencies"][extra]]
    return {normal(r.name): r for r in map(Requirement, lines if extras else PROJECT["dependencies"])}


def imported() -> dict[str, set[str]]:
    """The top-level modules that the shipped sources import and that are neither ours nor Python's, with the files."""
    found: dict[str, set[str]] = {}
    for name in listed(ROOT):
        if not name.endswith(".py"):
            continue
        for node in ast.walk(ast.parse((ROOT / name).read_bytes())):
            modules: list[str] = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules = [node.module or ""]
            for module in {module.split(".")[0] for module in modules} - {NAME, *ROOMS} - sys.stdlib_module_names:
                found.setdefault(module, set()).add(name)
    return found


def distributions() -> dict[str, set[str]]:
    """The distributions that the imported modules come from, with the files that import them."""
    homes = importlib.metadata.packages_distributions()
    found: dict[str, set[str]] = {}
    for module, files in imported().items():
        assert module in homes, f"{module} is imported by {sorted(files)} and not installed"
        (home, *_) = [normal(home) for home in homes[module]]
        found.setdefault(BROUGHT_BY.get(home, home), set()).update(files)
    return found


def test_everything_that_is_imported_is_declared() -> None:
    known = {**declared(), **declared(*EXTRAS)}
    assert {name: files for name, files in distributions().items() if name not in known} == {}


def test_everything_that_is_declared_is_imported_or_has_its_reason() -> None:
    used = set(distributions()) | set(NEEDED_BY_OTHERS)
    assert set(declared()) - used == set()
    assert set(declared(*EXTRAS)) - used == set()
    assert set(NEEDED_BY_OTHERS) <= {*declared(), *declared(*EXTRAS)}, "a reason for what is no longer declared"


def test_the_packages_the_project_is_built_on_stay() -> None:
    """The issue that set the core names them; pynvml is the module of nvidia-ml-py."""
    core = {"click", "duckdb", "huggingface-hub", "nvidia-ml-py", "pyarrow", "sqlmodel"}
    assert core <= set(declared())


def closure(requirements: Iterator[Requirement]) -> dict[str, int]:
    """Every distribution that an install brings, with the bytes of its files without byte code."""
    found: dict[str, int] = {}
    waiting = list(requirements)
    while waiting:
        requirement = waiting.pop()
        name = normal(requirement.name)
        if name in found:
            continue
        distribution = importlib.metadata.distribution(name)
        files = [Path(file.locate()) for file in distribution.files or [] if file.suffix != ".pyc"]
        found[name] = sum(file.stat().st_size for file in files if file.is_file())
        for line in distribution.requires or []:
            further = Requirement(line)
            wanted = [{"extra": extra} for extra in (*requirement.extras, "")]
            if further.marker is None or any(map(further.marker.evaluate, wanted)):
                waiting.append(further)
    return found


def test_the_core_install_is_at_most_400_mb_with_numpy() -> None:
    """Files as the wheels hold them; the byte code that pip adds is an eighth more and depends on Python's version."""
    sizes = closure(iter(declared().values()))
    sizes.setdefault("numpy", NUMPY_BYTES)
    assert {"pyarrow", "duckdb", "sqlalchemy", "pydantic", "hf-xet"} <= set(sizes), "the walk follows what is needed"
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:8]
    assert sum(sizes.values()) <= CORE_BYTES_MAX, largest


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_is_imported_only_where_its_feature_is_used(extra: str) -> None:
    """The core installs none of them: a module that everything imports must not need one."""
    rooms = {"objects": "ledger/remotes/", "service": "commands/service/", "postgres": "projections/state/"}
    for name in declared(extra):
        assert all(file.startswith(rooms[extra]) for file in distributions().get(name, set())), name

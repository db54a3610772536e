"""Set-ups do not change by themselves: one version of everything, within what pyproject.toml allows."""

from __future__ import annotations

import json
import platform
import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.versions import CONSTRAINTS, TOP, constraints, direct, installed_closure, render, resolved

TEXT = CONSTRAINTS.read_text(encoding="utf-8")
PINNED = constraints(TEXT)


def test_the_file_holds_names_and_versions_and_nothing_else() -> None:
    """No index, no address, no digest: the file says what, never from where."""
    lines = TEXT.splitlines()
    assert lines[0].startswith("# ")
    assert [line for line in lines[1:] if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*==[0-9][0-9a-z.!+]*", line)] == []
    assert lines[1:] == sorted(lines[1:], key=lambda line: line.partition("==")[0])
    assert render(PINNED) == TEXT


def test_everything_that_is_installed_for_development_has_its_version_in_the_file() -> None:
    installed = installed_closure()
    others = sorted(name for name in installed.keys() & PINNED.keys() if installed[name] != PINNED[name])
    if others:
        pytest.skip(f"this environment was not installed by constraints.txt: {', '.join(others[:3])}")
    assert set(installed) - set(PINNED) == set(), "run `make constraints`"


@pytest.mark.parametrize("requirement", direct(), ids=lambda requirement: requirement.name)
def test_the_version_in_the_file_is_one_that_pyproject_allows(requirement: Requirement) -> None:
    name = canonicalize_name(requirement.name)
    assert name in PINNED, "run `make constraints`"
    assert requirement.specifier.contains(PINNED[name], prereleases=True)


@pytest.mark.parametrize("requirement", direct(), ids=lambda requirement: requirement.name)
def test_every_requirement_has_a_lowest_version_that_can_be_tried(requirement: Requirement) -> None:
    lowest = [one.version for one in requirement.specifier if one.operator in (">=", "~=", "==")]
    assert len(lowest) == 1, "`make versions-lowest` installs it"
    assert Version(lowest[0]) <= Version(PINNED[canonicalize_name(requirement.name)])


def test_the_python_that_runs_this_is_one_that_pyproject_allows() -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert SpecifierSet(project["requires-python"]).contains(platform.python_version())


def test_a_resolvers_report_becomes_the_file_without_the_addresses_in_it() -> None:
    rows = [
        {"metadata": {"name": "Ruamel.Yaml", "version": "1.0"}, "download_info": {"url": "https://index.example/x"}},
        {"metadata": {"name": "perfledger", "version": "0.1.0"}, "download_info": {"url": "file:///somewhere"}},
        {"metadata": {"name": "click", "version": "8.5.1"}, "download_info": {"url": "https://index.example/y"}},
    ]
    text = render(resolved(json.dumps({"install": rows})))
    assert text.splitlines()[1:] == ["click==8.5.1", "ruamel-yaml==1.0"]

"""The files that services and editors read: what they call exists here, and is what `make` runs."""

from __future__ import annotations

import configparser
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.house.sources import TOP

WORKFLOWS = sorted((TOP / ".github" / "workflows").glob("*.yml"))
MAKEFILE = (TOP / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE))


def read(path: Path) -> Any:
    """Return a YAML file as plain values; a key given twice is an error."""
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))


def steps() -> list[tuple[str, dict[str, Any]]]:
    """Return every step of every workflow, with the name of its job; a matrix gives one step for each of its rows."""
    found = []
    for path in WORKFLOWS:
        for name, job in read(path)["jobs"].items():
            rows = job.get("strategy", {}).get("matrix", {}).get("include", [{}])
            for row in rows:
                for step in job["steps"]:
                    filled = {key: _filled(value, row) for key, value in step.items()}
                    found.append((f"{path.name}:{name}", filled))
    return found


def _filled(value: Any, row: dict[str, str]) -> Any:
    if not isinstance(value, str):
        return value
    return re.sub(r"\$\{\{ matrix\.(\w+) \}\}", lambda match: row[match[1]], value)


def recipe(target: str) -> list[str]:
    """Return the commands of a target of the Makefile."""
    body = re.search(rf"^{target}:.*\n((?:\t.*\n)*)", MAKEFILE, re.MULTILINE)
    assert body is not None, target
    return [line.strip() for line in body[1].splitlines()]


def test_every_command_of_a_workflow_is_a_target_or_a_script_here() -> None:
    called = [(job, step["run"]) for job, step in steps() if "run" in step]
    assert len(called) >= 5
    for job, command in called:
        program, *arguments = shlex.split(command)
        if program == "make":
            assert set(arguments) <= TARGETS, f"{job}: {command}"
        else:
            assert program == "bash", f"{job}: {command} runs only there"
            subprocess.run(["bash", "-n", str(TOP / arguments[0])], check=True)


def test_a_change_is_tested_by_what_a_newcomer_runs() -> None:
    assert "bash .ci/run" in [step["run"] for _, step in steps() if "run" in step]
    assert "exec make test" in (TOP / ".ci" / "run").read_text(encoding="utf-8")


def test_every_action_is_pinned_by_a_major_version() -> None:
    used = [step["uses"] for _, step in steps() if "uses" in step]
    assert used
    assert [name for name in used if not re.fullmatch(r"[\w.-]+/[\w.-]+@v\d+", name)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_reads_unless_a_job_says_more_and_every_job_ends_by_itself(path: Path) -> None:
    document = read(path)
    assert document["permissions"] == {"contents": "read"}
    assert all(job["timeout-minutes"] <= 360 for job in document["jobs"].values())


def test_the_hooks_before_a_commit_are_the_checks_of_make_lint() -> None:
    hooks = [hook for each in read(TOP / ".pre-commit-config.yaml")["repos"] for hook in each["hooks"]]
    assert [hook["entry"] for hook in hooks] == [line.replace("$(BIN)", ".venv/bin") for line in recipe("lint")]
    assert all(hook["language"] == "system" and not hook["pass_filenames"] for hook in hooks)


def test_the_templates_ask_for_things_there_are() -> None:
    templates = sorted((TOP / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
    forms = [read(path) for path in templates if path.name != "config.yml"]
    assert len(forms) == 2
    for form in forms:
        names = [field["id"] for field in form["body"]]
        assert form["name"] and form["description"] and len(set(names)) == len(names)
    request = (TOP / ".github" / "pull_request_template.md").read_text(encoding="utf-8")
    for target in re.findall(r"`make ([a-z-]+)`", request):
        assert target in TARGETS
    for folder in re.findall(r"(?:docs|tests)/[a-z]+", request):
        assert (TOP / folder).is_dir(), folder


def test_the_editor_s_line_length_is_the_formatter_s() -> None:
    import tomllib

    settings = configparser.ConfigParser()
    settings.read_string("[top]\n" + (TOP / ".editorconfig").read_text(encoding="utf-8"))
    ruff = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]
    assert settings["*.{py,sql}"]["max_line_length"] == str(ruff["line-length"])
    assert settings["Makefile"]["indent_style"] == "tab"

"""The CI examples and docs/ci.md: what they show is what runs."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.commands.records import history, legacy, raw, write
from tests.conftest import PERFLEDGER, Result, clean_env

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
EXAMPLES = ROOT / "examples" / "ci"


def commands_of(text: str) -> set[str]:
    """Every `perfledger ...` sub-command path a text mentions."""
    return set(re.findall(r"perfledger ((?:ci|sync) [a-z]+|check|serve|init|explain|sql)", text))


@pytest.mark.parametrize("file", ["github-workflow.yml", "buildkite-pipeline.yml"])
def test_an_example_is_yaml_and_runs_check_keeps_the_markdown_and_annotates(file: str) -> None:
    text = (EXAMPLES / file).read_text()
    assert YAML(typ="safe", pure=True).load(text)
    whole = text + (EXAMPLES / "buildkite-performance.sh").read_text() * (file.startswith("buildkite"))
    assert "perfledger check" in whole and "performance.md" in whole
    assert "annotate" in whole or "::error" in whole


def test_every_command_the_page_and_the_examples_name_exists(cli: Callable[..., Result]) -> None:
    named = commands_of(PAGE + "".join(path.read_text() for path in EXAMPLES.iterdir()))
    assert {"ci lanes", "ci gate", "ci publish", "ci receive", "check", "serve", "sync pull"} <= named
    for name in named:
        cli(*name.split(), "--help", code=0)


def test_the_pages_figures_are_the_shipped_policies(cli: Callable[..., Result]) -> None:
    for name, figures in {"fastvideo-page": (3, 15, 13, 18), "fastvideo-2026-08": (3, 20, 16, 23)}.items():
        found = cli("ci", "policy", "check", name, "--json", code=0).json
        assert (found["tiers"], found["lanes"], found["tags"], found["commands"]) == figures
    digest = cli("ci", "policy", "check", "fastvideo-page", "--json", code=0).json["digest"]
    assert f"fastvideo-page {digest[:12]}" in PAGE


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository with a base branch on a remote, one change, a history, and an agent that keeps what it gets."""

    def git(*args: str, cwd: Path) -> None:
        subprocess.run(
            ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *args],
            cwd=cwd,
            check=True,
            capture_output=True,
        )

    origin, work = tmp_path / "origin", tmp_path / "work"
    origin.mkdir()
    git("init", "-q", "-b", "main", cwd=origin)
    write(origin / "a.json", {})
    git("add", ".", cwd=origin)
    git("commit", "-qm", "one", cwd=origin)
    git("clone", "-q", str(origin), str(work), cwd=tmp_path)
    write(work / "fastvideo-kernel" / "a.json", {})
    git("add", ".", cwd=work)
    git("commit", "-qm", "two", cwd=work)
    agent = tmp_path / "bin" / "buildkite-agent"
    agent.parent.mkdir()
    agent.write_text('#!/bin/sh\necho "$@" > annotated.args\ncat > annotated.md\n')
    agent.chmod(0o755)
    history(tmp_path / "h", [legacy(day) for day in range(1, 8)])
    return work


@pytest.mark.parametrize(("seconds", "verdict", "style"), [(28.4, 0, "success"), (31.2, 1, "error")])
def test_the_buildkite_step_judges_annotates_and_exits_with_the_verdict(
    project: Path, seconds: float, verdict: int, style: str
) -> None:
    sha = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=project, text=True).strip()
    write(project / "results" / "perf_a.json", raw(avg_generation_time_s=seconds, commit=sha))
    path = f"{project.parent / 'bin'}:{Path(PERFLEDGER).parent}:{os.environ['PATH']}"
    env = clean_env(
        PATH=path,
        RESULTS="results",
        MEASURE="true",
        BUILDKITE_COMMIT=sha,
        PERFORMANCE_TRACKING_ROOT=str(project.parent / "h"),
    )
    done = subprocess.run(
        [EXAMPLES / "buildkite-performance.sh"], cwd=project, capture_output=True, text=True, check=False, env=env
    )
    assert done.returncode == verdict, done.stdout + done.stderr
    assert f"--style {style}" in (project / "annotated.args").read_text()
    assert "latency" in (project / "annotated.md").read_text().lower()
    status = subprocess.run(
        [PERFLEDGER, "ci", "status", sha], cwd=project, capture_output=True, text=True, check=False, env=clean_env()
    )
    assert "perfledger/baseline" in status.stdout and "Kernel Tests" in status.stdout

"""The worked example of docs/calibrate.md, run as it stands there on a copy of the sample project."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import clean_env

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/calibrate.md"
SAMPLE = ROOT / "examples/calibration_sample"
BLOCK = re.compile(r"(?P<head><!-- worked example.*?-->\n```console\n)(?P<body>.*?)(?P<tail>```\n)", re.DOTALL)


def test_the_worked_example_is_what_the_commands_say(tmp_path: Path) -> None:
    """Set PERFLEDGER_REGENERATE=1 to write the page anew."""
    page = PAGE.read_text(encoding="utf-8")
    block = BLOCK.search(page)
    assert block is not None
    commands = [line[2:] for line in block["body"].splitlines() if line.startswith("$ ")]
    said = run_in_a_copy(tmp_path / "sample", commands)
    if os.environ.get("PERFLEDGER_REGENERATE"):
        PAGE.write_text(page[: block.start("body")] + said + page[block.end("body") :], encoding="utf-8")
        return
    assert said == block["body"]


def run_in_a_copy(project: Path, commands: list[str]) -> str:
    """Run the commands one after the other; return them with what they print, commits blanked."""
    ignored = shutil.ignore_patterns("__pycache__", ".pytest_cache", ".perfledger", ".tune-runs")
    shutil.copytree(SAMPLE, project, ignore=ignored)
    env = clean_env(PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}", GIT_CONFIG_GLOBAL=os.devnull)
    identity = "-c user.name=n -c user.email=n@example.org"
    for command in ("git init -q", "git add -A", f"git {identity} commit -qm sample", "perfledger init -q"):
        subprocess.run(["bash", "-c", command], cwd=project, env=env, check=True, capture_output=True)
    lines = []
    for command in commands:
        done = subprocess.run(
            ["bash", "-c", command], cwd=project, env=env, check=False, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        lines.append(f"$ {command}")
        lines += [line.rstrip() for line in done.stdout.splitlines()]
    text = "\n".join(lines) + "\n"
    text = re.sub(r"\b[0-9a-f]{40}\b", "<commit>", text)
    return text.replace(f"{project.resolve()}/", "").replace(f"{project}/", "")

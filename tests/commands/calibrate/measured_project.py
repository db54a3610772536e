"""A git repository with test files, and a run directory in the existing tool's layout beside it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from commands.calibrate.config.model import load_model
from commands.calibrate.config.stages import Stage
from commands.calibrate.config.stages_writer import render_stages
from commands.calibrate.discovery.model_stages import discover_model

CONFIG = """\
test_globs: ["tests/test_*_ci.py"]
stage_base_strip_prefix: "test_"
stage_base_strip_suffix: "_ci"
"""
STAMP = "2026-06-27T11:51:30Z"


class MeasuredProject:
    """Files, commits and measurements; every value a test gives is what all repeats but one saw."""

    def __init__(self, root: Path, *, git: bool = True) -> None:
        self.root = root
        self.has_git = git
        root.mkdir(parents=True)
        self.config = CONFIG
        if git:
            self.git("init", "-q", "-b", "main")

    def git(self, *args: str) -> str:
        env = {
            **os.environ,
            "GIT_AUTHOR_NAME": "n",
            "GIT_AUTHOR_EMAIL": "a@example.org",
            "GIT_COMMITTER_NAME": "n",
            "GIT_COMMITTER_EMAIL": "a@example.org",
            "GIT_CONFIG_GLOBAL": os.devnull,
        }
        return subprocess.run(
            ["git", *args], cwd=self.root, env=env, capture_output=True, text=True, check=True
        ).stdout.strip()

    def file(self, path: str, text: str | bytes) -> Path:
        full = self.root / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_bytes(text if isinstance(text, bytes) else text.encode())
        return full

    def commit(self) -> str:
        """Discover, commit everything, and return the commit."""
        config = self.file("models/m/config.yaml", self.config)
        found = discover_model(load_model(config), self.root, stamp=STAMP)
        self.stages: dict[str, Stage] = found.stages
        self.file("models/m/stages.yaml", render_stages(found.stages.values()))
        if not self.has_git:
            return "0" * 40
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "a commit", "--allow-empty")
        return self.git("rev-parse", "HEAD")

    def measure(self, values: dict[str, dict[str, list[float | None]]], *, name: str = "run", **plan: Any) -> Path:
        """Write a run directory: `values[stage][metric]` is one value per repeat."""
        sha = self.commit()
        folder = self.root.parent / name
        folder.mkdir()
        repeats = max(len(series) for metrics in values.values() for series in metrics.values())
        document = {
            "model": "m",
            "stages": list(values),
            "repeats": repeats,
            "timestamp": STAMP,
            "calibration_started_at": STAMP,
            "calibration_git_sha": sha,
            "git_sha": sha,
            "git_branch": "main",
            "dirty": False,
            "venv_python": "/p",
            "venv_source": "flag",
            "tune_version": "0.6.0",
            "stages_yaml": str(self.root / "models/m/stages.yaml"),
            **plan,
        }
        (folder / "plan.json").write_text(json.dumps(document))
        for stage, metrics in values.items():
            (folder / stage).mkdir()
            for index in range(repeats):
                observation = {
                    "status": "ok",
                    "reason": "",
                    "metrics": {metric: series[index] for metric, series in metrics.items()},
                    "sample_counts": {"total": 10, "ok": 10},
                    "duration_s": 1.0,
                    "attempts": 1,
                    "git_sha": sha,
                    "recorded_at": STAMP,
                    "pytest_log": "",
                    "basetemp": "",
                    "pytest_rc": 0,
                }
                (folder / stage / f"run{index + 1}.json").write_text(json.dumps(observation))
        return folder

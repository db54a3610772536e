"""A small repository to calibrate: two test files, three stages, deterministic values per repeat."""

from __future__ import annotations

import subprocess
from pathlib import Path

TEST = """
import json
import os
import re
import time
from pathlib import Path

import pytest

SAMPLES = 4
LATENCY_MEAN_MAX = 9.5
THROUGHPUT_MIN = 0.5
ACC_MIN = 0.25


def measure(tmp_path: Path, value: float) -> None:
    time.sleep(float(os.environ.get("TINY_SLEEP", "0")))
    document = {"speed": {"throughput_qps": value, "latency_mean_s": 1 / value},
                "summary": {"accuracy": value / 100, "total": SAMPLES, "ok": SAMPLES}}
    (tmp_path / "results.json").write_text(json.dumps(document))
    print("cuda graph: True")


def test_tiny(tmp_path: Path) -> None:
    repeat = int(re.search(r"basetemp_run(\\d+)", str(tmp_path))[1])
    measure(tmp_path, BASE + repeat / 10)
"""

METRIC = """    {key}:
      source: "{source}"
      json_file: "test_tiny0/results.json"
      json_path: "{path}"
      worst: {worst}
      display:
        label: "{label}"
        scale: {scale}
        digits: {digits}
      status: OK
"""

STAGE = """{key}:
  test: tests/{test}
  title: "{title}"
  group: {group}
  extra_env: {{}}
  context_vars: []
  gpus: 0
  expected_samples: 4
{evidence}  sample_counts:
    total:
      json_file: "test_tiny0/results.json"
      json_path: "summary.total"
    ok:
      json_file: "test_tiny0/results.json"
      json_path: "summary.ok"
  metrics:
"""

EVIDENCE = '  runtime_evidence:\n    cuda graph: "cuda graph: True"\n    fp8: "fp8 kernels"\n'

THROUGHPUT = METRIC.format(
    key="throughput_qps",
    source="THROUGHPUT_MIN",
    path="speed.throughput_qps",
    worst="min",
    label="Throughput (req/s)",
    scale=1,
    digits=3,
)
LATENCY = METRIC.format(
    key="latency_mean_s",
    source="LATENCY_MEAN_MAX",
    path="speed.latency_mean_s",
    worst="max",
    label="Latency mean (s)",
    scale=1,
    digits=3,
)
ACCURACY = METRIC.format(
    key="accuracy", source="ACC_MIN", path="summary.accuracy", worst="min", label="Acc (%)", scale=100, digits=2
)

STAGES = (
    STAGE.format(key="fast_speed", test="test_fast_ci.py", title="FAST Speed", group="speed", evidence=EVIDENCE)
    + THROUGHPUT
    + LATENCY
    + STAGE.format(key="fast_accuracy", test="test_fast_ci.py", title="FAST Accuracy", group="accuracy", evidence="")
    + ACCURACY
    + STAGE.format(key="slow_speed", test="test_slow_ci.py", title="SLOW Speed", group="speed", evidence="")
    + THROUGHPUT
)

CONFIG = """name: tiny
description: "two test files"
test_globs:
  - "tests/test_*_ci.py"
gpus_per_test:
  test_fast_ci.py: 0
  test_slow_ci.py: 0
"""


def make(root: Path) -> Path:
    """Write the project into `root` as a git repository with one commit, and a ledger beside it."""
    (root / "tests").mkdir(parents=True)
    (root / "models" / "tiny").mkdir(parents=True)
    for name, base in (("fast", "10.0"), ("slow", "2.0")):
        (root / "tests" / f"test_{name}_ci.py").write_text(f"BASE = {base}\n" + TEST)
    (root / "models" / "tiny" / "config.yaml").write_text(CONFIG)
    (root / "models" / "tiny" / "stages.yaml").write_text(STAGES)
    (root / "pyproject.toml").write_text('[project]\nname = "tiny"\nversion = "1"\n[tool.pytest.ini_options]\n')
    (root / ".gitignore").write_text("__pycache__/\n.pytest_cache/\n.perfledger/\nruns/\n")
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "tiny")
    return root


def git(root: Path, *args: str) -> str:
    """Run git as a person of no account."""
    who = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *who, *args], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()

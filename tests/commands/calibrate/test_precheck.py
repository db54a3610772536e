"""`calibrate precheck`: every gap is named with the command that closes it, and nothing is changed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.gpu_runner.conftest import machine, nvml_dir, sleeper
from tests.gpu_runner.machine import Machine, Sleeper

__all__ = ["machine", "nvml_dir", "sleeper"]
Run = Callable[..., Any]
SHA = "d" * 40


class Project:
    """A repository to calibrate, with its configuration, a Hugging Face cache and packages to import."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.cache = root.parent / "hf"
        self.packages = root.parent / "packages"
        self.write(
            "pyproject.toml",
            '[project]\nname = "x"\nversion = "1"\ndependencies = ["sglang==0.5.12", "torch==2.11.0", "numpy>=1"]\n',
        )
        self.write("tests/test_tts_ci.py", 'NAME = DATASETS["seed"]\n')
        self.write("benchmarks/dataset/prepare.py", 'DATASETS = {"seed": "org/seed-50", "other": "org/other"}\n')
        self.config()
        self.package("sglang", "0.5.12")
        self.package("torch", "2.11.0+cu130")
        for args in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "x"]):
            subprocess.run(
                ["git", "-C", str(root), "-c", "user.email=t@example.org", "-c", "user.name=t", *args], check=True
            )

    def config(self, more: str = "", gpus: int = 2) -> None:
        self.write(
            "calibration/models/tts/config.yaml",
            f"""
name: tts
hf_model_id: "org/tts-model"
hf_model_ids_by_test:
  test_tts_ci.py:
    - "org/tts-model"
    - "org/asr-model"
hf_datasets:
  - "org/seed"
default_venv_python: "{sys.executable}"
auto_env:
  HF_HOME: "{self.cache}"
  HF_ENDPOINT: "https://mirror.example"
  PYTHONPATH: "{self.packages}"
gpus_per_test:
  test_tts_ci.py: {gpus}
test_globs:
  - "tests/test_tts_ci.py"
{more}
""",
        )

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def package(self, name: str, version: str) -> None:
        folder = self.packages / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "__init__.py").write_text(f"__version__ = {version!r}\n")

    def cached(self, kind: str, name: str, *files: str) -> None:
        """A repository in the layout of the Hugging Face cache."""
        repo = self.cache / "hub" / f"{kind}s--{name.replace('/', '--')}"
        snapshot = repo / "snapshots" / SHA
        snapshot.mkdir(parents=True)
        (repo / "refs").mkdir()
        (repo / "refs" / "main").write_text(SHA)
        (repo / "blobs").mkdir()
        for number, file in enumerate(files):
            (repo / "blobs" / f"{number}").write_text("x")
            (snapshot / file).symlink_to(repo / "blobs" / f"{number}")

    def everything_cached(self) -> None:
        for model in ("org/tts-model", "org/asr-model"):
            self.cached("model", model, "config.json", "model.safetensors")
        self.cached("dataset", "org/seed", "data.parquet")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "repo")


@pytest.fixture
def precheck(cli: Run, project: Project, machine: Machine) -> Run:
    def run(*args: Any, env: dict[str, str] | None = None, **more: Any) -> Any:
        return cli("calibrate", "precheck", *args, cwd=project.root, env={**machine.env, **(env or {})}, **more)

    return run


def errors(done: Any) -> list[str]:
    return [gap["message"] for gap in done.json["errors"]]


def test_a_ready_machine_passes_and_says_what_it_looked_at(precheck: Run, project: Project) -> None:
    project.everything_cached()
    before = sorted(project.root.rglob("*"))
    done = precheck(code=0)
    sha = subprocess.run(
        ["git", "-C", str(project.root), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout[:8]
    assert done.out.splitlines() == [
        "model: tts",
        f"venv_python: {sys.executable} (default)",
        f"git: main @ {sha}",
        "  sglang: 0.5.12 (pin 0.5.12) [ok]",
        "  torch: 2.11.0+cu130 (pin 2.11.0) [ok]",
        f"  auto env: HF_HOME={project.cache}",
        "  auto env: HF_ENDPOINT=https://mirror.example",
        f"  auto env: PYTHONPATH={project.packages}",
        "  assets (all datasets):",
        "    ✓ model: org/tts-model",
        "    ✓ model: org/asr-model",
        "    ✓ dataset: org/seed",
        "  GPUs: 2× NVIDIA H20 — 2/2 free",
        "",
        "precheck OK",
    ]
    assert sorted(project.root.rglob("*")) == before, "a precheck changes nothing"


def test_missing_models_and_datasets_come_with_the_exact_download(precheck: Run, project: Project) -> None:
    project.cached("model", "org/tts-model", "config.json")  # a snapshot without weights
    done = precheck("--json", code=1)
    commands = [command for gap in done.json["errors"] for command in gap["commands"]]
    where = f"HF_ENDPOINT=https://mirror.example HF_HOME={project.cache}"
    assert commands == [
        f"{where} hf download org/tts-model",
        f"{where} hf download org/asr-model",
        f"{where} hf download org/seed --repo-type dataset",
    ]
    text = precheck(code=1).out
    assert "    ✗ model: org/tts-model" in text and text.endswith("precheck FAILED (3 error(s))\n")


def test_versions_that_miss_their_pins_fail_or_warn(precheck: Run, project: Project) -> None:
    project.everything_cached()
    project.package("torch", "2.10.0")
    project.package("sglang", "0.5.12.post1")
    done = precheck("--json", code=1)
    assert errors(done) == [
        "sglang is 0.5.12.post1, the repository pins 0.5.12",
        "torch is 2.10.0, the repository pins 2.11.0",
    ]
    assert done.json["errors"][1]["commands"] == [f"{sys.executable} -m pip install 'torch==2.11.0'"]
    assert "[mismatch]" in precheck("--skip-version-check", code=0).out
    project.write("../packages/torch/__init__.py", "raise ImportError('libcudart.so.13: cannot open shared object')\n")
    assert "libcudart.so.13: cannot open shared object" in errors(precheck("--json", code=1))[1]


def test_which_pins_count_is_configuration(precheck: Run, project: Project) -> None:
    project.everything_cached()
    project.write("pyproject.toml", '[project]\nname = "x"\nversion = "1"\ndependencies = ["vllm==0.11.0"]\n')
    project.package("vllm", "0.11.0+cu130")
    assert precheck("--json", code=0).json["versions"] == {}
    project.config("precheck_pins:\n  vllm: exact")
    assert errors(precheck("--json", code=1)) == ["vllm is 0.11.0+cu130, the repository pins 0.11.0"]
    project.config("precheck_pins:\n  vllm: prefix")
    assert precheck("--json", code=0).json["versions"] == {"vllm": "0.11.0+cu130"}
    project.config("precheck_pins:\n  vllm: nearly")
    assert "precheck_pins" in precheck(code=2).err


def test_memory_counts_and_not_only_processes(precheck: Run, project: Project, machine: Machine) -> None:
    project.everything_cached()
    machine.say("gpu 1 used 17000")
    done = precheck("--json", code=1)
    assert errors(done) == ["2 free GPU(s) needed, 1 free (see the lines above)"]
    assert done.json["errors"][0]["commands"] == ["perfledger gpu wait -n 2"]
    text = precheck(code=1).out
    assert "  GPUs: 2× NVIDIA H20 — 1/2 free (busy: [1])" in text and "GPU 1: ghost memory: 17000 MiB" in text


def test_a_busy_gpu_that_is_not_needed_is_no_gap(
    precheck: Run, project: Project, machine: Machine, sleeper: Sleeper
) -> None:
    project.everything_cached()
    machine.add("GPU-c")
    machine.say(f"gpu 0 proc {sleeper.start().pid} 100")
    assert "2/3 free (busy: [0])" in precheck(code=0).out


def test_without_a_driver_only_gpu_tests_are_a_gap(precheck: Run, project: Project, machine: Machine) -> None:
    project.everything_cached()
    machine.say("init 9")
    assert errors(precheck("--json", code=1))[0].startswith("2 GPU(s) needed: no NVIDIA driver answers here")
    project.config(gpus=0)
    assert "  GPUs: none needed" in precheck(code=0).out


def test_it_stops_where_nothing_else_can_be_checked(precheck: Run, project: Project, tmp_path: Path) -> None:
    done = precheck("--venv-python", "/nonexistent/bin/python", "--json", code=1)
    assert errors(done) == ["calibration interpreter not found: /nonexistent/bin/python"]
    (tmp_path / "empty").mkdir()
    done = precheck("--repo-root", tmp_path / "empty", "--output-dir", tmp_path / "out", "--json", code=1)
    assert errors(done) == [f"no pyproject.toml in {tmp_path / 'empty'}"]
    assert not (tmp_path / "out").exists()


STAGES = """
tts_speed:
  test: tests/test_tts_ci.py
  group: speed
  gpus: 1
  hf_model_ids:
    - "org/asr-model"
  metrics: {}
"""


def test_selected_stages_need_only_their_own_assets(precheck: Run, project: Project, machine: Machine) -> None:
    """The dataset a test names is looked up in the project's own DATASETS, and missed even when not listed."""
    project.write("calibration/models/tts/stages.yaml", STAGES)
    project.cached("model", "org/asr-model", "model.bin")
    machine.say("gpu 0 used 9000")
    done = precheck("--stages", "tts_speed", code=1)
    lines = done.out.splitlines()
    assert "note: test(s) reference repo(s) not listed in config.yaml hf_datasets: ['org/seed-50']" in lines
    start = lines.index("  assets (required for selected stages, 1 dataset(s)):")
    assert lines[start + 1 : start + 7] == [
        "    ✓ model: org/asr-model",
        "    ✗ dataset: org/seed-50",
        "  other models (not needed for this run):",
        "    · model: org/tts-model",
        "  other datasets (not needed for this run):",
        "    · dataset: org/seed",
    ]
    assert lines[-1] == "precheck FAILED (1 error(s))", "one GPU is enough for this stage"


def test_file_assets_follow_rules_in_configuration(precheck: Run, project: Project, tmp_path: Path) -> None:
    project.everything_cached()
    folder = tmp_path / "sim"
    folder.mkdir()
    (folder / ".complete").write_text("")
    (folder / "wavlm_large.pt").write_bytes(b"x")
    env = {"SEEDTTS_SIM_CACHE_DIR": str(folder)}
    (gap,) = errors(precheck("--json", env=env, code=1))
    assert gap == f"speaker_sim: missing or too small in {folder}: wavlm_large.pt, wavlm_large_finetune.pth"
    for name in ("wavlm_large.pt", "wavlm_large_finetune.pth"):
        with (folder / name).open("wb") as file:
            file.truncate(100 * 2**20)
    found = f"    ✓ speaker_sim: {folder} (wavlm_large.pt + wavlm_large_finetune.pth)"
    assert found in precheck(env=env, code=0).out
    (folder / ".complete").unlink()
    assert precheck(env=env, code=1)
    project.config("requires_speaker_sim: false")
    assert "speaker_sim" not in precheck(env=env, code=0).out
    project.config(
        "requires_speaker_sim: false\nprecheck_assets:\n  utmos:\n    folder_variable: UTMOS_DIR\n"
        '    files:\n      utmos.ckpt: 1\n    commands:\n      - "make utmos"'
    )
    done = precheck("--json", env={"UTMOS_DIR": str(tmp_path)}, code=1)
    assert errors(done) == [f"utmos: missing or too small in {tmp_path}: utmos.ckpt"]
    assert done.json["errors"][0]["commands"] == ["make utmos"]


def test_a_host_profile_gives_paths_excluded_gpus_and_its_warm_up_command(
    precheck: Run, project: Project, machine: Machine, tmp_path: Path
) -> None:
    project.config("requires_speaker_sim: true", gpus=1)
    project.write(
        "calibration/hosts/h20.yaml",
        f"""
name: h20
physical:
  hf_hub: {tmp_path / "other-hf"}
  speaker_sim: {tmp_path / "sim"}
gpu_exclude:
  - 0
speaker_similarity_bootstrap:
  warm_cache:
    command: "python -m benchmarks.metrics.speaker_similarity_assets --warm-cache"
""",
    )
    machine.say("gpu 1 used 9000")
    done = precheck("--host", "h20", "--json", code=1)
    found = errors(done)
    assert f"model org/tts-model is not in the cache {tmp_path / 'other-hf' / 'hub'}" in found
    assert found[-1].startswith("1 free GPU(s) needed, 0 free")
    warm = next(gap for gap in done.json["errors"] if gap["message"].startswith("speaker_sim"))
    assert warm["commands"] == ["python -m benchmarks.metrics.speaker_similarity_assets --warm-cache"]


def test_the_documents_of_a_run_directory_are_written_also_on_failure(
    precheck: Run, project: Project, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    project.cached("model", "org/tts-model", "model.safetensors")
    project.write("untracked.txt", "x")
    precheck("--output-dir", out, code=1)
    document = json.loads((out / "precheck.json").read_text())
    keys = [
        "timestamp",
        "model",
        "venv_python",
        "venv_source",
        "versions",
        "pins",
        "git",
        "nvidia_smi_L",
        "gpu_summary",
    ]
    assert list(document)[: len(keys)] == keys
    assert document["versions"] == {"sglang": "0.5.12", "torch": "2.11.0+cu130"}
    assert document["pins"] == {"sglang": "0.5.12", "torch": "2.11.0"}
    git = document["git"]
    assert (git["dirty"], git["branch"], len(git["sha"])) == (True, "main", 40)
    assert document["gpu_summary"] == "2× NVIDIA H20"
    assert document["nvidia_smi_L"] == "GPU 0: NVIDIA H20 (UUID: GPU-a)\nGPU 1: NVIDIA H20 (UUID: GPU-b)"
    assert document["assets"]["models"] == {"org/tts-model": SHA, "org/asr-model": None}
    fingerprint = json.loads((out / "environment-fingerprint.json").read_text())
    assert fingerprint["digest"] == document["environment_fingerprint"]
    assert fingerprint["fingerprint"]["driver"]["driver"] == "570.86.15"

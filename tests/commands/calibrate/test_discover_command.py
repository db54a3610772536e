"""The installed `perfledger calibrate models | hosts | stages | discover`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from commands.calibrate.config.stages import read_stages
from tests.conftest import Result

Cli = Callable[..., Result]
SAMPLE = Path(__file__).parents[3] / "examples/calibration_sample"


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """A copy of the sample project."""
    return Path(shutil.copytree(SAMPLE, tmp_path / "sample"))


def test_models_and_hosts_are_listed_by_name(cli: Cli, sample: Path) -> None:
    assert cli("calibrate", "models", cwd=sample, code=0).out == "sample\n"
    assert cli("calibrate", "hosts", cwd=sample / "tests", code=0).out == "local\n"
    assert cli("calibrate", "hosts", "--json", cwd=sample, code=0).json["active"] is None
    active = cli("calibrate", "hosts", cwd=sample, env={"TUNE_HOST": "local"}, code=0)
    assert active.out == "local *\n"
    one = cli("calibrate", "models", "--model", "sample", "--json", cwd=sample, code=0).json
    assert one["test_globs"] == ["tests/ci/test_*_ci.py", "tests/docs/test_docs_smoke.py"]
    assert "Known models: ['sample']" in cli("calibrate", "hosts", "--model", "x", cwd=sample, code=2).err


def test_the_committed_stages_of_the_sample_are_fresh(cli: Cli) -> None:
    said = cli("calibrate", "discover", "--check", cwd=SAMPLE, code=0).out
    assert said.endswith("is what discover would write\n")


def test_discover_writes_and_then_finds_nothing_to_change(cli: Cli, sample: Path) -> None:
    path = sample / "models/sample/stages.yaml"
    path.unlink()
    missing = cli("calibrate", "stages", cwd=sample, code=2)
    assert "stages file not found" in missing.err and "calibrate discover" in missing.err
    written = cli("calibrate", "discover", cwd=sample, code=0)
    assert written.out.splitlines()[-1] == f"[sample] 17 stages written to {path}, 29 metric(s) OK, 0 need config"
    assert cli("calibrate", "discover", "--check", cwd=sample, code=0)
    stages = read_stages(path)
    assert stages.get("textqa_speed").metrics["first_token_p95_s"].worst == "max"
    assert stages.get("vision_speed").runtime_evidence == {"graph capture": "graph capture: enabled"}
    listing = cli("calibrate", "stages", cwd=sample, code=0).out
    assert "    voice_bass_stream_speed  [speed, preset=bass, gpus=0]" in listing
    chosen = cli("calibrate", "stages", "--stages", "@wer", "--json", cwd=sample, code=0).json["stages"]
    assert {stage["group"] for stage in chosen} == {"wer"}


def test_check_says_what_drifted_and_one_stage_is_renewed_alone(cli: Cli, sample: Path) -> None:
    path = sample / "models/sample/stages.yaml"
    test = sample / "tests/ci/test_vision_ci.py"
    before = path.read_text()
    test.write_text(test.read_text().replace("VISION_MAX_SAMPLES = 50", "VISION_MAX_SAMPLES = 60"))
    checked = cli("calibrate", "discover", "--check", cwd=sample, code=1)
    assert "  vision_speed.expected_samples: 50 -> 60" in checked.out
    assert "vision_accuracy.test_file_sha256" in checked.out
    assert path.read_text() == before, "--check writes nothing"
    drift = cli("calibrate", "discover", "--check", "--json", cwd=sample, code=1).json["drift"]
    assert {d["stage"] for d in drift} == {"vision_accuracy", "vision_speed"}

    shown = cli("calibrate", "discover", "--stage", "vision_speed", "--dry-run", cwd=sample, code=0)
    assert "+  expected_samples: 60" in shown.out
    assert path.read_text() == before
    cli("calibrate", "discover", "--stage", "vision_speed", cwd=sample, code=0)
    after = read_stages(path)
    assert list(after.stages) == list(read_stages(SAMPLE / "models/sample/stages.yaml").stages)
    assert after.get("vision_speed").expected_samples == 60
    assert after.get("vision_accuracy").expected_samples == 50, "only the named stage"
    head, _, tail = before.partition("vision_speed:\n")
    renewed = path.read_text()
    assert renewed.startswith(head) and renewed.endswith(tail[tail.index("\nvoice_alto_nonstream_wer:") :])
    unknown = cli("calibrate", "discover", "--stage", "vision_sped", cwd=sample, code=2)
    assert "finds no stage 'vision_sped'" in unknown.err and "vision_speed" in unknown.err


def test_stages_that_appear_and_go_are_named(cli: Cli, sample: Path) -> None:
    test = sample / "tests/ci/test_vision_ci.py"
    test.write_text(test.read_text().replace("VISION_MIN_ACCURACY = 0.6", "VISION_WER_MAX_CORPUS = 0.6"))
    out = cli("calibrate", "discover", "--check", cwd=sample, code=1).out
    assert "  vision_accuracy: no longer found" in out
    assert "  vision_wer: new" in out


def test_duplicates_write_nothing(cli: Cli, sample: Path) -> None:
    path = sample / "models/sample/stages.yaml"
    before = path.read_bytes()
    test = sample / "tests/ci/test_textqa_ci.py"
    test.write_text(test.read_text() + "\nTEXTQA_LATENCY_MEAN_S_MAX = 1.0\n")
    refused = cli("calibrate", "discover", "--json", cwd=sample, code=2).json["error"]
    assert refused["code"] == "duplicate_constants"
    assert refused["details"]["constants"] == ["TEXTQA_LATENCY_MEAN_MAX_S", "TEXTQA_LATENCY_MEAN_S_MAX"]
    assert path.read_bytes() == before


def test_a_damaged_file_is_written_anew_whole_but_not_in_part(cli: Cli, sample: Path) -> None:
    path = sample / "models/sample/stages.yaml"
    before = path.read_text()
    path.write_text("a: [\n")
    for option in ("--check", "--stage=vision_speed"):
        assert "a must be a mapping" in cli("calibrate", "discover", option, cwd=sample, code=2).err
    cli("calibrate", "discover", cwd=sample, code=0)
    assert len(read_stages(path)) == before.count("  title: ")


def test_unknown_models_hosts_and_folders_are_named(cli: Cli, sample: Path, tmp_path: Path) -> None:
    assert "Known models: ['sample']" in cli("calibrate", "discover", "--model", "x", cwd=sample, code=2).err
    assert "(known: local)" in cli("calibrate", "discover", "--host", "x", cwd=sample, code=2).err
    assert "no models/NAME/config.yaml" in cli("calibrate", "models", cwd=tmp_path, code=2).err

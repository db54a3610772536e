"""Raw results become normalized records. Facts: performance CI of hao-ai-lab/FastVideo, May and August 2026."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from commands.intake.formats import raw
from commands.intake.formats.detect import find_files, read_file
from commands.intake.formats.measured import Unreadable, parse_object, refuse_unusable
from ledger.errors import BadInput

RAW: dict[str, Any] = {
    "benchmark_id": "wan-t2v-1.3b-2gpu",
    "result_schema_version": 2,
    "model_short_name": "Wan2.1-T2V-1.3B",
    "device": "NVIDIA L40S",
    "num_gpus": 2,
    "avg_generation_time_s": 20.19,
    "individual_times_s": [20.21, 20.17],
    "throughput_fps": 2.229,
    "max_peak_memory_mb": 10424.1,
    "individual_peak_memories_mb": [10422.4, 10424.1],
    "text_encoder_time_s": 2.1,
    "dit_time_s": 8.4,
    "vae_decode_time_s": None,
    "thresholds": {"max_generation_time_s": 34.0, "note": "x"},
    "regression_thresholds": {"latency": {"threshold_percent": 0.10}},
    "commit": "a" * 40,
    "run_source": "scheduled_main",
    "branch": "main",
    "pr_number": "",
    "test_scope": "full",
    "build_url": "https://ci/9001",
    "build_id": "b",
    "job_id": "j",
    "timestamp": "2026-08-21T22:10:05.123456+00:00",
    "quality_metadata": {"quality_status": "canonical"},
    "workload_id": "wan-t2v",
    "variant_id": "1.3b-sp2",
    "recipe": {"benchmark": {"benchmark_version": 3, "variant_id": "other"}},
    "recipe_fingerprint": "ec56",
    "hardware_profile_id": "hw",
    "software_profile_id": "sw",
    "variant_metadata": None,
}


def test_every_field_is_mapped_as_the_history_stores_it() -> None:
    record = raw.normalize(RAW, {})
    thresholds = record.pop("regression_thresholds")
    assert record == {
        "model_id": "wan-t2v-1.3b-2gpu",
        "timestamp": "2026-08-21T22:10:05.123456+00:00",
        "commit_sha": "a" * 40,
        "gpu_type": "NVIDIA L40S",
        "latency": 20.19,
        "throughput": 2.229,
        "memory": 10424.1,
        "text_encoder_time_s": 2.1,
        "dit_time_s": 8.4,
        "vae_decode_time_s": None,
        "success": True,
        "run_source": "scheduled_main",
        "baseline_eligible": False,
        "branch": "main",
        "pr_number": "",
        "test_scope": "full",
        "build_url": "https://ci/9001",
        "build_id": "b",
        "job_id": "j",
        "result_schema_version": 2,
        "workload_id": "wan-t2v",
        "variant_id": "1.3b-sp2",
        "benchmark_version": 3,
        "recipe": RAW["recipe"],
        "recipe_fingerprint": "ec56",
        "hardware_profile_id": "hw",
        "software_profile_id": "sw",
        "quality_metadata": {"quality_status": "canonical"},
    }
    assert thresholds["latency"] == {"threshold_percent": 0.10, "threshold_absolute": 0.5, "gated": True}
    assert list(thresholds) == [
        "latency",
        "throughput",
        "memory",
        "text_encoder_time_s",
        "dit_time_s",
        "vae_decode_time_s",
    ]


def test_missing_fields_fall_back_to_the_environment_and_to_unknown() -> None:
    env = {
        "BUILDKITE_COMMIT": "c0ffee",
        "BUILDKITE_BRANCH": "main",
        "TEST_SCOPE": "full",
        "BUILDKITE_PULL_REQUEST": "false",
        "BUILDKITE_BUILD_ID": "env-build",
    }
    record = raw.normalize({"run_source": "nonsense", "build_id": "own"}, env)
    assert (record["model_id"], record["gpu_type"], record["commit_sha"]) == ("unknown", "unknown", "c0ffee")
    assert (record["run_source"], record["build_id"], record["pr_number"]) == ("scheduled_main", "own", "")
    assert record["timestamp"].endswith("+00:00")
    assert "workload_id" not in record


def test_single_runs_and_fixed_limits_are_kept_beside_the_record(tmp_path: Path) -> None:
    file = tmp_path / "perf_x.json"
    file.write_text(json.dumps(RAW))
    measured = read_file(str(file), env={})
    assert measured.samples == {"latency": [20.21, 20.17], "memory": [10422.4, 10424.1]}
    assert measured.static_limits == {"max_generation_time_s": 34.0}
    assert (measured.format, measured.run_source_claimed) == ("raw", True)


def test_a_normalized_record_is_taken_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "record.json"
    record = {"model_id": "m", "gpu_type": "g", "latency": "28.4", "success": True, "later_field": {"x": 1}}
    file.write_text(json.dumps(record))
    measured = read_file(str(file), env={"PERF_RUN_SOURCE": "pr"})
    assert measured.record == {**record, "latency": 28.4}
    assert (measured.format, measured.run_source_claimed) == ("normalized", False)


@pytest.mark.parametrize(
    ("field", "token"),
    [
        ("avg_generation_time_s", "NaN"),
        ("max_peak_memory_mb", "Infinity"),
        ("throughput_fps", "1e999"),
        ("dit_time_s", '"nan"'),
    ],
)
def test_nan_and_infinities_are_refused_naming_file_and_field(tmp_path: Path, field: str, token: str) -> None:
    file = tmp_path / "perf_x.json"
    file.write_text(f'{{"benchmark_id": "m", "{field}": {token}}}')
    with pytest.raises(BadInput) as caught:
        refuse_unusable(read_file(str(file), env={}))
    assert field in caught.value.message and str(file) in caught.value.message


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b"[1]", "array"),
        (b"null", "null"),
        (b"{", "not JSON"),
        (b'{"a": "\xff"}', "UTF-8"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b'{"a":' + b"[" * 100_000, "too deeply"),
        (b" " * 600_000, "too many"),
    ],
)
def test_what_is_no_json_object_is_said_in_a_word(data: bytes, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        parse_object(data)


@pytest.mark.parametrize(
    ("field", "value"), [("benchmark_id", 3), ("timestamp", 1780272000), ("device", ["x"]), ("commit", 1)]
)
def test_a_name_that_is_no_text_is_refused(tmp_path: Path, field: str, value: Any) -> None:
    file = tmp_path / "perf_x.json"
    file.write_text(json.dumps({**RAW, field: value}))
    with pytest.raises(BadInput, match=field):
        read_file(str(file), env={})


def test_an_object_of_neither_format_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text('{"hello": 1}')
    with pytest.raises(BadInput, match="neither a raw result"):
        read_file(str(file), env={})


def test_a_folder_stands_for_its_raw_results_in_name_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("perf_b.json", "perf_a.json", "other.json"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "normalized").mkdir()
    (tmp_path / "normalized" / "x.json").write_text("{}")
    assert find_files([str(tmp_path)]) == [str(tmp_path / "perf_a.json"), str(tmp_path / "perf_b.json")]
    assert find_files([str(tmp_path / "normalized")]) == [str(tmp_path / "normalized" / "x.json")]
    assert find_files([str(tmp_path / "nothing_*.json")]) == []
    assert find_files([str(tmp_path / "perf_?.json")] * 2) == [
        str(tmp_path / "perf_a.json"),
        str(tmp_path / "perf_b.json"),
    ]
    monkeypatch.chdir(tmp_path)
    assert find_files(["perf_*.json", "perf_a.json"]) == ["perf_a.json", "perf_b.json"]

"""`discover`: from configuration and source files to stages (specification, sections 4, 14, 15)."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from commands.calibrate.config.model import load_model
from commands.calibrate.config.stages import JsonPath, Stage, read_stages
from commands.calibrate.discovery.model_stages import Discovery, discover_model
from ledger.errors import BadInput

DATA = Path(__file__).parent / "data"
HEAD = 'test_globs: ["tests/test_*_ci.py"]\nstage_base_strip_prefix: "test_"\nstage_base_strip_suffix: "_ci"\n'


class Project:
    """A repository with test files and one model."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config_path = root / "models/m/config.yaml"

    def file(self, path: str, text: str) -> Path:
        full = self.root / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_text(text)
        return full

    def discover(self, config: str = HEAD) -> Discovery:
        self.file("models/m/config.yaml", config)
        return discover_model(load_model(self.config_path), self.root, stamp="2026-06-25T18:10:05Z")

    def stages(self, config: str = HEAD) -> dict[str, Stage]:
        return self.discover(config).stages


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


TMP_PATH_TEST = '\n\ndef test_mmmu_accuracy_and_speed_on_gpu(tmp_path):\n    run(tmp_path / "mmmu_audio")\n'


def test_stage_base_key_and_title(project: Project) -> None:
    project.file("tests/test_mmmu_talker_ci.py", "MMMU_MIN_ACCURACY = 0.5\n")
    stages = project.stages()
    assert list(stages) == ["mmmu_talker_accuracy"]
    assert stages["mmmu_talker_accuracy"].title == "MMMU TALKER Accuracy"
    assert stages["mmmu_talker_accuracy"].test == "tests/test_mmmu_talker_ci.py"


def test_context_variables_are_names_in_four_keywords_breadth_first(project: Project) -> None:
    project.file(
        "tests/test_a_ci.py",
        "A_ACC_MIN = 1\n\ndef test():\n    inner(g(max_tokens=DEEP), max_concurrency=_CONC)\n"
        "    f(max_samples=MAX_SAMPLES, max_new_tokens=32, other=OTHER)\n"
        "    f(max_samples=lower, max_tokens=MAX_SAMPLES)\n    f(max_samples=TTS_SIMILARITY_MAX_SAMPLES)\n",
    )
    stage = project.stages()["a_accuracy"]
    assert stage.context_vars == ("_CONC", "MAX_SAMPLES", "DEEP")


def test_inference_follows_pytests_folder_names(project: Project) -> None:
    """`F[:30] + "0/" + D + "/" + (D without _audio) + "_results.json"`."""
    project.file("tests/test_mmmu_ci.py", "MMMU_MIN_ACCURACY = 0.5\n_P95 = {16: {'rtf_p95': 1.0}}" + TMP_PATH_TEST)
    found = project.discover()
    file = "test_mmmu_accuracy_and_speed_o0/mmmu_audio/mmmu_results.json"
    assert found.stages["mmmu_accuracy"].metrics["accuracy"].at == JsonPath(file, "summary.accuracy")
    counts = found.stages["mmmu_accuracy"].sample_counts
    assert counts is not None and counts.ok == JsonPath(file, "speed.completed_requests")
    # the keys today's tests use have a default too (defect 14 of the existing tool)
    assert found.stages["mmmu_speed"].metrics["rtf_p95"].at == JsonPath(file, "speed.rtf_p95")
    assert found.messages[0].startswith("  [auto] test_mmmu_ci.py: inferred from AST (convention).\n")
    assert f'json_file: "{file}"' in found.messages[0]
    assert "throughput_qps" not in found.messages[0], "a suggestion names what the file bounds"


def test_an_import_chooses_another_convention(project: Project) -> None:
    text = "from benchmarks.eval.benchmark_omni_mmsu import run\nA_MIN_ACCURACY = 0.5\n" + TMP_PATH_TEST
    project.file("tests/test_mmsu_ci.py", text)
    stage = project.stages()["mmsu_accuracy"]
    assert stage.metrics["accuracy"].at.json_path == "summary.overall_accuracy"
    assert stage.sample_counts is not None and stage.sample_counts.ok.json_path == "summary.successful_samples"


def entry(lines: str) -> str:
    return HEAD + "metric_sources:\n  test_a_ci.py:\n" + "".join(f"    {line}\n" for line in lines.splitlines())


def test_configuration_wins_over_inference_key_by_key(project: Project) -> None:
    project.file("tests/test_a_ci.py", "A_ACC_MIN = 1\n_P = {16: {'rtf_mean': 1}}" + TMP_PATH_TEST)
    found = project.discover(entry('paths: {accuracy: "mine.acc"}'))
    assert found.stages["a_accuracy"].metrics["accuracy"].at.json_path == "mine.acc"
    assert found.stages["a_speed"].metrics["rtf_mean"].at.json_path == "speed.rtf_mean"
    assert found.messages == ("  [override] test_a_ci.py: config.yaml overrides convention (paths differ)",)
    same = project.discover(entry('paths: {accuracy: "summary.accuracy"}'))
    assert same.messages == ("  [ok] test_a_ci.py: config matches inference",)


def test_without_inference_and_configuration_the_metrics_need_it(project: Project) -> None:
    project.file("tests/test_a_ci.py", "A_ACC_MIN = 1\n")
    found = project.discover()
    assert found.messages == (
        "  [warn] test_a_ci.py: no auto-inference available, needs metric_sources in config.yaml",
    )
    stage = found.stages["a_accuracy"]
    assert stage.metrics["accuracy"].status == "NEEDS_CONFIG"
    assert stage.sample_counts is not None and not stage.sample_counts.configured
    assert found.summary(Path("s.yaml")) == "[m] 1 stages written to s.yaml, 0 metric(s) OK, 1 need config"
    assert project.discover(entry('json_file: "r.json"\npaths: {accuracy: "a"}')).messages == ()


def test_constants_come_from_the_threshold_file_and_hashes_from_both(project: Project) -> None:
    test = project.file("tests/test_a_ci.py", "A_ACC_MIN = 1\n")
    limits = project.file("tests/limits.py", "A_WER_MAX_CORPUS = 0.1\nOLD_ACC_MIN = 2\n")
    stages = project.stages(entry('threshold_file: "tests/limits.py"\nignored_constants: [OLD_ACC_MIN]'))
    assert list(stages) == ["a_wer"]
    stage = stages["a_wer"]
    assert stage.test_file_sha256 == hashlib.sha256(test.read_bytes()).hexdigest()
    assert stage.threshold_file_sha256 == hashlib.sha256(limits.read_bytes()).hexdigest()
    with pytest.raises(BadInput, match=r"threshold_file: .*nope\.py is missing"):
        project.stages(entry('threshold_file: "tests/nope.py"'))


def test_annotated_commented_and_oddly_written_constants_count(project: Project) -> None:
    project.file(
        "tests/test_a_ci.py",
        "A_ACC_MIN: float = 3e-1  # x\nA_WER_MAX_CORPUS: float | None = None\nA_UTMOS_REFERENCE = (1_0.5)\n"
        "_A_P95: dict = {16: {'rtf_mean': 1.0}}\n\ndef f():\n    B_ACC_MIN = 1\n",
    )
    assert list(project.stages()) == ["a_accuracy", "a_wer", "a_utmos", "a_speed"]


def test_derived_thresholds_are_left_out_and_named(project: Project) -> None:
    project.file(
        "tests/test_a_ci.py",
        "A_WER_MAX_CORPUS = 0.1\nB_WER_MAX_CORPUS = apply_wer_slack(A_WER_MAX_CORPUS)\n"
        "A_LATENCY_MEAN_MAX_THRESHOLD = 3\nTHRESHOLD_SLACK_LOWER = 0.9\n",
    )
    found = project.discover()
    assert [m.source for m in found.stages["a_wer"].metrics.values()] == ["A_WER_MAX_CORPUS"]
    assert list(found.stages) == ["a_wer"]
    assert any("B_WER_MAX_CORPUS (from apply_wer_slack, A_WER_MAX_CORPUS)" in line for line in found.messages)


def test_two_constants_for_one_metric_are_an_error_that_names_both(project: Project) -> None:
    """The existing tool silently lets the later one win (defect 15)."""
    project.file("tests/test_a_ci.py", "_A_P95 = {16: {'rtf_mean': 1.0}}\nA_RTF_MEAN_MAX = 2.0\n")
    with pytest.raises(BadInput) as refusal:
        project.discover()
    message = "_A_P95['rtf_mean'] (line 1) and A_RTF_MEAN_MAX (line 2) both bound rtf_mean"
    assert message in refusal.value.message
    assert refusal.value.exit_code == 2
    stages = project.stages(entry("ignored_constants:\n  - \"_A_P95['rtf_mean']\""))
    assert stages["a_speed"].metrics["rtf_mean"].source == "A_RTF_MEAN_MAX"


def test_of_duplicates_the_reference_is_the_one_that_is_calibrated(project: Project) -> None:
    project.file(
        "tests/test_a_ci.py",
        "A_LATENCY_P95_MAX_S = 3\nA_LATENCY_P95_S_REF = 2\nA_RTF_MEAN_MAX = 1\nA_RTF_MEAN_REFERENCE = 1\n",
    )
    sources = [m.source for m in project.stages()["a_speed"].metrics.values()]
    assert sources == ["A_LATENCY_P95_S_REF", "A_RTF_MEAN_REFERENCE"]


VARIANTS = """\
variants:
  one:
    constant_filter: "^ONE_"
    json_file: "one.json"
    paths: {accuracy: "acc"}
    sample_counts: {total: "t", ok: "o"}
    sample_counts_by_group: {wer: {total: "w.json::t", ok: "w.json::o"}}
  two:
    constant_filter: "^TWO_"
"""
PRESETS = """\
calibration_presets:
  p: {extra_env: {M: "p"}, gpus: 1, constant_filter: "^(ONE_|TWO_)?P_", hf_model_ids: ["x/p"]}
  q: {extra_env: {M: "q"}, constant_filter: "^(ONE_|TWO_)?Q_"}
"""


def test_variants_claim_by_filter_at_the_start_without_underscores(project: Project) -> None:
    project.file(
        "tests/test_a_ci.py",
        "ONE_ACC_MIN = 1\n_ONE_P95 = {16: {'rtf_mean': 1}}\nTWO_ACC_MIN = 2\nONE_WER_MAX_CORPUS = 3\n"
        "NOBODY_ONE_ACC_MIN = 4\n",
    )
    found = project.discover(entry(VARIANTS))
    assert list(found.stages) == ["a_one_accuracy", "a_one_speed", "a_one_wer", "a_two_accuracy"]
    one = found.stages["a_one_accuracy"]
    assert (one.title, one.variant) == ("A ONE Accuracy", "one")
    assert one.metrics["accuracy"].at == JsonPath("one.json", "acc")
    assert found.stages["a_one_wer"].sample_counts == read_counts("w.json", "t", "o")
    assert one.sample_counts == read_counts("one.json", "t", "o")
    assert found.unclaimed == ("NOBODY_ONE_ACC_MIN",)
    assert any("[unclaimed]" in line and "NOBODY_ONE_ACC_MIN (accuracy)" in line for line in found.messages)


def read_counts(file: str, total: str, ok: str) -> Any:
    from commands.calibrate.config.stages import SampleCounts

    return SampleCounts(JsonPath(file, total), JsonPath(file, ok))


CONSTANTS = "P_ACC_MIN = 1\nQ_ACC_MIN = 1\nP_WER_MAX_CORPUS = 1\nQ_WER_MAX_CORPUS = 1\n"


def test_a_presets_filter_holds_without_variants_too(project: Project) -> None:
    """Group, then preset; every preset its own symbols (defect 15 of the existing tool)."""
    project.file("tests/test_a_ci.py", CONSTANTS)
    stages = project.stages(entry(PRESETS) + "extra_env:\n  test_a_ci.py: {BASE: b}\n")
    assert list(stages) == ["a_p_accuracy", "a_q_accuracy", "a_p_wer", "a_q_wer"]
    assert stages["a_q_wer"].metrics["corpus_wer"].source == "Q_WER_MAX_CORPUS"
    p = stages["a_p_wer"]
    assert (p.title, p.extra_env, p.gpus, p.hf_model_ids) == ("A P Wer", {"BASE": "b", "M": "p"}, 1, ("x/p",))
    assert stages["a_q_wer"].gpus is None


def test_with_variants_the_order_is_variant_preset_group(project: Project) -> None:
    project.file(
        "tests/test_a_ci.py",
        "TWO_Q_WER_MAX_CORPUS = 1\nTWO_Q_ACC_MIN = 1\nONE_Q_ACC_MIN = 1\nONE_P_WER_MAX_CORPUS = 1\nONE_P_ACC_MIN = 1\n",
    )
    assert list(project.stages(entry(VARIANTS + PRESETS))) == [
        "a_p_one_wer",
        "a_p_one_accuracy",
        "a_q_one_accuracy",
        "a_q_two_wer",
        "a_q_two_accuracy",
    ]


def test_a_literal_several_stages_would_write_is_said(project: Project) -> None:
    project.file("tests/test_a_ci.py", "X_ACC_MIN = 1\n")
    found = project.discover(entry("variants:\n  one: {}\n  two: {}\n"))
    assert any("[shared]" in line and "X_ACC_MIN belongs to one, two" in line for line in found.messages)


def test_stage_base_override_and_omitted_suffix(project: Project) -> None:
    project.file("tests/test_a_ci.py", "ONE_ACC_MIN = 1\nTWO_ACC_MIN = 2\n")
    variants = (
        'variants:\n  one: {constant_filter: "ONE", stage_base_override: "other", omit_variant_suffix: true}\n'
        '  two: {constant_filter: "TWO"}\n'
    )
    stages = project.stages(entry(variants))
    assert list(stages) == ["other_accuracy", "a_two_accuracy"]
    assert stages["other_accuracy"].title == "OTHER Accuracy"
    clash = variants.replace('TWO"}', 'TWO", omit_variant_suffix: true, stage_base_override: "other"}')
    with pytest.raises(BadInput, match=r"variants 'one' and 'two' of tests/test_a_ci\.py both make the stage"):
        project.stages(entry(clash))


def test_a_file_in_a_docs_folder_is_one_smoke_stage(project: Project) -> None:
    project.file("tests/docs/test_docs.py", "X_ACC_MIN = 1\n")
    project.file("tests/test_a_ci.py", "A_ACC_MIN = 1\n")
    config = HEAD.replace('"tests/test_*_ci.py"', '"tests/docs/*.py", "tests/test_*_ci.py"')
    stages = project.stages(config + 'stage_base_docs_override: "a_docs"\n')
    assert list(stages) == ["a_docs", "a_accuracy"], "globs in list order"
    docs = stages["a_docs"]
    assert (docs.title, docs.group, docs.metrics, docs.sample_counts) == ("Docs smoke", "docs", {}, None)
    assert "test_docs" in project.stages(config)


SAMPLES = [
    ("A_SAMPLES = 50\nCONC = 16\nrun(max_concurrency=CONC, max_samples=A_SAMPLES)\n", "", "accuracy", 50),
    ("CONC = 16\nrun(max_concurrency=CONC)\n", "", "accuracy", None),
    ("T = 32\nrun(max_tokens=T)\n", "", "accuracy", None),
    ("A_SAMPLES: int = 50\nrun(max_samples=A_SAMPLES)\n", "", "accuracy", 50),
    ("A_SAMPLES: int | None = None\nrun(max_samples=A_SAMPLES)\n", "", "accuracy", None),
    ("TTS_SIMILARITY_MAX_SAMPLES = 40\nSEEDTTS_EN_FULLSET_SAMPLES = 1088\n", "", "similarity", 40),
    ("SEEDTTS_EN_FULLSET_SAMPLES = 1088\n", "", "speed", 1088),
    ("SEEDTTS_EN_FULLSET_SAMPLES = 1088\n", "", "accuracy", None),
    ("SEEDTTS_ASR_CORRECTNESS_SAMPLES = 7\n", "", "accuracy", 7),
    ("STREAMING_BENCHMARK_MAX_SAMPLES = 9\nSEEDTTS_EN_FULLSET_SAMPLES = 8\n", "variants: {stream: {}}", "accuracy", 9),
    (
        "STREAMING_BENCHMARK_MAX_SAMPLES: int | None = None\nSEEDTTS_EN_FULLSET_SAMPLES = 8\n",
        "variants: {stream: {}}",
        "accuracy",
        8,
    ),
    ("A_SAMPLES = 50\nrun(max_samples=A_SAMPLES)\n", "expected_samples: 7", "accuracy", 7),
    ("A_SAMPLES = 50\nrun(max_samples=A_SAMPLES)\n", "expected_samples: {accuracy: 6}", "accuracy", 6),
    ("A_SAMPLES = 50\nrun(max_samples=A_SAMPLES)\n", "expected_samples: {wer: 6}", "accuracy", 50),
]


@pytest.mark.parametrize(("text", "config", "group", "expected"), SAMPLES)
def test_expected_samples(project: Project, text: str, config: str, group: str, expected: int | None) -> None:
    """4.2, where a concurrency is never a sample count (defect 2 of the existing tool)."""
    name = {"accuracy": "A_ACC_MIN", "similarity": "A_SIMILARITY_MEAN_MIN", "speed": "A_RTF_MEAN_MAX"}[group]
    project.file("tests/test_a_ci.py", f"{name} = 1\n{text}")
    found = project.stages(entry(config) if config else HEAD)
    (stage,) = [stage for stage in found.values() if stage.group == group]
    assert stage.expected_samples == expected


def test_bounds_that_no_pattern_knows_are_reported(project: Project) -> None:
    text = "A_ACC_MIN = 1\nA_FPS_MIN = 3\n_P = {16: {'tok_per_s_agg': 1}}\nMAX_SAMPLES = 4\n"
    project.file("tests/test_a_ci.py", text)
    lines = [line for line in project.discover().messages if "[unmatched]" in line]
    assert lines == ["  [unmatched] tests/test_a_ci.py: no metric pattern knows A_FPS_MIN, _P['tok_per_s_agg']"]


def test_a_constant_bound_twice_is_said_before_apply_refuses_it(project: Project) -> None:
    project.file("tests/test_a_ci.py", "A_ACC_MIN = 1\nif FAST:\n    A_ACC_MIN = 0.5\n")
    assert any("[ambiguous]" in line and "A_ACC_MIN (lines 1, 2)" in line for line in project.discover().messages)


def test_bad_inputs_are_named(project: Project) -> None:
    with pytest.raises(BadInput, match="test_globs match no file below"):
        project.discover()
    project.file("tests/test_a_ci.py", "def (:\n")
    with pytest.raises(BadInput, match=r"test_a_ci\.py line 1 is not valid Python"):
        project.discover()
    project.file("tests/test_a_ci.py", "A_ACC_MIN = 1\n")
    project.file("tests/sub/test_a_ci.py", "B_ACC_MIN = 1\n")
    with pytest.raises(BadInput, match=r"tests/test_a_ci\.py and tests/sub/test_a_ci\.py both make the stage"):
        project.discover(HEAD.replace('"tests/test_*_ci.py"', '"tests/test_*_ci.py", "tests/sub/*.py"'))


REAL_CONSTANTS = """\
{P}_VC_WER_MAX_CORPUS = 0.0123
{P}_VC_SIMILARITY_MEAN_MIN = 66.1
{P}_VC_UTMOS_MEAN_REFERENCE = 4.1
_{P}_VC_NON_STREAM_P95 = {{
    16: {{"throughput_qps": 17.5, "output_tok_per_req_s": 149.2, "latency_mean_s": 0.9, "rtf_mean": 0.21}},
}}
{P}_VC_STREAM_WER_MAX_CORPUS = 0.0123
_{P}_VC_STREAM_P95 = {{16: {{"throughput_qps": 15.5, "latency_mean_s": 1.0, "rtf_mean": 0.25}}}}
"""


def test_the_real_configuration_discovers_the_committed_stages(project: Project) -> None:
    """Constants in the order and with the names of the committed file give it back but for hashes and stamps."""
    config = (DATA / "tts_config.yaml").read_text()
    asr = (
        "SEEDTTS_ASR_CORRECTNESS_SAMPLES = 1088\nSEEDTTS_ASR_CORPUS_WER_MAX = 0.1\nSEEDTTS_ASR_SAMPLE_WER_MAX = 0.3\n"
        "QWEN3_ASR_THROUGHPUT_MIN = 30.0\nQWEN3_ASR_LATENCY_MEAN_MAX_S = 1.0\nQWEN3_ASR_LATENCY_P95_MAX_S = 2.0\n"
        "QWEN3_ASR_RTF_MEAN_MAX = 0.2\nQWEN3_ASR_RTF_P95_MAX = 0.4\n\n"
        "def test_asr():\n    run(max_samples=SEEDTTS_ASR_CORRECTNESS_SAMPLES)\n"
    )
    project.file("tests/test_model/test_qwen3_asr_ci.py", asr)
    project.file(
        "tests/test_model/test_tts_ci.py",
        "SEEDTTS_EN_FULLSET_SAMPLES = 1088\nTTS_SIMILARITY_MAX_SAMPLES = 50\n"
        "STREAMING_BENCHMARK_MAX_SAMPLES: int | None = None\n",
    )
    constants = "".join(REAL_CONSTANTS.format(P=preset) for preset in ("HIGGS", "MOSS"))
    project.file("tests/test_model/tts_ci_config.py", constants)
    found, committed = project.stages(config), read_stages(DATA / "tts_stages.yaml").stages
    assert list(found) == list(committed)

    def compared(stage: Stage) -> dict[str, Any]:
        plain: dict[str, Any] = msgspec.to_builtins(stage)
        for key in ("test_file_sha256", "threshold_file_sha256", "last_discovered_at"):
            plain.pop(key)
        return plain

    for key, stage in found.items():
        assert compared(stage) == compared(committed[key])

"""Model configurations, host profiles and where they are found (specification, 2.2 to 2.4)."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from commands.calibrate.config.host import choose_host, load_host
from commands.calibrate.config.model import ModelConfig, load_model
from commands.calibrate.config.stages import JsonPath
from commands.calibrate.config.workspace import find_workspace
from ledger.errors import BadInput

DATA = Path(__file__).parent / "data"


@pytest.fixture
def config(tmp_path: Path) -> Callable[..., ModelConfig]:
    """Write a config.yaml and load it."""

    def write(text: str, name: str = "x") -> ModelConfig:
        path = tmp_path / "models" / name / "config.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return load_model(path)

    return write


def test_the_real_configuration_is_understood() -> None:
    model = load_model(DATA / "tts_config.yaml")
    assert model.name == "tts"
    assert model.hf_model_ids_by_test["test_qwen3_asr_ci.py"] == ("Qwen/Qwen3-ASR-1.7B",)
    assert model.default_venv_python[-1] == "/github/home/omni/bin/python"
    assert model.auto_env["HF_HUB_DISABLE_XET"] == "1"
    assert model.pytest_extra_args["test_tts_ci.py"] == ("--concurrency", "16")
    assert model.gpus_for("tests/test_model/test_tts_ci.py") == 2
    source = model.metric_sources["test_tts_ci.py"]
    assert source.threshold_file == "tests/test_model/tts_ci_config.py"
    assert [(p.name, p.extra_env) for p in source.presets] == [
        ("higgs", {"TTS_CI_MODEL": "higgs"}),
        ("moss", {"TTS_CI_MODEL": "moss"}),
    ]
    stream = source.variants[1]
    assert stream.constant_filter.match("MOSS_VC_STREAM_WER_MAX_CORPUS")
    file = "test_voice_cloning_streaming0/vc_stream_c16/wer_results.json"
    assert stream.routing.counts("wer").ok == JsonPath(file, "summary.evaluated")
    assert stream.routing.counts("speed").total.json_path == "summary.total_requests"
    assert stream.routing.at(stream.routing.paths["corpus_wer"]) == JsonPath(file, "summary.wer_corpus")


def test_gpus_default_to_two_and_one_interpreter_may_stand_alone(config: Callable[..., ModelConfig]) -> None:
    model = config("default_venv_python: /no/such/python\ngpus_per_test:\n  test_a.py: 0\n")
    assert model.gpus_for("tests/test_b.py") == 2
    assert model.gpus_for("tests/test_a.py") == 0
    assert model.venv_python() == "/no/such/python", "the last candidate, when none exists"
    assert model.name == "x", "the folder names a model that does not name itself"


def test_the_first_interpreter_that_exists_is_taken(config: Callable[..., ModelConfig], tmp_path: Path) -> None:
    (tmp_path / "b").touch()
    model = config(f"default_venv_python:\n  - {tmp_path}/a\n  - {tmp_path}/b\n  - {tmp_path}/c\n")
    assert model.venv_python() == f"{tmp_path}/b"


def test_the_slice_home_fills_only_what_auto_env_lacks(config: Callable[..., ModelConfig]) -> None:
    model = config('omni_ci_home: "/h"\nauto_env:\n  XDG_CACHE_HOME: "/own"\n')
    assert model.environment() == {
        "OMNI_CI_HOME": "/h",
        "XDG_CACHE_HOME": "/own",
        "TORCHINDUCTOR_CACHE_DIR": "/h/.torchinductor",
    }


def test_the_keys_of_the_later_version_are_read(config: Callable[..., ModelConfig]) -> None:
    model = config(
        "hf_datasets_by_test:\n  t.py: [a/b]\nrequires_speaker_sim: true\n"
        "requires_speaker_sim_by_test:\n  t.py: false\nmetric_sources:\n  t.py:\n    json_file: r.json\n"
        "    expected_samples: {wer: 50}\n    observation_validity: summary.valid\n"
        "    allowed_pytest_failure: other.json::summary.allowed\n    variants:\n      v:\n"
        "        stage_base_override: b\n        omit_variant_suffix: true\n        context_vars: [A_SAMPLES]\n"
        "        expected_samples: 7\n"
    )
    assert model.hf_datasets_by_test == {"t.py": ("a/b",)}
    assert (model.requires_speaker_sim, model.requires_speaker_sim_by_test) == (True, {"t.py": False})
    (variant,) = model.metric_sources["t.py"].variants
    assert (variant.stage_base_override, variant.omit_variant_suffix) == ("b", True)
    assert variant.context_vars == ("A_SAMPLES",)
    routing = variant.routing
    assert (routing.expected("wer"), routing.expected("speed")) == (50, 7)
    assert routing.at(routing.observation_validity) == JsonPath("r.json", "summary.valid")
    assert routing.at(routing.allowed_pytest_failure) == JsonPath("other.json", "summary.allowed")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("gpus_per_test:\n  t.py: two\n", "gpus_per_test.t.py must be a whole number of GPUs"),
        ("test_globs:\n  a: b\n", "test_globs must be a list"),
        ("auto_env: [a]\n", "auto_env must be a mapping"),
        ("metric_sources:\n  t.py: 3\n", "metric_sources.t.py must be a mapping"),
        (
            'metric_sources:\n  t.py:\n    variants:\n      v:\n        constant_filter: "("\n',
            "variants.v.constant_filter must be a regular expression",
        ),
        ("metric_sources:\n  t.py:\n    expected_samples: -1\n", "expected_samples must be a whole number"),
        ('runtime_evidence:\n  t.py: {a: "["}\n', "runtime_evidence.t.py.a must be a regular expression"),
        ("requires_speaker_sim: maybe\n", "requires_speaker_sim must be true or false"),
    ],
)
def test_a_malformed_field_is_named_with_its_file(config: Callable[..., ModelConfig], text: str, says: str) -> None:
    with pytest.raises(BadInput, match=says) as refusal:
        config(text)
    assert "config.yaml" in refusal.value.message


def test_the_real_host_profile_is_understood() -> None:
    host = load_host(DATA / "host.yaml")
    assert (host.name, host.hostname) == ("sglang-h20-ci", "sglang-h20-ci")
    assert host.environment() == {
        "HF_HOME": "/root/.cache/huggingface",
        "SEEDTTS_SIM_CACHE_DIR": "/root/.cache/huggingface/speaker_sim",
        "OMNI_CI_HOME": "/github/home/calibration",
    }
    assert host.warm_cache_command and "speaker_similarity_assets" in host.warm_cache_command


def test_a_host_is_named_or_in_the_environment_or_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.yaml").write_text("name: a\nhostname: elsewhere\ngpu_exclude: [0, 3]\n")
    assert choose_host(tmp_path, None) is None
    (tmp_path / "b.yaml").write_text(f"hostname: {socket.gethostname()}\n")
    host = choose_host(tmp_path, None)
    assert host is not None and host.name == "b"
    monkeypatch.setenv("TUNE_HOST", "a")
    host = choose_host(tmp_path, None)
    assert host is not None and host.gpu_exclude == (0, 3)
    host = choose_host(tmp_path, "b")
    assert host is not None and host.name == "b"
    with pytest.raises(BadInput, match=r"host profile not found: .*c\.yaml \(known: a, b\)"):
        choose_host(tmp_path, "c")


def test_a_workspace_is_found_upward_in_its_three_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PERFLEDGER_CALIBRATION_DIR", raising=False)
    deep = tmp_path / "a/b"
    deep.mkdir(parents=True)
    for place in (".", "calibration", ".claude/skills/tune-ci-thresholds"):
        folder = tmp_path / "a" / place
        (folder / "models/m").mkdir(parents=True)
        (folder / "models/m/config.yaml").write_text("name: m\n")
        workspace = find_workspace(start=deep)
        assert workspace.folder == folder.resolve()
        assert workspace.root == (tmp_path / "a").resolve()
        assert find_workspace(str(folder)).root == (tmp_path / "a").resolve()
        (folder / "models/m/config.yaml").unlink()
    with pytest.raises(BadInput, match=r"no models/NAME/config\.yaml"):
        find_workspace(start=deep)
    with pytest.raises(BadInput, match="configuration folder not found"):
        find_workspace(str(tmp_path / "nowhere"))


def test_a_model_may_be_left_out_only_when_there_is_one(config: Callable[..., ModelConfig], tmp_path: Path) -> None:
    config("name: one\n", "one")
    workspace = find_workspace(str(tmp_path))
    assert workspace.model(None).name == "one"
    config("name: two\n", "two")
    assert workspace.models() == ["one", "two"]
    with pytest.raises(BadInput, match="has 2 models"):
        workspace.model(None)
    with pytest.raises(BadInput, match=r"model config not found: .*Known models: \['one', 'two'\]"):
        workspace.model("three")


def test_the_repository_root_is_given_or_in_the_environment_or_the_hosts(
    config: Callable[..., ModelConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """$TUNE_REPO_ROOT counts with and without a host profile (defect 21 of the existing tool)."""
    monkeypatch.delenv("TUNE_REPO_ROOT", raising=False)
    config("name: one\n")
    workspace = find_workspace(str(tmp_path))
    for name in ("given", "env", "host"):
        (tmp_path / name).mkdir()
    (tmp_path / "h.yaml").write_text(f"repo_root: {tmp_path}/host\n")
    host = load_host(tmp_path / "h.yaml")
    assert workspace.repo_root() == tmp_path.resolve()
    assert workspace.repo_root(host=host) == (tmp_path / "host").resolve()
    monkeypatch.setenv("TUNE_REPO_ROOT", str(tmp_path / "env"))
    assert workspace.repo_root() == (tmp_path / "env").resolve()
    assert workspace.repo_root(given=str(tmp_path / "given"), host=host) == (tmp_path / "given").resolve()
    with pytest.raises(BadInput, match="repository root not found"):
        workspace.repo_root(given=str(tmp_path / "nowhere"))

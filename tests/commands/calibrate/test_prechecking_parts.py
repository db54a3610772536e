"""What a precheck asks for: which models and datasets, which files of what size, which pins, how many GPUs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from commands.calibrate.config.host import HostProfile
from commands.calibrate.config.model import ModelConfig, load_model
from commands.calibrate.config.stages import Stage
from commands.calibrate.prechecking import assets, gpus, software
from commands.calibrate.prechecking.findings import Findings
from ledger.errors import BadInput

MIB = 2**20


def model(tmp_path: Path, text: str = "") -> ModelConfig:
    """A model named `x` with these lines in its config.yaml."""
    path = tmp_path / "models" / "x" / "config.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text or "description: a model\n", encoding="utf-8")
    return load_model(path)


def stage(test: str = "tests/test_a_ci.py", **more: Any) -> Stage:
    """A stage of one test file."""
    return Stage(key="s", test=test, title="S", group="g", **more)


MODELS = "hf_model_id: org/main\nhf_model_ids_by_test:\n  test_a_ci.py: [org/main, org/judge]\n  test_none_ci.py: []\n"


@pytest.mark.parametrize(
    ("stages", "models"),
    [
        (None, ("org/main", "org/judge")),
        ([], ()),
        ([stage()], ("org/main", "org/judge")),
        ([stage("tests/test_b_ci.py")], ("org/main",)),
        ([stage("tests/test_none_ci.py")], ()),
        ([stage(hf_model_ids=("org/own",))], ("org/own",)),
        ([stage(hf_model_ids=("org/own",)), stage(), stage()], ("org/own", "org/main", "org/judge")),
    ],
)
def test_a_stage_needs_its_own_models_else_its_tests_else_the_models(
    tmp_path: Path, stages: list[Stage] | None, models: tuple[str, ...]
) -> None:
    assert assets.required_assets(model(tmp_path, MODELS), stages, tmp_path).models == models


@pytest.mark.parametrize(
    ("config", "test", "datasets", "unlisted"),
    [
        ("hf_datasets: [org/listed]\n", "", ("org/listed",), ()),
        ("hf_datasets: [org/listed]\n", 'X = DATASETS["seed"]\n', ("org/seed",), ("org/seed",)),
        ("hf_datasets: [org/seed]\n", 'X = DATASETS["seed"]\n', ("org/seed",), ()),
        ("", 'X = DATASETS["seed"]\n', ("org/seed",), ()),
        ("", 'X = DATASETS["nobody"]\n', (), ()),
        ("", "X = DATASETS[name]\n", (), ()),
        ("", 'X = OTHER["seed"]\n', (), ()),
        ("", 'def f():\n    return DATASETS["other"], DATASETS["seed"]\n', ("org/other", "org/seed"), ()),
        ("hf_datasets: [org/listed]\n", "this is no python (\n", ("org/listed",), ()),
        ("hf_datasets_by_test:\n  test_a_ci.py: [org/said]\n", 'X = DATASETS["seed"]\n', ("org/said",), ()),
    ],
)
def test_datasets_are_those_the_configuration_says_else_those_the_test_file_names(
    tmp_path: Path, config: str, test: str, datasets: tuple[str, ...], unlisted: tuple[str, ...]
) -> None:
    for name, text in (
        ("tests/test_a_ci.py", test),
        ("benchmarks/dataset/prepare.py", 'DATASETS = {"seed": "org/seed", "other": "org/other", 3: "x"}\n'),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    found = assets.required_assets(model(tmp_path, config), [stage()], tmp_path)
    assert (found.datasets, found.unlisted) == (datasets, unlisted)


@pytest.mark.parametrize(
    ("env", "folder"),
    [
        ({"HF_HUB_CACHE": "/a", "HF_HOME": "/b", "XDG_CACHE_HOME": "/c", "HOME": "/d"}, "/a"),
        ({"HF_HUB_CACHE": "", "HF_HOME": "/b", "XDG_CACHE_HOME": "/c", "HOME": "/d"}, "/b/hub"),
        ({"XDG_CACHE_HOME": "/c", "HOME": "/d"}, "/c/huggingface/hub"),
        ({"HOME": "/d"}, "/d/.cache/huggingface/hub"),
    ],
)
def test_the_cache_is_where_the_library_itself_would_keep_it(env: dict[str, str], folder: str) -> None:
    assert assets.cache_folder(env) == Path(folder)


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir()])
def test_a_cache_that_is_missing_or_empty_holds_nothing(tmp_path: Path, make: Any) -> None:
    make(tmp_path / "cache")
    assert assets.scan({"HF_HUB_CACHE": str(tmp_path / "cache")}) == assets.Cache()


def cached(cache: Path, name: str, kind: str, *files: str) -> None:
    """A repository in the cache, as huggingface_hub lays it out."""
    repo = cache / f"{kind}s--{name.replace('/', '--')}"
    snapshot = repo / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("a" * 40)
    for file in files:
        (snapshot / file).write_bytes(b"x")


def test_a_model_without_weights_is_not_cached_and_a_dataset_needs_none(tmp_path: Path) -> None:
    cached(tmp_path, "org/whole", "model", "config.json", "model.safetensors")
    cached(tmp_path, "org/old", "model", "pytorch_model.bin")
    cached(tmp_path, "org/half", "model", "config.json")
    cached(tmp_path, "org/data", "dataset", "readme.md")
    found = assets.scan({"HF_HUB_CACHE": str(tmp_path)})
    assert found.models == {"org/whole": "a" * 40, "org/old": "a" * 40}
    assert found.datasets == {"org/data": "a" * 40}


def test_what_is_missing_comes_with_the_download_for_this_cache_and_mirror(tmp_path: Path) -> None:
    findings = Findings()
    env = {"HF_HUB_CACHE": str(tmp_path / "my cache"), "HF_ENDPOINT": "https://mirror.example"}
    config = model(tmp_path, "hf_model_id: org/main\nhf_datasets: [org/data]\n")
    revisions = assets.check_assets(findings, config, None, tmp_path, env)
    settings = f"HF_ENDPOINT=https://mirror.example HF_HUB_CACHE='{tmp_path}/my cache' hf download"
    assert [gap.commands for gap in findings.errors] == [
        (f"{settings} org/main",),
        (f"{settings} org/data --repo-type dataset",),
    ]
    assert revisions == {"models": {"org/main": None}, "datasets": {"org/data": None}}


RULE = "precheck_assets:\n  judge:\n    folder_variable: JUDGE_HOME\n    files: {weights.pt: 1, vocab.txt: 0}\n"


@pytest.mark.parametrize(
    ("sizes", "missing"),
    [
        ({"weights.pt": MIB, "vocab.txt": 0}, ""),
        ({"weights.pt": MIB - 1, "vocab.txt": 0}, "weights.pt"),
        ({"weights.pt": MIB}, "vocab.txt"),
        ({}, "weights.pt, vocab.txt"),
    ],
)
def test_a_file_must_be_there_and_as_large_as_its_rule_says(
    tmp_path: Path, sizes: dict[str, int], missing: str
) -> None:
    folder = tmp_path / "judge"
    folder.mkdir()
    for name, size in sizes.items():
        (folder / name).write_bytes(b"0" * size)
    findings = Findings()
    assets.check_files(findings, model(tmp_path, RULE), None, None, {"JUDGE_HOME": str(folder)})
    told = [gap.message for gap in findings.errors]
    assert told == ([f"judge: missing or too small in {folder}: {missing}"] if missing else [])


@pytest.mark.parametrize(
    ("more", "on_host", "counts"),
    [
        ("", False, True),
        ("    models: [x]\n", False, True),
        ("    models: [y]\n", False, False),
        ("    models: [y]\n", True, True),
    ],
)
def test_a_rule_for_other_models_counts_only_on_a_host_with_a_profile(
    tmp_path: Path, more: str, on_host: bool, counts: bool
) -> None:
    host = HostProfile(name="h", path=tmp_path / "h.yaml", warm_cache_command="make warm\n") if on_host else None
    findings = Findings()
    assets.check_files(findings, model(tmp_path, RULE + more), None, host, {"JUDGE_HOME": str(tmp_path)})
    assert [gap.commands for gap in findings.errors] == ([("make warm",) if on_host else ()] if counts else [])


def test_a_rule_whose_folder_nobody_names_is_not_looked_at(tmp_path: Path) -> None:
    findings = Findings()
    assets.check_files(findings, model(tmp_path, RULE), None, None, {"JUDGE_HOME": ""})
    assert findings == Findings()


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("precheck_assets: [a]\n", "precheck_assets"),
        ("precheck_assets:\n  judge: soon\n", "precheck_assets.judge"),
        ("precheck_assets:\n  judge:\n    files: {a: 1}\n", "precheck_assets.judge"),
        ("precheck_assets:\n  judge:\n    folder_variable: J\n    files: [a]\n", "precheck_assets.judge"),
        ("precheck_assets:\n  judge:\n    folder_variable: J\n    files: {a: -1}\n", "precheck_assets.judge.files"),
        ("precheck_assets:\n  judge:\n    folder_variable: J\n    files: {a: 1.5}\n", "precheck_assets.judge.files"),
    ],
)
def test_a_rule_that_is_none_is_refused_by_file_and_field(tmp_path: Path, text: str, field: str) -> None:
    with pytest.raises(BadInput) as refused:
        assets.file_rules(model(tmp_path, text))
    assert "config.yaml" in refused.value.message and field in refused.value.message


@pytest.mark.parametrize(
    ("dependency", "pins"),
    [
        ("torch==2.11.0", {"torch": "2.11.0"}),
        (" SGLang [all] == 0.5.12 ; python_version > '3.9'", {"sglang": "0.5.12"}),
        ("SGLang[all]==0.5.12; python_version > '3.9'", {"sglang": "0.5.12"}),
        ("torch == 2.11.0 , != 2.10", {"torch": "2.11.0"}),
        ("torch>=2.11", {}),
        ("torch~=2.11", {}),
        ("torch", {}),
        ("torch===2.11", {"torch": "2.11"}),
        ("torch==2.11.0+cu130", {"torch": "2.11.0+cu130"}),
        ("torch==2.11.*", {}),
        ("torch==2.11.*, >2", {}),
    ],
)
def test_only_an_exact_version_is_a_pin(tmp_path: Path, dependency: str, pins: dict[str, str]) -> None:
    (tmp_path / "pyproject.toml").write_text(f'[project]\nname = "x"\ndependencies = ["{dependency}"]\n')
    assert software.read_pins(tmp_path) == pins


@pytest.mark.parametrize("text", ["", "[project]\nname = 'x'\n", "[project]\ndependencies = [1, true]\n"])
def test_a_project_may_pin_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    assert software.read_pins(tmp_path) == {}


@pytest.mark.parametrize(
    "text", ["precheck_pins: torch\n", "precheck_pins: {torch: about}\n", "precheck_pins: [torch]\n"]
)
def test_how_versions_agree_is_exact_or_prefix(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadInput, match="precheck_pins"):
        software.agreement_of(model(tmp_path, text))
    assert software.agreement_of(model(tmp_path, "precheck_pins: {Torch: exact}\n"))["torch"] == "exact"


def test_a_project_file_that_cannot_be_read_is_a_gap_and_no_crash(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project\n")
    findings = Findings()
    found = software.check_pins(findings, tmp_path, "python3", {}, agreement={"torch": "exact"}, only_warn=True)
    assert found == ({}, {}) and "pyproject.toml cannot be read" in findings.errors[0].message


@pytest.mark.parametrize(
    ("stages", "needed"),
    [
        (None, 4),
        ([], 0),
        ([stage()], 4),
        ([stage("tests/test_unknown_ci.py")], 2),
        ([stage(gpus=8), stage()], 8),
        ([stage(gpus=0)], 0),
        ([stage(gpus=1), stage("tests/test_b_ci.py")], 1),
    ],
)
def test_the_most_any_chosen_stage_needs_is_what_a_run_needs(
    tmp_path: Path, stages: list[Stage] | None, needed: int
) -> None:
    config = model(tmp_path, "gpus_per_test: {test_a_ci.py: 4, test_b_ci.py: 1}\n")
    assert gpus.needed_gpus(config, stages) == needed


def test_the_verdict_counts_errors_and_no_warnings() -> None:
    findings = Findings()
    findings.say("line")
    findings.warn("careful", "mend it")
    assert findings.text() == "line\nwarning: careful\n  mend it\n\nprecheck OK"
    findings.stop("nothing there", "one", "two")
    assert findings.text().splitlines()[-5:] == [
        "error: nothing there",
        "  one",
        "  two",
        "",
        "precheck FAILED (1 error(s))",
    ]

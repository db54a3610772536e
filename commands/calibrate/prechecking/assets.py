"""Models and datasets in the Hugging Face cache, and files that configuration demands besides."""

from __future__ import annotations

import ast
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from commands.calibrate.config.host import HostProfile
from commands.calibrate.config.metrics import bad_config
from commands.calibrate.config.model import ModelConfig
from commands.calibrate.prechecking.findings import Findings, Measured
from commands.literals.syntax import named_values

WEIGHTS = (".safetensors", ".bin")
RULES = Path(__file__).with_name("assets.yaml")
DATASETS_FILE = Path("benchmarks/dataset/prepare.py")
MIB = 2**20


class Required(msgspec.Struct, frozen=True):
    """Repositories a calibration needs, in order; others are listed and not missed."""

    models: tuple[str, ...]
    datasets: tuple[str, ...]
    unlisted: tuple[str, ...] = ()


class Cache(msgspec.Struct, frozen=True):
    """What the Hugging Face cache holds: repository to newest revision. models: only those with weights."""

    models: Mapping[str, str] = {}
    datasets: Mapping[str, str] = {}
    broken: tuple[str, ...] = ()


class FileRule(msgspec.Struct, frozen=True):
    """Files that must be in the folder a variable names. files: name to the least size in MiB."""

    name: str
    folder_variable: str
    files: Mapping[str, int]
    models: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()


def required_assets(model: ModelConfig, stages: Sequence[Measured] | None, root: Path) -> Required:
    """What the selected stages need; None asks for everything the model knows."""
    if stages is None:
        by_test = [name for names in model.hf_model_ids_by_test.values() for name in names]
        models = _unique([*([model.hf_model_id] if model.hf_model_id else []), *by_test])
        named = [name for names in model.hf_datasets_by_test.values() for name in names]
        return Required(models, _unique([*model.hf_datasets, *named]))
    wanted: list[str] = []
    for stage in stages:
        default = [model.hf_model_id] if model.hf_model_id else []
        wanted += list(stage.hf_model_ids) or list(model.hf_model_ids_by_test.get(Path(stage.test).name, default))
    datasets: list[str] = []
    for test in _unique(stage.test for stage in stages):
        listed = model.hf_datasets_by_test.get(Path(test).name)
        datasets += list(listed) if listed is not None else _datasets_of(root / test, root / DATASETS_FILE)
    found = _unique(datasets) or model.hf_datasets
    unlisted = tuple(name for name in found if model.hf_datasets and name not in model.hf_datasets)
    return Required(_unique(wanted), found, unlisted)


def scan(env: Mapping[str, str]) -> Cache:
    """Read the cache the environment points to (HF_HUB_CACHE, else HF_HOME/hub, else the user's)."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        found = scan_cache_dir(cache_folder(env))
    except (CacheNotFound, ValueError):
        return Cache()
    models: dict[str, str] = {}
    datasets: dict[str, str] = {}
    for repo in found.repos:
        newest = max(repo.revisions, key=lambda revision: revision.last_modified, default=None)
        if newest is None:
            continue
        if repo.repo_type == "dataset":
            datasets[repo.repo_id] = newest.commit_hash
        elif repo.repo_type == "model" and any(file.file_name.endswith(WEIGHTS) for file in newest.files):
            models[repo.repo_id] = newest.commit_hash
    return Cache(models, datasets, tuple(str(warning) for warning in found.warnings))


def cache_folder(env: Mapping[str, str]) -> Path:
    """Where huggingface_hub keeps its cache in that environment."""
    if env.get("HF_HUB_CACHE"):
        return Path(env["HF_HUB_CACHE"]).expanduser()
    home = env.get("HF_HOME") or f"{env.get('XDG_CACHE_HOME') or env.get('HOME', '~') + '/.cache'}/huggingface"
    return Path(home).expanduser() / "hub"


def check_assets(
    findings: Findings, model: ModelConfig, stages: Sequence[Measured] | None, root: Path, env: Mapping[str, str]
) -> dict[str, Any]:
    """Say what is cached and what is missing, with the command for each. Returns revisions by repository."""
    needed = required_assets(model, stages, root)
    everything = required_assets(model, None, root)
    cache = scan(env)
    if needed.unlisted:
        findings.say(f"note: test(s) reference repo(s) not listed in config.yaml hf_datasets: {list(needed.unlisted)}")
    scope = "all datasets" if stages is None else f"required for selected stages, {len(needed.datasets)} dataset(s)"
    findings.say(f"  assets ({scope}):")
    kinds = (
        ("model", needed.models, everything.models, cache.models),
        ("dataset", needed.datasets, everything.datasets, cache.datasets),
    )
    for kind, names, _, cached in kinds:
        for name in names:
            findings.say(f"    {'✓' if name in cached else '✗'} {kind}: {name}")
            if name not in cached:
                findings.error(f"{kind} {name} is not in the cache {cache_folder(env)}", _download(kind, name, env))
    for kind, names, known, cached in kinds:
        others = [name for name in known if name not in names]
        if others:
            findings.say(f"  other {kind}s (not needed for this run):")
            findings.lines += [f"    {'✓' if name in cached else '·'} {kind}: {name}" for name in others]
    for broken in cache.broken:
        findings.warn(f"the cache holds a damaged repository: {broken}", "hf cache verify  # then download it again")
    return {
        "models": {name: cache.models.get(name) for name in needed.models},
        "datasets": {name: cache.datasets.get(name) for name in needed.datasets},
    }


def file_rules(model: ModelConfig) -> list[FileRule]:
    """The shipped rules, with those of the model's `precheck_assets` added or put in their place."""
    from commands.calibrate.config.yaml_reader import parse_yaml

    entries = parse_yaml(RULES.read_bytes(), RULES)
    own = parse_yaml(model.path.read_bytes(), model.path).get("precheck_assets") or {}
    if not isinstance(own, dict):
        raise bad_config(model.path, "precheck_assets", "a mapping of rules")
    return [_rule(name, entry, model.path) for name, entry in {**entries, **own}.items() if entry]


def check_files(
    findings: Findings,
    model: ModelConfig,
    stages: Sequence[Measured] | None,
    host: HostProfile | None,
    env: Mapping[str, str],
) -> None:
    """Look for the files of each rule that counts here."""
    for rule in file_rules(model):
        folder = env.get(rule.folder_variable)
        if not folder or not _counts(rule, model, stages, host):
            continue
        short = [name for name, least in rule.files.items() if not _is_there(Path(folder) / name, least)]
        weights = " + ".join(name for name, least in rule.files.items() if least)
        findings.say(f"    {'✗' if short else '✓'} {rule.name}: {folder}" + (f" ({weights})" if weights else ""))
        if short:
            warm = (host.warm_cache_command or "").strip().splitlines() if host else []
            commands = rule.commands or tuple(warm)
            findings.error(f"{rule.name}: missing or too small in {folder}: {', '.join(short)}", *commands)


def _counts(rule: FileRule, model: ModelConfig, stages: Sequence[Measured] | None, host: HostProfile | None) -> bool:
    if rule.name == "speaker_sim":
        if stages is not None and model.requires_speaker_sim_by_test:
            return any(model.requires_speaker_sim_by_test.get(Path(stage.test).name, False) for stage in stages)
        if model.requires_speaker_sim is not None:
            return model.requires_speaker_sim
    return host is not None or not rule.models or model.name in rule.models


def _rule(name: str, entry: Any, path: Path) -> FileRule:
    if not isinstance(entry, dict) or not entry.get("folder_variable") or not isinstance(entry.get("files"), dict):
        raise bad_config(path, f"precheck_assets.{name}", "a folder_variable and files (name: least size in MiB)")
    if not all(isinstance(least, int) and least >= 0 for least in entry["files"].values()):
        raise bad_config(path, f"precheck_assets.{name}.files", "sizes in whole MiB")
    return FileRule(
        name=name,
        folder_variable=str(entry["folder_variable"]),
        files=entry["files"],
        models=tuple(map(str, entry.get("models") or ())),
        commands=tuple(map(str, entry.get("commands") or ())),
    )


def _is_there(path: Path, least_mib: int) -> bool:
    try:
        return path.stat().st_size >= least_mib * MIB
    except OSError:
        return False


def _download(kind: str, name: str, env: Mapping[str, str]) -> str:
    settings = [f"{key}={shlex.quote(env[key])}" for key in ("HF_ENDPOINT", "HF_HOME", "HF_HUB_CACHE") if env.get(key)]
    option = ["--repo-type dataset"] if kind == "dataset" else []
    return " ".join([*settings, "hf download", shlex.quote(name), *option])


def _datasets_of(test: Path, declared: Path) -> list[str]:
    """`DATASETS["key"]` subscripts of a test file, as the project's own DATASETS dict translates them."""
    keys = {
        node.slice.value
        for node in ast.walk(_parsed(test))
        if isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Name)
        and node.value.id == "DATASETS"
        and isinstance(node.slice, ast.Constant)
        and isinstance(node.slice.value, str)
    }
    known: dict[str, str] = {}
    for name, value in (pair for statement in _parsed(declared).body for pair in named_values(statement)):
        if name == "DATASETS" and isinstance(value, ast.Dict):
            known = {
                key.value: item.value
                for key, item in zip(value.keys, value.values, strict=True)
                if isinstance(key, ast.Constant)
                and isinstance(item, ast.Constant)
                and isinstance(item.value, str)
                and isinstance(key.value, str)
            }
    return [known[key] for key in sorted(keys) if key in known]


def _parsed(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ast.Module(body=[], type_ignores=[])


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))

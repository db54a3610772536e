"""`models/<name>/config.yaml`: everything a model needs to be calibrated.

The keys are those of tune.py's files, June and August 2026, plus `metrics`, `metric_patterns`,
`groups`, `fixed_symbols` (see `metrics.py`), `runtime_evidence` and `performance_sensitive`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import msgspec

from commands.calibrate.config.metrics import (
    Registry,
    bad_config,
    compile_pattern,
    default_registry,
    extend_registry,
)
from commands.calibrate.config.sources import MetricSource, metric_source_from
from commands.calibrate.config.stages import scalar_text
from ledger.errors import BadInput

DEFAULT_GPUS = 2


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One model. Maps keyed by test file use the file's base name; missing keys are empty."""

    name: str
    path: Path
    description: str = ""
    hf_model_id: str | None = None
    hf_model_ids_by_test: dict[str, tuple[str, ...]] = {}
    hf_datasets: tuple[str, ...] = ()
    hf_datasets_by_test: dict[str, tuple[str, ...]] = {}
    omni_ci_home: str | None = None
    default_venv_python: tuple[str, ...] = ()
    auto_env: dict[str, str] = {}
    gpus_per_test: dict[str, int] = {}
    test_globs: tuple[str, ...] = ()
    extra_env: dict[str, dict[str, str]] = {}
    pytest_extra_args: dict[str, tuple[str, ...]] = {}
    stage_base_strip_prefix: str = ""
    stage_base_strip_suffix: str = ""
    stage_base_docs_override: str | None = None
    requires_speaker_sim: bool | None = None
    requires_speaker_sim_by_test: dict[str, bool] = {}
    metric_sources: dict[str, MetricSource] = {}
    runtime_evidence: dict[str, dict[str, str]] = {}
    performance_sensitive: tuple[str, ...] = ()
    registry: Registry = msgspec.field(default_factory=default_registry)

    @property
    def stages_path(self) -> Path:
        """The model's `stages.yaml`, beside its configuration."""
        return self.path.with_name("stages.yaml")

    def gpus_for(self, test: str) -> int:
        """GPUs a test file needs when its stage does not say: `gpus_per_test`, else 2."""
        return self.gpus_per_test.get(Path(test).name, DEFAULT_GPUS)

    def environment(self) -> dict[str, str]:
        """`auto_env`, with what follows from `omni_ci_home` where it lacks it."""
        home = self.omni_ci_home
        if not home:
            return dict(self.auto_env)
        implied = {
            "OMNI_CI_HOME": home,
            "XDG_CACHE_HOME": f"{home}/.cache",
            "TORCHINDUCTOR_CACHE_DIR": f"{home}/.torchinductor",
        }
        return {**implied, **self.auto_env}

    def venv_python(self) -> str | None:
        """The first interpreter of `default_venv_python` that exists, else the last; None if unset."""
        for candidate in self.default_venv_python:
            if Path(candidate).exists():
                return candidate
        return self.default_venv_python[-1] if self.default_venv_python else None


def load_model(path: Path) -> ModelConfig:
    """Read a `config.yaml`. Raises `BadInput` naming file and field."""
    from commands.calibrate.config.yaml_reader import parse_yaml

    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise BadInput(
            f"model config not found: {path}",
            code="model_not_found",
            hint="perfledger calibrate models",
        ) from None
    return _Reader(parse_yaml(data, path), path).model()


class _Reader:
    """Reads typed fields out of the plain values of one file."""

    def __init__(self, document: Mapping[str, Any], path: Path) -> None:
        self.document, self.path = document, path

    def model(self) -> ModelConfig:
        return ModelConfig(
            name=self.text("name") or self.path.parent.name,
            path=self.path,
            description=self.text("description") or "",
            hf_model_id=self.text("hf_model_id"),
            hf_model_ids_by_test=self.lists_by_test("hf_model_ids_by_test"),
            hf_datasets=self.texts("hf_datasets"),
            hf_datasets_by_test=self.lists_by_test("hf_datasets_by_test"),
            omni_ci_home=self.text("omni_ci_home"),
            default_venv_python=self.texts("default_venv_python"),
            auto_env=self.env("auto_env", self.mapping("auto_env")),
            gpus_per_test={
                test: self.gpus(f"gpus_per_test.{test}", value) for test, value in self.mapping("gpus_per_test").items()
            },
            test_globs=self.texts("test_globs"),
            extra_env={test: self.env(f"extra_env.{test}", value) for test, value in self.mapping("extra_env").items()},
            pytest_extra_args=self.lists_by_test("pytest_extra_args"),
            stage_base_strip_prefix=self.text("stage_base_strip_prefix") or "",
            stage_base_strip_suffix=self.text("stage_base_strip_suffix") or "",
            stage_base_docs_override=self.text("stage_base_docs_override"),
            requires_speaker_sim=self.flag("requires_speaker_sim"),
            requires_speaker_sim_by_test={
                test: value is True for test, value in self.mapping("requires_speaker_sim_by_test").items()
            },
            metric_sources={
                test: metric_source_from(entry, self.path, f"metric_sources.{test}")
                for test, entry in self.mapping("metric_sources").items()
            },
            runtime_evidence={
                test: self.patterns(f"runtime_evidence.{test}", entry)
                for test, entry in self.mapping("runtime_evidence").items()
            },
            performance_sensitive=self.texts("performance_sensitive"),
            registry=extend_registry(default_registry(), self.document, self.path),
        )

    def text(self, field: str) -> str | None:
        value = self.document.get(field)
        if isinstance(value, list):
            raise bad_config(self.path, field, "one value")
        return None if value is None or value == {} else scalar_text(value)

    def flag(self, field: str) -> bool | None:
        value = self.document.get(field)
        if value is not None and not isinstance(value, bool):
            raise bad_config(self.path, field, "true or false")
        return value

    def texts(self, field: str) -> tuple[str, ...]:
        """A list of texts; one text alone is a list of one, as in `default_venv_python`."""
        return _texts(self.document.get(field), self.path, field)

    def mapping(self, field: str) -> dict[str, Any]:
        return _mapping(self.document.get(field), self.path, field)

    def lists_by_test(self, field: str) -> dict[str, tuple[str, ...]]:
        return {test: _texts(value, self.path, f"{field}.{test}") for test, value in self.mapping(field).items()}

    def env(self, field: str, value: Any) -> dict[str, str]:
        return {k: scalar_text(v) for k, v in _mapping(value, self.path, field).items()}

    def gpus(self, field: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise bad_config(self.path, field, "a whole number of GPUs")
        return value

    def patterns(self, field: str, value: Any) -> dict[str, str]:
        """Named regular expressions; a plain list names each by its own text."""
        entries = {scalar_text(v): v for v in value} if isinstance(value, list) else value
        patterns = self.env(field, entries)
        for name, pattern in patterns.items():
            compile_pattern(pattern, self.path, f"{field}.{name}")
        return patterns


def _texts(value: Any, path: Path, field: str) -> tuple[str, ...]:
    if value is None or value == {}:
        return ()
    if isinstance(value, dict):
        raise bad_config(path, field, "a list")
    return tuple(scalar_text(item) for item in (value if isinstance(value, list) else [value]))


def _mapping(value: Any, path: Path, field: str) -> dict[str, Any]:
    if value is None or value == []:
        return {}
    if not isinstance(value, dict):
        raise bad_config(path, field, "a mapping")
    return cast(dict[str, Any], value)

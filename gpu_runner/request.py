"""What a repeat is asked to do: the command, the stages it measures, and every limit it runs under."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from gpu_runner.signatures import (
    DEFAULT_CRASHES,
    DEFAULT_ENVIRONMENT,
    CrashSignature,
    EnvironmentSignature,
)
from ledger.event import EventPayload

Emit = Callable[[EventPayload], None]
Say = Callable[[str], None]

ATTEMPTS_MAX = 4
MEMORY_LIMIT_MIB = 2048
# Named in fingerprints where installed; every package counts in the fingerprint's hash.
PACKAGES = ("torch", "sglang", "vllm", "transformers", "flashinfer-python", "triton")


class EvidenceSink(Protocol):
    """Where bytes that explain an observation are kept; `ledger.evidence.store` is one."""

    def put(self, data: bytes, media_type: str = ...) -> str:
        """Keep the bytes durably and return their SHA-256 hex."""

    def put_file(self, path: Path) -> str:
        """Keep a file durably and return its SHA-256 hex."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueSource:
    """Where to find a number: a dotted path in a JSON file below basetemp. A last part `__len__` counts a list."""

    json_file: str
    json_path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSpec:
    """One stage of the pytest run.

    metrics: metric key to its source, or None for a metric without configuration (`NEEDS_CONFIG`). A stage
    with no metrics is judged by the exit code alone. sample_counts: `total` and `ok`, each a source or None.
    validity / allowed_failure: boolean sources of the schema's `observation_validity` and `allowed_pytest_failure`.
    """

    key: str
    metrics: Mapping[str, ValueSource | None]
    sample_counts: Mapping[str, ValueSource | None] = field(default_factory=dict)
    validity: ValueSource | None = None
    allowed_failure: ValueSource | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GatePolicy:
    """When a GPU counts as free and how long to wait for enough of them. Seconds and MiB.

    include / exclude: GPU indices or UUIDs as text; an empty include means all. settle_s: the pause
    before the re-check right before launch. release_wait_s: how long memory may take to come back after a repeat.
    """

    memory_limit_mib: int = MEMORY_LIMIT_MIB
    wait_s: float = 600.0
    poll_s: float = 5.0
    progress_s: float = 30.0
    settle_s: float = 3.0
    release_wait_s: float = 60.0
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    lock_dir: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a repeat may take. stall_s: the log not growing; wall_s: one attempt. Seconds; None is no limit."""

    attempts: int = ATTEMPTS_MAX
    stall_s: float | None = 1800.0
    wall_s: float | None = 4 * 3600.0
    poll_s: float = 1.0
    term_grace_s: float = 5.0

    def __post_init__(self) -> None:
        assert 1 <= self.attempts <= ATTEMPTS_MAX, self.attempts


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatRequest:
    """One pytest run for one unit (stages that share a test file and environment) and one repeat number.

    python / test / extra_args: `<python> -m pytest <test> -v -s --basetemp=<basetemp> <extra_args>` in `cwd`, the
    repository root. env is laid over the process environment first, stage_env last (neither may set
    CUDA_VISIBLE_DEVICES). basetemp and log may be relative to the runner's working directory; basetemp is emptied
    before each attempt, an existing log is kept under another name. gpus: how many, 0 for a CPU test.
    cache_dirs: removed before each attempt. telemetry_hz: samples a second, 0 for none.
    log_patterns: name to a regular expression looked for in the log (proof that an optimization ran).
    packages: distributions whose versions belong in the environment fingerprint; known_environment: the digest
    the session has recorded already. clock_medians_mhz: GPU UUID to the median SM clock of the session so far.
    emit is called with each event payload in order, the final `RepeatObserved` last. say gets the milestone lines.
    """

    unit: str
    repeat: int
    python: str
    test: str
    cwd: Path
    basetemp: Path
    log: Path
    stages: tuple[StageSpec, ...]
    emit: Emit
    evidence: EvidenceSink | None = None
    gpus: int = 0
    extra_args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    stage_env: Mapping[str, str] = field(default_factory=dict)
    gate: GatePolicy = GatePolicy()
    limits: Limits = Limits()
    crash_signatures: tuple[CrashSignature, ...] = DEFAULT_CRASHES
    environment_signatures: tuple[EnvironmentSignature, ...] = DEFAULT_ENVIRONMENT
    cache_dirs: tuple[Path, ...] = ()
    telemetry_hz: float = 1.0
    log_patterns: Mapping[str, str] = field(default_factory=dict)
    packages: tuple[str, ...] = PACKAGES
    container_image: str | None = None
    known_environment: str | None = None
    clock_medians_mhz: Mapping[str, float] = field(default_factory=dict)
    seed: int | None = None
    say: Say | None = None

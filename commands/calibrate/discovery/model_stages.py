"""Builds the stages of a model from its configuration and its test files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from commands.calibrate.config.model import ModelConfig
from commands.calibrate.config.sources import MetricSource, Routing, merged
from commands.calibrate.config.stages import DOCS_GROUP, OK, JsonPath, Metric, Stage
from commands.calibrate.discovery import messages
from commands.calibrate.discovery.claims import (
    Candidate,
    Claim,
    Thresholds,
    claims_of,
    thresholds_of,
    unclaimed_by,
)
from commands.calibrate.discovery.source_facts import ContextVariable, SourceFacts, parse_test
from commands.literals.finder import Constants, find_constants
from commands.literals.source import read_source
from ledger.errors import BadInput


class Discovery(msgspec.Struct, frozen=True):
    """What was found: the stages in file order, and lines for people in the order of the work."""

    model: str
    stages: dict[str, Stage]
    messages: tuple[str, ...]
    unclaimed: tuple[str, ...]

    @property
    def counts(self) -> tuple[int, int]:
        """Metrics whose place is known, and metrics that need configuration."""
        states = [m.status for stage in self.stages.values() for m in stage.metrics.values()]
        return states.count(OK), len(states) - states.count(OK)

    def only(self, key: str) -> Discovery:
        """Return the same discovery with one of its stages."""
        return msgspec.structs.replace(self, stages={key: self.stages[key]})

    def summary(self, path: Path) -> str:
        """The last line of the command."""
        ok, need = self.counts
        return f"[{self.model}] {len(self.stages)} stages written to {path}, {ok} metric(s) OK, {need} need config"


def discover_model(config: ModelConfig, root: Path, *, stamp: str) -> Discovery:
    """Find the stages of a model below the repository root; `stamp` is written into each of them.

    Raises `BadInput` for files that are missing or not Python, for two constants of one stage that
    bound one metric, and for two stages of one key.
    """
    stages: dict[str, Stage] = {}
    lines: list[str] = []
    unclaimed: list[str] = []
    for path in _test_files(config, root):
        found = _File(config, root, path, stamp)
        for stage in found.stages():
            if stage.key in stages:
                raise _same_key(config, stages[stage.key], stage)
            stages[stage.key] = stage
        lines += found.lines
        unclaimed += found.unclaimed
    return Discovery(config.name, stages, tuple(lines), tuple(unclaimed))


def _test_files(config: ModelConfig, root: Path) -> list[Path]:
    """Every glob below the root, each sorted, in the order of the list; each file once."""
    found: dict[Path, None] = {}
    for pattern in config.test_globs:
        if pattern.startswith("/"):
            raise BadInput(
                f"{config.path}: test_globs: {pattern!r} must be relative to the repository root",
                code="bad_config",
                hint=f"correct test_globs in {config.path}",
            )
        found.update(dict.fromkeys(sorted(root.glob(pattern))))
    if not found:
        raise BadInput(
            f"{config.path}: test_globs match no file below {root}",
            code="no_test_files",
            hint="correct test_globs, or give the root with --repo-root",
        )
    return list(found)


def _same_key(config: ModelConfig, one: Stage, other: Stage) -> BadInput:
    return BadInput(
        f"{config.path}: {one.test} and {other.test} both make the stage {one.key}"
        if one.test != other.test
        else f"{config.path}: variants {one.variant!r} and {other.variant!r} of {one.test} both "
        f"make the stage {one.key}",
        code="duplicate_stages",
        hint="give one of them a stage_base_override, or keep its variant suffix",
        stage=one.key,
    )


class _File:
    """One test file on its way to stages."""

    def __init__(self, config: ModelConfig, root: Path, path: Path, stamp: str) -> None:
        self.config, self.root, self.stamp = config, root, stamp
        self.relative = path.relative_to(root).as_posix()
        self.name = path.name
        self.data = path.read_bytes()
        source = read_source(self.data, path)
        self.facts: SourceFacts = parse_test(source.text, self.relative, path)
        self.constants: Constants = find_constants(source)
        self.lines: list[str] = []
        self.unclaimed: list[str] = []

    def stages(self) -> Iterator[Stage]:
        parts = Path(self.relative).parts
        if DOCS_GROUP in parts[:-1]:
            yield self.docs_stage()
            return
        entry = self.source_entry()
        literal_file, literals = self.literals(entry)
        thresholds = thresholds_of(literals, self.config.registry, entry.ignored_constants)
        claims = claims_of(thresholds, entry, literal_file)
        self.report(thresholds, claims, literal_file)
        made = [
            self.stage(entry, claim, group, candidates)
            for claim in claims
            for group, candidates in claim.groups.items()
        ]
        if entry.presets and not entry.variants:
            # without variants the groups come first, each with all its presets
            order = list(dict.fromkeys(t.metric.group for t in thresholds.candidates))
            made.sort(key=lambda stage: order.index(stage.group))
        yield from made

    def source_entry(self) -> MetricSource:
        """Configuration over convention, and the line that says which of them there is."""
        inferred = self.facts.inferred(self.config.registry)
        entry = self.config.metric_sources.get(self.name)
        bounded = thresholds_of(self.constants, self.config.registry).candidates
        line = messages.source_line(self.name, inferred, entry, (c.metric.key for c in bounded))
        if line:
            self.lines.append(line)
        if entry is None:
            return MetricSource(routing=inferred or Routing())
        if inferred is None:
            return entry
        return msgspec.structs.replace(entry, routing=merged(inferred, entry.routing))

    def literals(self, entry: MetricSource) -> tuple[str, Constants]:
        """The file that holds the thresholds, and its constants."""
        if entry.threshold_file is None:
            return self.relative, self.constants
        path = self.root / entry.threshold_file
        if not path.is_file():
            raise BadInput(
                f"{self.config.path}: metric_sources.{self.name}.threshold_file: {path} is missing",
                code="threshold_file_missing",
                hint="correct threshold_file, or give the root with --repo-root",
            )
        return entry.threshold_file, find_constants(read_source(path.read_bytes(), path))

    def report(self, thresholds: Thresholds, claims: list[Claim], file: str) -> None:
        loose = unclaimed_by(thresholds, claims)
        self.unclaimed += [candidate.source for candidate in loose]
        self.lines += messages.constant_lines(file, thresholds, loose)
        self.lines += messages.shared_lines(file, claims)

    def stage(self, entry: MetricSource, claim: Claim, group: str, candidates: dict[str, Candidate]) -> Stage:
        variant, preset = claim.variant, claim.preset
        routing = variant.routing if variant else entry.routing
        context = self.facts.context_variables()
        names = tuple(variable.name for variable in context)
        if variant and variant.context_vars is not None:
            names = variant.context_vars
        base, title = self.names(claim, group)
        env = dict(self.config.extra_env.get(self.name, {}))
        if preset:
            env.update(preset.extra_env)
        return Stage(
            key=base,
            test=self.relative,
            title=title,
            group=group,
            extra_env=env,
            context_vars=names,
            variant=variant.name if variant else None,
            calibration_preset=preset.name if preset else None,
            gpus=preset.gpus if preset else None,
            hf_model_ids=preset.hf_model_ids if preset else (),
            test_file_sha256=hashlib.sha256(self.data).hexdigest(),
            last_discovered_at=self.stamp,
            expected_samples=self.expected(routing, context, names, group, claim),
            threshold_file=entry.threshold_file,
            threshold_file_sha256=self.digest(entry.threshold_file),
            sample_counts=routing.counts(group),
            observation_validity=_flag(routing, routing.observation_validity),
            allowed_pytest_failure=_flag(routing, routing.allowed_pytest_failure),
            runtime_evidence=self.config.runtime_evidence.get(self.name, {}),
            metrics={
                key: Metric(
                    key,
                    candidate.source,
                    candidate.metric.worst,
                    candidate.metric.display,
                    routing.at(routing.paths.get(key)),
                )
                for key, candidate in candidates.items()
            },
        )

    def names(self, claim: Claim, group: str) -> tuple[str, str]:
        """Stage key `base[_preset][_variant]_group`, and title."""
        variant = claim.variant
        base = self.base()
        shown = None
        if variant is not None:
            base = variant.stage_base_override or base
            shown = None if variant.omit_variant_suffix else variant.name
        middle = [part for part in (claim.preset and claim.preset.name, shown) if part]
        title = [base.replace("_", " ").upper(), *(m.upper() for m in middle), group.capitalize()]
        return "_".join([base, *middle, group]), " ".join(title)

    def base(self) -> str:
        stem = Path(self.name).stem
        stem = stem.removeprefix(self.config.stage_base_strip_prefix)
        return stem.removesuffix(self.config.stage_base_strip_suffix)

    def digest(self, threshold_file: str | None) -> str | None:
        if threshold_file is None:
            return None
        return hashlib.sha256((self.root / threshold_file).read_bytes()).hexdigest()

    def expected(
        self,
        routing: Routing,
        context: list[ContextVariable],
        names: tuple[str, ...],
        group: str,
        claim: Claim,
    ) -> int | None:
        """Samples a repeat must have: configured, passed as `max_samples`, or a known constant.

        A concurrency or token limit is never a number of samples, whatever order it stands in.
        """
        configured = routing.expected(group)
        if configured is not None:
            return configured
        keywords = {variable.name: variable.keyword for variable in context}
        for name in names:
            scope = keywords.get(name, "max_samples" if "SAMPLES" in name else "")
            if scope == "max_samples" and (value := self.constants.integer(name)) is not None:
                return value
        variant = claim.variant.name if claim.variant else None
        for rule in self.config.registry.sample_constants:
            value = self.constants.integer(rule.constant)
            if rule.fits(group, variant) and value is not None:
                return value
        return None

    def docs_stage(self) -> Stage:
        return Stage(
            key=self.config.stage_base_docs_override or Path(self.name).stem,
            test=self.relative,
            title="Docs smoke",
            group=DOCS_GROUP,
            extra_env=dict(self.config.extra_env.get(self.name, {})),
            context_vars=tuple(variable.name for variable in self.facts.context_variables()),
            test_file_sha256=hashlib.sha256(self.data).hexdigest(),
            last_discovered_at=self.stamp,
        )


def _flag(routing: Routing, dotted: str | None) -> JsonPath | None:
    return None if dotted is None else routing.at(dotted)

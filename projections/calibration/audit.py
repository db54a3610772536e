"""The strict audit: one readiness rule that audit, status, report and apply all ask.

A session is ready when every stage has at least N strict repeats, every observed repeat belongs to
the calibration commit, and nothing the schema can read is missing from the repeats that count.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ledger.events.calibrations import PlannedStage
from projections.calibration.provenance import Provenance, provenance
from projections.calibration.session import Session, unit_of
from projections.calibration.worst_of_n import STRICT, is_complete, missing_reason, strict_cell


class StageAudit(msgspec.Struct, frozen=True, kw_only=True):
    """The strict audit of one stage.

    cells: one sign per round, rounds 1..N and beyond as far as observed. strict: how many are `✓`;
    effective_n: how many rounds enter worst-of-N; destructive: how many are set aside. counted: the
    schema configures sample counts. repeats: how many strict ones are needed, fewer than planned where
    the unit settled early. evidence: pattern name to (rounds found in, rounds looked at).
    """

    stage: str
    title: str
    cells: str
    strict: int
    repeats: int
    planned: int
    expected_samples: int | None
    counted: bool
    rounds: int
    effective_n: int
    destructive: int
    ready: bool
    flagged: str = ""
    suspect: Mapping[int, tuple[str, ...]] = msgspec.field(default_factory=dict)
    evidence: Mapping[str, tuple[int, int]] = msgspec.field(default_factory=dict)

    def line(self) -> str:
        """The line of this stage as `audit` prints it.

        Until rounds were set aside it is the existing tool's, to the byte.
        """
        expected = "" if self.expected_samples is None else f", expected={self.expected_samples}"
        more = ""
        if self.destructive:
            more = f", rounds={self.rounds}, effective={self.effective_n}"
        if self.repeats != self.planned:
            more += f", settled early of {self.planned}"
        shown = min(self.strict, self.repeats)
        return f"{self.stage}: {self.cells} ({shown}/{self.repeats} strict{expected}{more})"

    def as_json(self) -> dict[str, Any]:
        """The object `audit --json` shows for this stage."""
        return {
            "stage": self.stage,
            "cells": self.cells,
            "strict": self.strict,
            "repeats": self.repeats,
            "planned": self.planned,
            "expected_samples": self.expected_samples,
            "samples_counted": self.counted,
            "ready": self.ready,
            "rounds": self.rounds,
            "effective_n": self.effective_n,
            "destructive": self.destructive,
            "unstable": self.flagged or None,
            "suspect": {str(k): list(v) for k, v in self.suspect.items()},
            "runtime_evidence": {
                name: {"found": found, "checked": checked} for name, (found, checked) in self.evidence.items()
            },
        }


class Missing(msgspec.Struct, frozen=True):
    """A stage-repeat that is not complete. run is None for a shortfall of clean rounds."""

    stage_key: str
    run: int | None
    reason: str

    def name(self) -> str:
        """`<stage>/run<k>`, or `<stage>/run?` for a shortfall."""
        return f"{self.stage_key}/run{'?' if self.run is None else self.run}"


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a session may be reported and applied, and every reason why not.

    strict_ready counts ready stages. ok of total stage-repeats are complete (at most N per stage).
    """

    ready: bool
    reasons: tuple[str, ...]
    strict_ready: int
    strict_complete: bool
    complete: bool
    ok: int
    total: int
    missing: tuple[Missing, ...]
    provenance: Provenance
    stages: tuple[StageAudit, ...]

    @property
    def strict_ratio(self) -> str:
        """`x/y` stages strict-ready."""
        return f"{self.strict_ready}/{len(self.stages)}"

    def as_json(self) -> dict[str, Any]:
        """The document of `audit --json`."""
        return {
            "strict_ready": self.strict_ratio,
            "strict_complete": self.strict_complete,
            "ready": self.ready,
            "complete": self.complete,
            "reasons": list(self.reasons),
            "provenance": self.provenance.as_json(),
            "stages": [stage.as_json() for stage in self.stages],
        }


def readiness(session: Session) -> Readiness:
    """Audit a session. This is the only rule of readiness in the product."""
    stages = tuple(audit_stage(session, stage) for stage in session.plan.stages)
    missing, ok = _completeness(session)
    proof = provenance(session)
    ready_count = sum(stage.ready for stage in stages)
    strict_complete = ready_count == len(stages)
    total = sum(stage.repeats for stage in stages)
    reasons: list[str] = []
    if not stages:
        reasons.append("the plan has no stages")
    if session.plan.repeats < 1:  # read by an earlier version, which took it
        reasons.append("the plan has no repeats")
    if not proof.ok:
        reasons.append(f"git provenance failed: {proof.reason}")
    if not strict_complete:
        reasons.append(f"strict audit incomplete ({ready_count}/{len(stages)} stages strict-ready)")
    if missing:
        reasons.append(f"incomplete calibration ({ok}/{total})")
    return Readiness(
        ready=not reasons,
        reasons=tuple(reasons),
        strict_ready=ready_count,
        strict_complete=strict_complete,
        complete=not missing,
        ok=ok,
        total=total,
        missing=tuple(missing),
        provenance=proof,
        stages=stages,
    )


def audit_stage(session: Session, stage: PlannedStage) -> StageAudit:
    """Audit one stage: its cells cover rounds 1..N and every further round that was observed."""
    observed = session.rounds(stage.key)
    required = session.required(stage.key)
    last = max([required, *observed])
    cells: list[str] = []
    aside = 0
    for repeat in range(1, last + 1):
        out = session.set_aside(stage.key, repeat)
        cells.append(strict_cell(stage, session.observations.get((stage.key, repeat)), set_aside=out))
        aside += cells[-1] == "D"
    strict = cells.count(STRICT)
    return StageAudit(
        stage=stage.key,
        title=stage.title,
        cells="".join(cells),
        strict=strict,
        repeats=required,
        planned=session.plan.repeats,
        expected_samples=stage.expected_samples,
        counted=stage.counted or stage.is_docs,
        rounds=len(observed),
        effective_n=len(observed) - aside,
        destructive=aside,
        ready=strict >= required,
        flagged=session.flagged.get(unit_of(session.plan, stage.key), ""),
        suspect=_suspect(session, stage, observed),
        evidence=_evidence(session, stage, observed),
    )


def audit_lines(session: Session, audit: Readiness) -> list[str]:
    """The lines of `audit`: first the existing tool's, then what it does not know."""
    proof = audit.provenance
    lines = [f"calibration_git_sha: {proof.calibration_git_sha}"] if proof.calibration_git_sha else []
    lines += provenance_lines(proof)
    lines += [stage.line() for stage in audit.stages]
    lines.append(f"STRICT READY: {audit.strict_ratio} stages ({session.plan.repeats} repeats each)")
    if audit.ready:
        lines.append("STRICT + GIT: READY")
    elif audit.strict_complete and not proof.ok:
        lines.append(
            "STRICT metrics ok but GIT PROVENANCE failed — purge stale runs or start a fresh "
            "--output-dir on the current commit"
        )
    return lines + list(_further_lines(session, audit))


def provenance_lines(proof: Provenance) -> list[str]:
    """`GIT PROVENANCE: ...` with at most ten mismatches and ten missing below a failure."""
    if proof.ok:
        lines = ["GIT PROVENANCE: ok (all artifacts match calibration commit)"]
        return lines + [f"  equivalent commit: {sha}" for sha in proof.equivalent_commits]
    return [f"GIT PROVENANCE: FAIL — {proof.reason}", *_first_ten(proof)]


def _first_ten(proof: Provenance) -> list[str]:
    lines = [f"  {text}" for text in (*proof.mismatches[:10], *proof.missing[:10])]
    if len(proof.mismatches) > 10 or len(proof.missing) > 10:
        lines.append(f"  … and {len(proof.mismatches) + len(proof.missing) - 10} more")
    return lines


def _further_lines(session: Session, audit: Readiness) -> list[str]:
    lines: list[str] = []
    if audit.strict_complete and audit.provenance.ok and audit.missing:
        lines += [f"INCOMPLETE: {m.name()}: {m.reason}" for m in audit.missing[:10]]
    for stage in audit.stages:
        if not stage.counted:
            lines.append(f"{stage.stage}: samples not counted (no sample_counts in stages.yaml)")
        for name, (found, checked) in stage.evidence.items():
            word = "found" if found == checked else "MISSING"
            lines.append(f"{stage.stage}: runtime evidence {name}: {word} ({found}/{checked} repeats)")
        for repeat, why in stage.suspect.items():
            lines.append(f"{stage.stage}/run{repeat}: suspect: {'; '.join(why)}")
        if stage.flagged:
            lines.append(f"{stage.stage}: unstable: {stage.flagged}")
    if session.rewritten:
        lines.append("rewritten since it was first seen: " + ", ".join(session.rewritten))
    if session.vanished:
        lines.append("vanished since it was first seen: " + ", ".join(session.vanished))
    return lines


def _completeness(session: Session) -> tuple[list[Missing], int]:
    """Clean complete repeats, at most N per stage; a shortfall that no single run explains has run None."""
    missing: list[Missing] = []
    ok = 0
    for stage in session.plan.stages:
        repeats = session.required(stage.key)
        kept = [
            repeat
            for repeat in session.rounds(stage.key)
            if not session.set_aside(stage.key, repeat) and is_complete(stage, session.observations[stage.key, repeat])
        ]
        ok += min(len(kept), repeats)
        short = repeats - len(kept)
        for repeat in range(1, repeats + 1):
            if short > 0 and repeat not in kept and not session.set_aside(stage.key, repeat):
                seen = session.observations.get((stage.key, repeat))
                missing.append(Missing(stage.key, repeat, missing_reason(stage, seen)))
                short -= 1
        if short > 0:
            missing.append(Missing(stage.key, None, f"{short} clean repeat(s) short"))
    return missing, ok


def _suspect(session: Session, stage: PlannedStage, observed: list[int]) -> dict[int, tuple[str, ...]]:
    found: dict[int, tuple[str, ...]] = {}
    for repeat in observed:
        seen = session.observations[stage.key, repeat]
        why = (*seen.suspect, *seen.environment_problems)
        if why:
            found[repeat] = why
    return found


def _evidence(session: Session, stage: PlannedStage, observed: list[int]) -> dict[str, tuple[int, int]]:
    """Pattern name to (repeats whose log had it, repeats whose log was looked at)."""
    counts: dict[str, tuple[int, int]] = {}
    for pattern in stage.evidence_patterns:
        logs = [session.observations[stage.key, repeat].log_found for repeat in observed]
        looked = [log for log in logs if pattern.name in log]
        found = sum(log[pattern.name] is not None for log in looked)
        counts[pattern.name] = (found, len(looked))
    return counts

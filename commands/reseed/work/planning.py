"""Making a plan: from sources and history to everything an approver must see, under one digest."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec

from commands.reseed.work import first_seed, seed_records
from commands.reseed.work import sources as source_files
from commands.reseed.work.approval import signers_digest
from commands.reseed.work.history import History, back_up
from commands.reseed.work.moved import Moved, standing
from commands.reseed.work.sources import Source
from commands.reseed.work.windows import windows
from ledger.errors import BadInput, Refused
from ledger.event import NewEvent
from ledger.events import reseeds
from projections.authority import in_force
from projections.authority.policy import NONE, RESEED
from projections.reseed import medians as reseed_medians
from projections.reseed.fold import load, plan_digest
from projections.results.identity import identity_of
from projections.results.metric_policy import CATALOGUE

if TYPE_CHECKING:
    from ledger.ledger import Ledger


@dataclass(frozen=True)
class Request:
    """What the user asked for."""

    model: str
    gpu: str
    reason: str
    tolerance: float
    identity: dict[str, str | None] = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    drop_reason: str = ""
    supersedes: str | None = None
    as_they_were: bool = False  # the sources are the records the baseline rested on before, whatever their spread


def new_id(now: datetime) -> str:
    """Return a new reseed id: its UTC second, and four random digits."""
    return f"{now.astimezone(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


@dataclass(frozen=True)
class Draft:
    """A plan that is neither recorded nor backed up: `plan` has no backup and no digest yet, `seeds` are its files."""

    plan: reseeds.ReseedPlanned
    seeds: list[tuple[str, bytes]]
    ordered: list[Source]
    dropped: list[Source]
    now: datetime
    has_history: bool

    @property
    def rests_on(self) -> list[str]:
        """The paths of every result that the plan's numbers rest on."""
        others = self.plan.readers.window if self.plan.readers else []
        return [piece.path for piece in (*self.plan.window, *others)]


def draft(ledger: Ledger, request: Request, sources: Sequence[Source], history: History) -> Draft:
    """Validate and compute a plan; nothing is written anywhere. Every refusal is raised here."""
    now = datetime.now(UTC)
    reseed_id = new_id(now)
    for source in sources:
        source_files.validate(source, model=request.model, gpu=request.gpu, identity=request.identity)
    kept, dropped = _drop(sources, request.drop)
    target = source_files.same_target(kept)
    found = windows(ledger, history, kept[0].record)
    first = not found.check and not found.readers
    identity = target.startswith("identity:")
    if first and identity and request.supersedes is None:
        first_seed.check_sources(kept)
        first_seed.check_history(kept, history.records)
    ordered, warnings = source_files.in_order(kept)
    spread = reseed_medians.spread_of([s.record for s in ordered])
    if not request.as_they_were:
        _refuse_inconsistent(ordered, spread, request.tolerance)
    warnings += [f"{text}; it does not count" for text in history.unreadable]
    known = [r.record for r in history.of(target)]
    batch = seed_records.Batch(
        reason=request.reason,
        operator=ledger.actor,
        tolerance=request.tolerance,
        first=first,
        identity=identity,
        supersedes=request.supersedes,
    )
    seeds = seed_records.build(
        ordered, history=known, batch=batch, times=seed_records.fresh_times(len(ordered), now=now, history=known)
    )
    taken_back = _seeds_of(ledger, request.supersedes)
    moved = Moved(
        found,
        windows(ledger, history, kept[0].record, superseded=taken_back),
        windows(ledger, history, kept[0].record, superseded=taken_back, seeds=seeds),
        seeds,
    )
    warnings += moved.warnings()
    plan = _plan(ledger, request, _Parts(reseed_id, target, first, history, ordered, seeds, spread, warnings, moved))
    return Draft(plan, seeds, ordered, dropped, now, has_history=bool(known))


def _seeds_of(ledger: Ledger, reseed: str | None) -> list[str]:
    """Return the paths of the seeds that a corrective reseed takes back."""
    return [seed.path for seed in load(ledger, reseed).needed().prepared] if reseed else []


def make(ledger: Ledger, request: Request, sources: Sequence[Source], history: History) -> reseeds.ReseedPlanned:
    """Validate, back up, compute and record a plan. Every refusal comes before anything is recorded."""
    made = draft(ledger, request, sources, history)
    ordered, dropped, target, reseed_id = made.ordered, made.dropped, made.plan.target, made.plan.reseed
    there = {r.path for r in history.records}
    cited = [(history.root / path).read_bytes() for path in made.rests_on if path in there]
    ledger.evidence.put_many([*(source.data for source in sources), *(data for _, data in made.seeds), *cited])
    backup, backup_event = _back_up(ledger, history, request, made)
    plan = msgspec.structs.replace(made.plan, backup=backup)
    plan = msgspec.structs.replace(plan, digest=plan_digest(plan))
    stream = f"reseed/{reseed_id}"
    events: list[Any] = [
        *(reseeds.SourceValidated(reseed=reseed_id, path=s.path, sha256=s.digest, target=target) for s in ordered),
        *(
            reseeds.SourceDropped(reseed=reseed_id, path=s.path, sha256=s.digest, reason=request.drop_reason)
            for s in dropped
        ),
        backup_event,
        plan,
    ]
    ledger.append([NewEvent(stream=stream, payload=e) for e in events], seen={stream: 0}, correlation_id=stream)
    return plan


@dataclass(frozen=True)
class _Parts:
    reseed_id: str
    target: str
    first: bool
    history: History
    ordered: list[Source]
    seeds: list[tuple[str, bytes]]
    spread: reseeds.Medians
    warnings: list[str]
    moved: Moved


def _plan(ledger: Ledger, request: Request, parts: _Parts) -> reseeds.ReseedPlanned:
    records = [s.record for s in parts.ordered]
    moved = parts.moved
    policies = in_force.load(ledger).of(RESEED)
    signers = next((p.document.allowed_signers for p in policies if p.signed), "")
    kind = "corrective" if request.supersedes else "first_seed" if parts.first else "reseed"
    batch = reseed_medians.medians_of(records)
    return reseeds.ReseedPlanned(
        reseed=parts.reseed_id,
        digest="",
        kind=kind,
        target=parts.target,
        model_id=request.model,
        gpu_type=request.gpu,
        identity=identity_of(records[0]),
        reason=request.reason,
        tolerance=request.tolerance,
        dataset=parts.history.dataset,
        revision=parts.history.revision,
        sources=[_seed_source(i, s) for i, s in enumerate(parts.ordered, start=1)],
        old=moved.now.medians,
        batch=batch,
        candidate=moved.after.medians,
        spread=parts.spread,
        old_count=len(parts.history.of(parts.target)),
        window=standing(moved.now.check),
        will_move_median=moved.moves(),
        destination=[path for path, _ in parts.seeds],
        prepared=[
            reseeds.PreparedSeed(path=path, sha256=sha256(data).hexdigest(), source_sha256=source.digest)
            for (path, data), source in zip(parts.seeds, parts.ordered, strict=True)
        ],
        backup="",
        approvals_needed=max(policy.needed for policy in policies),
        allowed_signers=signers_digest(signers),
        policies=[policy.digest for policy in policies if policy is not NONE],
        supersedes=request.supersedes,
        violations=_violations(records, batch),
        warnings=parts.warnings,
        readers=moved.readers(),
    )


def _seed_source(index: int, source: Source) -> reseeds.SeedSource:
    from projections.results.record_shape import METRICS, measurement

    record = source.record
    return reseeds.SeedSource(
        index=index,
        path=source.path,
        sha256=source.digest,
        timestamp=str(record.get("timestamp") or ""),
        success=record.get("success") is True,
        status=str(record.get("comparison_status") or ""),
        metrics={m: measurement(record.get(m))[0] for m in METRICS},
    )


def _drop(sources: Sequence[Source], names: Sequence[str]) -> tuple[list[Source], list[Source]]:
    unknown = [n for n in names if n not in {s.path for s in sources}]
    if unknown:
        raise BadInput(
            f"--drop {unknown[0]} is not a source of this plan",
            code="no_such_source",
            hint="name it exactly as in --source",
        )
    kept = [s for s in sources if s.path not in names]
    if not kept:
        raise BadInput("every source is dropped; nothing is left to seed", code="nothing_left", hint="drop fewer")
    return kept, [s for s in sources if s.path in names]


def _refuse_inconsistent(sources: Sequence[Source], spread: Mapping[str, float | None], tolerance: float) -> None:
    medians = reseed_medians.medians_of([s.record for s in sources])
    for metric, middle in medians.items():
        measured = [s for s in sources if s.record.get(metric) is not None]
        if middle is not None and middle <= 0 and len(measured) > 1:
            raise Refused(
                f"the median of {metric} over the sources is {middle:g}, so that nothing can be compared with it; "
                "nothing was planned",
                code="batch_inconsistent",
                metric=metric,
                hint=f"write null for {metric} where it was not measured, and measure again where it was",
            )
    bad = {m: s for m, s in spread.items() if s is not None and s > tolerance}
    if not bad:
        return
    details = [
        {"metric": m, "values": [s.record.get(m) for s in sources], "median": medians[m], "worst": bad[m]} for m in bad
    ]
    label = ", ".join(f"{CATALOGUE[m].label} {s * 100:.1f}% worse than the batch median" for m, s in bad.items())
    raise Refused(
        f"the sources disagree by more than {tolerance * 100:g}%: {label}; nothing was planned",
        code="batch_inconsistent",
        table=details,
        hint="measure again, or leave an outlier out with --drop FILE --drop-reason WHY",
    )


def _violations(records: Sequence[Mapping[str, Any]], batch: Mapping[str, float | None]) -> list[dict[str, Any]]:
    """Return the fixed limits the batch medians still breach: `max_<field>` of the sources' own `thresholds`."""
    from projections.results.record_shape import STATIC_FIELDS

    found = []
    for record in records:
        limits = record.get("static_limits") or record.get("thresholds") or {}
        if not isinstance(limits, dict):
            continue
        for _, name, metric in STATIC_FIELDS:
            limit, value = limits.get(name), batch.get(metric)
            if isinstance(limit, (int, float)) and value is not None and value > limit:
                entry = {"limit": name, "metric": metric, "threshold": float(limit), "batch_median": value}
                if entry not in found:
                    found.append(entry)
    return found


def _back_up(ledger: Ledger, history: History, request: Request, made: Draft) -> tuple[str, reseeds.BackupTaken]:
    target, reseed_id = made.plan.target, made.plan.reseed
    provenance = {
        "model_id": request.model,
        "gpu_type": request.gpu,
        "source_results": ", ".join(s.path for s in made.ordered),
        "reseed_record_count": len(made.ordered),
        "max_intra_batch_regression": request.tolerance,
        "head_commit": history.revision,
        "timestamp_utc": made.now.isoformat(),
        "reason": request.reason,
        "reseed": reseed_id,
    }
    records = history.of(target)
    folder = back_up(history, target, reseed_id=reseed_id, provenance=provenance, now=made.now)
    digests = ledger.evidence.put_many([(history.root / r.path).read_bytes() for r in records])
    kept = [reseeds.BackedUp(path=r.path, sha256=d) for r, d in zip(records, digests, strict=True)]
    place = str(folder) if folder else ""
    return place, reseeds.BackupTaken(
        reseed=reseed_id, dataset=history.dataset, revision=history.revision, folder=place, records=kept
    )

"""What a target's baseline rests on, before and after seeds: as `check` counts, and as other readers of the dataset do.

Nothing is recorded: the dataset's records, the seeds and the end of a superseded reseed are supposed, and the one
definition of a window is asked. The other readers are the performance CI that the dataset belongs to: the dataset
alone, in the order and with the eligibility of its comparator (docs/reseed.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from commands.intake.formats import normalized
from commands.intake.formats.measured import parse_object
from commands.intake.recording import recorded_event
from commands.reseed.work.history import History
from ledger.event import NewEvent
from ledger.events.reseeds import ReseedPlanned, ReseedSuperseded
from ledger.events.results import RecordRewritten
from projections.reseed.medians import Medians, medians_of
from projections.results.identity import model_of, target_of, uses_identity
from projections.results.metric_policy import MetricPolicy, Rules
from projections.results.record_shape import sanitize
from projections.results.verdict import Subject
from projections.results.window import ThisRun, adopted_policy, window_for
from projections.state.state import State

if TYPE_CHECKING:
    from ledger.ledger import Ledger

FORMAT = "hf-tracking"


@dataclass(frozen=True)
class Standing:
    """One result of a window: its path (in the dataset, if it is from there), its bytes' digest, its metrics."""

    path: str
    sha256: str
    metrics: Mapping[str, float | None]


@dataclass(frozen=True)
class Windows:
    """A target's window, oldest first, as `check` and as the other readers of the dataset see it.

    size: how many results `check` takes at most.
    """

    check: list[Standing]
    readers: list[Standing]
    size: int

    @property
    def medians(self) -> Medians:
        """The medians `check` compares with."""
        return medians_of([s.metrics for s in self.check])

    @property
    def readers_medians(self) -> Medians:
        """The medians the other readers compare with."""
        return medians_of([s.metrics for s in self.readers])


def readers_policy(record: Mapping[str, Any]) -> MetricPolicy:
    """Return how the dataset's comparator takes a window, for records like this one.

    With identity: the rules of August 2026. Without: those of May 2026, which know one folder per model, success
    and the order of paths. Source: facts of the performance CI of hao-ai-lab/FastVideo, in short in docs/reseed.md.
    """
    return MetricPolicy(
        name="performance CI",
        rules=Rules(
            nothing_measured="pass",
            legacy_match="directory",
            legacy_eligibility="successful",
            order="instant" if uses_identity(record) else "path",
            success_text="truth",
        ),
    )


def windows(
    ledger: Ledger,
    history: History,
    record: Mapping[str, Any],
    *,
    seeds: Sequence[tuple[str, bytes]] = (),
    superseded: Sequence[str] = (),
) -> Windows:
    """Return the windows of the target that `record` is of, had the dataset and the seeds been imported.

    seeds: (path in the dataset, bytes). superseded: paths of seeds that a corrective reseed takes back.
    """
    dataset = [
        *((r.path, (history.root / r.path).read_bytes()) for r in history.records if _alike(r.path, r.record, record)),
        *seeds,
    ]
    known = _known(ledger, history.dataset)
    arriving = [e for path, data in dataset for e in _events(history.dataset, path, data, known)]
    if superseded:
        taken_back = ReseedSuperseded(reseed="", by="", reason="", dataset=history.dataset, paths=list(superseded))
        arriving.append(NewEvent(stream="reseed/", payload=taken_back))
    with State.open(ledger, supposing=arriving) as state:
        policy = adopted_policy(state)
        check = _standing(state, record, policy, history.dataset)
    alone = [_recorded(history.dataset, path, data) for path, data in dataset]
    with State.of_events(ledger, alone) as state:
        readers = _standing(state, record, readers_policy(record), history.dataset)
    return Windows(check, readers, policy.window)


def record_of(plan: ReseedPlanned) -> dict[str, Any]:
    """Return a record of a plan's target, for `windows`."""
    return {"model_id": plan.model_id, "gpu_type": plan.gpu_type, **(plan.identity or {})}


def _alike(path: str, found: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
    """Whether a record may be in some window of the target: of the target, or in the model's folder."""
    return target_of(found) == target_of(record) or path.split("/")[0] == sanitize(model_of(record))


def _known(ledger: Ledger, dataset: str) -> dict[str, dict[str, bool]]:
    """Return per path of the dataset the digests this ledger has of it, and whether each is its content today."""
    with State.open(ledger) as state:
        rows = state.rows(
            "SELECT path, sha256, superseded IS DISTINCT FROM 'rewritten' AS today FROM results_as_judged "
            "WHERE source = $dataset",
            {"dataset": dataset},
        )
    found: dict[str, dict[str, bool]] = {}
    for row in rows:
        found.setdefault(row["path"], {})[row["sha256"]] = row["today"]
    return found


def _events(dataset: str, path: str, data: bytes, known: Mapping[str, Mapping[str, bool]]) -> list[NewEvent]:
    """Return the events that an import would make of a record."""
    digest, before = sha256(data).hexdigest(), known.get(path, {})
    if before.get(digest):
        return []
    events = [] if digest in before else [_recorded(dataset, path, data)]
    if before:
        old = next((d for d, today in before.items() if today), digest)
        rewritten = RecordRewritten(source=dataset, path=path, old_sha256=old, new_sha256=digest)
        events.append(NewEvent(stream=f"import/{dataset}", payload=rewritten))
    return events


def _recorded(dataset: str, path: str, data: bytes) -> NewEvent:
    value = parse_object(data, settled=True)
    return recorded_event(normalized.read(value, data=data, path=path, format_name=FORMAT), source=dataset)


def _standing(state: State, record: Mapping[str, Any], policy: MetricPolicy, dataset: str) -> list[Standing]:
    subject = Subject(dict(record), "local")
    window = window_for(state, subject, policy, event_id="", run=ThisRun())
    rows = state.rows(
        "SELECT event_id, CASE WHEN source = $dataset THEN path ELSE full_path END AS path, sha256 "
        "FROM results_as_judged WHERE list_contains(CAST($ids AS VARCHAR[]), event_id)",
        {"dataset": dataset, "ids": [w.event_id for w in window]},
    )
    places = {row["event_id"]: row for row in rows}
    return [Standing(places[w.event_id]["path"], places[w.event_id]["sha256"], w.metrics) for w in window]

"""Verification: read everything, recompute every hash, and name the first bad event.

Each rule has an id. A finding says the rule, the file, the position and what to do; any finding is exit 7,
notes are not. What cannot be found this way is said in docs/guarantees.md: events cut off the end that no
checkpoint has seen, and a whole history rewritten together with its checkpoints.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ledger.errors import Damaged
from ledger.event import evidence_paths, load_catalogue
from ledger.log import journal
from ledger.log.heads import Head
from ledger.verification.rules import Finding, Report, Walk
from ledger.verification.segments import collector_off, id_used_twice, verify_events, verify_segment

if TYPE_CHECKING:
    from ledger.ledger import Ledger
    from ledger.log.origin_log import OriginLog


def verify(ledger: Ledger, *, checkpoints: Mapping[str, Head] | None = None) -> Report:
    """Verify logs and evidence of a ledger. `checkpoints`: heads known from outside (a remote, a file kept apart)."""
    report = Report()
    outside = dict(checkpoints or {})
    vouched: dict[str, list[tuple[str, Head]]] = {origin: [("log-cut", head)] for origin, head in outside.items()}
    walks: dict[str, Walk] = {}
    fields = _evidence_fields()
    with collector_off():
        for origin in ledger.origins():  # our own first: it says what was pulled of the others
            wanted = frozenset(head.position for _, head in vouched.get(origin, []))
            walk = walks[origin] = Walk(origin, fields, wanted)
            _verify_origin(ledger, walk, report)
            for body in walk.pulls if origin == ledger.origin else ():
                head = Head(body["last"], body["head_hash"])
                vouched.setdefault(body["from_origin"], []).append(("pull-mismatch", head))
        for origin, heads in vouched.items():
            _verify_vouched(walks.get(origin), origin, heads, report)
        _verify_evidence(ledger, report, walks)
    return report


def _verify_origin(ledger: Ledger, walk: Walk, report: Report) -> None:
    """Walk one origin: whole columns at a time while all is well, event by event where it is not.

    Others may write, seal and pull meanwhile. What is judged is one moment, taken as readers take it: the mark first,
    which never leads the journal; then the journal, before the segments are listed (see `ledger.log.reading`).
    """
    log = ledger.log_of(walk.origin)
    known = log.acknowledged() if walk.origin == ledger.origin else None
    walk.wanted |= {known.position} if known else set()
    tail = _journal_of(log)
    walk.wanted |= {e.position for e in tail.events[-1:]} if isinstance(tail, journal.Journal) else set()
    for path in log.segment_paths():
        if not verify_segment(path, str(path.relative_to(ledger.path)), walk, report):
            return
    if not _verify_journal(tail, str(log.journal_path.relative_to(ledger.path)), walk, report):
        return
    twice = walk.ids.twice()
    if twice is not None:
        report.findings.append(_event_id_twice(ledger, walk.origin, twice))
    report.heads[walk.origin] = walk.head
    if walk.origin == ledger.origin:
        _verify_acknowledged(known, walk, report)


def _journal_of(log: OriginLog) -> journal.Journal | Damaged:
    """Return the journal, or why it cannot be read."""
    try:
        return journal.read(log.journal_path)
    except Damaged as error:
        return error


def _verify_journal(tail: journal.Journal | Damaged, file: str, walk: Walk, report: Report) -> bool:
    if isinstance(tail, Damaged):
        position = tail.details.get("position") or walk.head.position + 1
        report.findings.append(Finding("journal-line", walk.origin, file, position, tail.message))
        return False
    if tail.torn:
        report.notes.append(
            f"{file}: {len(tail.torn)} bytes of an unfinished write at the end; the next append sets them aside"
        )
    both = [
        e for e in tail.events if e.position <= walk.head.position
    ]  # sealed meanwhile, or by a seal that was cut off
    sealed = walk.hashes.get(both[-1].position, walk.head.hash) if both else ""
    if both and both[-1].hash != sealed:
        report.findings.append(
            Finding(
                "twice-different",
                walk.origin,
                file,
                both[-1].position,
                f"position {both[-1].position} differs between the journal and a segment",
            )
        )
        return False
    return verify_events(tail.events[len(both) :], file, walk, report)


def _event_id_twice(ledger: Ledger, origin: str, event_id: str) -> Finding:
    """Name the second use of an id that columns showed twice."""
    log = ledger.log_of(origin)
    return id_used_twice(event_id, origin, log.segment_paths(), log.tail())


def _verify_acknowledged(known: Head | None, walk: Walk, report: Report) -> None:
    """The mark never leads the log: where it does, acknowledged events are gone."""
    file = f"log/{walk.origin}"
    if walk.head.position == 0:
        report.findings.append(Finding("log-cut", walk.origin, file, 1, "the log of this ledger's own origin is gone"))
    elif known is not None and known.position > walk.head.position:
        report.findings.append(
            Finding(
                "log-cut",
                walk.origin,
                file,
                walk.head.position + 1,
                f"the log ends at {walk.head.position}, position {known.position} was acknowledged",
            )
        )
    elif known is not None and known.position and walk.hashes[known.position] != known.hash:
        report.findings.append(
            Finding(
                "log-cut",
                walk.origin,
                file,
                known.position,
                f"position {known.position} is not the event that was acknowledged",
            )
        )


def _verify_vouched(walk: Walk | None, origin: str, heads: list[tuple[str, Head]], report: Report) -> None:
    """Compare a log with heads that something outside it vouches for. One finding: the first that does not hold."""
    file = f"log/{origin}"
    if origin not in report.heads:
        if any(head.position for _, head in heads) and not any(f.origin == origin for f in report.findings):
            report.findings.append(Finding(heads[0][0], origin, file, 1, f"the log of {origin} is gone"))
        return
    assert walk is not None
    cut = any(f.rule == "log-cut" and f.origin == origin for f in report.findings)
    for rule, head in sorted(heads, key=lambda item: item[1].position):
        by = "a checkpoint" if rule == "log-cut" else "a pull"
        if head.position > walk.head.position and not cut:
            message = f"the log ends at {walk.head.position}, {by} saw position {head.position}"
            report.findings.append(Finding(rule, origin, file, walk.head.position + 1, message))
            return
        if 0 < head.position <= walk.head.position and walk.hashes[head.position] != head.hash:
            message = f"position {head.position} is not the event {by} saw"
            report.findings.append(Finding(rule, origin, file, head.position, message))
            return


def _verify_evidence(ledger: Ledger, report: Report, walks: Mapping[str, Walk]) -> None:
    good: set[str] = set()
    changed: set[str] = set()
    remembered = ledger.evidence.remembered()  # before the files are read: what is put meanwhile is not missed then
    for item in ledger.evidence.check():
        if isinstance(item, str):
            good.add(item)
            continue
        changed.add(item.digest)
        origin, position = next(
            ((o, w.cited[item.digest]) for o, w in walks.items() if item.digest in w.cited), ("", None)
        )
        name = f"evidence {item.digest[:12]}" if item.digest else "evidence"
        report.findings.append(
            Finding("evidence-changed", origin, f"evidence/{item.place}", position, f"{name}: {item.reason}")
        )
    report.blobs = len(good)
    own = walks[ledger.origin].cited
    for digest, position in sorted(own.items(), key=lambda item: item[1]):
        if digest not in good and digest not in changed:
            report.findings.append(
                Finding(
                    "evidence-missing",
                    ledger.origin,
                    "evidence",
                    position,
                    f"position {position} cites evidence {digest[:12]}, which is not here",
                )
            )
    for digest, place in remembered.items():
        if digest not in good and digest not in changed and digest not in own and place.startswith(ledger.origin + "/"):
            report.findings.append(
                Finding(
                    "evidence-missing",
                    ledger.origin,
                    f"evidence/{place}",
                    None,
                    f"evidence {digest[:12]} was put there and is not there now",
                )
            )


@functools.cache
def _evidence_fields() -> dict[str, list[tuple[str, ...]]]:
    """Return, by event type, the paths of payload fields that cite evidence (see `ledger.event.Evidence`)."""
    return {name: paths for name, kind in load_catalogue().items() if (paths := evidence_paths(kind.payload))}

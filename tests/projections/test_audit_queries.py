"""The named audit queries: every one runs in the sandbox as it is shipped, and the first four say what they ask."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from ledger.errors import BadInput
from ledger.event import NewEvent
from ledger.events.baselines import BaselinePinned
from ledger.events.checks import ReviewObserved
from ledger.events.policies import MetricPolicyAdopted
from ledger.events.reseeds import ReseedApproved, ReseedPlanned, ReseedUploaded
from ledger.events.thresholds import ThresholdEdited
from ledger.ledger import Ledger
from projections.audits import audit, audits, parse
from projections.console.query import Question, ask
from tests.ledger.samples import result

SIGNATURE = "-----BEGIN SSH SIGNATURE-----\ns"
DIGEST = "d" * 64


def run(ledger: Ledger, name: str, **given: str) -> list[dict[str, Any]]:
    chosen = audit(name)
    sink = io.BytesIO()
    ask(ledger.path, Question(chosen.sql, chosen.bind(given)), sink)
    rows: list[dict[str, Any]] = json.loads(sink.getvalue())
    return rows


def edit(literal: str, old: float, new: float, direction: str) -> NewEvent:
    payload = ThresholdEdited(
        file="tests/perf.py",
        symbol=literal,
        subkey=None,
        literal=literal,
        change="changed",
        old=old,
        new=new,
        old_text=str(old),
        new_text=str(new),
        worst_op="max",
        direction=direction,
        percent=new / old - 1,
        group=None,
        commit="c0ffee",
        committed_at="2026-03-01T00:00:00.000000Z",
        source="history.csv",
        pr=7,
        author_hash="a1",
    )
    return NewEvent(stream="thresholds/x", payload=payload)


@pytest.fixture
def story(ledger: Ledger) -> Ledger:
    """One decision of every kind."""
    plan = ReseedPlanned(
        reseed="r1",
        digest=DIGEST,
        kind="reseed",
        target="model-a@GPU",
        model_id="model-a",
        gpu_type="GPU",
        identity=None,
        reason="new driver",
        tolerance=0.05,
        dataset="o/d",
        revision="1",
        sources=[],
        old={"latency": 28.0},
        batch={"latency": 30.0},
        candidate={"latency": 30.0},
        spread={"latency": 0.01},
        old_count=5,
        window=[],
        will_move_median={},
        destination=[],
        prepared=[],
        backup="",
        approvals_needed=1,
    )
    uploaded = ReseedUploaded(
        reseed="r1", dataset="o/d", revision="2", parent="1", written=["a.json"], already=[], medians={"latency": 30.0}
    )
    pinned = BaselinePinned(
        target="model-b@GPU", name="v1", medians={"latency": 9.5}, result_event_ids=[], reason="release"
    )
    policy = MetricPolicyAdopted(
        name="strict", policy={"window": 5}, digest=DIGEST, sha256=DIGEST, reason="tighter gates"
    )
    reviews = [
        ReviewObserved(repository="o/r", number=3, reviewer="rev", state=state, review_id=n, sha="c", submitted_at=None)
        for n, state in enumerate(["commented", "approved"])
    ]
    ledger.append(
        [
            result(1, commit_sha="abc"),
            result(2),
            NewEvent(stream="reseed/r1", payload=plan),
            NewEvent(stream="reseed/r1", payload=ReseedApproved(reseed="r1", digest=DIGEST, approver="alice")),
            NewEvent(
                stream="reseed/r1",
                payload=ReseedApproved(reseed="r1", digest=DIGEST, approver="bob", signature=SIGNATURE),
            ),
            NewEvent(stream="reseed/r1", payload=uploaded),
            NewEvent(stream="target/model-b@GPU", payload=pinned),
            NewEvent(stream="policy/metrics", payload=policy),
            *(NewEvent(stream="pr/o/r/3", payload=review) for review in reviews),
            edit("LATENCY_MAX", 10, 12, "loosens"),
            edit("LATENCY_MAX", 12, 11, "tightens"),
            edit("MEMORY_MAX", 10, 10.5, "loosens"),
        ]
    )
    return ledger


def test_who_approved_what(story: Ledger) -> None:
    found = run(story, "who-approved")
    assert [(row["who"], row["what"], row["subject"], row["reason"], row["signed"]) for row in found] == [
        ("rev", "pull request", "o/r#3", None, False),
        ("tester@example.org", "metric policy", "strict", "tighter gates", False),
        ("tester@example.org", "pinned baseline", "model-b@GPU", "release", False),
        ("bob", "reseed", f"r1 {DIGEST}", None, True),
        ("alice", "reseed", f"r1 {DIGEST}", None, False),
    ]
    assert [row["who"] for row in run(story, "who-approved", who="ali%")] == ["alice"]
    assert run(story, "who-approved", since="2999-01-01") == []


def test_what_loosened(story: Ledger) -> None:
    found = run(story, "what-loosened")
    assert [(row["literal"], row["old"], row["new"], row["pr"]) for row in found] == [
        ("LATENCY_MAX", 10.0, 12.0, 7),
        ("MEMORY_MAX", 10.0, 10.5, 7),
    ]
    assert [row["literal"] for row in run(story, "what-loosened", least="0.1")] == ["LATENCY_MAX"]


def test_which_baselines_moved_and_why(story: Ledger) -> None:
    pinned, reseeded = run(story, "moved-baselines")
    assert (pinned["how"], pinned["target"], pinned["reason"]) == ("pinned", "model-b@GPU", "release")
    assert (reseeded["how"], reseeded["reason"]) == ("reseed", "new driver")
    assert reseeded["approved_by"] == "alice (not signed), bob (signature not checked)"
    assert json.loads(reseeded["medians_before"]) == {"latency": 28.0}
    assert json.loads(reseeded["medians_after"]) == {"latency": 30.0}
    assert [row["how"] for row in run(story, "moved-baselines", target="model-a%")] == ["reseed"]


def test_what_has_no_provenance(story: Ledger) -> None:
    found = run(story, "no-provenance")
    assert {(row["kind"], row["subject"], row["why"]) for row in found} == {
        ("result", "model-a@GPU run-1.json", "the original bytes were not kept"),
        ("result", "model-a@GPU run-2.json", "names no commit"),
        ("threshold", "tests/perf.py LATENCY_MAX", "edited in c0ffee, with no calibration"),
        ("threshold", "tests/perf.py MEMORY_MAX", "edited in c0ffee, with no calibration"),
    }


@pytest.mark.parametrize("name", sorted(audits()))
def test_every_audit_query_runs_with_its_defaults_on_a_fresh_ledger(ledger: Ledger, name: str) -> None:
    chosen = audit(name)
    assert chosen.about.endswith((".", "?"))
    assert all(parameter.about for parameter in chosen.parameters)
    required = {parameter.name: "1" for parameter in chosen.parameters if parameter.default is None}
    assert isinstance(run(ledger, name, **required), list)


def test_parameters_are_read_from_the_comment_and_checked() -> None:
    text = "-- What?\n-- :since = -infinity   from when\n-- :file   which file\nSELECT $since, $file -- :no = 1\n"
    query = parse("x", text)
    assert query.about == "What?"
    assert [(p.name, p.default, p.about) for p in query.parameters] == [
        ("since", "-infinity", "from when"),
        ("file", None, "which file"),
    ]
    assert query.bind({"file": "a"}) == {"since": "-infinity", "file": "a"}
    for given, code in (({}, "sql_parameter_missing"), ({"file": "a", "x": "1"}, "sql_parameter_unused")):
        with pytest.raises(BadInput) as caught:
            query.bind(given)
        assert caught.value.code == code
    with pytest.raises(BadInput, match='did you mean "who-approved"'):
        audit("who-aproved")

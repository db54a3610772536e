"""Rounds on unwell GPUs count as destructive where the plan says so, and only there."""

from __future__ import annotations

import pytest

from commands.calibrate.measuring.loop import decision_events
from ledger.ledger import Ledger
from projections.calibration.destructive_rounds import judge_unit
from projections.calibration.session import units_of
from tests.projections.calibration.story import Story, share, stage

DOUBTS = {
    2: ["throttling: GPU 0 was slowed down by hw_thermal in 12.0% of the samples", "clocks: GPU 0 ran at ..."],
    4: ["foreign_process: GPU 1 was shared with pid 41, not of this repeat"],
}


@pytest.mark.parametrize(
    ("reject_when", "condemned"),
    [
        ([], []),
        (["ecc"], []),
        (["throttling"], [2]),
        (["clocks", "throttling"], [2]),
        (["throttling", "foreign_process"], [2, 4]),
    ],
)
def test_a_doubt_condemns_its_round_only_where_the_plan_names_it(
    ledger: Ledger, reject_when: list[str], condemned: list[int]
) -> None:
    story = Story(ledger, stage("a"), stage("b"), rejection=True, reject_when=reject_when)
    for repeat in range(1, 6):
        story.observe(repeat, share("a", 10 + repeat / 100), share("b", 1.0), suspect=DOUBTS.get(repeat, []))
    unit = units_of(story.session.plan)[0]
    step = judge_unit(story.session, unit)
    assert (step.step, list(step.repeats)) == (("reject", condemned) if condemned else ("done", []))
    for repeat, why in step.evidence.items():
        assert [value.reason for value in why] == [d for d in DOUBTS[repeat] if d.partition(":")[0] in reject_when]
    if condemned:
        story.append(*decision_events(story.session.id, unit, step))
        again = judge_unit(story.session, unit)
        assert again.step == "measure" and again.repeats[0] == 6
        assert story.session.set_aside("b", 2), "for every stage of the unit"

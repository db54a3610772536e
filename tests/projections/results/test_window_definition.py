"""What counts in a window has one definition: the views and `check` give the same answer under every policy.

The rule: docs/results.md, "The baseline" and "The policy". The results are every combination of what a record can say
of itself, so that no difference can hide.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import msgspec
import pytest

from commands.imports.hf_tracking import import_folder
from ledger.event import NewEvent
from ledger.events.policies import MetricPolicyAdopted
from ledger.ledger import Ledger
from projections.results.metric_policy import MetricPolicy, Rules
from projections.results.verdict import Subject
from projections.results.window import _RULES, ThisRun, _rules_of, window_for
from projections.state import catalogue
from projections.state.state import State
from tests.commands.records import IDENTITY, MODEL, history, legacy
from tests.projections.results.test_against_oracle import _silent_app

ABSENT = object()
WHOLE = 10_000
SAID = {
    "success": (ABSENT, True, False, "false", "yes"),
    "baseline_eligible": (ABSENT, True, False),
    "run_source": (ABSENT, "scheduled_main", "pr", "local"),
    "timestamp": ("2026-06-01T00:00:00+00:00", None),
    "latency": (28.4, None),
}
POLICIES = {
    "default": Rules(),
    "success is enough": Rules(legacy_eligibility="successful"),
    "any text is a yes": Rules(success_text="truth"),
    "nothing measured passes": Rules(nothing_measured="pass"),
    "pull requests count": Rules(eligible_run_sources=("scheduled_main", "pr")),
    "by path": Rules(order="path"),
    "all of it": Rules(
        legacy_eligibility="successful",
        success_text="truth",
        nothing_measured="pass",
        eligible_run_sources=("local",),
        order="path",
    ),
}
EMPTY = dict.fromkeys(("throughput", "memory", "text_encoder_time_s", "dit_time_s", "vae_decode_time_s"))


def every_combination() -> list[dict[str, Any]]:
    """Return one record per combination of what records say, with and without identity."""
    made: list[dict[str, Any]] = []
    for number, values in enumerate(itertools.product(*SAID.values())):
        said = {key: value for key, value in zip(SAID, values, strict=True) if value is not ABSENT}
        for identity in ({}, IDENTITY):
            plain = {k: v for k, v in legacy(1).items() if k not in SAID}
            made.append({**plain, **EMPTY, **identity, **said, "commit_sha": f"{len(made) * 1000 + number:040x}"})
    return made


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    folder: Path = tmp_path_factory.mktemp("window")
    ledger = Ledger.create(folder / ".perfledger", origin="here", actor="t")
    import_folder(_silent_app(), ledger, history(folder / "history", every_combination()))
    return ledger


@pytest.mark.parametrize("rules", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize("identity", [{}, IDENTITY], ids=["without identity", "with identity"])
def test_the_views_count_what_check_counts_under_the_policy_in_force(
    known: Ledger, rules: Rules, identity: dict[str, Any]
) -> None:
    policy = MetricPolicy(window=WHOLE, rules=rules)
    evidence = known.evidence.put(repr(policy).encode())
    adopted = MetricPolicyAdopted(
        name="p", digest=policy.digest(), policy=policy.as_dict(), sha256=evidence, reason="t"
    )
    known.append([NewEvent(stream="policy", payload=adopted)])
    subject = Subject({**legacy(2), **identity}, "local")
    with State.open(known) as state:
        checked = window_for(state, subject, policy, event_id="", run=ThisRun())
        viewed = state.rows(
            "SELECT event_id FROM baseline_windows WHERE model_id = $model AND claims_identity = $claims "
            "ORDER BY place DESC",
            {"model": MODEL, "claims": bool(identity)},
        )
    assert [row.event_id for row in checked] == [row["event_id"] for row in viewed]
    assert checked, "no combination counts, so nothing was compared"


def test_without_a_policy_the_views_follow_the_default_one(tmp_path: Path) -> None:
    ledger = Ledger.create(tmp_path / ".perfledger", origin="here", actor="t")
    with State.open(ledger) as state:
        sql = catalogue.part("rules").replace("as_of := as_of, as_recorded := as_recorded", "")
        (viewed,) = state.rows(sql)
        (given,) = state.rows(_RULES, _rules_of(MetricPolicy()))
    assert viewed == {**given, "window_length": MetricPolicy().window}
    assert set(given) - {"window_order"} < set(msgspec.structs.asdict(MetricPolicy().rules))

"""Payloads bent at random places are read or refused by name; what is read can always be stored."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commands.service import buildkite, github, reading
from ledger.errors import BadInput
from ledger.event import encode_payload
from ledger.events.checks import PushObserved
from tests.e2e import webhook_payloads as payloads

DOCUMENTED = {
    ("github", "status"): payloads.status(),
    ("github", "check_run"): payloads.check_run(),
    ("github", "pull_request"): payloads.pull_request(mergeable=True, labels=("ready",)),
    ("github", "pull_request_review"): payloads.review(),
    ("github", "issue_comment"): payloads.comment(),
    ("github", "push"): payloads.push(),
    ("buildkite", "job.finished"): payloads.buildkite_job(),
    ("buildkite", "build.finished"): payloads.buildkite_build(),
}
READ = {"github": github.read, "buildkite": buildkite.read}
_VALUE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**80), 2**80),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=30),
    st.just([]),
    st.just({}),
    st.just("x" * 70_000),
    st.lists(st.text(max_size=3), max_size=3),
    st.sampled_from(["9999999999999", "2026-13-45", "0001-01-01T00:00:00+23:59", "\u202e\u0000", "a" * 40]),
)


def bend(document: dict[str, Any], chance: random.Random, value: object) -> None:
    """Put a value at a random place, or take that place away."""
    place: Any = document
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = chance.choice(keys)
        inner = place[key]
        if isinstance(inner, (dict, list)) and inner and chance.random() < 0.7:
            place = inner
            continue
        if chance.random() < 0.3:
            del place[key]
        else:
            place[key] = value
        return


@pytest.mark.parametrize(("source", "event"), DOCUMENTED)
def test_bent_payloads_are_read_or_refused_and_what_is_read_can_be_stored(source: str, event: str) -> None:
    @settings(max_examples=120, deadline=None)
    @given(st.randoms(use_true_random=False), st.lists(_VALUE, min_size=1, max_size=3))
    def one(chance: random.Random, values: list[object]) -> None:
        document = copy.deepcopy(DOCUMENTED[source, event])
        for value in values:
            bend(document, chance, value)
        try:
            found = READ[source](event, json.dumps(document).encode())
        except BadInput as error:
            assert error.code == "bad_payload" and error.message
            return
        for new in reading.events(source, "d", event, body_sha256="0" * 64, body_bytes=1, reading=found):
            assert len(encode_payload(new.payload)) < 2**20
            assert new.stream and new.key

    one()


@pytest.mark.parametrize(("source", "event"), DOCUMENTED)
def test_a_documented_payload_says_exactly_one_thing(source: str, event: str) -> None:
    found = READ[source](event, json.dumps(DOCUMENTED[source, event]).encode())
    assert len(found.facts) == 1


def test_a_push_of_very_many_files_says_how_many_it_left_out() -> None:
    body = payloads.push()
    body["commits"][0]["added"] = [f"dir/{n}.py" for n in range(6_000)]
    (fact,) = github.read("push", json.dumps(body).encode()).facts
    assert isinstance(fact.payload, PushObserved)
    assert len(fact.payload.files) == reading.FILES_MAX
    assert fact.payload.more_files == 6_002 - reading.FILES_MAX


@pytest.mark.parametrize(
    ("label", "part"),
    [
        (":microscope: Encoder Tests", "microscope-encoder-tests"),
        (":bar_chart: SSIM Tests", "bar-chart-ssim-tests"),
        (":test_tube: Self-Forcing Tests", "test-tube-self-forcing-tests"),
        ("Plain", "plain"),
        (":vertical_traffic_light: Golden-Gate Tests", "vertical-traffic-light-golden-gate-tests"),
    ],
)
def test_a_step_label_becomes_the_context_github_shows(label: str, part: str) -> None:
    assert buildkite.slug(label) == part

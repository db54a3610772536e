"""Which constants are thresholds, which stage takes each, and what is said of those that nobody takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from commands.calibrate.config.metrics import Registry, extend_registry
from commands.calibrate.config.sources import MetricSource, Preset, Routing, Variant
from commands.calibrate.discovery import messages
from commands.calibrate.discovery.claims import Claim, Thresholds, claims_of, thresholds_of, unclaimed_by
from commands.literals.finder import find_constants
from commands.literals.source import read_source
from ledger.errors import BadInput

FILE = "tests/test_x_ci.py"
REGISTRY = extend_registry(
    Registry(),
    {
        "metrics": {
            "wer": {"group": "wer", "worst": "max"},
            "qps": {"group": "speed", "worst": "min", "nested": True},
        },
        "metric_patterns": [
            {"match": "^_?(.*_)?WER_(MAX|REF)$", "metric": "wer"},
            {"match": "^KNOWN_MAX$", "metric": None},
        ],
    },
    Path("config.yaml"),
)


def thresholds(text: str, *ignored: str) -> Thresholds:
    """What a file's constants are."""
    return thresholds_of(find_constants(read_source(text.encode(), Path(FILE))), REGISTRY, ignored)


@pytest.mark.parametrize(
    ("text", "sources"),
    [
        ("WER_MAX = 0.1\n", ["WER_MAX"]),
        ("_A_WER_MAX: float = 0.1\n", ["_A_WER_MAX"]),
        ("WER_MAX = None\n", ["WER_MAX"]),
        ("WER_MAX = 2 / 100\n", ["WER_MAX"]),
        ("WER_MAX = 'x'\n", []),
        ("BASE = 1\nWER_MAX = BASE * 2\n", []),
        ("P = {16: {'qps': 1.0, 'other': 2.0}}\n", ["P['qps']"]),
        ("P = {'qps': 1.0}\n", ["P['qps']"]),
        ("P = {16: {'wer': 1.0}}\n", []),
        ("WER_MAX = 1\nWER_MAX = 2\n", ["WER_MAX"]),
    ],
)
def test_a_constant_whose_name_a_pattern_knows_and_that_is_a_number_is_a_threshold(
    text: str, sources: list[str]
) -> None:
    assert [each.source for each in thresholds(text).candidates] == sources


@pytest.mark.parametrize(
    ("text", "unmatched"),
    [
        ("SPEED_MIN = 1\n", ["SPEED_MIN"]),
        ("_MAX_DELAY = 1\n", ["_MAX_DELAY"]),
        ("DELAY_REFERENCE = 1\n", ["DELAY_REFERENCE"]),
        ("MAX_TOKENS = 1\n", []),
        ("MAX_SAMPLES = 1\n", []),
        ("TIMEOUT_MAX = 1\n", []),
        ("KNOWN_MAX = 1\n", []),
        ("MAXIMAL = 1\n", []),
        ("SPEED_MIN = 'text'\n", []),
        ("P = {16: {'other': 2.0}}\n", ["P['other']"]),
        ("P = {'other': 2.0}\n", []),
    ],
)
def test_a_bound_that_no_pattern_knows_is_said_unless_it_limits_the_work(text: str, unmatched: list[str]) -> None:
    assert list(thresholds(text).unmatched) == unmatched


@pytest.mark.parametrize(
    ("ignored", "left"),
    [("WER_MAX", ["P['qps']"]), ("P['qps']", ["WER_MAX"]), ("P", ["WER_MAX"]), ("NOBODY", ["WER_MAX", "P['qps']"])],
)
def test_what_the_configuration_leaves_out_is_neither_a_threshold_nor_unmatched(ignored: str, left: list[str]) -> None:
    found = thresholds("WER_MAX = 1\nP = {16: {'qps': 1.0}}\nSPEED_MIN = 1\n", ignored, "SPEED_MIN")
    assert [each.source for each in found.candidates] == left
    assert found.unmatched == ()


def test_a_threshold_bound_twice_is_named_with_both_lines() -> None:
    assert thresholds("WER_MAX = 1\n\nif True:\n    WER_MAX = 2\n").bound_twice == ("WER_MAX (lines 1, 3)",)


def claims(text: str, *, variants: str = "", presets: str = "") -> tuple[Thresholds, list[Claim]]:
    """The claims of variants and presets whose filter is their upper-case name."""
    source = MetricSource(
        routing=Routing(),
        variants=tuple(
            Variant(name=name, routing=Routing(), constant_filter=re.compile(f".*{name.upper()}"))
            for name in variants.split()
        ),
        presets=tuple(Preset(name, constant_filter=re.compile(name.upper())) for name in presets.split()),
    )
    found = thresholds(text)
    return found, claims_of(found, source, FILE)


def taken(claim: Claim) -> list[str]:
    """The sources one claim takes."""
    return [each.source for group in claim.groups.values() for each in group.values()]


def test_a_filter_is_matched_at_the_start_of_the_name_without_its_underscores() -> None:
    found, (one,) = claims("_A_WER_MAX = 1\nX_A_WER_MAX = 2\n", presets="a")
    assert taken(one) == ["_A_WER_MAX"]
    assert [each.source for each in unclaimed_by(found, [one])] == ["X_A_WER_MAX"]


def test_variants_and_presets_are_crossed_variant_first() -> None:
    text = "".join(f"{p}_{v}_WER_MAX = 1\n" for p in "AB" for v in ("NEW", "OLD"))
    _, found = claims(text, variants="new old", presets="a b")
    assert [taken(each) for each in found] == [
        ["A_NEW_WER_MAX"],
        ["B_NEW_WER_MAX"],
        ["A_OLD_WER_MAX"],
        ["B_OLD_WER_MAX"],
    ]


@pytest.mark.parametrize(
    ("text", "chosen"),
    [("WER_MAX = 1\nWER_REF = 2\n", ["WER_REF"]), ("WER_REF = 2\nWER_MAX = 1\n", ["WER_REF"])],
)
def test_of_two_bounds_of_one_metric_the_reference_is_the_one_that_is_calibrated(text: str, chosen: list[str]) -> None:
    _, (one,) = claims(text)
    assert taken(one) == chosen


@pytest.mark.parametrize("text", ["A_WER_MAX = 1\nB_WER_MAX = 2\n", "A_WER_REF = 1\nB_WER_REF = 2\nWER_MAX = 3\n"])
def test_two_equal_bounds_of_one_metric_are_refused_naming_file_both_and_their_lines(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        claims(text)
    first, second = (line.split()[0] for line in text.splitlines()[:2])
    assert refused.value.message == f"{FILE}: {first} (line 1) and {second} (line 2) both bound wer"
    assert refused.value.code == "duplicate_constants"


def test_the_refusal_says_of_which_variant_and_preset() -> None:
    with pytest.raises(BadInput, match="both bound wer of variant 'new' of preset 'a'"):
        claims("A_NEW_WER_MAX = 1\nA_X_NEW_WER_MAX = 2\n", variants="new", presets="a")


def test_what_no_stage_measures_is_said_with_the_reason() -> None:
    text = "B_WER_MAX = 1\nBASE = 1\nC_WER_MAX = BASE\nSPEED_MIN = 1\nif BASE:\n    B_WER_MAX = 2\n"
    found, own = claims(text, presets="a")
    assert messages.constant_lines(FILE, found, unclaimed_by(found, own)) == [
        f"  [unclaimed] {FILE}: no variant or preset takes B_WER_MAX (wer)",
        f"  [derived] {FILE}: computed, never calibrated: C_WER_MAX (from BASE)",
        f"  [unmatched] {FILE}: no metric pattern knows SPEED_MIN",
        f"  [ambiguous] {FILE}: bound more than once, apply will refuse: B_WER_MAX (lines 1, 5)",
    ]
    found, own = claims("WER_MAX = 1\n")
    assert messages.constant_lines(FILE, found, unclaimed_by(found, own)) == []


def test_a_literal_of_several_stages_is_said_with_all_of_them() -> None:
    source = MetricSource(routing=Routing(), presets=(Preset("a"), Preset("b")))
    shared = claims_of(thresholds("WER_MAX = 1\n"), source, FILE)
    assert messages.shared_lines(FILE, shared) == [
        f"  [shared] {FILE}: WER_MAX belongs to a, b; apply refuses different values"
    ]
    assert messages.shared_lines(FILE, shared[:1]) == []


AUTO = Routing(json_file="r.json", paths={"wer": "m.wer", "qps": "m.qps"}, sample_counts={"total": "n"})


@pytest.mark.parametrize(
    ("inferred", "configured", "line"),
    [
        (None, None, "[warn]"),
        (AUTO, None, "[auto]"),
        (None, Routing(json_file="x.json"), None),
        (AUTO, AUTO, "[ok]"),
        (AUTO, Routing(), "[ok]"),
        (AUTO, Routing(paths={"wer": "m.wer"}), "[ok]"),
        (AUTO, Routing(json_file="x.json"), "(json_file differ)"),
        (AUTO, Routing(paths={"wer": "x"}), "(paths differ)"),
        (AUTO, Routing(sample_counts={"total": "x"}), "(sample_counts differ)"),
        (
            AUTO,
            Routing(json_file="x.json", paths={"new": "x"}, sample_counts={"ok": "x"}),
            "(json_file, paths, sample_counts differ)",
        ),
    ],
)
def test_a_file_says_whether_convention_configuration_or_both_know_where_its_numbers_lie(
    inferred: Routing | None, configured: Routing | None, line: str | None
) -> None:
    entry = None if configured is None else MetricSource(routing=configured)
    said = messages.source_line(FILE, inferred, entry, ["wer"])
    assert (said is None) == (line is None)
    assert line is None or (said is not None and line in said and FILE in said)


def test_a_suggested_entry_names_only_metrics_that_the_file_bounds() -> None:
    said = messages.source_line(FILE, AUTO, None, ["wer"])
    assert said is not None and 'wer: "m.wer"' in said and "qps" not in said

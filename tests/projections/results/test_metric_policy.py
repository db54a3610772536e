"""Limits, overrides and policy files. Facts: performance CI of hao-ai-lab/FastVideo, August 2026."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ledger.errors import BadInput
from projections.results.metric_policy import (
    CATALOGUE,
    Limit,
    LimitChange,
    MetricPolicy,
    Rules,
    effective_limits,
    overrides_of,
    policy_from,
    read_policy_file,
)


def test_the_default_limits_are_those_of_the_performance_ci() -> None:
    assert [(m.name, m.label, m.decimals, m.higher_is_better, m.limit) for m in CATALOGUE.values()] == [
        ("latency", "Latency", 3, False, Limit(0.08, 0.5, True)),
        ("throughput", "Throughput", 3, True, Limit(0.08, 0.05, True)),
        ("memory", "Memory", 1, False, Limit(0.05, 256.0, True)),
        ("text_encoder_time_s", "Text Enc", 3, False, Limit(0.05, 0.25, True)),
        ("dit_time_s", "DiT", 3, False, Limit(0.05, 0.25, True)),
        ("vae_decode_time_s", "VAE Decode", 3, False, Limit(0.05, 0.25, True)),
    ]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"threshold_percent": 0.1}, {"threshold_percent": 0.1}),
        (
            {"threshold_percent": "0.1", "threshold_absolute": " 2 "},
            {"threshold_percent": 0.1, "threshold_absolute": 2.0},
        ),
        ({"threshold_percent": True, "threshold_absolute": False}, {}),
        ({"threshold_percent": "lots"}, {}),
        ({"threshold_percent": [0.1]}, {}),
        ({"threshold_percent": None}, {}),
        ({"threshold_percent": float("nan")}, {}),
        ({"threshold_absolute": -1}, {"threshold_absolute": -1.0}),
        ({"gated": False}, {"gated": False}),
        ({"gated": " OFF "}, {"gated": False}),
        ({"gated": "Yes"}, {"gated": True}),
        ({"gated": 1}, {"gated": True}),
        ({"gated": "0"}, {"gated": False}),
        ({"gated": "maybe"}, {}),
        ({"gated": None}, {}),
    ],
)
def test_overrides_are_numbers_or_numeric_text_and_words_for_gated(
    given: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert overrides_of({"latency": given}) == ({"latency": expected} if expected else {})


@pytest.mark.parametrize(
    "container", [None, [], "x", 3, {"latency": []}, {"latency": None}, {"tokens": {"gated": False}}]
)
def test_unknown_metrics_and_containers_that_are_no_objects_change_nothing(container: Any) -> None:
    assert overrides_of(container) == {}
    assert effective_limits(container) == effective_limits(None)


def test_a_results_own_overrides_win_over_the_policy_field_by_field() -> None:
    policy = MetricPolicy(metrics={"latency": LimitChange(threshold_percent=0.02, threshold_absolute=0.1)})
    own = {"latency": {"threshold_absolute": 2.0}}
    assert effective_limits(own, policy)["latency"] == Limit(0.02, 2.0, True)
    ignoring = MetricPolicy(metrics=policy.metrics, rules=Rules(record_overrides="ignored"))
    assert effective_limits(own, ignoring)["latency"] == Limit(0.02, 0.1, True)


def test_a_normalized_record_that_spells_out_the_defaults_does_not_undo_a_policy() -> None:
    policy = MetricPolicy(metrics={"latency": LimitChange(threshold_percent=0.02)})
    spelled = {"latency": {"threshold_percent": 0.08, "threshold_absolute": 0.5, "gated": True}}
    assert effective_limits(spelled, policy)["latency"].threshold_percent == 0.02


def test_a_policy_file_is_yaml_and_says_only_what_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(
        "name: strict\nwindow: 7\nmetrics:\n  latency: {threshold_percent: 0.03}\n  memory: {gated: false}\n"
        "rules: {legacy_comparison: none, legacy_max_regression: 0.05, eligible_run_sources: [scheduled_main, local]}\n"
    )
    policy = read_policy_file(str(file))
    assert (policy.name, policy.window) == ("strict", 7)
    assert policy.limit("latency") == Limit(0.03, 0.5, True)
    assert policy.limit("memory") == Limit(0.05, 256.0, False)
    assert policy.limit("throughput") == CATALOGUE["throughput"].limit
    assert policy.rules.eligible_run_sources == ("scheduled_main", "local")
    assert policy_from(policy.as_dict(), where="event").digest() == policy.digest()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("windows: 5", "windows"),
        ("window: 0", "window"),
        ("window: five", "window"),
        ("metrics: {tokens: {}}", "metrics.tokens"),
        ("metrics: {latency: {threshold_percent: -0.1}}", "metrics.latency.threshold_percent"),
        ("metrics: {latency: {threshold_percent: .nan}}", "metrics.latency.threshold_percent"),
        ("metrics: {latency: {percent: 1}}", "percent"),
        ("rules: {order: random}", "rules.order"),
        ("[1, 2]", "object"),
        ("a: [", "YAML"),
        ("rules: {legacy_max_regression: .inf}", "legacy_max_regression"),
    ],
)
def test_a_bad_policy_file_is_refused_with_its_field(tmp_path: Path, text: str, names: str) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(text)
    with pytest.raises(BadInput) as caught:
        read_policy_file(str(file))
    assert names in caught.value.message and str(file) in caught.value.message


def test_an_empty_policy_file_is_the_default_policy(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("")
    assert read_policy_file(str(file)) == MetricPolicy()


def test_the_digest_depends_on_the_rules_and_not_on_the_name() -> None:
    assert MetricPolicy(name="a").digest() == MetricPolicy(name="b").digest()
    assert MetricPolicy(window=4).digest() != MetricPolicy().digest()
    assert MetricPolicy(metrics={"latency": LimitChange(threshold_percent=0.08)}).digest() == MetricPolicy().digest()

"""Every row of the shipped policies against the page and the configuration they come from."""

from __future__ import annotations

import pytest

from projections.ci import labels, lanes, slash
from projections.ci.policy import Lane, Policy
from tests.projections.ci import page as facts


def started(policy: Policy, *files: str) -> set[str]:
    return {start.test_type for start in lanes.started(policy, files)}


def lane(policy: Policy, test_type: str) -> Lane:
    return next(lane for lane in policy.lanes if lane.test_type == test_type)


def test_the_page_has_five_fastcheck_and_ten_full_suite_lanes(page: Policy, august: Policy) -> None:
    assert [row.test_type for row in page.lanes_of("fastcheck")] == list(facts.FASTCHECK)
    assert {row.test_type for row in page.lanes_of("full")} == set(facts.FULL)
    assert [tier.number for tier in page.tiers] == [1, 2, 3]
    assert len(august.lanes_of("fastcheck")) == 6
    assert {row.test_type for row in august.lanes_of("full")} == set(facts.FULL) | set(facts.FULL_AUGUST_ONLY)


@pytest.mark.parametrize("test_type", facts.FASTCHECK)
def test_a_fastcheck_lane_starts_for_each_path_it_watches_and_for_the_common_ones(
    page: Policy, august: Policy, test_type: str
) -> None:
    for file in facts.FASTCHECK[test_type]:
        assert test_type in started(page, file), file
        assert test_type in started(august, file), file
    for common in ("pyproject.toml", "docker/Dockerfile.python3.12"):
        assert test_type in started(page, common)
        assert test_type in started(august, common)
    # the plain pattern docker/Dockerfile is a prefix in August; the page names one whole file
    assert test_type in started(august, "docker/Dockerfile.rocm")
    assert test_type not in started(page, "docker/Dockerfile.rocm")
    assert test_type not in started(page, "README.md", "docs/a.md")


@pytest.mark.parametrize("test_type", facts.FULL)
def test_a_full_suite_lane_has_its_timeout_and_starts_for_each_path_it_watches(
    page: Policy, august: Policy, test_type: str
) -> None:
    minutes, minutes_august, files = facts.FULL[test_type]
    assert lane(page, test_type).timeout_minutes == minutes
    assert lane(august, test_type).timeout_minutes == minutes_august
    for file in (*files, "pyproject.toml"):
        assert test_type in started(page, file), file
        assert test_type in started(august, file), file
    assert test_type not in started(page, "README.md", "docs/a.md")


@pytest.mark.parametrize("test_type", facts.FULL_AUGUST_ONLY)
def test_a_lane_that_august_added_is_not_on_the_page(page: Policy, august: Policy, test_type: str) -> None:
    minutes, files = facts.FULL_AUGUST_ONLY[test_type]
    assert lane(august, test_type).timeout_minutes == minutes
    assert all(test_type in started(august, file) for file in files)
    assert all(test_type not in started(page, file) for file in files)


def test_lanes_do_not_start_for_their_neighbours_paths(page: Policy, august: Policy) -> None:
    assert started(page, "fastvideo/tests/vaes/a.txt") == {
        "vae",
        "unit_test",
        "training",
        "training_lora",
        "training_vsa",
    }
    assert started(page, "fastvideo-kernel/a.cu") == {"kernel_tests", "training_vsa", "inference_vmoba"}
    assert started(page, "fastvideo/training/deep/wan_distillation_pipeline.py") & {"distillation_dmd"} == set()
    assert started(august, "apps/dreamverse/x.ts") == {"dreamverse_app"}
    assert "dreamverse_app" not in started(august, "docker/Dockerfile")
    assert "dreamverse_app" in started(august, "pyproject.toml")
    assert all("golden_gate" not in started(august, f) for f in ("fastvideo/a.py", "pyproject.toml"))
    assert lane(august, "golden_gate").timeout_minutes == 90


def test_the_real_plugin_splits_names_at_white_space_and_the_page_does_not(page: Policy, august: Policy) -> None:
    name = "docs/a fastvideo-kernel/b.cu"
    assert "kernel_tests" in started(august, name)
    assert started(page, name) == set()


@pytest.mark.parametrize(
    ("test_type", "context"),
    [
        ("encoder", "buildkite/ci/microscope-encoder-tests"),
        ("vae", "buildkite/ci/microscope-vae-tests"),
        ("kernel_tests", "buildkite/ci/microscope-kernel-tests"),
        ("ssim", "buildkite/ci/bar-chart-ssim-tests"),
        ("inference_lora", "buildkite/ci/test-tube-lora-inference-tests"),
        ("training_vsa", "buildkite/ci/test-tube-training-tests-vsa"),
        ("performance", "buildkite/ci/test-tube-performance-tests"),
    ],
)
def test_a_lanes_context_is_its_step_label_with_the_emojis_name(
    page: Policy, august: Policy, test_type: str, context: str
) -> None:
    assert lane(page, test_type).context == context
    assert lane(august, test_type).context == context


@pytest.mark.parametrize("tag", facts.TYPE_LABELS)
def test_every_tag_in_any_case_is_valid_and_gives_its_type_label(page: Policy, august: Policy, tag: str) -> None:
    for spelled in (tag, tag.upper(), tag.title()):
        for policy in (page, august):
            verdict = labels.judge_title(policy, f"[{spelled}] Do it")
            assert (verdict.valid, verdict.tag, verdict.label) == (True, tag, facts.TYPE_LABELS[tag]), spelled


def test_the_page_has_thirteen_tags_and_august_sixteen(page: Policy, august: Policy) -> None:
    assert [tag.tag for tag in page.title.tags] == list(facts.TYPE_LABELS)
    assert {tag.tag for tag in august.title.tags} == {*facts.TYPE_LABELS, "skill", "skills", "infra"}
    assert labels.judge_title(august, "[new model] x").label == "type: new-model"
    assert labels.judge_title(august, "[newmodel] x").valid
    assert not labels.judge_title(page, "[new model] x").valid
    assert not labels.judge_title(page, "[infra] x").valid
    assert labels.judge_title(august, "[Skills] x").label == "type: skill"


@pytest.mark.parametrize("label", facts.SCOPES)
def test_every_scope_label_comes_from_each_of_its_prefixes(page: Policy, label: str) -> None:
    for prefix in facts.SCOPES[label]:
        file = prefix if prefix.endswith(".py") else prefix + "deep/file.txt"
        plan = labels.plan(page, title="[feat] x", files=["README.md", file])
        assert label in plan.scopes and plan.because[label] == file
    assert label not in labels.plan(page, title="[feat] x", files=["README.md", "fastvideo/x.py"]).scopes


def test_august_has_studio_instead_of_ui(page: Policy, august: Policy) -> None:
    assert labels.plan(august, title="[feat] x", files=["apps/fastvideo_studio/a", "ui/a"]).scopes == ["scope: studio"]
    assert labels.plan(page, title="[feat] x", files=["apps/fastvideo_studio/a", "ui/a"]).scopes == ["scope: ui"]
    # its pattern for the sampling parameters is a beginning, not one file
    assert labels.plan(august, title="[feat] x", files=["fastvideo/api/sampling_params/a.py"]).scopes == [
        "scope: inference"
    ]


@pytest.mark.parametrize("name", [*facts.SLASH, *facts.SLASH_AUGUST_ONLY])
def test_every_slash_name_starts_its_test(page: Policy, august: Policy, name: str) -> None:
    test_type, scope = {**facts.SLASH, **facts.SLASH_AUGUST_ONLY}[name]
    for policy in (page, august):
        commands = slash.parse(policy, f"/test {name}")
        decision = slash.decide(policy, commands[0], slash.Asker(permission="write"), slash.Target(number=7))
        if policy is page and name in facts.SLASH_AUGUST_ONLY:
            assert not decision.known
        else:
            assert (decision.known, decision.action, decision.test_type, decision.scope) == (
                True,
                "trigger",
                test_type,
                scope,
            )
    assert len(page.commands.tests) == 18 and len(august.commands.tests) == 23


def test_the_merge_conditions_of_both(page: Policy, august: Policy) -> None:
    blocking = [(rule.id, rule.kind) for rule in page.merge.conditions if not rule.advisory]
    assert blocking == [
        ("pre-commit", "context"),
        ("fastcheck", "aggregate"),
        ("full-suite", "aggregate"),
        ("approval", "approvals"),
        ("title", "title"),
        ("not-draft", "not_draft"),
        ("no-conflict", "no_conflict"),
        ("open", "open"),
        ("do-not-merge", "no_label"),
    ]
    assert {rule.id for rule in august.merge.conditions if not rule.advisory} == {
        "title",
        "approval",
        "pre-commit",
        "fastcheck",
        "full-suite",
        "ready",
        "no-conflict",
        "open",
        "not-draft",
    }
    assert (page.merge.method, page.merge.delete_branch, page.merge.update_when_behind) == ("squash", True, True)
    assert (august.merge.method, august.merge.delete_branch) == ("squash", False)
    assert august.merge.update_when_behind is False
    assert page.merge.keep_branches == ["main", "master", "release/*"]
    assert [tier.aggregate for tier in page.tiers] == [None, "fastcheck-passed", "full-suite-passed"]
    assert page.aggregates == august.aggregates == "strict"

"""`perfledger ci ...`: contracts, exit codes, and what a person reads."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger.event import NewEvent
from ledger.events.checks import PullRequestObserved, ReviewObserved
from ledger.ledger import Ledger
from tests.commands.ci.conftest import random_life
from tests.conftest import Result
from tests.projections.ci.conftest import SHIPPED, shipped

ROOT = Path(__file__).resolve().parents[3]
SHA = "a" * 40


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/test performance", {"known": True, "action": "trigger", "test_type": "performance", "scope": "direct"}),
        ("/test kernel", {"known": True, "action": "trigger", "test_type": "kernel_tests", "scope": "direct"}),
        ("/test full", {"known": True, "action": "trigger", "test_type": "all", "scope": "full"}),
        ("/test fastcheck", {"known": True, "action": "trigger", "test_type": "fastcheck", "scope": "fastcheck"}),
        ("/merge", {"known": True, "action": "merge", "test_type": "all", "scope": "full"}),
    ],
)
def test_a_command_is_told_as_json_without_a_ledger(
    invoke: Callable[..., Result], text: str, expected: dict[str, Any]
) -> None:
    found = invoke("ci", "command", text, "--json", code=0).json
    assert {name: found[name] for name in expected} == expected
    assert len(found["policy"]["digest"]) == 64


def test_the_contract_of_ci_command_by_the_installed_program(cli: Callable[..., Result]) -> None:
    found = cli("ci", "command", "/test performance", "--json", code=0).json
    assert list(found)[:4] == ["known", "action", "test_type", "scope"]
    unknown = cli("ci", "command", "/test lora", "--json", code=2).json
    assert unknown["known"] is False and unknown["error"]["code"] == "unknown_command"
    assert "/test lora-training" in unknown["names"] == unknown["error"]["details"]["names"]


@pytest.mark.parametrize("text", ["", "hello", "/tests ssim", "/test", "/test .*", "/test ssim\n/test nope"])
def test_an_unknown_command_exits_2_with_the_list(invoke: Callable[..., Result], text: str) -> None:
    assert "/test ssim" in invoke("ci", "command", text, "--json", code=2).json["names"]
    told = invoke("ci", "command", text, code=2)
    assert "self-forcing" in told.out + told.err


def test_a_permission_that_does_not_suffice_exits_1_and_is_answered(invoke: Callable[..., Result]) -> None:
    found = invoke("ci", "command", "/merge", "--permission", "read", "--json", code=1).json
    assert found["allowed"] is False and "needs write permission" in found["answer"]


def test_lanes_name_file_pattern_and_policy(invoke: Callable[..., Result]) -> None:
    found = invoke("ci", "lanes", "--changed", "fastvideo-kernel/a.cu", "docs/x.md", "--json", code=0).json
    assert [lane["test_type"] for lane in found["lanes"]] == ["kernel_tests", "training_vsa", "inference_vmoba"]
    assert found["lanes"][0]["matches"] == [
        {"file": "fastvideo-kernel/a.cu", "pattern": "fastvideo-kernel/**", "how": "glob"}
    ]
    assert found["unwatched"] == ["docs/x.md"] and found["policy"]["from"] == "default"
    assert found["tiers"] == {"fastcheck": ["kernel_tests"], "full": ["training_vsa", "inference_vmoba"]}
    only = invoke("ci", "lanes", "--changed", "fastvideo-kernel/a.cu", "--tier", "full", "--json", code=0).json
    assert len(only["lanes"]) == 2


def git(repo: Path, *args: str) -> None:
    subprocess.run(
        ["git", "-C", repo, "-c", "user.name=t", "-c", "user.email=t@example.org", *args],
        check=True,
        capture_output=True,
    )


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    (folder / "fastvideo" / "models" / "vaes").mkdir(parents=True)
    (folder / "fastvideo" / "models" / "vaes" / "vae.py").write_text("x = 1\n" * 40)
    (folder / "fastvideo" / "tests").mkdir()
    git(tmp_path, "init", "-q", "-b", "main", str(folder))
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "one")
    git(folder, "switch", "-qc", "work")
    return folder


def test_lanes_ask_git_and_a_file_moved_away_counts_for_where_it_was(
    invoke: Callable[..., Result], ledger: Ledger, repo: Path
) -> None:
    git(repo, "mv", "fastvideo/models/vaes/vae.py", "fastvideo/moved into äöü.py")
    git(repo, "commit", "-qm", "two")
    found = invoke("ci", "lanes", "--base", "main", "--repo", repo, "--sha", "HEAD", "--json", code=0).json
    assert found["changed"] == ["fastvideo/models/vaes/vae.py", "fastvideo/moved into äöü.py"]
    assert "vae" in found["tiers"]["fastcheck"] and len(found["sha"]) == 40
    status = invoke("ci", "status", found["sha"], "--json", code=0).json
    assert status["changed_files"] == found["changed"]
    assert "buildkite/ci/microscope-vae-tests" in status["missing"]


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["lanes"], "usage"),
        (["lanes", "stray"], "usage"),
        (["lanes", "--changed", "a", "--base", "main"], "usage"),
        (["lanes", "--base", "--output=x"], "bad_ref"),
        (["lanes", "--base", "nope"], "git_refused"),
        (["lanes", "--changed-from", "missing"], "file_not_found"),
        (["lanes", "--changed", "a", "--policy", "missing"], "no_such_policy"),
        (["report", "--sha", "xyz", "--context", "c", "--state", "success"], "bad_sha"),
        (["report", "--sha", SHA, "--context", "c", "--state", "greenish"], "bad_state"),
        (["report", "--sha", SHA, "--context", " ", "--state", "success"], "bad_context"),
        (["report", "--sha", SHA, "--context", "c", "--state", "success", "--at", "noon"], "bad_time"),
        (["status", "not-a-sha"], "bad_sha"),
        (["gate"], "usage"),
        (["gate", "1", "--file", "x"], "usage"),
        (["gate", "12"], "no_such_pull_request"),
        (["gate", "twelve"], "bad_pull_request"),
        (["gate", "--file", "missing.yaml"], "file_not_found"),
        (["publish"], "usage"),
        (["publish", SHA], "no_repository"),
        (["publish", "abcd", "--repository", "o/r"], "unknown_sha"),
        (["publish", SHA, "--repository", "o/r/x"], "bad_repository"),
        (["policy", "adopt", "fastvideo-page"], "usage"),
        (["policy", "check", "missing"], "no_such_policy"),
    ],
)
def test_wrong_usage_is_one_sentence_with_exit_2_and_records_nothing(
    invoke: Callable[..., Result], ledger: Ledger, repo: Path, args: list[str], code: str
) -> None:
    before = ledger.head().position
    told = invoke("ci", *args, "--json", code=2)
    assert told.json["error"]["code"] == code, told.json
    assert told.json["error"]["message"] and "Traceback" not in told.err
    assert ledger.head().position == before


def report(invoke: Callable[..., Result], context: str, state: str, *more: str) -> str:
    told = invoke("ci", "report", "--sha", SHA, "--context", context, "--state", state, *more, "--json", code=0).json
    return str(told["event_id"])


def test_a_report_is_the_latest_by_its_own_time_not_by_arrival(invoke: Callable[..., Result], ledger: Ledger) -> None:
    report(invoke, "pre-commit", "success", "--at", "2026-06-01T10:00:05Z")
    report(invoke, "pre-commit", "failure", "--at", "2026-06-01T10:00:01Z")
    contexts = invoke("ci", "status", SHA[:8], "--json", code=0).json["contexts"]
    assert [(c["context"], c["state"], c["report_count"]) for c in contexts] == [("pre-commit", "success", 2)]


def test_a_report_from_the_future_does_not_stay_the_latest_for_ever(
    invoke: Callable[..., Result], ledger: Ledger
) -> None:
    report(invoke, "pre-commit", "success", "--at", "2099-01-01T00:00:00Z")
    report(invoke, "pre-commit", "failure")
    assert invoke("ci", "status", SHA, "--json").json["contexts"][0]["state"] == "failure"


def test_status_exits_5_for_a_commit_nobody_spoke_of_and_1_when_a_tier_failed(
    invoke: Callable[..., Result], ledger: Ledger
) -> None:
    assert invoke("ci", "status", SHA, "--json", code=5).json["contexts"] == []
    report(invoke, "buildkite/ci/microscope-vae-tests", "failure")
    assert "failure" in invoke("ci", "status", SHA, code=1).out


NEEDED = [
    "pre-commit",
    "buildkite/ci/microscope-kernel-tests",
    "buildkite/ci/test-tube-training-tests-vsa",
    "buildkite/ci/test-tube-inference-tests-vmoba",
]
FILE: dict[str, Any] = {
    "title": "[fix] x",
    "head_sha": SHA,
    "mergeable": True,
    "approvals": 1,
    "changed_files": ["fastvideo-kernel/a.cu"],
    "statuses": [{"context": context, "state": "success"} for context in NEEDED],
}


@pytest.fixture
def pull(ledger: Ledger) -> None:
    ledger.append(
        [
            NewEvent(
                stream="pull/o/r/7",
                payload=PullRequestObserved(
                    repository="o/r",
                    number=7,
                    title="[kernel] Faster",
                    state="open",
                    head_sha=SHA,
                    mergeable=True,
                    author="bob",
                ),
            ),
            NewEvent(
                stream="pull/o/r/7",
                payload=ReviewObserved(repository="o/r", number=7, reviewer="ada", state="approved", review_id=1),
            ),
        ]
    )


def test_was_it_mergeable_at_that_time(invoke: Callable[..., Result], ledger: Ledger, pull: None) -> None:
    first = invoke("ci", "gate", "7", "--json", code=1).json
    assert first["unmet"] == ["pre-commit", "fastcheck", "full-suite"]
    invoke("ci", "lanes", "--changed", "fastvideo-kernel/a.cu", "--sha", SHA, code=0)
    for context in NEEDED:
        last = report(invoke, context, "success")
    assert invoke("ci", "gate", "o/r#7", "--json", code=0).json["mergeable"] is True
    broken = report(invoke, NEEDED[2], "failure")
    now = invoke("ci", "gate", "https://github.com/o/r/pull/7", "--json", code=1).json
    assert now["unmet"] == ["full-suite"]
    suite = next(c for c in now["conditions"] if c["id"] == "full-suite")
    assert suite["by"] == broken and suite["since"] == ledger.event(broken).recorded_at
    assert set(suite["event_ids"]) >= {broken, last}
    assert invoke("ci", "gate", "7", "--as-of", last, "--json", code=0).json["mergeable"] is True
    assert invoke("ci", "gate", "7", "--as-of", ledger.event(last).recorded_at, code=0)
    assert "may not be merged" in invoke("ci", "gate", "7", code=1).out


def test_adopting_a_policy_is_an_event_and_every_answer_names_its_version(
    invoke: Callable[..., Result], ledger: Ledger, pull: None, tmp_path: Path
) -> None:
    page = invoke("ci", "policy", "adopt", "fastvideo-page", "--reason", "the page", "--json", code=0).json
    again = invoke("ci", "policy", "adopt", "fastvideo-page", "--reason", "again", "--json", code=0).json
    assert (page["adopted"], again["adopted"], again["event_id"]) == (True, False, page["event_id"])
    own = tmp_path / "own.yaml"
    own.write_text((SHIPPED / "fastvideo-page.yaml").read_text().replace("at_least: 1", "at_least: 2"))
    mine = invoke("ci", "policy", "adopt", own, "--reason", "two eyes more", "--json", code=0).json
    assert mine["replaces"] == page["digest"] != mine["digest"]
    assert ledger.evidence.get(ledger.event(mine["event_id"]).body()["sha256"]) == own.read_bytes()
    described = tmp_path / "pull.json"
    described.write_text(json.dumps(FILE))
    for args in (
        ["gate", "7"],
        ["gate", "--file", described],
        ["status", SHA],
        ["command", "/merge"],
        ["labels", "--title", "[fix] x"],
        ["lanes", "--changed", "a"],
        ["lint", "--repo", ROOT],
    ):
        assert invoke("ci", *args, "--json").json["policy"]["digest"] == mine["digest"], args
        then = invoke("ci", *args, "--as-of", page["event_id"], "--json").json
        assert then["policy"]["digest"] == page["digest"], args
        assert invoke("ci", *args, "--as-of", "nonsense", "--json", code=2).json["error"]["code"], args
    kept = invoke("ci", "lanes", "--changed", "a", "--sha", SHA, "--as-of", page["event_id"], "--json", code=2).json
    assert "--sha" in kept["error"]["message"]
    now = invoke("ci", "gate", "7", "--json").json
    then = invoke("ci", "gate", "7", "--as-of", page["event_id"], "--json").json
    assert "approval" in now["unmet"] and "approval" not in then["unmet"]
    assert then["policy"]["digest"] == page["digest"]
    listed = invoke("ci", "policy", "list", "--json", code=0).json["adopted"]
    assert [(row["digest"], row["current"]) for row in listed] == [(mine["digest"], True), (page["digest"], False)]
    assert invoke("ci", "policy", "show", "--json", code=0).json["policy"]["merge"]["conditions"][3]["at_least"] == 2


def test_policy_check_names_the_field(invoke: Callable[..., Result], tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text((SHIPPED / "fastvideo-page.yaml").read_text().replace("kind: open", "kind: ajar"))
    error = invoke("ci", "policy", "check", bad, "--json", code=2).json["error"]
    assert str(bad) in error["message"] and "$.merge.conditions[7].kind" in error["message"]
    assert invoke("ci", "policy", "check", "fastvideo-2026-08", "--json", code=0).json["lanes"] == 20


def test_a_shown_policy_is_a_policy_file_and_the_schema_names_its_fields(
    invoke: Callable[..., Result], tmp_path: Path
) -> None:
    mine = tmp_path / "ci-policy.yaml"
    mine.write_text(invoke("ci", "policy", "show", "fastvideo-2026-08", code=0).out)
    shown, checked = (
        invoke("ci", "policy", "check", name, "--json", code=0).json["digest"] for name in ("fastvideo-2026-08", mine)
    )
    assert shown == checked
    schema = invoke("ci", "policy", "schema", "--json", code=0).json
    assert {"tiers", "lanes", "title", "labels", "commands", "merge"} <= set(schema["$defs"]["Policy"]["properties"])


def test_lint_finds_dead_patterns_and_unwatched_code(invoke: Callable[..., Result], repo: Path) -> None:
    (repo / "fastvideo" / "configs").mkdir()
    (repo / "fastvideo" / "configs" / "wan.py").write_text("from fastvideo.models.vaes import vae\n")
    (repo / "fastvideo" / "tests" / "performance").mkdir()
    (repo / "fastvideo" / "tests" / "performance" / "test_p.py").write_text("from ...configs import wan\nimport os\n")
    git(repo, "add", ".")
    found = invoke(
        "ci", "lint", "--repo", repo, "--imports", "performance=fastvideo/tests/performance/**", "--json", code=1
    ).json
    assert {"place": "lanes.Kernel Tests.watches", "pattern": "fastvideo-kernel/**"} in found["dead_patterns"]
    assert not any(row["pattern"] == "fastvideo/**" for row in found["dead_patterns"])
    told = {(row["why"], row["folder"]) for row in found["unwatched"] if row["test_type"] == "performance"}
    assert ("measures", "fastvideo/models/vaes") in told and ("imports", "fastvideo/configs") in told
    assert ("imports", "fastvideo/models/vaes") in told
    assert "performance" in invoke("ci", "lint", "--repo", repo, code=1).out.lower()


def test_labels_exit_1_on_a_bad_title_and_name_the_stale_ones(invoke: Callable[..., Result]) -> None:
    found = invoke(
        "ci",
        "labels",
        "--title",
        "[perf] x",
        "--changed",
        "docs/a.md",
        "csrc/b.cu",
        "--current",
        "type: feat",
        "--json",
        code=0,
    ).json
    assert found["labels"] == ["type: perf", "scope: kernel", "scope: docs"] and found["stale"] == ["type: feat"]
    assert "Valid tags" in invoke("ci", "labels", "--title", "perf: x", "--changed", "a", code=1).out


def test_the_policies_view_and_the_gate_view_answer_sql(
    invoke: Callable[..., Result], ledger: Ledger, pull: None
) -> None:
    invoke("ci", "policy", "adopt", "fastvideo-page", "--reason", "r", code=0)
    ledger.append(random_life(shipped("fastvideo-page"), 3, count=20))
    rows = invoke(
        "sql", "SELECT condition, met FROM merge_gate WHERE number = 7 ORDER BY place", "--format", "json", code=0
    ).out
    assert '"do-not-merge"' in rows


@pytest.mark.parametrize(
    "name", [None, "lanes", "labels", "command", "report", "receive", "status", "gate", "publish", "lint", "policy"]
)
def test_every_command_has_help(invoke: Callable[..., Result], name: str) -> None:
    assert "Usage: perfledger ci" in invoke("ci", *([name] if name else []), "--help", code=0).out

"""`ci publish` against a server on loopback: what is posted, what is not posted twice, and every way it can fail."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from commands.ci.work.api import rate_limit_wait
from ledger.event import NewEvent
from ledger.events.checks import (
    ChangeObserved,
    CheckReported,
    CommandDecided,
    Published,
    PublishPlanned,
    PullRequestObserved,
)
from ledger.ledger import Ledger
from tests.commands.ci.github_server import FakeGitHub
from tests.conftest import Result

SHA = "a" * 40
TOKEN = "ghp_secret_token_of_the_test"


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    server = FakeGitHub()
    yield server
    server.close()


@pytest.fixture
def publish(invoke: Callable[..., Result], ledger: Ledger, github: FakeGitHub) -> Callable[..., Result]:
    """Run `ci publish` for the commit against the server."""
    ledger.append(
        [
            NewEvent(stream=f"check/{SHA}", payload=ChangeObserved(sha=SHA, files=["fastvideo-kernel/a.cu"])),
            NewEvent(
                stream=f"check/{SHA}",
                payload=CheckReported(
                    sha=SHA, context="buildkite/ci/microscope-kernel-tests", state="success", repository="o/r"
                ),
            ),
        ]
    )

    def run(*args: str, code: int, token: str = TOKEN) -> Result:
        env = {"GITHUB_TOKEN": token} if token else {}
        return invoke(
            "ci",
            "publish",
            *(args or (SHA,)),
            "--repository",
            "o/r",
            "--api-url",
            github.url,
            "--json",
            code=code,
            **env,
        )

    return run


def posted(github: FakeGitHub) -> dict[str, str]:
    """The state GitHub would show for every context of the commit."""
    return {row["context"]: row["state"] for row in reversed(github.statuses.get(SHA, []))}


def types(ledger: Ledger) -> list[str]:
    return [event.type for event in ledger.read(types=["PublishPlanned", "Published", "PublishFailed"])]


def test_aggregates_are_posted_once_with_the_token_and_an_event_before_and_after(
    publish: Callable[..., Result], github: FakeGitHub, ledger: Ledger
) -> None:
    first = publish(code=0).json
    assert posted(github) == {"fastcheck-passed": "success", "full-suite-passed": "pending"}
    assert first["counts"] == {"published": 2, "unchanged": 0} and first["policy"]["digest"]
    assert {auth for _, _, auth in github.requests} == {f"Bearer {TOKEN}"}
    assert types(ledger) == ["PublishPlanned", "Published"] * 2
    plan = next(ledger.read(types=["PublishPlanned"])).typed()
    assert isinstance(plan, PublishPlanned) and plan.policy == first["policy"]["digest"] and len(plan.basis) == 2
    assert publish(code=0).json["counts"] == {"unchanged": 2}
    assert len(github.writes()) == 2
    assert TOKEN not in str([event.as_dict() for event in ledger.read()])


def test_a_late_failure_takes_the_posted_green_back(
    publish: Callable[..., Result], github: FakeGitHub, ledger: Ledger
) -> None:
    publish(code=0)
    ledger.append(
        [
            NewEvent(
                stream=f"check/{SHA}",
                payload=CheckReported(
                    sha=SHA, context="buildkite/ci/microscope-kernel-tests", state="failure", repository="o/r"
                ),
            )
        ]
    )
    publish(code=0)
    assert posted(github)["fastcheck-passed"] == "failure"
    assert "Kernel Tests" in github.statuses[SHA][0]["description"]


def test_a_dry_run_shows_the_exact_bodies_and_neither_sends_nor_records(
    publish: Callable[..., Result], github: FakeGitHub, ledger: Ledger
) -> None:
    found = publish(SHA, "--dry-run", code=0, token="").json
    assert [post["path"] for post in found["posts"]] == [f"/repos/o/r/statuses/{SHA}"] * 2
    assert found["posts"][0]["body"]["context"] == "fastcheck-passed"
    assert github.requests == [] and types(ledger) == []


def test_without_a_token_nothing_is_done(publish: Callable[..., Result], github: FakeGitHub, ledger: Ledger) -> None:
    assert publish(code=2, token="").json["error"]["code"] == "no_token"
    assert github.requests == [] and types(ledger) == []


def test_a_token_is_never_sent_in_the_open(cli: Callable[..., Result], ledger: Ledger) -> None:
    done = cli(
        "ci",
        "publish",
        SHA,
        "--repository",
        "o/r",
        "--api-url",
        "http://example.org",
        "--json",
        env={"GITHUB_TOKEN": TOKEN},
        code=2,
    )
    assert done.json["error"]["code"] == "bad_url"


def test_retry_after_is_waited_for(publish: Callable[..., Result], github: FakeGitHub) -> None:
    github.faults = ["limit:1"]
    publish(code=0)
    assert github.times[1] - github.times[0] >= 1.0
    assert posted(github)["fastcheck-passed"] == "success" and len(github.writes()) == 3


def test_a_rate_limit_longer_than_allowed_fails_with_4_and_the_next_run_posts(
    publish: Callable[..., Result], github: FakeGitHub, ledger: Ledger
) -> None:
    github.faults = ["reset:3600", "reset:3600"]
    found = publish(SHA, "--max-wait", "5", code=4).json
    assert found["counts"]["failed"] == 2 and "rate limit" in found["posts"][0]["reason"]
    assert types(ledger) == ["PublishPlanned", "PublishFailed"] * 2
    publish(code=0)
    assert posted(github)["fastcheck-passed"] == "success"


def test_a_server_error_is_looked_up_before_it_is_called_a_failure(
    publish: Callable[..., Result], github: FakeGitHub
) -> None:
    github.faults = ["502"] * 4
    found = publish(code=4).json
    assert found["counts"] == {"failed": 1, "published": 1, "unchanged": 0}
    assert any(method == "GET" for method, _, _ in github.requests)


@pytest.mark.parametrize("status", [401, 422])
def test_a_refusal_is_not_tried_again(publish: Callable[..., Result], github: FakeGitHub, status: int) -> None:
    github.faults = [str(status)]
    found = publish(code=4).json
    assert f"answered {status}" in found["posts"][0]["reason"]
    assert len(github.writes()) == 2


def test_a_lost_answer_is_looked_for_and_nothing_is_posted_again(
    publish: Callable[..., Result], github: FakeGitHub, ledger: Ledger
) -> None:
    github.faults = ["drop"]
    found = publish(code=0).json
    assert found["counts"] == {"published": 2, "unchanged": 0}
    first = next(ledger.read(types=["Published"])).typed()
    assert isinstance(first, Published) and first.found and len(github.writes()) == len(github.statuses[SHA]) == 2


def test_a_write_that_was_lost_on_its_way_is_sent_again_under_its_plan(
    publish: Callable[..., Result], github: FakeGitHub, ledger: Ledger
) -> None:
    github.faults = ["lose"]
    publish(code=0)
    assert posted(github)["fastcheck-passed"] == "success" and len(github.writes()) == 3
    assert types(ledger) == ["PublishPlanned", "Published"] * 2


def test_a_plan_whose_content_is_no_longer_wanted_is_ended_before_the_next(
    publish: Callable[..., Result], github: FakeGitHub, ledger: Ledger
) -> None:
    github.faults = ["lose"]
    github.list_faults = ["404"]
    publish(code=6)
    failure = CheckReported(sha=SHA, context="buildkite/ci/microscope-kernel-tests", state="failure", repository="o/r")
    ledger.append([NewEvent(stream=f"check/{SHA}", payload=failure)])
    publish(code=0)
    assert posted(github)["fastcheck-passed"] == "failure"
    first = [plan for plan in ledger.read(types=["PublishPlanned"]) if plan.body()["subject"] == "fastcheck-passed"]
    outcomes = [
        e.type
        for e in ledger.read(types=["Published", "PublishFailed"])
        if e.body()["plan"] in {plan.body()["plan"] for plan in first}
    ]
    assert outcomes == ["PublishFailed", "Published"] and len(first) == 2


def test_nothing_listens_there(invoke: Callable[..., Result], publish: Callable[..., Result]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    done = invoke(
        "ci",
        "publish",
        SHA,
        "--repository",
        "o/r",
        "--api-url",
        f"http://127.0.0.1:{port}",
        "--json",
        "--max-wait",
        "1",
        GITHUB_TOKEN=TOKEN,
        code=4,
    )
    assert done.json["counts"]["failed"] == 2


def answer(ledger: Ledger, number: int = 5) -> None:
    ledger.append(
        [
            NewEvent(
                stream="pull/o/r/5",
                key=f"c{number}",
                payload=CommandDecided(
                    repository="o/r",
                    number=5,
                    comment_id=900 + number,
                    item=1,
                    text="/test ssim",
                    known=True,
                    allowed=True,
                    answer="`/test ssim` starts.",
                    policy="p" * 64,
                    reaction="rocket",
                ),
            )
        ]
    )


def test_a_command_is_answered_once_with_a_reaction_and_a_reply(
    publish: Callable[..., Result], github: FakeGitHub, ledger: Ledger
) -> None:
    answer(ledger)
    publish("--answers", code=0)
    publish("--answers", code=0)
    assert [row["content"] for row in github.reactions["905"]] == ["rocket"]
    assert len(github.comments["5"]) == 1 and github.comments["5"][0]["body"].startswith("`/test ssim` starts.")


def test_a_comment_whose_answer_was_lost_is_found_and_not_doubled(
    publish: Callable[..., Result], github: FakeGitHub, ledger: Ledger
) -> None:
    answer(ledger)
    github.faults = ["", "drop"]
    found = publish("--answers", code=0).json
    assert found["counts"] == {"published": 2, "unchanged": 0}
    assert len(github.comments["5"]) == 1


def test_a_comment_that_may_have_been_posted_is_unknown_and_the_next_run_finds_out(
    publish: Callable[..., Result], github: FakeGitHub, ledger: Ledger
) -> None:
    answer(ledger)
    github.faults = ["", "drop"]
    github.list_faults = ["404"]
    assert publish("--answers", code=6).json["counts"]["unknown"] == 1
    assert types(ledger) == ["PublishPlanned", "Published", "PublishPlanned"]
    publish("--answers", code=0)
    assert len(github.comments["5"]) == 1 and types(ledger)[-1] == "Published"


def test_a_comment_that_was_lost_before_it_arrived_is_posted_by_the_next_run(
    publish: Callable[..., Result], github: FakeGitHub, ledger: Ledger
) -> None:
    answer(ledger)
    github.faults = ["", "lose"]
    github.list_faults = ["404"]
    publish("--answers", code=6)
    publish("--answers", code=0)
    assert len(github.comments["5"]) == 1
    assert types(ledger)[2:] == ["PublishPlanned", "Published"], "sent again under the plan that announces it"


def test_four_publishers_at_once_post_every_answer_once(
    cli: Callable[..., Result], publish: Callable[..., Result], github: FakeGitHub, ledger: Ledger
) -> None:
    for number in (5, 6):
        answer(ledger, number)
    github.delay_s = 0.3
    with ThreadPoolExecutor(4) as pool:
        runs = [
            pool.submit(
                cli,
                "ci",
                "publish",
                "--answers",
                "--repository",
                "o/r",
                "--api-url",
                github.url,
                "--json",
                env={"GITHUB_TOKEN": TOKEN},
                code=0,
            )
            for _ in range(4)
        ]
        counts = [run.result().json["counts"] for run in runs]
    assert sum(found.get("published", 0) for found in counts) == 4
    assert len(github.comments["5"]) == 2 and [len(github.reactions[key]) for key in ("905", "906")] == [1, 1]


def test_an_old_equal_status_is_not_taken_for_the_new_one(
    publish: Callable[..., Result], github: FakeGitHub, ledger: Ledger
) -> None:
    """Success, then failure, then a success whose answer is lost for good: only the newest status tells."""
    publish(code=0)
    for state in ("failure", "success"):
        ledger.append(
            [
                NewEvent(
                    stream=f"check/{SHA}",
                    payload=CheckReported(
                        sha=SHA, context="buildkite/ci/microscope-kernel-tests", state=state, repository="o/r"
                    ),
                )
            ]
        )
        if state == "success":
            github.faults = ["lose"] * 4
        publish(code=4 if state == "success" else 0)
    assert posted(github)["fastcheck-passed"] == "failure"
    publish(code=0)
    assert posted(github)["fastcheck-passed"] == "success"


def test_a_gate_comment_cannot_mention_or_break_out_of_its_table(
    publish: Callable[..., Result], github: FakeGitHub, ledger: Ledger
) -> None:
    ledger.append(
        [
            NewEvent(
                stream="pull/o/r/5",
                payload=PullRequestObserved(
                    repository="o/r", number=5, title="[@org/all|<img src=x>] hi", state="open", head_sha=SHA
                ),
            )
        ]
    )
    publish("--comment", "5", code=0)
    body = github.comments["5"][0]["body"]
    assert "@org" not in body and body.count("<img") == body.count(r"\<img") == 1 and "Not ready to merge" in body
    assert publish("--comment", "5", code=0).json["counts"] == {"unchanged": 1}


@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [
        (429, {"retry-after": "7"}, 7.0),
        (403, {"retry-after": "7"}, 7.0),
        (403, {}, None),
        (429, {}, 60.0),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "130"}, 30.0),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "90"}, 0.0),
        (403, {"x-ratelimit-remaining": "0"}, 60.0),
        (403, {"x-ratelimit-remaining": "12"}, None),
        (429, {"retry-after": "Thu, 01 Jan 1970 00:02:10 GMT"}, 30.0),
        (429, {"retry-after": "soon"}, 60.0),
        (503, {"retry-after": "3"}, 3.0),
        (503, {}, None),
        (500, {"retry-after": "3"}, None),
        (404, {}, None),
    ],
)
def test_how_long_a_rate_limit_asks_to_wait(status: int, headers: dict[str, str], wait: float | None) -> None:
    assert rate_limit_wait(headers, status, now=100.0) == wait

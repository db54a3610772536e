"""The command line with variables as keywords, and a random life of pull requests."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger.event import NewEvent
from ledger.events.checks import ChangeObserved, CheckReported, PullRequestObserved, ReviewObserved
from projections.ci.policy import Policy
from tests.conftest import Result

SHAS = ["a" * 40, "b" * 40, "c" * 40]
FILES = [
    "fastvideo-kernel/a.cu",
    "docs/a b.md",
    "fastvideo/models/vaes/x.py",
    "pyproject.toml",
    "README.md",
    "fastvideo/training/wan_distillation_pipeline.py",
    "docker/Dockerfile.rocm",
    "x y/fastvideo/z.py",
]
TITLES = [
    "[feat] x",
    "[KERNEL] y",
    "Add z",
    "[new-model] m",
    "[new model] m",
    "[nope] n",
    "feat: x",
    "[\u212aernel] k",
    "[mi\u017fc] s",
    "[f\u0435at] e",
    "[feat",
]


def random_life(policy: Policy, seed: int, *, count: int = 80) -> list[NewEvent]:
    """Return events about two pull requests and three commits, in an order that webhooks may well have."""
    chance = random.Random(seed)
    contexts = [lane.context for lane in policy.lanes if lane.tier] + [
        "pre-commit",
        "pre-commit / run",
        "fastcheck-passed",
        "full-suite-passed",
        "perfledger/baseline",
        "other",
    ]
    events: list[NewEvent] = []
    for _ in range(count):
        moment = f"2026-06-01T10:{chance.randrange(3):02d}:{chance.randrange(10):02d}Z"
        number, sha = chance.choice([1, 2]), chance.choice(SHAS)
        kind = chance.random()
        if kind < 0.55:
            state = chance.choices(
                ["success", "pending", "failure", "error", "skipped", "cancelled", "neutral"], [16, 2, 1, 1, 1, 1, 1]
            )[0]
            events.append(
                NewEvent(
                    stream=f"check/{sha}",
                    payload=CheckReported(
                        sha=sha,
                        context=chance.choice(contexts),
                        state=state,
                        remote_id=chance.randrange(4),
                        reported_at=chance.choice([moment, moment, None]),
                        repository="o/r",
                    ),
                )
            )
        elif kind < 0.75:
            events.append(
                NewEvent(
                    stream=f"pull/o/r/{number}",
                    payload=PullRequestObserved(
                        repository="o/r",
                        number=number,
                        title=chance.choice(TITLES),
                        head_sha=sha,
                        state=chance.choice(["open", "open", "open", "closed"]),
                        draft=chance.random() < 0.2,
                        merged=chance.random() < 0.1,
                        mergeable=chance.choice([True, True, False, None]),
                        author="bob",
                        labels=chance.sample(["ready", "do-not-merge", "other"], chance.randrange(3)),
                        updated_at=moment,
                    ),
                )
            )
        elif kind < 0.88:
            events.append(
                NewEvent(
                    stream=f"pull/o/r/{number}",
                    payload=ReviewObserved(
                        repository="o/r",
                        number=number,
                        reviewer=chance.choice(["ada", "bob", "cy"]),
                        submitted_at=moment,
                        state=chance.choice(["approved", "approved", "changes_requested", "commented", "dismissed"]),
                        review_id=chance.randrange(5),
                    ),
                )
            )
        else:
            events.append(
                NewEvent(
                    stream=f"check/{sha}",
                    payload=ChangeObserved(sha=sha, files=sorted(chance.sample(FILES, chance.randrange(4)))),
                )
            )
    return events


@pytest.fixture
def invoke(in_process: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run a command line through the real entry point: `invoke("ci", "status", SHA, code=5, GITHUB_TOKEN="x")`."""
    monkeypatch.chdir(tmp_path)

    def call(*args: Any, code: int | None = None, **env: str) -> Result:
        return in_process(*args, code=code, env=env)

    return call

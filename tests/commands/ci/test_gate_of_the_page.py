"""Whether a described pull request may be merged, against the sentence of the contributor page, over generated ones.

"All must hold: check `pre-commit` green; `fastcheck-passed` green; `full-suite-passed` green; at least one approving
review; title begins with a valid tag; not a draft; no conflict with the base; the pull request is open. Label
`do-not-merge` blocks whatever else holds." Written here once more, over what the file says and nothing else.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Invoke = Callable[..., Any]
TAGS = [
    "feat",
    "feature",
    "bugfix",
    "fix",
    "refactor",
    "perf",
    "ci",
    "doc",
    "docs",
    "misc",
    "chore",
    "kernel",
    "new-model",
]
NOT_TITLES = ["Add x", "FEAT: x", "feat: x", "[nope] x", " [fix] x", "[fix x", "", "x [fix] y", "[[fix]] x"]
GREEN = ("pre-commit", "fastcheck-passed", "full-suite-passed")
STATES = ["success", "pending", "failure", "error", "cancelled", "skipped", "neutral"]


def pull(chance: random.Random) -> dict[str, Any]:
    """A described pull request: mostly mergeable, so that each condition is decisive sometimes."""
    tag = chance.choice(TAGS)
    title = f"[{chance.choice([tag, tag.upper(), tag.title()])}] something"
    statuses = dict.fromkeys(GREEN, "success")
    for context in GREEN:
        if chance.random() < 0.12:
            statuses[context] = chance.choice(STATES)
        elif chance.random() < 0.06:
            del statuses[context]
    author = chance.choice(["bob", "ada"])
    return {
        "title": title if chance.random() < 0.85 else chance.choice(NOT_TITLES),
        "head_sha": f"{chance.randrange(16**40):040x}",
        "state": "closed" if chance.random() < 0.08 else "open",
        "merged": chance.random() < 0.05,
        "draft": chance.random() < 0.1,
        "conflict": chance.choices([False, True, None], [88, 6, 6])[0],
        "labels": chance.sample(["ready", "do-not-merge", "other"], chance.choices([0, 1, 2], [60, 30, 10])[0]),
        "author": author,
        "reviews": [
            {
                "reviewer": chance.choice(["ada", "bob", "cy"]),
                "state": chance.choices(["approved", "changes_requested", "commented", "dismissed"], [82, 8, 6, 4])[0],
                "at": f"2026-06-01T10:0{nth}:00Z",
            }
            for nth in range(chance.choices([0, 1, 2, 3], [8, 50, 30, 12])[0])
        ],
        "statuses": statuses,
    }


def approvals(described: dict[str, Any]) -> int:
    """How many people other than the author say yes with their last word; a mere comment is no word."""
    last: dict[str, str] = {}
    for review in described["reviews"]:
        if review["state"] != "commented":
            last[review["reviewer"]] = review["state"]
    return sum(state == "approved" and who != described["author"] for who, state in last.items())


def unmet(described: dict[str, Any]) -> set[str]:
    """The conditions of the page that do not hold."""
    title = described["title"]
    found = {context for context in GREEN if described["statuses"].get(context) != "success"}
    if approvals(described) < 1:
        found.add("approval")
    if not any(title.lower().startswith(f"[{tag}]") for tag in TAGS):
        found.add("title")
    if described["draft"]:
        found.add("not-draft")
    if described["conflict"] is not False:
        found.add("no-conflict")
    if described["state"] != "open" or described["merged"]:
        found.add("open")
    if "do-not-merge" in described["labels"]:
        found.add("do-not-merge")
    return found


KIND = {
    "context": "pre-commit",
    "approvals": "approval",
    "title": "title",
    "not_draft": "not-draft",
    "no_conflict": "no-conflict",
    "open": "open",
    "no_label": "do-not-merge",
}


def said(document: dict[str, Any]) -> set[str]:
    """The conditions that the command says do not hold and that block, named as above."""
    blocking = [c for c in document["conditions"] if not c["met"] and not c["advisory"]]
    suites = {"fastcheck": "fastcheck-passed", "full-suite": "full-suite-passed"}
    return {suites[c["id"]] if c["kind"] == "aggregate" else KIND[c["kind"]] for c in blocking}


def judged(invoke: Invoke, folder: Path, described: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """`ci gate --file --json`: the exit code and the document."""
    (folder / "pull.json").write_text(json.dumps(described), encoding="utf-8")
    done = invoke("ci", "gate", "--file", "pull.json", "--policy", "fastvideo-page", "--json")
    return done.code, done.json


@pytest.mark.parametrize("seed", range(60))
def test_a_pull_request_may_be_merged_when_all_of_the_page_holds_and_only_then(
    invoke: Invoke, tmp_path: Path, seed: int
) -> None:
    described = pull(random.Random(f"gate/{seed}"))
    code, document = judged(invoke, tmp_path, described)
    assert said(document) == unmet(described), described
    assert document["mergeable"] is (not unmet(described)) and code == int(bool(unmet(described)))
    assert set(document["unmet"]) == {c["id"] for c in document["conditions"] if not c["met"] and not c["advisory"]}


def test_the_generated_pull_requests_meet_and_miss_every_condition() -> None:
    missed = [unmet(pull(random.Random(f"gate/{seed}"))) for seed in range(60)]
    assert set().union(*missed) >= {*GREEN, "approval", "title", "not-draft", "no-conflict", "open", "do-not-merge"}
    assert sum(not each for each in missed) >= 5


@pytest.mark.parametrize("seed", range(15))
def test_a_merge_is_due_exactly_when_it_may_happen_and_it_is_a_squash(
    invoke: Invoke, tmp_path: Path, seed: int
) -> None:
    """ "Then squash merge to main and the branch is deleted (never `main`, `master`, `release/*`).\""""
    chance = random.Random(f"due/{seed}")
    branch = chance.choice(["work", "fix/a", "main", "master", "release/1", "release/a/b"])
    described = {**pull(chance), "head_ref": branch, "base_ref": "main"}
    code, document = judged(invoke, tmp_path, described)
    due = {action["action"]: action["what"] for action in document["actions"]}
    assert ("merge" in due) is (code == 0)
    if code == 0:
        assert due["merge"] == "squash"
        assert ("delete_branch" in due) is (branch in ("work", "fix/a"))
    else:
        assert "delete_branch" not in due


@pytest.mark.parametrize("field", ["title", "statuses", "reviews"])
def test_without_what_a_condition_asks_for_it_does_not_hold(invoke: Invoke, tmp_path: Path, field: str) -> None:
    whole = {
        "title": "[fix] x",
        "conflict": False,
        "approvals": 1,
        "statuses": dict.fromkeys(GREEN, "success"),
    }
    assert judged(invoke, tmp_path, whole)[0] == 0
    lacking = {**whole, "title": "x"} if field == "title" else {k: v for k, v in whole.items() if k != field}
    if field == "reviews":
        lacking.pop("approvals")
    assert judged(invoke, tmp_path, lacking)[0] == 1


PIECES: list[Any] = [None, True, 0, -1, 1.5, 10**30, "", "x", "success", "2026-06-01", [], [None], [[]], {}, {"a": 1}]
FIELDS = [
    "title",
    "head_sha",
    "repository",
    "number",
    "state",
    "draft",
    "merged",
    "conflict",
    "mergeable",
    "mergeable_state",
    "head_ref",
    "base_ref",
    "labels",
    "author",
    "approvals",
    "reviews",
    "statuses",
    "changed_files",
    "head",
    "base",
    "user",
    "files",
    "sha",
    "checks",
]


@pytest.mark.parametrize("seed", range(120))
def test_whatever_a_file_holds_the_answer_is_a_verdict_or_a_sentence_that_names_the_file(
    invoke: Invoke, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(f"odd/{seed}")

    def piece(depth: int = 0) -> Any:
        kind = chance.random()
        if kind < 0.6 or depth > 2:
            return chance.choice(PIECES)
        if kind < 0.8:
            return [piece(depth + 1) for _ in range(chance.randrange(3))]
        names = ["context", "state", "at", "reviewer", "login", "sha", "ref", "name", "filename", "user", "updated_at"]
        return {name: piece(depth + 1) for name in chance.sample(names, chance.randrange(4))}

    described: Any = {name: piece() for name in chance.sample(FIELDS, chance.randrange(1, 6))}
    if chance.random() < 0.7:
        described["title"] = "[fix] x"
    code, document = judged(invoke, tmp_path, described)
    assert code in (1, 2), described
    if code == 2:
        assert document["error"]["details"]["file"] == "pull.json", described
        assert document["error"]["message"].startswith("pull.json: ") and document["error"]["hint"]


@pytest.mark.parametrize(
    "text",
    [
        "[" * 50_000,
        "a: &a [*a, *a]\ntitle: x\n",
        "title: [\n",
        "\t",
        "title: a\ntitle: b\n",
        "---\n---\n",
        "!!python/x 1",
        "x",
    ],
)
def test_a_file_that_cannot_be_read_as_one_is_a_sentence(invoke: Invoke, tmp_path: Path, text: str) -> None:
    (tmp_path / "pull.yaml").write_text(text)
    error = invoke("ci", "gate", "--file", "pull.yaml", "--json", code=2).json["error"]
    assert error["code"] == "bad_pull_request_file" and error["message"].startswith("pull.yaml: ")

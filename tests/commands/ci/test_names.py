"""The names people give on the command line, and the one sentence that refuses each wrong one."""

from __future__ import annotations

import pytest

from commands.ci.work import names
from ledger.errors import BadInput
from projections.ci.statuses import STATES


@pytest.mark.parametrize(
    ("text", "sha"),
    [("abcd", "abcd"), (" ABCDEF0 ", "abcdef0"), ("0" * 40, "0" * 40), ("F" * 64, "f" * 64)],
)
def test_a_commit_is_four_to_sixty_four_hexadecimal_digits_in_lower_case(text: str, sha: str) -> None:
    assert names.commit(text) == sha


@pytest.mark.parametrize("text", ["", "abc", "a" * 65, "HEAD", "main", "abcg", "ab cd", "--abcd", "abcd\nabcd", "١٢٣٤"])
def test_what_is_no_commit_is_refused_with_the_text_as_given(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        names.commit(text)
    assert (refused.value.code, refused.value.exit_code) == ("bad_sha", 2)
    assert repr(text) in refused.value.message


@pytest.mark.parametrize(
    ("text", "state"),
    [
        *((name, name) for name in STATES),
        ("SUCCESS", "success"),
        ("passed", "success"),
        (" pass ", "success"),
        ("failed", "failure"),
        ("fail", "failure"),
        ("timed_out", "failure"),
        ("canceled", "cancelled"),
        ("running", "pending"),
        ("queued", "pending"),
        ("in_progress", "pending"),
    ],
)
def test_a_state_is_spelled_as_the_ledger_spells_it(text: str, state: str) -> None:
    assert names.state(text) == state


@pytest.mark.parametrize("text", ["", "green", "ok", "succes", "success!", "pass fail"])
def test_a_word_that_is_no_state_never_becomes_one_and_the_refusal_lists_all(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        names.state(text)
    assert refused.value.hint is not None
    assert all(state in refused.value.hint for state in STATES)


@pytest.mark.parametrize(
    ("text", "repository", "number"),
    [
        ("12", None, 12),
        ("#12", None, 12),
        (" 12 ", None, 12),
        ("o/r#12", "o/r", 12),
        ("https://github.com/o/r/pull/12", "o/r", 12),
        ("https://github.com/o/r/pull/12/", "o/r", 12),
        ("http://git.example.org/o/r.x/pull/7", "o/r.x", 7),
        ("o/r/pull/3", "o/r", 3),
    ],
)
def test_a_pull_request_is_a_number_a_name_with_one_or_its_address(
    text: str, repository: str | None, number: int
) -> None:
    assert names.pull(text) == (repository, number)


@pytest.mark.parametrize(
    "text",
    ["", "#", "-1", "1.5", "o#1", "o/r", "o/r#", "o/r/pull/x", "1" * 19, "https://github.com/o/r/issues/12", "o/r#1 2"],
)
def test_what_names_no_pull_request_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="not a pull request") as refused:
        names.pull(text)
    assert refused.value.code == "bad_pull_request"


@pytest.mark.parametrize("text", ["", "o", "..", "o/r/x", "o /r", "o/r?x=1", "o/r#1"])
def test_a_repository_is_an_owner_and_a_name_and_nothing_that_would_change_an_address(text: str) -> None:
    with pytest.raises(BadInput, match="not a repository"):
        names.repository(text)


def test_a_repository_keeps_its_case_and_loses_what_stands_around_it() -> None:
    assert names.repository(" Hao-AI-lab/Fast.Video_2 ") == "Hao-AI-lab/Fast.Video_2"

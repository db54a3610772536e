"""`serve` begins, or says in one sentence why not; nothing is recorded by a server that did not begin."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from commands.service.serve import size
from ledger.errors import BadInput
from ledger.ledger import Ledger

Cli = Callable[..., Any]


@pytest.mark.parametrize(
    ("words", "code", "error", "hint"),
    [
        (("--max-body", "0"), 2, "usage", "--max-body 8MiB"),
        (("--max-body", "much"), 2, "usage", "--max-body 8MiB"),
        (("--port", "70000"), 2, "usage", "perfledger serve --help"),
        (("--port", "x"), 2, "usage", "perfledger serve --help"),
        (("--host", "no.such.host.invalid"), 4, "cannot_listen", "--host 127.0.0.1, or another address of this host"),
        (("--host", "192.0.2.1"), 4, "cannot_listen", "--host 127.0.0.1, or another address of this host"),
        (("--host", "é" * 80), 4, "cannot_listen", "--host 127.0.0.1, or another address of this host"),
        (("--host", "\udcff"), 4, "cannot_listen", "--host 127.0.0.1, or another address of this host"),
        (("--answers",), 2, "no_token", "set it to a token that may comment, or leave --answers out"),
    ],
)
def test_a_server_that_cannot_begin_says_why_and_what_to_do(
    in_process: Cli, ledger: Ledger, words: tuple[str, ...], code: int, error: str, hint: str
) -> None:
    free = () if "--port" in words else ("--port", "0")
    found = in_process("serve", *free, *words, "--json", code=code).json["error"]
    assert (found["code"], found["hint"]) == (error, hint)
    assert ledger.head().position == 1


@pytest.mark.parametrize("url", ["http://example.org", "ftp://x", "https://secret@api.github.com", "https://x..y"])
def test_answers_are_posted_to_no_address_that_would_show_the_token(in_process: Cli, ledger: Ledger, url: str) -> None:
    words = ("serve", "--port", "0", "--answers", "--api-url", url, "--json")
    error = in_process(*words, env={"GITHUB_TOKEN": "planted-token"}, code=2).json["error"]
    assert error["code"] == "bad_url" and "planted-token" not in str(error) and "secret" not in error["message"]


@pytest.mark.parametrize("seed", range(10))
def test_a_size_is_a_number_with_a_binary_unit_in_any_case(seed: int) -> None:
    chance = random.Random(f"size/{seed}")
    number = chance.randrange(1, 10**6)
    unit, factor = chance.choice([("", 1), ("B", 1), ("KiB", 1024), ("MiB", 1024 * 1024)])
    text = f"{number}{chance.choice(['', ' '])}{chance.choice([unit, unit.lower(), unit.upper()])}"
    assert size(text) == number * factor


@pytest.mark.parametrize("text", ["", "0", "0MiB", "-1", "1.5MiB", "1GB", "1 MB", "MiB", "9" * 13, "1MiB x"])
def test_what_is_no_size_is_refused_with_the_text_as_given(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        size(text)
    assert repr(text) in refused.value.message

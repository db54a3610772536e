"""Numbers on the command line: what no clock, log or container holds is wrong usage, whichever option says it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import click
import pytest

from commands.cli.numbers import SECONDS_MAX, WHOLE_MAX, Finite, Whole
from commands.docs import _walk
from commands.main import root

HOSTILE = ["nan", "NaN", "inf", "-inf", "1e400", "1e300", "9" * 30, "-" + "9" * 30, "1_", "0x", "٣²", "", " "]
# these look at their number themselves; `test_sql.py`, `test_plan.py` and `test_check.py` hold what they say
OWN_CHECK = {("sql", "timeout_s"), ("plan", "tolerance"), ("run", "tolerance"), ("check", "pytest_rc")}


def number_options() -> Iterator[tuple[str, click.Option]]:
    """Every option of every command that takes a number."""
    for path, command in _walk(root, ("perfledger",)):
        for option in command.params:
            number = isinstance(option.type, click.types.IntParamType | click.types.FloatParamType)
            if number and isinstance(option, click.Option) and (path[-1], option.name) not in OWN_CHECK:
                yield " ".join(path), option


def test_there_are_options_that_take_numbers() -> None:
    assert len(list(number_options())) >= 15


@pytest.mark.parametrize("text", HOSTILE)
def test_no_option_of_any_command_takes_a_number_that_nothing_can_hold(text: str) -> None:
    taken = []
    for where, option in number_options():
        try:
            found = option.type.convert(text, option, None)
        except click.BadParameter:
            continue
        taken.append((where, option.name, found))
    assert taken == []


@pytest.mark.parametrize("value", [0, 1, 7, WHOLE_MAX])
def test_a_whole_number_is_taken_up_to_64_bits(value: int) -> None:
    assert Whole(0).convert(str(value), None, None) == value
    with pytest.raises(click.BadParameter, match="too large"):
        Whole(0).convert(str(WHOLE_MAX + 1 + value), None, None)


def test_a_bound_is_part_of_what_is_taken() -> None:
    assert Finite(0.1, 10).convert("0.1", None, None) == 0.1
    assert Finite(0.1, 10).convert("10", None, None) == 10
    assert Finite(0).convert(str(SECONDS_MAX), None, None) == SECONDS_MAX
    for kind, text in ((Finite(0.1, 10), "0.09"), (Finite(0.1, 10), "10.1"), (Finite(0), "1000000001")):
        with pytest.raises(click.BadParameter):
            kind.convert(text, None, None)


def test_help_names_the_bound_of_the_command_and_not_of_the_machine() -> None:
    for _, option in number_options():
        text = " ".join(option.get_help_record(click.Context(click.Command("x"))) or ())
        assert str(WHOLE_MAX) not in text and "inf" not in text.split()


@pytest.mark.parametrize(
    "arguments",
    [
        ("gpu", "wait", "--timeout", "nan"),
        ("gpu", "wait", "--poll", "inf"),
        ("gpu", "wait", "--settle", "1e300"),
        ("gpu", "wait", "-n", "9" * 30),
        ("gpu", "sample", "--seconds", "nan"),
        ("gpu", "sample", "--hz", "nan"),
        ("ci", "publish", "a" * 40, "--max-wait", "nan"),
        ("ci", "command", "/merge", "--pr", "9" * 30),
        ("ci", "report", "--sha", "a" * 40, "--context", "c", "--state", "success", "--id", "9" * 30),
        ("events", "list", "-n", "9" * 30),
        ("events", "tail", "--no-follow", "-n", "9" * 30),
        ("sql", "SELECT 1", "--timeout", "1e300"),
        ("sql", "SELECT 1", "--timeout", "inf"),
    ],
)
def test_such_a_number_is_one_sentence_with_exit_2(
    in_process: Callable[..., Any], ledger: Any, arguments: tuple[str, ...]
) -> None:
    error = in_process(*arguments, "--json", code=2).json["error"]
    assert error["code"] == "usage" and "\n" not in error["message"] and error["hint"]
    assert ledger.head().position == 1

"""How a command line ends: one exit code for each kind of failure, one sentence or one document, never a traceback.

Source: the exit codes and the error document of the command-line contract.
"""

from __future__ import annotations

import errno
import json
from typing import Any

import click
import pytest

from commands.cli.app import App, command, run
from ledger import errors

KINDS = {
    errors.Refused: 1,
    errors.BadInput: 2,
    errors.Conflict: 3,
    errors.Unavailable: 4,
    errors.Inconclusive: 5,
    errors.OutcomeUnknown: 6,
    errors.Damaged: 7,
}


def ended(capfd: pytest.CaptureFixture[str], raised: BaseException | Any, *arguments: str) -> tuple[int, str, str]:
    """Run a command that raises or returns this; return exit code, stdout and stderr."""

    @command("act")
    def act(app: App) -> Any:
        if isinstance(raised, BaseException):
            raise raised
        return raised

    group = click.Group("perfledger", {"act": act})
    code = run(group, ["act", *arguments])
    out, err = capfd.readouterr()
    return code, out, err


@pytest.mark.parametrize(("kind", "code"), KINDS.items(), ids=lambda each: getattr(each, "__name__", each))
def test_each_kind_of_failure_has_its_exit_code(
    capfd: pytest.CaptureFixture[str], kind: type[errors.PerfledgerError], code: int
) -> None:
    raised = kind("it is so", code="because", hint="do that", file="x")
    assert ended(capfd, raised) == (code, "", "perfledger: it is so\n  next: do that\n")
    found, out, err = ended(capfd, raised, "--json")
    assert (found, err) == (code, "")
    assert json.loads(out) == {
        "error": {"code": "because", "message": "it is so", "hint": "do that", "details": {"file": "x"}}
    }


def test_every_kind_of_failure_is_in_the_table() -> None:
    assert {kind for kind in errors.PerfledgerError.__subclasses__() if kind.__module__ == errors.__name__} == set(
        KINDS
    )


@pytest.mark.parametrize(
    ("number", "code", "stable"),
    [
        (errno.ENOENT, 2, "file_not_found"),
        (errno.EISDIR, 2, "file_not_found"),
        (errno.ENOTDIR, 2, "file_not_found"),
        (errno.ELOOP, 2, "file_not_found"),
        (errno.ENAMETOOLONG, 2, "file_not_found"),
        (errno.ENOSPC, 4, "os_error"),
        (errno.EDQUOT, 4, "os_error"),
        (errno.EFBIG, 4, "os_error"),
        (errno.EROFS, 4, "os_error"),
        (errno.EACCES, 4, "os_error"),
        (errno.EPERM, 4, "os_error"),
        (errno.EIO, 4, "os_error"),
        (errno.EMFILE, 4, "os_error"),
    ],
)
def test_what_the_system_refuses_is_named_with_its_file_and_a_next_step(
    capfd: pytest.CaptureFixture[str], number: int, code: int, stable: str
) -> None:
    found, out, _ = ended(capfd, OSError(number, "the reason", "/some/file"), "--json")
    error = json.loads(out)["error"]
    assert (found, error["code"]) == (code, stable)
    assert "/some/file: the reason" in error["message"] and error["hint"]


@pytest.mark.parametrize("name", ["x" * 5000, b"\xff\xfe", "/" + "a/" * 3000, None])
def test_a_file_whose_name_cannot_be_looked_at_is_still_a_sentence(
    capfd: pytest.CaptureFixture[str], name: str | bytes | None
) -> None:
    for number in (errno.ENAMETOOLONG, errno.ENOENT, errno.EIO):
        code, out, err = ended(capfd, OSError(number, "the reason", name))
        assert code in (2, 4) and out == ""
        assert err.startswith("perfledger: cannot ") and err.count("\n") == 2 and "internal" not in err
        code, out, _ = ended(capfd, OSError(number, "the reason", name), "--json")
        assert json.loads(out)["error"]["hint"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), click.Abort()])
def test_an_interrupt_is_130_and_says_what_is_kept(capfd: pytest.CaptureFixture[str], stop: BaseException) -> None:
    code, _, err = ended(capfd, stop)
    assert code == 130 and err.strip() == "perfledger: interrupted; everything acknowledged is kept"
    code, out, _ = ended(capfd, stop, "--json")
    assert code == 130 and json.loads(out)["error"]["code"] == "interrupted"


@pytest.mark.parametrize("bug", [ValueError("odd"), AssertionError("no"), RecursionError(), KeyError("k")])
def test_a_bug_borrows_no_code_of_the_contract(
    capfd: pytest.CaptureFixture[str], bug: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = ended(capfd, bug)
    assert code == 70 and out == "" and type(bug).__name__ in err and "PERFLEDGER_TRACEBACK=1" in err
    assert "Traceback" not in err
    monkeypatch.setenv("PERFLEDGER_TRACEBACK", "1")
    with pytest.raises(type(bug)):
        ended(capfd, bug)


@pytest.mark.parametrize("value", [0, 1, 2, 5])
def test_what_a_command_returns_is_the_exit_code(capfd: pytest.CaptureFixture[str], value: int) -> None:
    assert ended(capfd, value) == (value, "", "")


def test_a_command_that_returns_nothing_has_succeeded(capfd: pytest.CaptureFixture[str]) -> None:
    assert ended(capfd, None) == (0, "", "")


@pytest.mark.parametrize("message", ["bytes \udcff here", "a\nb", "ünïcödé ✓", "x" * 100_000])
def test_whatever_a_message_holds_it_is_said(capfd: pytest.CaptureFixture[str], message: str) -> None:
    code, out, _ = ended(capfd, errors.BadInput(message, code="odd", hint="h", given=message), "--json")
    error = json.loads(out)["error"]
    assert code == 2 and error["message"] == error["details"]["given"]
    assert error["message"] == message.replace("\udcff", "\\udcff")
    code, _, err = ended(capfd, errors.BadInput(message, code="odd", hint="h"))
    assert code == 2 and err.startswith("perfledger: ")


def test_a_pipe_of_ours_that_broke_is_a_failure_and_no_success(capfd: pytest.CaptureFixture[str]) -> None:
    """Only where the reader of *our* output went away is there nothing more to say; here it is still there."""
    code, _, err = ended(capfd, BrokenPipeError(errno.EPIPE, "Broken pipe"))
    assert code == 4 and err.startswith("perfledger: cannot write or read")

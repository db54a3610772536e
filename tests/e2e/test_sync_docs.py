"""The commands docs/sync.md shows are commands there are."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from commands.main import root

PAGE = Path(__file__).resolve().parents[2] / "docs" / "sync.md"


def shown() -> list[str]:
    """Every `perfledger ...` line of the page, in blocks and in running text."""
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"^perfledger [^\n#]+|&& (perfledger [^\n#]+)", text, re.MULTILINE)
    lines = re.findall(r"^(perfledger [^\n#]+)", text, re.MULTILINE) + [b for b in blocks if b]
    return sorted({line.strip() for line in lines + re.findall(r"`(perfledger [^`]+)`", text)})


@pytest.mark.parametrize("line", shown())
def test_every_command_on_the_page_exists(line: str) -> None:
    words = shlex.split(line)[1:]
    command: click.Command = root
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(click.Context(command), words.pop(0))
        assert found is not None, line
        command = found
    options = {name for parameter in command.params for name in parameter.opts}
    for word in words:
        if word.startswith("--"):
            assert word in options, f"{line}: no option {word}"


def test_the_page_names_every_setting_of_sharing() -> None:
    from ledger.remotes.hub_session import TOKEN_VARIABLES
    from ledger.remotes.remote import TIMEOUT_VARIABLE
    from ledger.remotes.retry import WAIT_VARIABLE
    from ledger.sync.outbox import REMOTE_VARIABLE

    text = PAGE.read_text(encoding="utf-8")
    for name in (*TOKEN_VARIABLES, TIMEOUT_VARIABLE, WAIT_VARIABLE, REMOTE_VARIABLE, "HF_REPO_ID", "HF_ENDPOINT"):
        assert f"`{name}`" in text, name
    assert len(shown()) >= 8

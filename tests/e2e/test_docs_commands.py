"""Every command the pages show is a command there is, with options it takes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from commands.main import root

TOP = Path(__file__).resolve().parents[2]
GENERATED = {"cli.md", "environment.md", "errors.md", "events.md", "performance.md"}
PAGES = [
    TOP / "README.md",
    TOP / "CONTRIBUTING.md",
    *sorted(page for page in (TOP / "docs").glob("*.md") if page.name not in GENERATED),
]
FENCED = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
# after a prompt, variables or `cd DIR &&`; what stands behind two spaces or a `#` is for people
IN_BLOCK = re.compile(
    r"^(?: {4}|\$ )?(?:[A-Z_]+=\S+ |cd \S+ && )*perfledger (-{0,2}[a-z].*?)(?:  .*| +#.*)?$", re.MULTILINE
)
IN_TEXT = re.compile(r"`([^`]+)`")
NAMES = set(root.list_commands(click.Context(root)))


def shown(page: Path) -> list[str]:
    """The arguments of each command of a page, on one line each; in running text `perfledger` may be left out."""
    text = page.read_text(encoding="utf-8")
    blocks = [block for language, block in FENCED.findall(text) if language in ("", "console", "bash")]
    prose = FENCED.sub("", text)
    blocks += re.findall(r"^ {4}\S.*$", prose, re.MULTILINE)
    lines = {line for block in blocks for line in IN_BLOCK.findall(block)}
    for quoted in IN_TEXT.findall(prose):
        words = quoted.replace("\\|", " ").split()
        named = words[:1] == ["perfledger"]
        if words[named:] and (words[named] in NAMES or (named and words[1].isalpha())):
            lines.add(" ".join(words[named:]))
    return sorted(lines)


CASES = [(page.name, line) for page in PAGES for line in shown(page)]


@pytest.mark.parametrize(("page", "line"), CASES)
def test_every_command_on_a_page_exists(page: str, line: str) -> None:
    words = shlex.split(re.sub(r"\$\([^)]*\)", "X", line))
    command: click.Command = root
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(click.Context(command), words.pop(0))
        assert found is not None, f"{page}: perfledger {line}"
        command = found
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    for word in (word.strip("[]") for word in words):
        if word.startswith("-"):
            assert word.split("=")[0] in options, f"{page}: perfledger {line}: no option {word}"


def test_the_pages_show_commands() -> None:
    assert len(CASES) > 100, "the patterns above find what the pages show"

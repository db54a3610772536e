"""The changed files a command works on: named, read from a file, or asked of git."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from ledger.errors import BadInput, Unavailable
from ledger.outside.files import read_bytes

Function = TypeVar("Function", bound=Callable[..., Any])
GIT_SECONDS_MAX = 60


def changed_options(function: Function) -> Function:
    """Add `--changed FILE...`, `--changed-from FILE` and `--base REF`; the fields of `Changed`."""
    options = [
        click.argument("more", nargs=-1, metavar="[FILE]..."),
        click.option("--changed", multiple=True, metavar="FILE...", help="Changed files, as named from the root."),
        click.option("--changed-from", metavar="FILE", help="A file with one changed name a line; - is stdin."),
        click.option("--base", metavar="REF", help="Ask git: what HEAD changed since it left REF."),
        click.option("--repo", "repo_dir", default=".", metavar="DIR", help="The git repository for --base."),
    ]
    for option in reversed(options):
        function = option(function)
    return function


@dataclass(frozen=True)
class Changed:
    """What `changed_options` say. `more` are the names that follow the first one of `--changed`."""

    changed: tuple[str, ...]
    more: tuple[str, ...]
    changed_from: str | None
    base: str | None
    repo_dir: str


def collect(asked: Changed) -> list[str] | None:
    """Return the changed names, each once, sorted; None when the caller named none. Raises `BadInput`."""
    if asked.more and not asked.changed:
        raise BadInput(f"unexpected argument {asked.more[0]!r}", code="usage", hint="--changed FILE...")
    given = [*asked.changed, *asked.more]
    ways = [bool(given), asked.changed_from is not None, asked.base is not None]
    if sum(ways) > 1:
        raise BadInput(
            "--changed, --changed-from and --base exclude each other",
            code="usage",
            hint="name the files, or let git tell them",
        )
    if not any(ways):
        return None
    if asked.base is not None:
        return diff_names(asked.base, asked.repo_dir)
    if asked.changed_from is not None:
        given = _lines(asked.changed_from)
    return sorted({_unicode(name).removeprefix("./") for name in given} - {""})


def required(files: list[str] | None) -> list[str]:
    """Return the names, or refuse: this command cannot do without."""
    if files is None:
        raise BadInput(
            "no changed files were named", code="usage", hint="--changed FILE..., --changed-from FILE or --base REF"
        )
    return files


def _unicode(name: str) -> str:
    """Return a name as git's are read: bytes of it that are no Unicode cannot be kept, and are shown as such."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _lines(path: str) -> list[str]:
    data = sys.stdin.buffer.read() if path == "-" else read_bytes(path)
    text = data.decode("utf-8", "replace")
    separator = "\0" if "\0" in text else "\n"
    return [line.removesuffix("\r") for line in text.split(separator)]


def diff_names(base: str, repo_dir: str) -> list[str]:
    """Return what HEAD changed since it left `base`, old names of renames too. Raises `BadInput` for no such ref."""
    if base.startswith("-"):
        raise BadInput(f"{base!r} is not a git ref", code="bad_ref", hint="git branch -a")
    # --no-renames: taking a file out of a watched folder is a change of that folder
    return git_names(repo_dir, ["diff", "--name-only", "--no-renames", "-z", f"{base}...HEAD", "--"])


def tracked_names(repo_dir: str) -> list[str]:
    """Return every tracked name of a repository."""
    return git_names(repo_dir, ["ls-files", "-z"])


def head_sha(repo_dir: str) -> str:
    """Return the full sha of HEAD."""
    return git_names(repo_dir, ["rev-parse", "HEAD"])[0].strip()


def git_names(repo_dir: str, arguments: Sequence[str]) -> list[str]:
    """Run a git command that prints NUL-separated names."""
    try:
        done = subprocess.run(
            ["git", "-C", repo_dir, *arguments], capture_output=True, timeout=GIT_SECONDS_MAX, check=False
        )
    except FileNotFoundError:
        raise Unavailable("git is not installed here", code="no_git", hint="--changed FILE...") from None
    except subprocess.TimeoutExpired:
        raise Unavailable(f"git took more than {GIT_SECONDS_MAX} s", code="git_slow", hint="run it again") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise BadInput(
            f"git: {said[0] if said else 'failed'}",
            code="git_refused",
            hint="fetch the base, and check --base and --repo",
        )
    text = done.stdout.decode("utf-8", errors="replace")
    return sorted({name for name in text.split("\0") if name})

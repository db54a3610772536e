"""Slash commands: read a comment, decide what each command means, and answer its author.

A command is at the beginning of a line (or of the comment, as the policy says) and is a whole
word: `/merged` is not `/merge`, `/test lora` is not `/test lora-training`. Case and the kind and
amount of white space do not matter; invisible signs are taken out. Quoted lines and code blocks
are ignored, because they repeat what others wrote. There is always an answer.
"""

from __future__ import annotations

import re
import unicodedata

import msgspec

from ledger.outside import shown
from projections.ci.policy import Policy, TestCommand

COMMANDS_MAX = 20  # of one comment; a comment with more is answered, not obeyed
_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_NEWLINE = re.compile(r"\r\n|\r|\n")  # not splitlines: a vertical tab or U+2028 is white space, not a new line


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """One command as written. verb: merge or test. name: what follows `/test`, lower case; rest: ignored words."""

    text: str
    verb: str
    name: str | None = None
    rest: str = ""


class Asker(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks. permission: the looked-up GitHub permission, null when only the association is known."""

    author: str = ""
    permission: str | None = None
    association: str | None = None


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """The pull request a command is about: ref and sha of its head, null when not known."""

    number: int | None = None
    ref: str | None = None
    sha: str | None = None


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What a command means. The first four fields are the contract of `ci command --json`.

    known: it exists. allowed: its author may. action: `trigger` or `merge`, null when nothing is done.
    """

    known: bool
    action: str | None
    test_type: str | None
    scope: str | None
    allowed: bool
    text: str
    answer: str
    reaction: str
    ref: str | None = None
    sha: str | None = None
    labels_removed: list[str] = []
    labels_added: list[str] = []


def parse(policy: Policy, body: str) -> list[Command]:
    """Return the commands of a comment in order, each once."""
    found: dict[tuple[str, str | None], Command] = {}
    for index, line in enumerate(_spoken_lines(body)):
        if policy.commands.place == "start" and index > 0:
            break
        command = _command(line)
        if command:
            found.setdefault((command.verb, command.name), command)
    commands = list(found.values())
    return commands[:1] if policy.commands.several == "first" else commands


def _spoken_lines(body: str) -> list[str]:
    """The comment's lines that hold something, without code blocks, quotes and invisible signs."""
    visible = "".join(sign for sign in body if unicodedata.category(sign) != "Cf")
    lines: list[str] = []
    fence = ""
    for line in _NEWLINE.split(visible):
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence):
                fence = ""
        elif mark:
            fence = mark[1]
        elif line.strip() and not line.lstrip().startswith(">"):
            lines.append(line)
    return lines


def _command(line: str) -> Command | None:
    words = line.split()
    verb = words[0].translate(_LOWER)
    if verb == "/merge":
        return Command(text=" ".join(words), verb="merge", rest=" ".join(words[1:]))
    if verb == "/test":
        name = words[1].translate(_LOWER) if len(words) > 1 else None
        return Command(text=" ".join(words), verb="test", name=name, rest=" ".join(words[2:]))
    return None


def decide(policy: Policy, command: Command, asker: Asker, target: Target) -> Decision:
    """Return what a command means and what its author is told; never raises."""
    test = (
        policy.commands.merge
        if command.verb == "merge"
        else next((test for test in policy.commands.tests if test.name == command.name), None)
    )
    text = command.text[:200]
    if test is None:
        return Decision(
            known=False,
            action=None,
            test_type=None,
            scope=None,
            allowed=may(policy, asker),
            text=text,
            answer=_unknown(policy, command),
            reaction="confused",
        )
    action = "merge" if command.verb == "merge" else "trigger"
    ref = test.ref.replace("{number}", str(target.number)) if test.ref and target.number else target.ref
    allowed = may(policy, asker)
    ready = [policy.labels.ready] if action == "merge" and allowed else []
    return Decision(
        known=True,
        action=action,
        test_type=test.test_type,
        scope=test.scope,
        allowed=allowed,
        text=text,
        answer=_answer(policy, command, test, target, ref) if allowed else _forbidden(policy, asker, text),
        reaction=policy.commands.reaction if allowed else "-1",
        ref=ref,
        sha=target.sha,
        labels_removed=ready,
        labels_added=ready,
    )


def decide_all(policy: Policy, body: str, asker: Asker, target: Target) -> list[Decision]:
    """Return the decision on each command of a comment; one refusal when there are too many."""
    commands = parse(policy, body)
    if len(commands) <= COMMANDS_MAX:
        return [decide(policy, command, asker, target) for command in commands]
    return [
        Decision(
            known=False,
            action=None,
            test_type=None,
            scope=None,
            allowed=may(policy, asker),
            reaction="confused",
            text=f"{len(commands)} commands",
            answer=f"{len(commands)} different commands in one comment are too many; {COMMANDS_MAX} are read at most. "
            "Nothing was started.",
        )
    ]


def may(policy: Policy, asker: Asker) -> bool:
    """Whether the asker's permission suffices; without one the association decides."""
    if asker.permission is not None:
        return asker.permission.translate(_LOWER) in policy.commands.permissions
    return (asker.association or "NONE") in policy.commands.associations


def names(policy: Policy) -> list[str]:
    """Everything a comment may say, for answers and `--help`."""
    return ["/merge", *(f"/test {test.name}" for test in policy.commands.tests)]


def _answer(
    policy: Policy,
    command: Command,
    test: TestCommand,
    target: Target,
    ref: str | None,
) -> str:
    what = f"TEST_TYPE={test.test_type}, TEST_SCOPE={test.scope}"
    where = f" on {_code(ref)}" if ref else ""
    where += f" at {_code(target.sha[:12])}" if target.sha else ""
    if command.verb == "merge":
        said = (
            f"`/merge`: label `{policy.labels.ready}` is removed and set again, and a fresh full suite "
            f"starts{where} ({what}). Merging follows when every condition holds."
        )
    else:
        said = f"`/test {test.name}` starts{where} ({what})."
    if command.rest:
        said += f" Not read: {_code(command.rest)}; write one command a line."
    return said


def _forbidden(policy: Policy, asker: Asker, text: str) -> str:
    have = asker.permission or asker.association or "none"
    needed = ", ".join(policy.commands.permissions)
    return (
        f"{_code(text)} needs write permission on this repository ({needed}); yours is {shown.markdown(_short(have))}. "
        "Nothing was started."
    )


def _unknown(policy: Policy, command: Command) -> str:
    known = ", ".join(f"`{test.name}`" for test in policy.commands.tests)
    lead = "`/test` needs a name." if command.name is None else f"There is no test called {_code(command.name)}."
    return f"{lead} Nothing was started. Known names: {known}."


def _code(text: str) -> str:
    """Return untrusted text as code in our answer: short."""
    return shown.markdown_code(_short(text))


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:79] + "…"

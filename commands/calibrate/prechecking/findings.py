"""What a precheck found: the lines a person reads, and the gaps, each with the command that closes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec


class Measured(Protocol):
    """What the checks need to know of a stage; stages of a schema and of a plan both have it."""

    @property
    def test(self) -> str:
        """The test file, below the repository root."""

    @property
    def gpus(self) -> int | None:
        """How many GPUs its repeats need; None where nothing says so."""

    @property
    def hf_model_ids(self) -> Sequence[str]:
        """The Hugging Face models it loads."""


class Gap(msgspec.Struct, frozen=True):
    """Something missing. commands: what closes it, each a line for a shell, in order."""

    message: str
    commands: tuple[str, ...] = ()


class Stopped(Exception):
    """A gap that makes every further check meaningless; the findings contain it already."""


class Findings(msgspec.Struct):
    """Collected by the checks in the order of the output."""

    lines: list[str] = []
    warnings: list[Gap] = []
    errors: list[Gap] = []

    def say(self, line: str) -> None:
        """Add a line of output."""
        self.lines.append(line)

    def error(self, message: str, *commands: str) -> None:
        """Add a gap that fails the precheck."""
        self.errors.append(Gap(message, commands))

    def warn(self, message: str, *commands: str) -> None:
        """Add a gap that does not."""
        self.warnings.append(Gap(message, commands))

    def stop(self, message: str, *commands: str) -> Stopped:
        """Add a gap after which nothing else can be checked; raise what this returns."""
        self.error(message, *commands)
        return Stopped(message)

    def text(self) -> str:
        """Lines, warnings, errors, a blank line and the verdict."""
        lines = list(self.lines)
        for word, gaps in (("warning", self.warnings), ("error", self.errors)):
            for gap in gaps:
                lines.append(f"{word}: {gap.message}")
                lines += [f"  {command}" for command in gap.commands]
        verdict = f"precheck FAILED ({len(self.errors)} error(s))" if self.errors else "precheck OK"
        return "\n".join([*lines, "", verdict])

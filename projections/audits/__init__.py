"""Named audit queries: one file each in this folder, run with `perfledger sql --name NAME`.

    -- Who loosened which threshold, by how much, newest first.
    -- :since = -infinity    only edits from this time on
    -- :file                 the test file (required: it has no default)
    SELECT ... FROM threshold_changes WHERE changed_at >= $since AND file = $file

The first line says what is asked; each `-- :name = default   what it means` declares a `$parameter`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ledger.errors import BadInput

_PARAMETER = re.compile(r"--\s*:(?P<name>\w+)(?:\s*=\s*(?P<default>\S+))?\s*(?P<about>.*)")


@dataclass(frozen=True)
class Parameter:
    """A `$name` of an audit query. `default` is text as on the command line; None when one must be given."""

    name: str
    default: str | None
    about: str


@dataclass(frozen=True)
class Audit:
    """A named query: what it asks, in a sentence, its parameters and its SQL."""

    name: str
    about: str
    parameters: tuple[Parameter, ...]
    sql: str

    def bind(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return the value of every parameter. Raises `BadInput` for one that is missing or not declared."""
        declared = {parameter.name: parameter.default for parameter in self.parameters}
        for name in given:
            if name not in declared:
                raise BadInput(
                    f"the audit query {self.name} has no parameter {name}",
                    code="sql_parameter_unused",
                    hint=f"it has: {', '.join(declared) or 'none'}",
                    unused=[name],
                )
        values = {**declared, **given}
        missing = [name for name, value in values.items() if value is None]
        if missing:
            raise BadInput(
                f"the audit query {self.name} needs the parameter {', '.join(missing)}",
                code="sql_parameter_missing",
                hint=f"--param {missing[0]}=VALUE",
                missing=missing,
            )
        return {name: value for name, value in values.items() if value is not None}


def audits() -> dict[str, Audit]:
    """Return every named audit query, by name."""
    return {
        path.stem: parse(path.stem, path.read_text(encoding="utf-8"))
        for path in sorted(Path(__file__).parent.glob("*.sql"))
    }


def audit(name: str) -> Audit:
    """Return one named audit query. Raises `BadInput` (`audit_unknown`) when there is none of that name."""
    known = audits()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        raise BadInput(
            f'there is no audit query "{name}"' + (f'; did you mean "{near[0]}"?' if near else ""),
            code="audit_unknown",
            hint="perfledger sql --list",
            known=sorted(known),
        )
    return known[name]


def parse(name: str, text: str) -> Audit:
    """Read an audit query from its file's text."""
    first, *rest = text.splitlines()
    assert first.startswith("-- "), f"{name}.sql must begin with a comment saying what it asks"
    parameters = []
    for line in rest:
        found = _PARAMETER.fullmatch(line.strip())
        if found:
            parameters.append(Parameter(found["name"], found["default"], found["about"]))
        elif not line.startswith("--"):
            break
    return Audit(name, first.removeprefix("--").strip(), tuple(parameters), text)

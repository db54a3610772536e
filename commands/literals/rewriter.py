"""Replace numbers in a Python file, and nothing else.

A rewrite is a splice of characters at the places the finder reported; every other byte stays, line
ends, byte order mark, encoding and comments included. The result is read again before it is handed
out: it must be valid Python, say the new numbers, and say everything else as before.
"""

from __future__ import annotations

import ast
import itertools
import math
from collections.abc import Iterable, Mapping

import msgspec

from commands.literals.finder import Binding, Constants, NumberSite, find_constants
from commands.literals.source import read_source
from ledger.errors import Refused


class Edit(msgspec.Struct, frozen=True):
    """One number to write: its present place, and its new text."""

    site: NumberSite
    text: str

    @property
    def value(self) -> int | float:
        """The number the new text says."""
        value: int | float = ast.literal_eval(self.text)
        return value


def number_text(value: int | float) -> str:
    """Return the Python literal of a number: the fewest digits that read back as the same value."""
    assert math.isfinite(value), value
    return repr(value)


def locate(constants: Constants, symbol: str, subkey: str | None, concurrency: int | None) -> NumberSite:
    """Return the one place of `SYMBOL` or `SYMBOL[concurrency]['subkey']`.

    Without a concurrency the entry is taken only when exactly one place fits. Raises `Refused`,
    naming file, symbol and lines, when there is no place or when the number seen there may not be
    the one that counts.
    """
    binding = _only_binding(constants, symbol)
    _refuse_doubts(constants, binding)
    if subkey is None:
        if binding.kind in ("number", "none"):
            return binding.sites[0]
        raise _refusal(constants, symbol, "not_a_literal", f"line {binding.line} gives it {_KINDS[binding.kind]}")
    fitting = [site for site in binding.sites if site.keys and site.keys[-1] == subkey]
    if concurrency is not None and any(len(site.keys) > 1 for site in fitting):
        fitting = [site for site in fitting if site.keys[:-1] == (concurrency,)]
    name = f"{symbol}[{concurrency if concurrency is not None else '?'}][{subkey!r}]"
    if not fitting:
        raise _refusal(constants, name, "no_literal", f"line {binding.line} has no such number")
    if len(fitting) > 1:
        places = ", ".join(f"line {site.line}: {site.name}" for site in fitting)
        raise _refusal(constants, name, "ambiguous_literal", f"{len(fitting)} places fit ({places})")
    return fitting[0]


_KINDS: Mapping[str, str] = {
    "table": "a dictionary, not a number",
    "expression": "an expression, not a literal",
    "derived": "a value computed from other names",
    "other": "something that is not a number",
}


def _only_binding(constants: Constants, symbol: str) -> Binding:
    found = constants.of(symbol)
    others = constants.rebound.get(symbol, ())
    if not found:
        where = f"; line {others[0]} binds it in another way" if others else ""
        raise _refusal(constants, symbol, "no_literal", f"no plain assignment at the top level{where}")
    lines = sorted([binding.line for binding in found] + list(others))
    if len(lines) > 1:
        raise _refusal(
            constants,
            symbol,
            "ambiguous_literal",
            "lines " + ", ".join(map(str, lines)) + " each give it a value",
        )
    return found[0]


def _refuse_doubts(constants: Constants, binding: Binding) -> None:
    if binding.shared_with:
        raise _refusal(
            constants,
            binding.symbol,
            "ambiguous_literal",
            f"line {binding.line} gives the same literal to {', '.join(binding.shared_with)}",
        )
    if binding.doubts:
        raise _refusal(constants, binding.symbol, "ambiguous_literal", "; ".join(binding.doubts))


def _refusal(constants: Constants, name: str, code: str, why: str) -> Refused:
    return Refused(
        f"{constants.source.path}: {name} cannot be rewritten: {why}",
        code=code,
        hint="make it one plain number at the top level of the file, or leave this metric out with --keep",
        file=str(constants.source.path),
        symbol=name,
    )


def rewrite(constants: Constants, edits: Iterable[Edit]) -> bytes:
    """Return the bytes of the file with the edits made.

    Raises `Refused` when two edits name one place. A result that does not read back as intended is
    a broken invariant, not an error of the user.
    """
    ordered = sorted(edits, key=lambda edit: edit.site.start)
    for one, other in itertools.pairwise(ordered):
        if one.site.start == other.site.start:
            raise _refusal(constants, one.site.name, "ambiguous_literal", "two metrics would write it")
    source = constants.source
    pieces, at = [], 0
    for edit in ordered:
        assert source.text[edit.site.start : edit.site.end] == edit.site.text, edit.site
        pieces += [source.text[at : edit.site.start], edit.text]
        at = edit.site.end
    data = source.to_bytes("".join([*pieces, source.text[at:]]))
    _check(constants, ordered, data)
    return data


def _check(before: Constants, edits: list[Edit], data: bytes) -> None:
    after = find_constants(read_source(data, before.source.path))
    assert after.rebound == before.rebound
    wanted = {edit.site.start: edit for edit in edits}
    old = [site for binding in before.bindings for site in binding.sites]
    new = [site for binding in after.bindings for site in binding.sites]
    assert [site.name for site in old] == [site.name for site in new]
    for was, now in zip(old, new, strict=True):
        edit = wanted.get(was.start)
        expected = was.text if edit is None else edit.text
        assert now.text == expected, (was, now)

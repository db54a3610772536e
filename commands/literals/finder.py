"""Which constants a Python file binds at its top level, and the place of each number.

A threshold is a top-level name in capitals bound to a number, to None, or to a dictionary that ends
in numbers. Everything that could make another value count than the one seen (a second binding, a
`global` in a function, an `update` call, a duplicate key) is recorded too, so that a rewrite can
refuse instead of guess.
"""

from __future__ import annotations

import ast
import bisect
import math
import re
from collections.abc import Iterator, Mapping
from typing import Literal as OneOf

import libcst as cst
import msgspec
from libcst.metadata import ByteSpanPositionProvider, CodeSpan, MetadataWrapper

from commands.literals.rebindings import rebindings_of
from commands.literals.source import Source
from commands.literals.syntax import parse_python
from ledger.errors import BadInput

CONSTANT_NAME = re.compile(r"_?[A-Z][A-Z0-9_]*\Z")

Key = int | str
Kind = OneOf["number", "none", "table", "expression", "derived", "other"]


class NumberSite(msgspec.Struct, frozen=True):
    """One number (or None) in the file: its place and its value.

    `keys` leads to it inside a dictionary; `start` and `end` are character offsets into the text of
    the `Source`, without parentheses around it; `line` counts from 1.
    """

    symbol: str
    keys: tuple[Key, ...]
    value: int | float | None
    text: str
    line: int
    start: int
    end: int

    @property
    def name(self) -> str:
        """How the place is written in reports: `SYMBOL[16]['key']`."""
        return self.symbol + "".join(f"[{key!r}]" for key in self.keys)


class Binding(msgspec.Struct, frozen=True):
    """One top-level statement that gives a constant its value.

    `kind`: `number`, `none`, `table` (a dictionary), `expression` (arithmetic of plain numbers),
    `derived` (computed from the names in `reads`), `other` (text, lists and the like).
    `doubts` are reasons why a number in `sites` may not be the one that counts.
    """

    symbol: str
    line: int
    kind: Kind
    sites: tuple[NumberSite, ...] = ()
    reads: tuple[str, ...] = ()
    shared_with: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


class Constants(msgspec.Struct, frozen=True):
    """What one file binds: plain and annotated assignments in order, other bindings by line."""

    source: Source
    bindings: tuple[Binding, ...]
    rebound: dict[str, tuple[int, ...]]

    def of(self, symbol: str) -> list[Binding]:
        """Return the bindings of one name, in file order."""
        return [binding for binding in self.bindings if binding.symbol == symbol]

    def integer(self, symbol: str) -> int | None:
        """Return the value of a name bound exactly once, to a whole number; else None."""
        found = self.of(symbol)
        if len(found) != 1 or self.rebound.get(symbol) or found[0].kind != "number":
            return None
        value = found[0].sites[0].value
        return value if isinstance(value, int) else None


def find_constants(source: Source) -> Constants:
    """Return every constant of the file. Raises `BadInput` when it is not valid Python."""
    try:
        module = cst.parse_module(source.text)
        rebound = rebindings_of(parse_python(source.text))
        if module.code != source.text:
            raise ValueError("it cannot be reproduced exactly")
        return _Finder(source, module).constants(rebound)
    except RecursionError:
        raise _not_python(source, ValueError("it nests too deep to be read")) from None
    except (cst.ParserSyntaxError, SyntaxError, ValueError, MemoryError) as error:
        raise _not_python(source, error) from None


def _not_python(source: Source, error: Exception) -> BadInput:
    line = getattr(error, "raw_line", None) or getattr(error, "lineno", None)
    where = f" line {line}" if line else ""
    # libcst, the interpreter and our own checks each keep the sentence elsewhere
    reason = getattr(error, "message", None) or getattr(error, "msg", None) or str(error)
    return BadInput(
        f"{source.path}{where} is not valid Python: {reason.splitlines()[0]}",
        code="not_python",
        hint="correct the file",
        file=str(source.path),
    )


class _Finder:
    """Walks the top level of a module; only statements that bind constants are measured."""

    def __init__(self, source: Source, module: cst.Module) -> None:
        self.source, self.module = source, module
        # spans count UTF-8 bytes of the text, whatever the file's own encoding is
        self.utf8 = source.text.encode("utf-8")
        self.ascii = len(self.utf8) == len(source.text)
        self.line_starts = [0] + [m.end() for m in re.finditer(r"\r\n|\n|\r", source.text)]
        self.spans: Mapping[cst.CSTNode, CodeSpan] = {}
        self.shift = 0  # from the measured statements alone to the whole file

    def constants(self, rebound: dict[str, tuple[int, ...]]) -> Constants:
        relevant = [statement for statement in self.module.body if _binds_constants(statement)]
        # measuring a whole file costs more than parsing it; its constants are a small part of it
        alone = self.module.with_changes(header=(), footer=(), body=relevant)
        wrapper = MetadataWrapper(alone, unsafe_skip_copy=True)
        self.spans = wrapper.resolve(ByteSpanPositionProvider)
        wanted = set(map(id, relevant))
        at = sum(self.length(line) for line in self.module.header)
        measured = 0
        bindings: list[Binding] = []
        for statement in self.module.body:
            length = self.length(statement)
            if id(statement) in wanted:
                self.shift = at - measured
                measured += length
                for part in _parts(statement):
                    bindings += self.assigned(part)
            at += length
        return self.with_named_keys(Constants(self.source, tuple(bindings), rebound))

    def length(self, node: cst.CSTNode) -> int:
        return len(self.module.code_for_node(node).encode("utf-8"))

    def assigned(self, node: cst.CSTNode) -> list[Binding]:
        """Bindings of `A = ...`, `A = B = ...` and `A: T = ...`; nothing for other statements."""
        names = _target_names(node)
        value = node.value if isinstance(node, (cst.Assign, cst.AnnAssign)) else None
        if value is None:
            return []
        return [
            self.binding(name, value, self.line(node), tuple(n for n in names if n != name))
            for name in names
            if CONSTANT_NAME.match(name)
        ]

    def binding(self, symbol: str, value: cst.BaseExpression, line: int, shared: tuple[str, ...]) -> Binding:
        site = self.site(symbol, (), value)
        if site is not None:
            kind: Kind = "none" if site.value is None else "number"
            return Binding(symbol, line, kind, (site,), shared_with=shared)
        if isinstance(value, cst.Dict):
            doubts: list[str] = []
            sites = tuple(self.entries(symbol, (), value, doubts))
            return Binding(symbol, line, "table", sites, shared_with=shared, doubts=tuple(doubts))
        reads = tuple(dict.fromkeys(_names_read(value)))
        if reads:
            return Binding(symbol, line, "derived", reads=reads, shared_with=shared)
        kind = "expression" if _is_arithmetic(value) else "other"
        return Binding(symbol, line, kind, shared_with=shared)

    def entries(self, symbol: str, above: tuple[Key, ...], table: cst.Dict, doubts: list[str]) -> Iterator[NumberSite]:
        """Yield the numbers of a dictionary, depth first; keys are text, whole numbers or names."""
        seen: set[Key] = set()
        for element in table.elements:
            if not isinstance(element, cst.DictElement):
                doubts.append(f"line {self.line(element)}: `**` may replace an entry")
                continue
            key = _key(element.key)
            if key is None:
                doubts.append(f"line {self.line(element)}: a key that is computed")
                continue
            if key in seen:
                doubts.append(f"line {self.line(element)}: the key {key!r} is duplicated")
            seen.add(key)
            if isinstance(element.value, cst.Dict):
                yield from self.entries(symbol, (*above, key), element.value, doubts)
            elif (site := self.site(symbol, (*above, key), element.value)) is not None:
                yield site

    def with_named_keys(self, constants: Constants) -> Constants:
        """Resolve keys like `CONCURRENCY` that are whole-number constants of the same file."""
        resolved = []
        for binding in constants.bindings:
            sites = []
            for site in binding.sites:
                keys = tuple(constants.integer(key) or key if isinstance(key, _Named) else key for key in site.keys)
                sites.append(msgspec.structs.replace(site, keys=keys))
            resolved.append(msgspec.structs.replace(binding, sites=tuple(sites)))
        return msgspec.structs.replace(constants, bindings=tuple(resolved))

    def site(self, symbol: str, keys: tuple[Key, ...], node: cst.BaseExpression) -> NumberSite | None:
        if isinstance(node, cst.Name) and node.value == "None":
            value: int | float | None = None
        else:
            number = _number(node)
            if number is None:
                return None
            value = number
        start, end = self.span(node)
        return NumberSite(symbol, keys, value, self.source.text[start:end], self.line(node), start, end)

    def span(self, node: cst.CSTNode) -> tuple[int, int]:
        found = self.spans[node]
        start = found.start + self.shift
        end = start + found.length
        if self.ascii:
            return start, end
        before = len(self.utf8[:start].decode("utf-8"))
        return before, before + len(self.utf8[start:end].decode("utf-8"))

    def line(self, node: cst.CSTNode) -> int:
        return bisect.bisect_right(self.line_starts, self.span(node)[0])


class _Named(str):
    """A dictionary key written as a name; unresolved it is shown unchanged."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _parts(statement: cst.CSTNode) -> Iterator[cst.CSTNode]:
    if isinstance(statement, cst.SimpleStatementLine):
        yield from statement.body
    else:
        yield statement


def _binds_constants(statement: cst.CSTNode) -> bool:
    return any(CONSTANT_NAME.match(name) for part in _parts(statement) for name in _target_names(part))


def _target_names(node: cst.CSTNode) -> list[str]:
    """Names of `A = ...`, `A = B = ...` and `A: T = ...`; none of any other statement."""
    if isinstance(node, cst.AnnAssign):
        targets = [node.target] if node.value is not None else []
    elif isinstance(node, cst.Assign):
        targets = [each.target for each in node.targets]
    else:
        return []
    names = [target.value for target in targets if isinstance(target, cst.Name)]
    # tuples, subscripts, attributes: a rebinding at most
    return names if len(names) == len(targets) else []


def _key(node: cst.BaseExpression) -> Key | None:
    if isinstance(node, cst.Name) and CONSTANT_NAME.match(node.value):
        return _Named(node.value)
    if isinstance(node, (cst.SimpleString, cst.ConcatenatedString)):
        value = node.evaluated_value
        return value if isinstance(value, str) else None
    number = _number(node)
    return number if isinstance(number, int) else None


def _number(node: cst.BaseExpression) -> int | float | None:
    """Return the value of a number literal, with at most one sign; None for anything else."""
    sign = 1
    if isinstance(node, cst.UnaryOperation):
        if isinstance(node.operator, cst.Minus):
            sign = -1
        elif not isinstance(node.operator, cst.Plus):
            return None
        node = node.expression
    if not isinstance(node, (cst.Integer, cst.Float)):
        return None
    value: int | float = ast.literal_eval(node.value)
    return sign * value if math.isfinite(value) else None


def _names_read(node: cst.CSTNode) -> Iterator[str]:
    if isinstance(node, cst.Name) and node.value not in ("True", "False", "None"):
        yield node.value
    elif isinstance(node, (cst.Attribute, cst.Arg)):
        yield from _names_read(node.value)
    else:
        for child in node.children:
            yield from _names_read(child)


def _is_arithmetic(node: cst.BaseExpression) -> bool:
    if isinstance(node, cst.BinaryOperation):
        return _is_arithmetic(node.left) and _is_arithmetic(node.right)
    if isinstance(node, cst.UnaryOperation):
        return _is_arithmetic(node.expression)
    return isinstance(node, (cst.Integer, cst.Float))

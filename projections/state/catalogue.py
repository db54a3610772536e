"""What there is to project: the fact tables, the SQL that fills them, and the views over them.

Read from the files beside this one; nothing is registered anywhere else. The digest of all of it names the
shape of a state file: a state made by another shape is built again.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Set
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from ledger import readable
from ledger.errors import BadInput
from projections.facts import record
from projections.state import computed

HERE = Path(__file__).parents[1]
FACTS = HERE / "facts"
VIEWS = HERE / "views"
STATE_VERSION = 1

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CALL = re.compile(r"\b(\w+)\s*\(\s*(?:as_of|as_recorded)\b", re.IGNORECASE)
_COMMENT = re.compile(r"--[^\n]*")
_PLACE = re.compile(r"\{\{(each )?(.*?)\}\}")
_RESULT_ROWS = re.compile(r"\bresult_rows\b")


@dataclass(frozen=True)
class FactTable:
    """A fact table: its DDL, the SELECT that makes rows of `arrivals`, and the event types that SELECT names.

    A SELECT may read other facts made of the same events as `here.<table>`: `needs` names them. Two tables have
    `result_rows` in common, which costs what reading JSON costs.
    """

    name: str
    ddl: str
    select: str
    types: frozenset[str]

    @property
    def needs(self) -> list[str]:
        """The fact tables that must be filled before."""
        return re.findall(r"\bhere\.(\w+)", self.select)

    @property
    def key(self) -> str:
        """The columns no two rows have in common, as an ORDER BY takes them.

        Where these are not an event's, rows are no event's either: the same row is made again for other events.
        """
        return "origin, position, item" if self.of_events else self.ddl.split("(", 1)[1].split()[0]

    @property
    def of_events(self) -> bool:
        """Whether each row is made from one event, not from what several have in common."""
        return " position BIGINT" in self.ddl

    def takes(self, present: Set[str]) -> bool:
        """Whether events of these types may make rows of it. A table that names no type is of all of them."""
        return not self.types or not self.types.isdisjoint(present)

    @property
    def of_results(self) -> bool:
        """Whether the SELECT reads `result_rows`."""
        return _RESULT_ROWS.search(self.select) is not None

    def rows(self, schema: str, *, staged: bool = False) -> str:
        """Return the SELECT for the tables of a schema. staged: `result_rows` is a table there, made before."""
        source = f"{schema}.result_rows" if staged else f"(\n{result_rows()})"
        return _RESULT_ROWS.sub(lambda _: source, re.sub(r"\bhere\.", f"{schema}.", self.select))


@functools.cache
def facts() -> dict[str, FactTable]:
    """Return all fact tables by name, in the order they are filled: pulls first, since they say what is known."""
    ddl = _ddl()
    found = {}
    for path in sorted(FACTS.glob("fact_*.sql"), key=lambda p: (p.stem != "fact_pull", p.stem)):
        select = composed(_read(path))
        named = select + (result_rows() if _RESULT_ROWS.search(select) else "")
        types = frozenset(re.findall(r"'([A-Z][A-Za-z]+)'", named))
        if path.stem in ddl:
            found[path.stem] = FactTable(path.stem, ddl[path.stem], select, types)
    return found


@functools.cache
def result_rows() -> str:
    """Return the SELECT that makes a row of everything of each result in `arrivals`."""
    return composed(_read(FACTS / "result_rows.sql"))


@functools.cache
def views() -> dict[str, str]:
    """Return the body of every view by name."""
    return {path.stem: composed(_read(path)).strip().rstrip(";") for path in sorted(VIEWS.glob("*.sql"))}


@functools.cache
def part(name: str) -> str:
    """Return SQL that several queries have in common, from views/parts; a view takes it in as `{{name}}`."""
    return composed(_COMMENT.sub("", _read(VIEWS / "parts" / f"{name}.sql"))).strip()


def composed(text: str) -> str:
    """Return SQL with its places filled.

    `{{each r.#}}` is a list with one entry per metric, its name for `#`; `{{shared}}` the columns of
    `fact_result_shared` but the number; `{{no_text}}` and `{{space}}` what says no in `success`, and what may stand
    around it; `{{name}}` the part of that name.
    """
    return _PLACE.sub(lambda place: _filled(place[1] is not None, place[2]), text)


def _filled(each: bool, what: str) -> str:
    if each:
        return ", ".join(what.replace("#", name) for name in record.NAMES)
    if what == "shared":
        return ", ".join(column for column in _columns("fact_result_shared") if column != "shared")
    if what == "no_text":
        return "|".join(record.NO_TEXT)
    if what == "space":
        return " || ".join(f"chr({ord(character)})" for character in record.SPACE)
    return f"\n{part(what)}\n"


def _columns(table: str) -> list[str]:
    """Return a fact table's columns, as its class has them."""
    return re.findall(r"^    (\w+) ", _ddl()[table], re.MULTILINE)


@functools.cache
def _ddl() -> dict[str, str]:
    schema = _read(FACTS / "schema.sql")
    return {m.group(1): m.group(0) for m in re.finditer(r"CREATE TABLE (\w+) \([^;]*\)", schema)}


def digest() -> str:
    """Return the digest of everything that decides what a fact row looks like, and which events make one."""
    return _digest(readable.catalogue_digest())


@functools.cache
def _digest(readable_events: str) -> str:
    parts = [str(STATE_VERSION), readable_events, result_rows(), *(f"{t.ddl}\n{t.select}" for t in facts().values())]
    return sha256("\n\n".join(parts).encode()).hexdigest()


def mentioned(sql: str) -> list[str]:
    """Return the views, facts and computed relations a query needs, each after the ones it is made of."""
    order: list[str] = []

    def visit(text: str, inside: frozenset[str]) -> None:
        for word in dict.fromkeys(w.lower() for w in _WORD.findall(_COMMENT.sub("", text))):
            if word in inside or word in order:
                continue
            if word in views():
                visit(views()[word], inside | {word})
                order.append(word)
            elif word in facts() or word in computed.RELATIONS:
                order.append(word)

    visit(sql, frozenset())
    return order


def refuse_own_moments(sql: str) -> None:
    """Raise `BadInput` where a query asks for a moment of its own what has one moment only.

    That is a computed relation, and a view that one is part of.
    """
    for name in _CALL.findall(_COMMENT.sub("", sql)):
        if not computed.RELATIONS.keys().isdisjoint(mentioned(name)):
            raise BadInput(
                f"{name} is computed for one moment, that of the whole query; it takes no as_of of its own",
                code="sql_computed_relation",
                hint=f"perfledger sql --as-of WHEN 'FROM {name}'",
            )


def about() -> dict[str, str]:
    """Return what a row of each view and computed relation is, in one sentence, by name."""
    comments = {name: re.match(r"(?:--[^\n]*\n)*", body) for name, body in views().items()}
    texts = {
        name: " ".join(line.lstrip("- ").rstrip() for line in (found[0] if found else "").splitlines())
        for name, found in comments.items()
    }
    texts |= {name: relation.about for name, relation in computed.RELATIONS.items()}
    return {name: re.split(r"(?<=\.)\s", text, maxsplit=1)[0] for name, text in sorted(texts.items())}


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")

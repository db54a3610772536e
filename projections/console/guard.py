"""Decides from a query's parse tree whether it may run: one SELECT over the views, and nothing else.

DuckDB's own statement types are no guard: `WITH x AS (COPY ... TO 'file') SELECT 1` is a SELECT to it, and
writes the file. The tree of `json_serialize_sql` shows such a thing as a node of its own, so every node,
relation and function in it must stand on an allow-list; what is not known is refused.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from ledger.errors import BadInput
from projections.console.functions import ALLOWED_FUNCTIONS, ALLOWED_TABLE_FUNCTIONS, REFUSED_COLUMNS

QUERY_BYTES_MAX = 256 * 1024

EXPRESSIONS = frozenset(
    {
        "BETWEEN",
        "CASE",
        "CAST",
        "COLLATE",
        "COLUMN_REF",
        "COMPARISON",
        "CONJUNCTION",
        "CONSTANT",
        "FUNCTION",
        "LAMBDA",
        "LAMBDA_REF",
        "OPERATOR",
        "PARAMETER",
        "POSITIONAL_REFERENCE",
        "STAR",
        "SUBQUERY",
        "TYPE",
        "WINDOW",
    }
)
QUERIES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
SOURCES = frozenset(
    {
        "BASE_TABLE",
        "SUBQUERY",
        "JOIN",
        "TABLE_FUNCTION",
        "EXPRESSION_LIST",
        "EMPTY",
        "PIVOT",
        "SHOW_REF",
    }
)
MODIFIERS = frozenset(
    {
        "ORDER_MODIFIER",
        "LIMIT_MODIFIER",
        "LIMIT_PERCENT_MODIFIER",
        "DISTINCT_MODIFIER",
        "ORDER_DEFAULT",
        "ASCENDING",
        "DESCENDING",
    }
)
NODES = QUERIES | SOURCES | MODIFIERS
SHOWS = frozenset({"DESCRIBE", "SUMMARY", "SHOW"})
NOT_A_SELECT = "Only SELECT statements can be serialized"
# An alias of a WITH clause is matched without its scope, so it must not be able to mean anything else:
# no path that a replacement scan could open, no relation of the catalogue (`hidden` below).
CTE_NAME = re.compile(r"[^\W\d][\w ]*")
WRITING_NODES = re.compile(r"(COPY|INSERT|UPDATE|DELETE|MERGE)[A-Z_]*_NODE")


@dataclass(frozen=True)
class Catalogue:
    """What names mean: `relations` may be read; `hidden` exist beside them and may not. Lower case."""

    relations: frozenset[str]
    hidden: frozenset[str] = frozenset()


@dataclass
class Checked:
    """A query that may run: the `$parameters` it uses, and whether it only asks for the list of views."""

    parameters: set[str] = field(default_factory=set)
    lists_views: bool = False


def check_text(query: str) -> None:
    """Refuse text no query needs: nothing at all, control characters, far too much."""
    if not query.strip():
        raise BadInput("the query is empty", code="sql_empty", hint='perfledger sql "SHOW TABLES"')
    size = len(_bytes(query))
    if size > QUERY_BYTES_MAX:
        raise BadInput(
            f"the query has {size} bytes; at most {QUERY_BYTES_MAX} are read",
            code="sql_too_long",
            hint="join against VALUES, or ask in several queries",
            size=size,
            limit=QUERY_BYTES_MAX,
        )
    for offset, character in enumerate(query):
        if (ord(character) < 32 and character not in "\t\n\r") or "\ud800" <= character <= "\udfff":
            where = _where(query, len(_bytes(query[:offset])))
            raise BadInput(
                f"the query holds the control character U+{ord(character):04X}"
                f" at line {where['line']}, column {where['column']}",
                code="sql_syntax",
                hint="remove it",
                **where,
            )


def check_tree(query: str, serialized: str, catalogue: Catalogue) -> Checked:
    """Check what `json_serialize_sql(query)` gave; raise `BadInput` naming what is not allowed, and where.

    Codes: `sql_syntax` for what does not parse, `sql_forbidden` for what parses and may not run,
    `sql_too_deep` for nesting beyond what is walked.
    """
    try:
        document = json.loads(serialized)
    except RecursionError:
        raise too_deep() from None
    if document["error"]:
        raise _unparsed(query, document)
    if len(document["statements"]) != 1:
        raise _forbidden(f"{len(document['statements'])} statements at once", query, None)
    return _Guard(query, catalogue).check(document["statements"][0])


def too_deep() -> BadInput:
    """Return the error for a query nested beyond what is walked."""
    return BadInput("the query is nested too deeply", code="sql_too_deep", hint="join against VALUES, or use IN (...)")


class _Guard:
    """One walk over one tree."""

    def __init__(self, query: str, catalogue: Catalogue) -> None:
        self.query = query
        self.catalogue = catalogue
        self.aliases: set[str] = set()
        self.judged: set[int] = set()  # functions already held to the list of table functions
        self.checked = Checked()

    def check(self, statement: dict[str, Any]) -> Checked:
        nodes = list(_dicts(statement))
        for node in nodes:
            self._collect_aliases(node)
        for node in nodes:
            self._check_node(node)
        return self.checked

    def _collect_aliases(self, node: dict[str, Any]) -> None:
        for entry in (node.get("cte_map") or {}).get("map", ()):
            self._add_alias(entry["key"])
        if node.get("type") in ("RECURSIVE_CTE_NODE", "CTE_NODE"):
            self._add_alias(node["cte_name"])

    def _add_alias(self, name: str) -> None:
        if not CTE_NAME.fullmatch(name) or name.lower() in self.catalogue.hidden:
            raise _forbidden(f'a WITH clause named "{name}"', self.query, None)
        self.aliases.add(name.lower())

    def _check_node(self, node: dict[str, Any]) -> None:
        kind = node.get("type")
        if "class" in node:
            if node["class"] not in EXPRESSIONS:
                raise self._refused(f"the expression {node['class']}", node)
            if "function_name" in node:
                self._check_function(node)
            elif node["class"] == "PARAMETER":
                self.checked.parameters.add(str(node.get("identifier", "")))
            elif node["class"] == "COLUMN_REF":
                self._check_column(node)
        elif isinstance(kind, str):
            if kind not in NODES:
                raise self._refused(_spoken(kind), node)
            if kind == "BASE_TABLE":
                self._check_relation(node)
            elif kind == "TABLE_FUNCTION":
                self._check_table_function(node)
            elif kind == "SHOW_REF":
                self._check_show(node)

    def _check_column(self, node: dict[str, Any]) -> None:
        names = node["column_names"]
        if len(names) == 1 and names[0].lower() in REFUSED_COLUMNS:
            raise self._refused(f"the function {names[0]} (a column of that name is written t.{names[0]})", node)

    def _check_function(self, node: dict[str, Any]) -> None:
        if id(node) in self.judged:
            return
        for name in _names(node, "function_name"):
            if name not in ALLOWED_FUNCTIONS:
                raise self._refused(f"the function {name}()", node)

    def _check_table_function(self, node: dict[str, Any]) -> None:
        function = node["function"]
        if function.get("class") != "FUNCTION":
            raise self._refused("this kind of table function", node)
        path = function["qualified_name"]["path"]
        for name in _names(function, "function_name"):
            if name not in ALLOWED_TABLE_FUNCTIONS | self.catalogue.relations or len(path) != 1:
                raise self._refused(f"the table function {'.'.join(path)}()", node)
        self.judged.add(id(function))

    def _check_relation(self, node: dict[str, Any]) -> None:
        path = node["qualified_name"]["path"]
        names = _names(node, "table_name")
        if len(path) == 1 and not node["catalog_name"]:
            if names <= self.catalogue.relations | self.aliases:
                return
            if CTE_NAME.fullmatch(path[0]) and not names & self.catalogue.hidden:
                raise self._unknown(path[0], node)
        raise self._refused(f'the relation "{".".join(path)}"', node, views=True)

    def _check_show(self, node: dict[str, Any]) -> None:
        if node["table_name"] == '"tables"' and node["query"] is None:
            self.checked.lists_views = True
        elif node["show_type"] not in SHOWS:
            raise self._refused("this SHOW", node, views=True)
        elif node["query"] is None:
            self._check_relation(node)

    def _unknown(self, name: str, node: dict[str, Any]) -> BadInput:
        where = _where(self.query, node.get("query_location"))
        views = sorted(self.catalogue.relations)
        near = difflib.get_close_matches(name.lower(), views, n=1)
        return BadInput(
            f'there is no view "{name}"' + (f'; did you mean "{near[0]}"?' if near else ""),
            code="sql_unknown_name",
            hint=f"the views are: {', '.join(views)}",
            views=views,
            **where,
        )

    def _refused(self, what: str, node: dict[str, Any], *, views: bool = False) -> BadInput:
        offset = node.get("query_location")
        names = sorted(self.catalogue.relations) if views else None
        return _forbidden(what, self.query, offset, names)


def _dicts(tree: Any) -> Iterator[dict[str, Any]]:
    """Every object of the tree, a parent before its children; no recursion, so depth cannot hurt."""
    stack = [tree]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            yield item
            stack.extend(reversed(list(item.values())))
        elif isinstance(item, list):
            stack.extend(reversed(item))


def _names(node: dict[str, Any], key: str) -> set[str]:
    """The name of a relation or function, from both places the tree keeps it in: both must be allowed."""
    return {node[key].lower(), node["qualified_name"]["path"][-1].lower()}


def _spoken(kind: str) -> str:
    if WRITING_NODES.fullmatch(kind):
        return f"{kind.split('_')[0]} inside a query"
    return f"the construct {kind}"


def _forbidden(what: str, query: str, offset: int | None, views: Collection[str] | None = None) -> BadInput:
    where = _where(query, offset)
    place = f" (line {where['line']}, column {where['column']})" if where else ""
    hint = "one SELECT over the views; SHOW TABLES lists them, docs/sql-sandbox.md says what else is allowed"
    details: dict[str, Any] = {"forbidden": what, **where}
    if views is not None:
        hint = f"the views are: {', '.join(views)}" if views else "this ledger has no views"
        details["views"] = list(views)
    return BadInput(
        f"sql is read-only and sees the views alone: {what}{place} is not allowed",
        code="sql_forbidden",
        hint=hint,
        **details,
    )


def _unparsed(query: str, document: dict[str, Any]) -> BadInput:
    message = str(document.get("error_message", "")).strip()
    if NOT_A_SELECT in message:
        first = re.match(r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*(\w+)", query, re.DOTALL)
        verb = first[1].upper() if first else "this statement"
        if verb == "PIVOT":
            return BadInput(
                "PIVOT needs its values named here, because finding them is a statement of its own",
                code="sql_forbidden",
                hint="PIVOT t ON column IN ('a', 'b') USING ...",
            )
        return _forbidden(verb, query, None)
    if "expression depth" in message:
        return too_deep()
    offset = document.get("position")
    where = _where(query, int(offset)) if offset is not None else {}
    place = f" at line {where['line']}, column {where['column']}" if where else ""
    return BadInput(
        f"the query does not parse{place}: {message}",
        code="sql_syntax",
        hint="SHOW TABLES lists the views, DESCRIBE results the columns of one",
        **where,
    )


def _where(query: str, offset: int | None) -> dict[str, int]:
    """Line and column (from 1) and offset, all in characters, of a byte; nothing where the parser gave none."""
    data = _bytes(query)
    if offset is None or not 0 <= offset <= len(data):
        return {}
    before = data[:offset].decode(errors="replace")
    return {"offset": len(before), "line": before.count("\n") + 1, "column": len(before) - (before.rfind("\n") + 1) + 1}


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")

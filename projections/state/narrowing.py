"""Which rows of a computed relation a query can see, read from its syntax tree.

A relation that is computed for every session of a large ledger costs seconds; a query of one session need not pay
them. Only the plainest form is recognised, `SELECT ... FROM relation WHERE key = 'value' AND ...`: there no other row
can reach the answer, whatever the rest says. Of any other form all rows are computed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ledger import canonical

if TYPE_CHECKING:
    from projections.state.engine import Connection

Node = dict[str, Any]


def only(connection: Connection, sql: str, column: tuple[str, str], parameters: Mapping[str, Any] | None) -> str | None:
    """Return the one value of a column that a query asks a relation for; None where it may see other rows too.

    column: the relation's name and its column's. parameters: the values of `$name` in the query.
    """
    relation, key = column
    if len(re.findall(rf"\b{relation}\b", sql, re.IGNORECASE)) != 1:
        return None  # also in a subquery, or the name of something else
    found = connection.execute("SELECT json_serialize_sql($sql)", {"sql": sql}).fetchone()
    tree = canonical.decode(found[0])
    if tree["error"] or len(tree["statements"]) != 1:
        return None
    node = tree["statements"][0]["node"]
    source = node.get("from_table") or {}
    if node["type"] != "SELECT_NODE" or source.get("type") != "BASE_TABLE" or source["table_name"].lower() != relation:
        return None
    if source["column_name_alias"] or any(item.get("alias", "").lower() == key for item in node["select_list"]):
        return None  # then the word in WHERE may be another column
    values = (_value(one, key, parameters or {}) for one in _conditions(node["where_clause"]))
    return next((value for value in values if value is not None), None)


def _conditions(where: Node | None) -> Iterator[Node]:
    """Yield what must hold, all of it, for a row to be seen."""
    if where is not None and where["type"] == "CONJUNCTION_AND":
        for child in where["children"]:
            yield from _conditions(child)
    elif where is not None:
        yield where


def _value(condition: Node, key: str, parameters: Mapping[str, Any]) -> str | None:
    """Return the text a condition says the column equals; None where it says something else."""
    if condition["type"] != "COMPARE_EQUAL":
        return None
    for this, other in (("left", "right"), ("right", "left")):
        column, value = condition[this], condition[other]
        if column["class"] != "COLUMN_REF" or column["column_names"][-1].lower() != key:
            continue
        literal = value.get("literal", {})
        given = parameters.get(value["identifier"]) if value["class"] == "PARAMETER" else literal.get("text")
        is_text = value["class"] == "PARAMETER" or literal.get("kind") == "STRING"
        return given if is_text and isinstance(given, str) else None
    return None

"""DDL of the fact tables, generated from their SQLModel classes; the result is committed as schema.sql.

Committed, because reading it must not cost the 0.65 s that importing SQLModel does.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import sqlalchemy as sa
from sqlmodel import SQLModel

import projections.facts as package

_DUCKDB_TYPES: list[tuple[type[sa.types.TypeEngine[Any]], str]] = [
    (sa.Boolean, "BOOLEAN"),
    (sa.Integer, "BIGINT"),
    (sa.Float, "DOUBLE"),
    (sa.DateTime, "TIMESTAMPTZ"),
    (sa.JSON, "VARCHAR"),
    (sa.String, "VARCHAR"),
]


def tables() -> list[sa.Table]:
    """Import every fact module and return the tables, sorted by name."""
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return sorted(SQLModel.metadata.tables.values(), key=lambda table: table.name)


def ddl() -> str:
    """Return the DuckDB DDL of all fact tables."""
    parts = ["-- Made by `make docs` from the SQLModel classes in projections/facts/. Do not edit."]
    for table in tables():
        parts.append(f"CREATE TABLE {table.name} (\n" + ",\n".join(map(_column, table.columns)) + "\n);")
    return "\n\n".join(parts) + "\n"


def _column(column: sa.Column[object]) -> str:
    compression = column.info.get("compression")
    return (
        f"    {column.name} {_duckdb_type(column)}{'' if column.nullable else ' NOT NULL'}"
        f"{f' USING COMPRESSION {compression}' if compression else ''}"
    )


def _duckdb_type(column: sa.Column[object]) -> str:
    found = column.type.impl_instance if isinstance(column.type, sa.types.TypeDecorator) else column.type
    for kind, name in _DUCKDB_TYPES:
        if isinstance(found, kind):
            return name
    raise AssertionError(f"{column.table.name}.{column.name}: no DuckDB type for {column.type!r}")

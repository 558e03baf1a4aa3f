"""Rows that a PostgreSQL transaction is to insert, sent all at once.

One statement for the rows of all tables costs a fraction of one for each, above all where many works share a
transaction. The rows go as JSON, one text for each table: that is the cheapest way to write them down and to send them.
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import JSON, Connection, Dialect, TableClause

OPTION = "later"  # of a connection's execution, where it has such rows
_STATEMENTS = 64  # kept, at most

Target = tuple[TableClause, tuple[str, ...]]
"""A table and the columns that are given."""


class Later:
    """The rows that wait; they are sent before any other statement is run, and at the transaction's end."""

    def __init__(self) -> None:
        self._rows: list[tuple[TableClause, Mapping[str, Any]]] = []
        self._sent = 0  # statements

    def put(self, table: TableClause, row: Mapping[str, Any]) -> None:
        """Add a row, of values that JSON takes. A table comes behind those that its rows refer to."""
        self._rows.append((table, row))

    def mark(self) -> tuple[int, int]:
        """How things are, for `undo`."""
        return self._sent, len(self._rows)

    def undo(self, mark: tuple[int, int]) -> bool:
        """Take back the rows that were put since then. Whether that is all that happened."""
        sent, rows = mark
        if self._sent != sent:
            return False
        del self._rows[rows:]
        return True

    def send(self, connection: Connection) -> None:
        """Insert what waits."""
        self._sent += 1
        if not self._rows:
            return
        tables: dict[Target, list[Mapping[str, Any]]] = {}
        for table, row in self._rows:
            tables.setdefault((table, tuple(row)), []).append(row)
        self._rows = []
        given = {_parameter(number): _written(*each) for number, each in enumerate(tables.items())}
        connection.exec_driver_sql(_statement(tuple(tables), connection.dialect), given)


def later_of(connection: Connection) -> Later | None:
    """The rows that wait on this connection, where it has any that do."""
    later: Later | None = connection.get_execution_options().get(OPTION)
    return later


def send_first(connection: Connection, *_: Any) -> None:
    """Before a statement is run: one that looks for a row, or refers to it, finds what was put before it."""
    later = later_of(connection)
    if later is not None:
        later.send(connection)


def _written(target: Target, rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as JSON. Raises ValueError for a NUL: the server would quote what stands around it, and that is logged."""
    columns = _json_columns(target)
    if columns:
        # Texts in a text: what such a column takes is more than the server takes in the JSON that it reads rows from.
        rows = [{**row, **{name: json.dumps(row[name]) for name in columns}} for row in rows]
    text = json.dumps(rows, ensure_ascii=False)
    if r"\u0000" in text and any(isinstance(value, str) and "\0" in value for row in rows for value in row.values()):
        raise ValueError("PostgreSQL takes no NUL in a text")
    return text


@lru_cache(_STATEMENTS)
def _json_columns(target: Target) -> tuple[str, ...]:
    table, columns = target
    kinds = {name: kind for name in columns if isinstance(kind := table.c[name].type, JSON)}
    assert not any(kind.none_as_null for kind in kinds.values()), "None is written as JSON's null"
    return tuple(kinds)


@lru_cache(_STATEMENTS)
def _statement(targets: Sequence[Target], dialect: Dialect) -> str:
    # The server does what stands last first, and then the others from behind: so the tables are filled in order.
    names = [_parameter(number) for number in range(len(targets))]
    first, *others = (_insert(name, target, dialect) for name, target in zip(names, targets, strict=True))
    after = [f"{name} AS ({insert})" for name, insert in zip(names[1:], others, strict=True)]
    return f"WITH {', '.join(reversed(after))} {first}" if after else first


def _insert(parameter: str, target: Target, dialect: Dialect) -> str:
    table, columns = target
    quote = dialect.identifier_preparer.quote
    json_columns = _json_columns(target)
    types = {name: "TEXT" if name in json_columns else table.c[name].type.compile(dialect) for name in columns}
    typed = ", ".join(f"{quote(name)} {kind}" for name, kind in types.items())
    taken = ", ".join(f"{quote(name)}::json" if name in json_columns else quote(name) for name in columns)
    given = f"json_to_recordset(%({parameter})s::json) AS given({typed})"
    names = ", ".join(quote(name) for name in columns)
    return f"INSERT INTO {quote(table.name)} ({names}) SELECT {taken} FROM {given}"  # noqa: S608 (of our own words only)


def _parameter(number: int) -> str:
    return f"rows_{number}"

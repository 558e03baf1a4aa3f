"""Inserts that are made so often that to have SQLAlchemy run them costs more than the database does.

On SQLite each is compiled once and handed to the driver; the columns' types still see to the values. On PostgreSQL the
rows wait for each other, and go together.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Dialect, Insert
from sqlalchemy.exc import DBAPIError

from videogate.store.compiled import Process
from videogate.store.group_commit import raw_of
from videogate.store.later import later_of


class _Compiled:
    """An insert as SQLite's driver takes it, and what makes the driver's values out of ours."""

    def __init__(self, statement: Insert, columns: list[str], dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=columns)
        self.sql = str(compiled)
        types = {column.key: column.type for column in statement.table.c}
        self.values: list[tuple[str, Process]] = [
            (name, types[name].dialect_impl(dialect).bind_processor(dialect)) for name in compiled.positiontup or ()
        ]


class DirectInsert:
    """An insert of one row. `statement` has no values, and every row the same columns."""

    def __init__(self, statement: Insert) -> None:
        self._statement = statement
        self._compiled: _Compiled | None = None

    def __call__(self, connection: Connection, row: Mapping[str, Any]) -> None:
        """Insert a row. Raises what SQLAlchemy would, a DBAPIError; where rows wait, when they are sent."""
        if (later := later_of(connection)) is not None:
            later.put(self._statement.table, row)
            return
        if self._compiled is None:
            self._compiled = _Compiled(self._statement, list(row), connection.dialect)
        compiled, errors = self._compiled, connection.dialect.loaded_dbapi.Error
        values = tuple([process(row[name]) if process else row[name] for name, process in compiled.values])
        try:
            raw_of(connection).execute(compiled.sql, values)
        except errors as error:
            raise DBAPIError.instance(compiled.sql, None, error, errors, hide_parameters=True) from error

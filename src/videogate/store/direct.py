"""Inserts that are made so often that to have SQLAlchemy run them costs more than the database does.

Each is compiled once for a kind of database and handed to its driver; the columns' types still see to the values.
"""

from collections.abc import Callable, Mapping
from typing import Any, cast

from sqlalchemy import Connection, Dialect, Insert
from sqlalchemy.exc import DBAPIError

from videogate.store.later import later_of

Process = Callable[[Any], Any] | None


class _Compiled:
    """An insert as a driver takes it, and what makes the driver's values out of ours."""

    def __init__(self, statement: Insert, columns: list[str], dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=columns)
        self.sql = str(compiled)
        self.positional = compiled.positiontup is not None
        types = {column.key: column.type for column in statement.table.c}
        self.values: list[tuple[str, Process]] = [
            (name, types[name].dialect_impl(dialect).bind_processor(dialect))
            for name in compiled.positiontup or columns
        ]


class DirectInsert:
    """An insert of one row. `statement` has no values, and every row the same columns."""

    def __init__(self, statement: Insert) -> None:
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

    def __call__(self, connection: Connection, row: Mapping[str, Any]) -> None:
        """Insert a row. Raises what SQLAlchemy would, a DBAPIError; where rows wait, when they are sent."""
        if (later := later_of(connection)) is not None:
            later.put(self._statement.table, row)
            return
        dialect = connection.dialect
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            compiled = self._compiled[dialect.name] = _Compiled(self._statement, list(row), dialect)
        values = {name: process(row[name]) if process else row[name] for name, process in compiled.values}
        if compiled.positional:
            driver, errors = cast("Any", connection.connection.driver_connection), dialect.loaded_dbapi.Error
            try:
                driver.execute(compiled.sql, tuple(values.values()))
            except errors as error:
                raise DBAPIError.instance(compiled.sql, None, error, errors, hide_parameters=True) from error
        else:
            connection.exec_driver_sql(compiled.sql, values)

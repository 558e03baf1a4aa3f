"""Queries that are asked so often that compiling and comparing them anew would cost more than to run them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Dialect, Select

Process = Callable[[Any], Any] | None


class Compiled:
    """A query as the driver takes it, and what makes the values of a row out of the driver's.

    Args:
        query: the query; its parameters are named.
        dialect: SQLAlchemy's for the database.
        columns: the columns of a row, if the query is not itself what tells them.
    """

    def __init__(self, query: Select[Any], dialect: Dialect, columns: Select[Any] | None = None) -> None:
        compiled = query.compile(dialect=dialect)
        self.sql = str(compiled)
        self.names = list(compiled.positiontup or compiled.binds)
        self._fixed = {name: value for name, value in compiled.params.items() if value is not None}
        selected = (query if columns is None else columns).selected_columns
        self.columns = [str(column.key) for column in selected]
        processes = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in selected]
        self._processes: list[tuple[str, Process]] = [
            (name, process) for name, process in zip(self.columns, processes, strict=True) if process
        ]

    def values(self, parameters: Mapping[str, Any]) -> list[Any]:
        """What the driver is given for these parameters, in order."""
        given = {**self._fixed, **parameters} if self._fixed else parameters
        return [given[name] for name in self.names]

    def row(self, values: Sequence[Any]) -> dict[str, Any]:
        """A row out of the driver's values."""
        row = dict(zip(self.columns, values, strict=True))
        for name, process in self._processes:
            if process is not None:
                row[name] = process(row[name])
        return row

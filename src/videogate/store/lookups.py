"""Rows of a SQLite file by their key, read at once in the thread that asks.

A page that is in memory is read in less time than it takes to hand the question to another thread; and to compile a
statement costs more than to run it. So each query is compiled once and run by the driver itself. Nothing waits here:
readers of a WAL are not held up, and whoever would have to wait asks another way.
"""

import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Dialect, Select

Process = Callable[[Any], Any] | None


class _Compiled:
    """A query as the driver takes it, and what makes the values of a row out of the driver's."""

    def __init__(self, query: Select[Any], dialect: Dialect) -> None:
        compiled = query.compile(dialect=dialect)
        self.sql = str(compiled)
        self.names = list(compiled.positiontup or ())
        columns = query.selected_columns
        self.columns = [str(column.key) for column in columns]
        processes = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns]
        self.processes: list[tuple[str, Process]] = [
            (name, process) for name, process in zip(self.columns, processes, strict=True) if process
        ]


class Lookups:
    """A connection that only reads.

    Args:
        path: the database file.
        dialect: SQLAlchemy's for it.
    """

    def __init__(self, path: Path, dialect: Dialect) -> None:
        self._path = path
        self._dialect = dialect
        self._compiled: dict[int, tuple[Select[Any], _Compiled]] = {}
        self._connection: sqlite3.Connection | None = None

    def one(self, query: Select[Any], parameters: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The row, or None. `query` is one of few that live as long as the program. Raises sqlite3.Error."""
        if id(query) not in self._compiled:
            self._compiled[id(query)] = (query, _Compiled(query, self._dialect))
        compiled = self._compiled[id(query)][1]
        found = self._open().execute(compiled.sql, [parameters[name] for name in compiled.names]).fetchone()
        if found is None:
            return None
        row = dict(zip(compiled.columns, found, strict=True))
        for name, process in compiled.processes:
            if process is not None:
                row[name] = process(row[name])
        return row

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = sqlite3.connect(self._path, timeout=0, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA query_only=1")
            self._connection.execute("PRAGMA mmap_size=0")
        return self._connection

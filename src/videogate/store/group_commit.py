"""Group commits: works of many callers in one SQLite transaction, and one flush to disk for all of them.

What one of them raises undoes only that one; what ends the transaction itself is told to everybody in it.
"""

import sqlite3
from asyncio import AbstractEventLoop, Future
from collections.abc import Collection
from contextlib import suppress
from typing import Any, cast

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from videogate.store.database import DatabaseAway, Work

log = structlog.get_logger("videogate.store")

# What SQLite says of a trouble that passes; all else is a mistake of ours, and so is a reader's "read-only".
AWAY = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN}
)
_PRIMARY = 0xFF  # of an extended code


class Job:
    """One unit of work and the caller who waits for it."""

    def __init__(self, work: Work[Any], loop: AbstractEventLoop) -> None:
        self.work = work
        self.loop = loop
        self.future: Future[Any] = loop.create_future()
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self, connection: Connection) -> None:
        """Do the work within a savepoint of its own."""
        raw = raw_of(connection)  # SQLAlchemy's own savepoints are compiled anew each time
        try:
            raw.execute("SAVEPOINT job")
            try:
                self.result = self._work(connection)
            except BaseException:
                raw.execute("ROLLBACK TO job")
                raise
            finally:
                raw.execute("RELEASE job")
        except Exception as error:  # noqa: BLE001 (handed to the caller)
            self.error = self.error or error

    def _work(self, connection: Connection) -> Any:
        try:
            return self.work(connection)
        except Exception as error:
            # When SQLite gave the transaction up, undoing the savepoint fails too, and that error says nothing.
            self.error = error
            raise

    def settle(self) -> None:
        """Wake the caller, in the caller's own loop."""
        if self.future.cancelled():
            return
        if self.error is not None:
            self.future.set_exception(away(self.error, AWAY | {sqlite3.SQLITE_READONLY}) or self.error)
        else:
            self.future.set_result(self.result)


def commit(connection: Connection, jobs: list[Job]) -> None:
    """Run a group in one transaction; if the transaction itself fails, everybody in it learns so."""
    try:
        with connection.begin():
            if len(jobs) == 1 or not _together(connection, jobs):
                _apart(connection, jobs)
    except Exception as error:
        # Disk full, database locked: each caller gets it.
        log.exception("commit_failed", jobs=len(jobs))
        for job in jobs:
            job.error = error
        if raw_of(connection).in_transaction:
            raw_of(connection).rollback()  # a COMMIT that fails leaves its transaction open
    by_loop: dict[AbstractEventLoop, list[Job]] = {}
    for job in jobs:
        by_loop.setdefault(job.loop, []).append(job)
    for loop, waiting in by_loop.items():
        with suppress(RuntimeError):  # of a loop that was closed meanwhile: nobody waits there any more
            loop.call_soon_threadsafe(_settle, waiting)


def _together(connection: Connection, jobs: list[Job]) -> bool:
    """Run a group without a savepoint for each. False: one of them raised, and nothing of the group is done yet."""
    raw = raw_of(connection)
    raw.execute("SAVEPOINT together")
    try:
        for job in jobs:
            job.result = job.work(connection)
            _still_in(raw, None)
    except Exception:
        if not raw.in_transaction:
            raise
        raw.execute("ROLLBACK TO together")
        return False
    return True


def _apart(connection: Connection, jobs: list[Job]) -> None:
    for job in jobs:
        job.run(connection)
        _still_in(raw_of(connection), job.error)


def _still_in(raw: sqlite3.Connection, error: BaseException | None) -> None:
    """Raise if SQLite itself gave the whole transaction up: what comes after would commit one by one."""
    if not raw.in_transaction:
        raise error or RuntimeError("the transaction ended before its commit")


def away(error: BaseException, codes: Collection[int]) -> DatabaseAway | None:
    """What a caller is told of an error of the database's own, if it is one of these."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(cause, sqlite3.OperationalError) or cause.sqlite_errorcode & _PRIMARY not in codes:
        return None
    told = DatabaseAway()
    told.__cause__ = cause
    return told


def raw_of(connection: Connection) -> sqlite3.Connection:
    """The driver's own connection below SQLAlchemy's."""
    return cast("sqlite3.Connection", connection.connection.driver_connection)


def _settle(jobs: list[Job]) -> None:
    for job in jobs:
        job.settle()

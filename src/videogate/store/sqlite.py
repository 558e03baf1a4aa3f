"""SQLite: one process, one writer thread with group commit, a few readers apart.

All writes go through one connection in one thread, which puts whatever is waiting into one transaction (a group
commit): many callers share one flush to disk.
"""

import fcntl
import os
import queue
import sqlite3
import threading
from asyncio import AbstractEventLoop, get_running_loop
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from time import perf_counter, time
from typing import IO, Any

import structlog
from sqlalchemy import URL, Connection, Engine, Select, create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool, QueuePool

from videogate.faultpoints import faultpoint
from videogate.store.database import Addition, AlreadyRunning, Key, Observe, T, Work, find, unseen
from videogate.store.group_commit import AWAY, Job, away, commit, raw_of
from videogate.store.lookups import Lookups
from videogate.store.rows import Row

GROUP = 128  # units of work in one transaction, at most
READERS = 4
BUSY_SECONDS = 30.0  # how long to wait for another process that holds the database

log = structlog.get_logger("videogate.store")


class SqliteDatabase:
    """SQLite in WAL mode: one writer thread with group commit, a few readers apart.

    Args:
        path: the database file; its directory must exist.
        alone: take the lock beside the file that keeps a second server off. Only a short visit, such as a command
            that makes a key, does without.
        observe: is told of each commit.

    Raises AlreadyRunning if another process holds the lock.
    """

    shared = False

    def __init__(self, path: Path, *, alone: bool = True, observe: Observe = unseen) -> None:
        self._observe = observe
        self._lock = _lock_unmoved(path) if alone else None
        self.engine = sqlite_engine(path)
        self._readers = sqlite_engine(path, read_only=True)
        self._lookups = Lookups(path, self._readers.dialect)
        self._fresh: dict[AbstractEventLoop, list[Job]] = {}  # not yet the writer's
        self._jobs: queue.SimpleQueue[list[Job] | None] = queue.SimpleQueue()
        self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="db-reader")
        self._thread = threading.Thread(target=self._write_all, name="db-writer", daemon=True)
        self._thread.start()

    async def write(self, work: Work[T]) -> T:
        loop = get_running_loop()
        job, fresh = Job(work, loop), self._fresh.setdefault(loop, [])
        if not fresh:
            loop.call_soon(self._hand_over, loop)  # waking the writer costs as much as a row: once for a turn's works
        fresh.append(job)
        result: T = await job.future
        return result

    async def add(
        self, work: Addition[T], name: str | None = None, key: Key | None = None, *, alone: bool = False
    ) -> T:
        # Here works run one after the other anyway, and all of them share transactions.
        return await self.write(lambda connection: work(connection, find(connection, key)))

    async def read(self, work: Work[T]) -> T:
        return await get_running_loop().run_in_executor(self._pool, self._read, work)

    async def one(self, query: Select[Any], **parameters: Any) -> Row | None:
        try:
            return self._lookups.one(query, parameters)
        except sqlite3.Error:  # whatever it is: the readers wait for it, or say what it is
            return await self.read(lambda connection: find(connection, (query, parameters)))

    async def some(self, query: Select[Any], **parameters: Any) -> Sequence[Row]:
        try:
            return self._lookups.some(query, parameters)
        except sqlite3.Error:
            return await self.read(lambda connection: connection.execute(query, parameters).mappings().all())

    async def ping(self) -> None:
        await self.write(lambda connection: connection.execute(text("SELECT 1")).scalar())

    def clock(self) -> float:
        return time()

    async def follow_clock(self) -> None:
        """Nothing to do: there is one machine."""

    async def close(self) -> None:
        for loop in list(self._fresh):
            self._hand_over(loop)
        self._jobs.put(None)
        await get_running_loop().run_in_executor(None, self._thread.join)
        self._pool.shutdown()
        self._lookups.close()
        self._readers.dispose()
        self.engine.dispose()
        if self._lock is not None:
            self._lock.close()

    def _read(self, work: Work[T]) -> T:
        try:
            with self._readers.connect() as connection:
                return work(connection)
        except DBAPIError as error:
            raise away(error, AWAY) or error from error.orig

    def _hand_over(self, loop: AbstractEventLoop) -> None:
        if fresh := self._fresh.pop(loop, None):
            self._jobs.put(fresh)

    def _write_all(self) -> None:
        waiting: deque[Job] = deque()
        last = False
        with self.engine.connect() as connection:
            while waiting or not last:
                last = self._gather(waiting) or last
                if jobs := [waiting.popleft() for _ in range(min(GROUP, len(waiting)))]:
                    began = perf_counter()
                    commit(connection, jobs)
                    self._observe(len(jobs), perf_counter() - began)
            if self._lock is not None:
                faultpoint("checkpointing")
                with suppress(sqlite3.OperationalError):  # what is not moved now is moved at the next start
                    raw_of(connection).execute("PRAGMA wal_checkpoint(TRUNCATE)")  # a transaction would refuse it

    def _gather(self, waiting: deque[Job]) -> bool:
        """Add what has come; if nothing waits, wait for it. Whether the end was asked for."""
        while len(waiting) < GROUP:
            try:
                jobs = self._jobs.get(block=not waiting)
            except queue.Empty:
                break
            if jobs is None:
                return True
            waiting.extend(jobs)
        return False


def sqlite_engine(path: Path, *, read_only: bool = False) -> Engine:
    """An engine on a SQLite file with our settings. A transaction takes the write lock at its beginning."""
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        poolclass=QueuePool if read_only else NullPool,
        connect_args={"check_same_thread": False, "isolation_level": None, "timeout": BUSY_SECONDS},
        hide_parameters=True,  # an error is logged, and among what is written are secrets and prompts
    )

    @event.listens_for(engine, "connect")
    def _settings(connection: Any, _record: Any) -> None:
        for pragma in (
            f"busy_timeout={BUSY_SECONDS * 1000:.0f}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "trusted_schema=OFF",
            "mmap_size=0",
            "cache_size=-16000",
            "temp_store=MEMORY",
            "wal_autocheckpoint=1000",
            f"query_only={int(read_only)}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A deferred transaction that reads first can fail at its first write, whatever busy_timeout says.
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


def mark_of(database: Path) -> Path:
    """The file that says that a database was moved: it is served no more, else what waits in it is paid twice."""
    return database.with_name(f"{database.name}.moved")


def _lock_unmoved(database: Path) -> IO[str]:
    handle = lock(database)
    if mark_of(database).exists():  # it was moved while this process was on its way here
        handle.close()
        raise AlreadyRunning(f"{database} was just moved to PostgreSQL, as {mark_of(database)} says.")
    return handle


def lock(database: Path) -> IO[str]:
    """Keep every other process off a database until the handle is closed. Raises AlreadyRunning."""
    path = database.with_name("gateway.lock")
    handle = path.open("w", encoding="ascii")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        handle.close()
        raise AlreadyRunning(
            f"another videogate process uses {path.parent}. SQLite serves one process; "
            "stop the other one, choose another VIDEOGATE_DATA_DIR, or use PostgreSQL."
        ) from error
    handle.write(str(os.getpid()))
    handle.flush()
    return handle

"""PostgreSQL: many processes on many machines serve one database.

A write is a transaction of its own on one of a few connections, unless it may share one with others; the server itself
groups their flushes. What it says when it is stopped, restarted or full passes: callers get DatabaseAway and the next
try finds it again.
"""

import asyncio
import os
import socket
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Any
from weakref import WeakSet

import structlog
from sqlalchemy import Connection, Engine, Select, create_engine, event, func, make_url, select, text
from sqlalchemy.exc import ArgumentError, DBAPIError, ProgrammingError

from videogate.store.database import Addition, DatabaseAway, Key, Observe, T, Work, unseen
from videogate.store.gathering import Gathering
from videogate.store.later import OPTION, Later, send_first
from videogate.store.migrate import migrate
from videogate.store.pg_lookups import ManyLookups
from videogate.store.pg_troubles import AWAY, ONLY_READS, persist, state_of
from videogate.store.rows import Row
from videogate.store.sharing import LEFT_OUT, Share, do_shared, outcome

WRITERS = 8  # connections
READERS = 4
LOOKUPS = 64  # in one statement, at most
SHARES = 128  # works in one transaction, at most
ANSWER_SECONDS = 15.0  # what a caller waits for an answer, at most
CONNECT_SECONDS = 5
CLOSE_SECONDS = 5.0  # what is under way gets at the end, before its connection is broken off

log = structlog.get_logger("videogate.store")

# How the server treats our connections, whatever its own settings say.
_SETTINGS = {
    "synchronous_commit": "on",  # an answer means that it is on disk
    "statement_timeout": "30s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "60s",
}
_LIVELINESS = {
    "connect_timeout": CONNECT_SECONDS,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


class PostgresDatabase:
    """A PostgreSQL server.

    Args:
        url: `postgresql://user:password@host:port/name`, with libpq's parameters if need be.
        observe: is told of each commit.
    """

    shared = True

    def __init__(self, url: str, observe: Observe = unseen) -> None:
        self._observe = observe
        self.engine = postgres_engine(url)
        self._readers = postgres_engine(url, read_only=True)
        self._write_pool = ThreadPoolExecutor(WRITERS, thread_name_prefix="db-writer")
        self._read_pool = ThreadPoolExecutor(READERS, thread_name_prefix="db-reader")
        self._lookups = ManyLookups(self._readers.dialect)
        self._asked_for: Gathering[Key] = Gathering(self._read_pool, self._look_up, most=LOOKUPS)
        self._shares: Gathering[Share] = Gathering(self._write_pool, self._write_shares, most=SHARES, writes=True)
        self._ahead: float | None = None  # of the server's clock, over our monotonic one
        self._lines: WeakSet[Any] = WeakSet()  # the driver's connections
        for engine in (self.engine, self._readers):
            event.listen(engine, "connect", lambda line, _record: self._lines.add(line))
        event.listen(self.engine, "before_cursor_execute", send_first)

    async def write(self, work: Work[T]) -> T:
        return await answer_of(self._write_pool.submit(self._write, work), writes=True)

    async def read(self, work: Work[T]) -> T:
        return await answer_of(self._read_pool.submit(self._read, work), writes=False)

    async def add(
        self, work: Addition[T], name: str | None = None, key: Key | None = None, *, alone: bool = False
    ) -> T:
        until = monotonic() + ANSWER_SECONDS
        result: T | Future[T] = await self._shares.ask(Share(work, name, key, alone), ANSWER_SECONDS)
        if isinstance(result, Future):
            return await answer_of(result, writes=True, seconds=until - monotonic())
        return result

    async def one(self, query: Select[Any], **parameters: Any) -> Row | None:
        row: Row | None = await self._asked_for.ask((query, parameters), ANSWER_SECONDS)
        return row

    async def some(self, query: Select[Any], **parameters: Any) -> Sequence[Row]:
        return await self.read(lambda connection: connection.execute(query, parameters).mappings().all())

    async def ping(self) -> None:
        await self.write(lambda connection: connection.execute(text("SELECT pg_current_xact_id()")).scalar())

    def clock(self) -> float:
        assert self._ahead is not None, "follow_clock comes first"
        return monotonic() + self._ahead

    async def follow_clock(self) -> None:
        self._ahead = await self.read(_ahead)

    async def close(self) -> None:
        pools = (self._write_pool, self._read_pool)
        ended = asyncio.ensure_future(self._finish(pools))
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await asyncio.shield(ended)
        except TimeoutError:  # a server that hangs keeps no process from its end
            for pool in pools:
                pool.shutdown(wait=False, cancel_futures=True)
            for gathering in (self._shares, self._asked_for):
                gathering.end()
            _break_off(self._lines)
            await ended
        self._readers.dispose()
        self.engine.dispose()

    async def _finish(self, pools: Iterable[ThreadPoolExecutor]) -> None:
        for gathering in (self._shares, self._asked_for):
            await gathering.idle()
        await asyncio.gather(*(asyncio.to_thread(pool.shutdown) for pool in pools))

    def _write(self, work: Work[T]) -> T:
        began = monotonic()
        result = persist(lambda: _transaction(self.engine, work), AWAY)
        self._observe(1, monotonic() - began)
        return result

    def _write_shares(self, shares: list[Share]) -> list[Any]:
        """The works' results; in place of one that is done in a transaction of its own, what comes of that."""

        def work(connection: Connection) -> list[Any]:
            return do_shared(connection, shares, self._lookups)

        began = monotonic()
        try:
            results = persist(lambda: _transaction(self.engine, work), AWAY)
        except DatabaseAway:
            raise
        except Exception:  # noqa: BLE001 (whose it is learns it alone)
            results = [LEFT_OUT] * len(shares)
        else:
            if works := len(results) - results.count(LEFT_OUT):
                self._observe(works, monotonic() - began)
        return [
            self._write_apart(share) if result is LEFT_OUT else result
            for share, result in zip(shares, results, strict=True)
        ]

    def _write_apart(self, share: Share) -> Future[Any] | DatabaseAway:
        try:
            return self._write_pool.submit(self._write, share.apart)
        except RuntimeError:  # this is the end
            return DatabaseAway()

    def _look_up(self, keys: list[Key]) -> list[Any]:
        """A row or None for each key, or what is wrong with it."""
        try:
            return self._find(keys)
        except DatabaseAway:
            raise
        except Exception:  # noqa: BLE001 (whose it is learns it alone)
            return [outcome(partial(self._find_one, key)) for key in keys]

    def _find_one(self, key: Key) -> Row | None:
        (row,) = self._find([key])
        return row

    def _find(self, keys: list[Key]) -> list[Row | None]:
        return self._read(lambda connection: self._lookups.find(connection, keys))

    def _read(self, work: Work[T]) -> T:
        def once() -> T:
            with self._readers.connect() as connection:
                return work(connection)

        return persist(once, AWAY - {ONLY_READS})


def open_postgres(url: str, observe: Observe = unseen, prepare: Callable[[Engine], None] = migrate) -> PostgresDatabase:
    """A database with the newest schema; `prepare` sees to that.

    Raises ValueError, in words, for a URL that cannot be used, and DatabaseAway while the server cannot be reached.
    """
    try:
        database = PostgresDatabase(url, observe)
    except (ArgumentError, ValueError):  # whose words may hold a part of the password
        raise ValueError("it is not a URL of a database") from None
    except ModuleNotFoundError:
        raise ValueError("PostgreSQL needs its driver: pip install 'videogate[postgres]'") from None
    try:
        persist(lambda: prepare(database.engine), AWAY)
    except BaseException as error:
        database.engine.dispose()
        if isinstance(error, ProgrammingError) and state_of(error) is None:
            raise ValueError(f"it is not a URL of a database: {error.orig}") from None
        raise
    return database


def postgres_engine(url: str, *, read_only: bool = False) -> Engine:
    """An engine with our settings. A reader's statements each are a transaction of their own."""
    settings = {**_SETTINGS, **({"default_transaction_read_only": "on"} if read_only else {})}
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    return create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        pool_size=READERS if read_only else WRITERS,
        max_overflow=0,
        pool_timeout=CONNECT_SECONDS,
        isolation_level="AUTOCOMMIT" if read_only else "READ COMMITTED",
        connect_args={**_LIVELINESS, "application_name": "videogate", "options": options},
        hide_parameters=True,  # an error is logged, and among what is written are secrets and prompts
    )


async def answer_of(running: Future[T], *, writes: bool, seconds: float | None = None) -> T:
    """What a thread comes to. Who waited too long, or went away, does not take the thread with it."""
    waiting = asyncio.wrap_future(running)
    try:
        async with asyncio.timeout(ANSWER_SECONDS if seconds is None else seconds):
            return await asyncio.shield(waiting)
    except TimeoutError:
        if waiting.done():  # at the last moment
            return waiting.result()
        begun = not running.cancel()
        waiting.add_done_callback(_heard)
        raise DatabaseAway(maybe_done=writes and begun) from None
    except asyncio.CancelledError:
        waiting.add_done_callback(_heard)
        raise


def _break_off(lines: Iterable[Any]) -> None:
    """Have whoever waits for the server on one of these connections find it broken."""
    for line in list(lines):
        with suppress(OSError, line.OperationalError), socket.socket(fileno=os.dup(line.fileno())) as way:
            way.shutdown(socket.SHUT_RDWR)


def _heard(waiting: "asyncio.Future[Any]") -> None:
    """Nobody waits for this any more."""
    if not waiting.cancelled():
        waiting.exception()


def _transaction(engine: Engine, work: Work[T]) -> T:
    later = Later()
    with engine.connect() as connection:
        connection.execution_options(**{OPTION: later})
        with connection.begin() as transaction:
            result = work(connection)
            later.send(connection)
            try:
                transaction.commit()
            except DBAPIError as error:
                if error.connection_invalidated:  # the commit may have gone through
                    raise DatabaseAway(maybe_done=True) from error.orig
                raise
        return result


def clock_of(connection: Connection) -> float:
    """What a server's clock says, in seconds since the epoch."""
    return float(connection.execute(select(func.extract("epoch", func.clock_timestamp()))).scalar_one())


def _ahead(connection: Connection) -> float:
    before = monotonic()
    server = clock_of(connection)
    return server - (before + monotonic()) / 2

"""PostgreSQL: many processes on many machines serve one database.

Each write is a transaction of its own on one of a few connections; the server itself groups their flushes. What it
says when it is stopped, restarted or full passes: callers get DatabaseAway and the next try finds it again.
"""

import asyncio
import os
import socket
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from time import monotonic
from typing import Any
from weakref import WeakSet

import structlog
from sqlalchemy import Connection, Engine, Select, create_engine, event, func, make_url, select, text
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as NoConnection

from videogate.store.database import DatabaseAway, Observe, T, Work, unseen
from videogate.store.migrate import migrate
from videogate.store.rows import Row

WRITERS = 8  # connections
READERS = 4
ANSWER_SECONDS = 15.0  # what a caller waits for an answer, at most
CONNECT_SECONDS = 5
CLOSE_SECONDS = 5.0  # what is under way gets at the end, before its connection is broken off
TRIES = 3  # of work that another's undid, or that met a connection which had died unseen

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

# SQLSTATEs: https://www.postgresql.org/docs/current/errcodes-appendix.html (2026-11-28)
_UNDONE = frozenset({"40001", "40P01"})  # serialization failure, deadlock: the same again may go through
_AWAY_CLASSES = frozenset({"08", "53", "57", "58"})  # connection, resources, an operator's doing, the system
_ONLY_READS = "25006"  # a server such as a standby; of a reader it is a mistake of ours
_AWAY = frozenset({_ONLY_READS, "55P03"})  # and a lock that did not come


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
        self._ahead: float | None = None  # of the server's clock, over our monotonic one
        self._lines: WeakSet[Any] = WeakSet()  # the driver's connections
        for engine in (self.engine, self._readers):
            event.listen(engine, "connect", lambda line, _record: self._lines.add(line))

    async def write(self, work: Work[T]) -> T:
        return await _answer(self._write_pool.submit(self._write, work), writes=True)

    async def read(self, work: Work[T]) -> T:
        return await _answer(self._read_pool.submit(self._read, work), writes=False)

    async def one(self, query: Select[Any], **parameters: Any) -> Row | None:
        return await self.read(lambda connection: connection.execute(query, parameters).mappings().one_or_none())

    async def ping(self) -> None:
        await self.write(lambda connection: connection.execute(text("SELECT pg_current_xact_id()")).scalar())

    def clock(self) -> float:
        assert self._ahead is not None, "follow_clock comes first"
        return monotonic() + self._ahead

    async def follow_clock(self) -> None:
        self._ahead = await self.read(_ahead)

    async def close(self) -> None:
        pools = (self._write_pool, self._read_pool)
        ended = asyncio.gather(*(asyncio.to_thread(pool.shutdown) for pool in pools))
        try:
            await asyncio.wait_for(asyncio.shield(ended), CLOSE_SECONDS)
        except TimeoutError:  # a server that hangs keeps no process from its end
            for pool in pools:
                pool.shutdown(wait=False, cancel_futures=True)
            _break_off(self._lines)
            await ended
        self._readers.dispose()
        self.engine.dispose()

    def _write(self, work: Work[T]) -> T:
        began = monotonic()
        result = _persist(lambda: _transaction(self.engine, work), _AWAY)
        self._observe(1, monotonic() - began)
        return result

    def _read(self, work: Work[T]) -> T:
        def once() -> T:
            with self._readers.connect() as connection:
                return work(connection)

        return _persist(once, _AWAY - {_ONLY_READS})


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
        _persist(lambda: prepare(database.engine), _AWAY)
    except BaseException as error:
        database.engine.dispose()
        if isinstance(error, ProgrammingError) and _state(error) is None:
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


async def _answer(running: Future[T], *, writes: bool) -> T:
    """What a thread comes to. Who waited too long, or went away, does not take the thread with it."""
    waiting = asyncio.wrap_future(running)
    try:
        return await asyncio.wait_for(asyncio.shield(waiting), ANSWER_SECONDS)
    except TimeoutError:
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
    with engine.connect() as connection:
        with connection.begin() as transaction:
            result = work(connection)
            try:
                transaction.commit()
            except DBAPIError as error:
                if error.connection_invalidated:  # the commit may have gone through
                    raise DatabaseAway(maybe_done=True) from error.orig
                raise
        return result


def _persist(once: Callable[[], T], away: Collection[str]) -> T:
    """Do it again where that is right and may help."""
    for tried in range(1, TRIES + 1):
        try:
            return once()
        except NoConnection as error:
            raise DatabaseAway from error
        except DBAPIError as error:
            # After a restart of the server each connection of the pool is dead: the first error drops them all.
            again = error.connection_invalidated or _state(error) in _UNDONE
            if again and tried < TRIES:
                continue
            if again or _passes(error, away):
                raise DatabaseAway from error.orig
            raise
    raise AssertionError("unreachable")


def _passes(error: DBAPIError, away: Collection[str]) -> bool:
    """Whether it is the database's trouble and not a mistake of ours."""
    state = _state(error)
    if state is None:  # no word from a server
        return isinstance(error, OperationalError)
    return state in away or state[:2] in _AWAY_CLASSES


def _state(error: DBAPIError) -> str | None:
    state: str | None = getattr(error.orig, "sqlstate", None)
    return state


def _ahead(connection: Connection) -> float:
    before = monotonic()
    server: float = connection.execute(select(func.extract("epoch", func.clock_timestamp()))).scalar_one()
    return float(server) - (before + monotonic()) / 2

"""A real PostgreSQL server behind the store, in good days and bad ones."""

import asyncio
import os
import signal
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Barrier

import psycopg
import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError, ProgrammingError
from structlog.testing import capture_logs

from postgres import PostgresServer, ask
from unit.store.network import Network
from unit.store.support import Desk, Gate, Put
from videogate.store import postgres as module
from videogate.store.database import DatabaseAway
from videogate.store.postgres import WRITERS, PostgresDatabase, answer_of, open_postgres

COMMIT = b"COMMIT\0"
AT_ONCE = 2.0  # seconds
BACKENDS = "SELECT pid FROM pg_stat_activity WHERE application_name = 'videogate'"
PASSWORD = "sesame-of-tests"


@pytest.fixture
def url(database_url: str) -> str:
    """All of this is about PostgreSQL."""
    return database_url


@asynccontextmanager
async def database_at(url: str) -> AsyncIterator[PostgresDatabase]:
    """A database, closed afterwards."""
    database = PostgresDatabase(url)
    try:
        yield database
    finally:
        await database.close()


@pytest.fixture
async def network(url: str) -> AsyncIterator[Network]:
    """The way to the server."""
    async with Network(url) as made:
        yield made


@pytest.fixture
async def far(network: Network) -> AsyncIterator[PostgresDatabase]:
    """The database, reached over the network."""
    async with database_at(network.url(PASSWORD)) as made:
        yield made


def show(setting: str) -> Callable[[Connection], object]:
    return lambda connection: connection.execute(text(f"SHOW {setting}")).scalar()


def mark(name: str, sign: str) -> Callable[[Connection], object]:
    change = text("UPDATE secret SET value = value || :sign WHERE name = :name")
    return lambda connection: connection.execute(change, {"name": name, "sign": sign}).rowcount


def end(pid: int, url: str) -> None:
    """End a connection from the server's side."""
    ask(url, "SELECT pg_terminate_backend(?, 5000)", pid)


def pid_of(connection: Connection) -> int:
    pid: int = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    return pid


# Good days.


@pytest.mark.parametrize(
    ("setting", "value"),
    [("synchronous_commit", "on"), ("statement_timeout", "30s"), ("transaction_isolation", "read committed")],
)
async def test_how_the_server_treats_us(desk: Desk, setting: str, value: str) -> None:
    """Every commit is on disk before it is answered, and no statement runs for ever, whatever the server's defaults."""
    (name,) = ask(desk.url or "", "SELECT current_database()")[0]
    for default in ("synchronous_commit = off", "statement_timeout = 0"):
        desk.sql(f"ALTER DATABASE {name} SET {default}")

    assert await desk.database.write(show(setting)) == value


async def test_readers_cannot_write(desk: Desk) -> None:
    """A read that tries to write is refused by the server itself, as a mistake and not as a trouble that passes."""
    for statement in ("INSERT INTO secret VALUES ('a', 'b')", "DELETE FROM secret", "CREATE TABLE more (id INTEGER)"):
        with pytest.raises(Exception, match="read-only transaction"):
            await desk.database.read(lambda connection, words=statement: connection.execute(text(words)) and None)  # type: ignore[misc]

    assert desk.names() == set()


async def test_a_read_is_not_held_up_by_a_writer(desk: Desk) -> None:
    """Reads go on, and see the last commit, while a write transaction is open."""
    await desk.database.write(Put("before"))
    gate = Gate()

    def slow(connection: Connection) -> None:
        Put("after")(connection)
        gate(connection)

    writing = asyncio.create_task(desk.database.write(slow))
    await gate.reached()

    seen = await desk.database.read(lambda connection: connection.execute(text("SELECT name FROM secret")).scalar())

    assert seen == "before"
    gate.open.set()
    await writing
    assert desk.names() == {"before", "after"}


async def test_a_failing_work_is_undone(desk: Desk) -> None:
    """What a unit of work raises comes through as it is, and nothing of that unit is kept."""

    def half(connection: Connection) -> None:
        Put("half")(connection)
        raise ZeroDivisionError

    await desk.database.write(Put("taken"))
    with pytest.raises(ZeroDivisionError):
        await desk.database.write(half)
    with pytest.raises(IntegrityError):
        await desk.database.write(Put("taken"))
    with pytest.raises(ProgrammingError, match="nowhere"):
        await desk.database.write(lambda connection: connection.execute(text("SELECT * FROM nowhere")) and None)

    assert desk.names() == {"taken"}
    assert await desk.database.write(Put("next")) == "next"


async def test_cancelling_the_caller_keeps_the_write(desk: Desk) -> None:
    """A caller that stops waiting neither loses its write nor holds up anybody else's."""
    gates = [Gate() for _ in range(WRITERS)]
    held = [asyncio.create_task(desk.database.write(gate)) for gate in gates]
    for gate in gates:
        await gate.reached()
    left, stayed = (asyncio.create_task(desk.database.write(Put(name))) for name in ("left", "stayed"))
    await asyncio.sleep(0)
    for each in (left, *held):
        each.cancel()
    await asyncio.gather(left, *held, return_exceptions=True)
    for gate in gates:
        gate.open.set()
    await stayed
    await desk.database.close()

    assert left.cancelled()
    assert desk.names() == {"left", "stayed"}


@pytest.mark.parametrize("turns", range(8))
async def test_a_cancel_that_comes_with_the_answer_counts(turns: int) -> None:
    """However many turns of the event loop lie between an answer and a cancel, who was cancelled ends so, or was done.

    Else a loop that writes now and again could not be ended, nor what waits for its end.
    """
    running: Future[int] = Future()
    waits = asyncio.create_task(answer_of(running, writes=True))
    await asyncio.sleep(0.01)
    running.set_result(5)
    for _ in range(turns):
        await asyncio.sleep(0)
    was_cancelled = waits.cancel()

    await asyncio.wait([waits])
    assert waits.cancelled() == was_cancelled
    assert was_cancelled or waits.result() == 5


async def test_deadlocks_are_resolved(desk: Desk) -> None:
    """Of two writes that wait for each other one is undone and done again: both are kept, nobody is told."""
    for name in ("a", "b"):
        await desk.database.write(Put(name, "-"))
    together, runs = Barrier(2), []

    def crossing(first: str, second: str) -> Callable[[Connection], None]:
        def work(connection: Connection) -> None:
            mark(first, first)(connection)
            runs.append(first)
            if runs.count(first) == 1:
                together.wait(20)
            mark(second, first)(connection)

        return work

    await asyncio.gather(desk.database.write(crossing("a", "b")), desk.database.write(crossing("b", "a")))

    assert len(runs) >= 3  # more where the one comes again before the other has woken up
    assert {name: sorted(value) for name, value in desk.sql("SELECT * FROM secret")} == {
        "a": ["-", "a", "b"],
        "b": ["-", "a", "b"],
    }


async def test_the_clock_is_the_servers(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose own clock is wrong by hours reads the same time as all the others."""
    monkeypatch.setattr(time, "time", lambda: 12_345.0)
    await desk.database.follow_clock()

    def server_time() -> float:
        ((now,),) = desk.sql("SELECT extract(epoch FROM clock_timestamp())")
        return float(now)

    before, ours, after = server_time(), desk.database.clock(), server_time()
    assert before - 0.1 <= ours <= after + 0.1


# Bad days.


async def outcome(call: Awaitable[object]) -> object:
    """A result, or the trouble in its place."""
    try:
        return await call
    except DatabaseAway as away:
        return away


async def until(found: Callable[[], bool]) -> None:
    """Wait for something, a minute at most."""
    async with asyncio.timeout(60):
        while not found():  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0.02)


class Knocking:
    """Callers who write and read without end, and what came of each write."""

    def __init__(self, database: PostgresDatabase) -> None:
        self.found: dict[str, object] = {}
        self._database = database
        self._ended = False
        self._tasks = [asyncio.create_task(self._knock(f"n{number}")) for number in range(6)]

    async def end(self) -> None:
        self._ended = True
        await asyncio.gather(*self._tasks)

    async def reached(self, trouble: type | None) -> None:
        """Wait until a write that begins from now on meets trouble, or does not."""
        before = set(self.found)
        await until(lambda: any(isinstance(self.found[name], trouble or str) for name in set(self.found) - before))

    async def _knock(self, who: str) -> None:
        number = 0
        while not self._ended:
            name = f"{who}-{number}"
            self.found[name] = await outcome(self._database.write(Put(name)))
            await outcome(self._database.read(show("application_name")))
            number += 1
            await asyncio.sleep(0.002 if self.found[name] == name else 0.1)

    def told_truly(self, url: str) -> bool:
        """Whether each write is there that went through, and none of which callers were told that it did nothing."""
        there = {name for (name,) in ask(url, "SELECT name FROM secret")}
        done = {name for name, came in self.found.items() if came == name}
        undone = {name for name, came in self.found.items() if isinstance(came, DatabaseAway) and not came.maybe_done}
        assert done <= there
        assert not undone & there
        return bool(done and undone)


async def test_a_server_that_is_stopped_and_started(server: PostgresServer) -> None:
    """Callers are told at once, and of nothing else; what they were told of each write is true; and the first calls
    after the start go through, with nothing rebuilt.
    """
    url = server.database()
    async with database_at(url) as database:
        callers = Knocking(database)
        await callers.reached(None)
        await asyncio.to_thread(server.stop)
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: database.write(Put("never")),
            lambda: database.read(show("port")),
            database.ping,
            database.follow_clock,
        ]
        for call in calls:
            began = time.monotonic()
            away = await outcome(call())
            assert time.monotonic() - began < AT_ONCE
            assert isinstance(away, DatabaseAway)
            assert not away.maybe_done
        await callers.end()

        await asyncio.to_thread(server.start)
        assert await database.read(show("application_name")) == "videogate"
        again = await asyncio.gather(*(database.write(Put(f"again-{number}")) for number in range(WRITERS)))

        assert again == [f"again-{number}" for number in range(WRITERS)]
        assert callers.told_truly(url)
        assert ask(url, "SELECT * FROM secret WHERE name = 'never'") == []


async def test_a_server_that_crashes(server: PostgresServer) -> None:
    """A backend that is killed takes every connection with it: what callers were told of each write is true, and all
    is well once the server has recovered.
    """
    url = server.database()
    async with database_at(url) as database:
        callers = Knocking(database)
        await callers.reached(None)
        there = [pid for (pid,) in ask(url, BACKENDS)]
        os.kill(there[0], signal.SIGKILL)
        await callers.reached(DatabaseAway)
        await until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in there))
        await until(lambda: answers(url))
        await callers.reached(None)
        await callers.end()

        assert callers.told_truly(url)


def answers(url: str) -> bool:
    """Whether the server takes connections, as it does not until it has recovered."""
    try:
        return ask(url, "SELECT 1") == [(1,)]
    except psycopg.OperationalError:
        return False


@pytest.mark.parametrize("heard", [True, False], ids=["answer lost", "request lost"])
async def test_a_commit_that_is_cut(desk: Desk, network: Network, far: PostgresDatabase, heard: bool) -> None:
    """When the connection breaks at COMMIT nobody can know whether it was done: the caller is told just that."""
    await far.write(Put("before"))
    network.cut, network.heard = COMMIT, heard

    with pytest.raises(DatabaseAway, match="not known") as caught:
        await far.write(Put("cut"))

    assert caught.value.maybe_done
    assert desk.names() == {"before", "cut"} if heard else {"before"}
    assert await far.write(Put("after")) == "after"


async def test_a_connection_that_is_ended_before_its_commit(desk: Desk) -> None:
    """A transaction that the server ended is nowhere, and the caller is told that it may not be."""

    def ended(connection: Connection) -> None:
        Put("lost")(connection)
        end(pid_of(connection), desk.url or "")

    with pytest.raises(DatabaseAway) as caught:
        await desk.database.write(ended)

    assert caught.value.maybe_done
    assert desk.names() == set()


async def test_a_connection_that_breaks_in_the_middle(desk: Desk, network: Network, far: PostgresDatabase) -> None:
    """Before COMMIT nothing has happened: the work is done anew, once, and the caller never hears of it."""
    await far.write(Put("before"))
    network.cut = b"INSERT INTO secret"

    assert await far.write(Put("again")) == "again"
    assert desk.names() == {"before", "again"}


async def test_a_server_that_hangs(
    desk: Desk, network: Network, far: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Callers wait for so long and no longer. Who was not begun is told that nothing was changed, and it is true."""
    await far.write(Put("before"))
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.5)
    network.hang()

    began = time.monotonic()
    writes = [asyncio.ensure_future(far.write(Put(f"n{number}"))) for number in range(WRITERS + 2)]
    reading = asyncio.ensure_future(far.read(show("port")))
    outcomes = [await outcome(each) for each in (*writes, reading)]

    assert time.monotonic() - began < AT_ONCE
    told = [each.maybe_done for each in outcomes if isinstance(each, DatabaseAway)]
    assert told == [True] * WRITERS + [False] * 3
    monkeypatch.undo()
    network.resume()
    assert await far.write(Put("after")) == "after"
    await far.close()
    assert desk.names() == {"before", "after"} | {f"n{number}" for number in range(WRITERS)}


async def test_a_row_that_another_holds(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that does not come, and a statement that takes too long, are troubles that pass; nothing was changed."""
    monkeypatch.setattr(
        module, "_SETTINGS", {**module._SETTINGS, "lock_timeout": "200ms", "statement_timeout": "600ms"}
    )
    url = desk.url or ""
    await desk.database.write(Put("row", "-"))
    async with database_at(url) as hasty:
        with psycopg.connect(url) as other:
            other.execute("UPDATE secret SET value = 'theirs'")
            with pytest.raises(DatabaseAway, match="Nothing was changed"):
                await hasty.write(mark("row", "ours"))
        with pytest.raises(DatabaseAway):
            await hasty.read(lambda connection: connection.execute(text("SELECT pg_sleep(9)")) and None)

        assert await hasty.write(mark("row", "+ours")) == 1
    assert desk.sql("SELECT value FROM secret") == [("theirs+ours",)]


async def test_a_server_that_only_reads(desk: Desk) -> None:
    """A standby in the primary's place takes no writes: that passes, reads go on."""
    url = desk.url or ""
    (name,) = ask(url, "SELECT current_database()")[0]
    desk.sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    async with database_at(url) as database:
        with pytest.raises(DatabaseAway):
            await database.write(Put("never"))

        assert await database.read(show("transaction_read_only")) == "on"


# Words.


async def test_passwords_are_told_to_nobody(network: Network, far: PostgresDatabase) -> None:
    """Neither an error, with all that caused it, nor a log, nor the database's own name holds the password."""
    network.cut = COMMIT
    with capture_logs() as logs:
        with pytest.raises(DatabaseAway) as cut:
            await far.write(Put("cut"))
        async with database_at("postgresql://postgres:sesame-of-tests@127.0.0.1:1/none") as nowhere:
            with pytest.raises(DatabaseAway) as refused:
                await nowhere.read(show("port"))

    words = [repr(logs), repr(far.engine), repr(far), repr(nowhere.engine)]
    for caught in (cut, refused):
        words += [str(caught.value), repr(caught.value), "".join(traceback.format_exception(caught.value))]
    assert not [each for each in words if PASSWORD in each]


@pytest.mark.parametrize(
    "url",
    [
        "sesame-of-tests",
        "postgresql://u:p@host:sesame-of-tests/name",
        "postgresql://u:sesame-of-tests@127.0.0.1:1/name?colour=red",
    ],
    ids=["no URL", "a port", "a parameter"],
)
def test_a_url_that_cannot_be_used(url: str) -> None:
    """It is refused in words, without a word of what it holds."""
    with pytest.raises(ValueError, match="URL") as caught:
        open_postgres(url)

    assert "sesame" not in "".join(traceback.format_exception(caught.value))

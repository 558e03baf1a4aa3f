"""The group-commit writer and the readers beside it."""

import asyncio
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import IntegrityError, OperationalError

from unit.store.support import Desk, Gate, Put, new_task, opened
from videogate.app import open_database
from videogate.settings import Settings
from videogate.store import lookups
from videogate.store.database import AlreadyRunning, Work
from videogate.store.sqlite import GROUP, SqliteDatabase


@pytest.fixture
def url() -> None:
    """All of this is about SQLite."""


@pytest.mark.parametrize(
    ("pragma", "value"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 2),
        ("foreign_keys", 1),
        ("query_only", 0),
        ("busy_timeout", 30_000),
        ("trusted_schema", 0),
        ("mmap_size", 0),
    ],
)
async def test_writer_settings(desk: Desk, pragma: str, value: object) -> None:
    """The writer runs in WAL mode, flushes every commit, and holds foreign keys."""
    found = await desk.database.write(lambda connection: connection.execute(text(f"PRAGMA {pragma}")).scalar())

    assert found == value


async def test_readers_cannot_write(desk: Desk) -> None:
    """A read that tries to write is refused by SQLite itself, whatever statement it tries."""
    for statement in ("INSERT INTO secret VALUES ('a', 'b')", "DELETE FROM secret", "CREATE TABLE more (id INTEGER)"):
        with pytest.raises(OperationalError, match="readonly"):
            await desk.database.read(lambda connection, words=statement: connection.execute(text(words)) and None)  # type: ignore[misc]

    assert desk.names() == set()


async def test_a_read_is_not_held_up_by_a_writer(desk: Desk) -> None:
    """Reads go on, and see the last commit, while a write transaction is open."""
    await desk.database.write(Put("before"))
    gate = Gate()
    writing = asyncio.create_task(desk.database.write(gate))
    await gate.reached()

    seen = await desk.database.read(lambda connection: connection.execute(text("SELECT name FROM secret")).scalar())

    assert seen == "before"
    gate.open.set()
    await writing


async def test_foreign_keys_are_held(desk: Desk) -> None:
    """A ledger line without its task is refused."""
    with pytest.raises(IntegrityError):
        await desk.database.write(
            lambda connection: (
                connection.execute(
                    text(
                        "INSERT INTO attempt (task_id, number, account, client_ref, state)"
                        " VALUES ('nobody', 1, 'a', 'b', 'prepared')"
                    )
                )
                and None
            )
        )


async def test_waiting_writes_share_a_commit(desk: Desk) -> None:
    """What queues up behind a slow write ends in as few transactions as a group's size allows."""
    commits = 0

    @event.listens_for(desk.database.engine, "commit")
    def _count(_connection: Connection) -> None:
        nonlocal commits
        commits += 1

    gate = Gate()
    first = asyncio.create_task(desk.database.write(gate))
    await gate.reached()
    many = [asyncio.create_task(desk.database.write(Put(f"n{number}"))) for number in range(2 * GROUP)]
    await asyncio.sleep(0)  # every task has queued its work
    gate.open.set()
    await asyncio.gather(first, *many)

    assert commits == 3
    assert len(desk.names()) == 2 * GROUP


async def test_a_write_returns_after_its_commit(desk: Desk) -> None:
    """The moment a write returns, another process can read it: nobody is answered before COMMIT."""

    async def write_and_look(number: int) -> None:
        name = await desk.database.write(Put(f"n{number}"))
        assert name in desk.names()

    await asyncio.gather(*(write_and_look(number) for number in range(60)))


async def test_a_failing_unit_undoes_only_itself(desk: Desk) -> None:
    """In one group, the unit that fails loses its own writes and raises; its neighbours are kept."""

    def half(connection: Connection) -> None:
        Put("half")(connection)
        raise ZeroDivisionError

    gate = Gate()
    held = asyncio.create_task(desk.database.write(gate))
    await gate.reached()
    group = [desk.database.write(each) for each in (Put("before"), half, Put("before"), Put("after"))]
    tasks = [asyncio.ensure_future(each) for each in group]
    await asyncio.sleep(0)
    gate.open.set()
    await held
    first, broken, repeated, last = await asyncio.gather(*tasks, return_exceptions=True)

    assert (first, last) == ("before", "after")
    assert isinstance(broken, ZeroDivisionError)
    assert isinstance(repeated, IntegrityError)
    assert desk.names() == {"before", "after"}


async def test_a_failing_commit_is_told_to_everybody_in_it(desk: Desk) -> None:
    """If the transaction itself fails, every caller in it learns so, nothing is kept, and the writer goes on."""

    def orphan(connection: Connection) -> None:
        connection.execute(text("PRAGMA defer_foreign_keys=1"))
        connection.execute(
            text(
                "INSERT INTO attempt (task_id, number, account, client_ref, state)"
                " VALUES ('nobody', 1, 'a', 'b', 'prepared')"
            )
        )

    gate = Gate()
    held = asyncio.create_task(desk.database.write(gate))
    await gate.reached()
    tasks = [asyncio.ensure_future(desk.database.write(each)) for each in (Put("innocent"), orphan)]
    await asyncio.sleep(0)
    gate.open.set()
    await held
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)

    assert all(isinstance(each, IntegrityError) for each in outcomes)
    assert desk.names() == set()
    assert await desk.database.write(Put("next")) == "next"


async def test_a_group_that_sqlite_gives_up_is_lost_as_a_whole(desk: Desk) -> None:
    """When SQLite rolls a transaction back by itself, no unit of the group is kept behind its caller's back."""
    await desk.database.write(Put("taken"))

    def give_up(connection: Connection) -> None:
        connection.execute(text("INSERT OR ROLLBACK INTO secret VALUES ('taken', 'again')"))

    gate = Gate()
    held = asyncio.create_task(desk.database.write(gate))
    await gate.reached()
    group = (Put("before"), give_up, Put("after"))
    tasks = [asyncio.ensure_future(desk.database.write(each)) for each in group]
    await asyncio.sleep(0)
    gate.open.set()
    await held
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)

    assert all(isinstance(each, Exception) for each in outcomes)
    assert desk.names() == {"taken"}
    assert await desk.database.write(Put("next")) == "next"


async def test_cancelling_the_caller_keeps_the_write(desk: Desk) -> None:
    """A caller that stops waiting neither loses its write nor holds up anybody else's."""
    gate = Gate()
    held = asyncio.create_task(desk.database.write(gate))
    await gate.reached()
    left = asyncio.create_task(desk.database.write(Put("left")))
    stayed = asyncio.create_task(desk.database.write(Put("stayed")))
    await asyncio.sleep(0)
    left.cancel()
    held.cancel()
    gate.open.set()
    await asyncio.gather(held, left, return_exceptions=True)
    await stayed

    assert left.cancelled()
    assert desk.names() == {"left", "stayed"}


async def test_close_finishes_what_was_queued(tmp_path: Path) -> None:
    """Closing waits for every write that was handed in before it."""
    async with opened(tmp_path) as desk:
        gate = Gate()
        tasks = [asyncio.create_task(desk.database.write(each)) for each in (gate, Put("a"), Put("b"))]
        await gate.reached()
        closing_ = asyncio.create_task(desk.database.close())
        await asyncio.sleep(0)
        gate.open.set()
        await asyncio.gather(*tasks, closing_)

        assert desk.names() == {"a", "b"}


async def test_a_second_server_is_kept_off(tmp_path: Path) -> None:
    """A data directory serves one process; a short visit is let in, and the lock goes with its holder."""
    path = tmp_path / "gateway.db"
    first = SqliteDatabase(path)

    with pytest.raises(AlreadyRunning, match="VIDEOGATE_DATA_DIR"):
        SqliteDatabase(path)
    visit = SqliteDatabase(path, alone=False)
    await visit.close()
    with pytest.raises(AlreadyRunning):
        SqliteDatabase(path)
    await first.close()
    await SqliteDatabase(path).close()


async def test_the_files_are_the_owners_alone(tmp_path: Path) -> None:
    """Prompts and key digests lie in the files: nobody else on the host may read them or list their folder."""
    settings = Settings(_env_file=None, data_dir=tmp_path / "data")  # type: ignore[call-arg]
    database = open_database(settings)
    try:
        await database.write(Put("a"))
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in settings.data_dir.iterdir()}
        folder = stat.S_IMODE(settings.data_dir.stat().st_mode)
    finally:
        await database.close()

    base = settings.database_path.name
    assert {name: mode for name, mode in modes.items() if name.startswith(base)} == {
        base: 0o600,
        f"{base}-wal": 0o600,
        f"{base}-shm": 0o600,
    }
    assert folder == 0o700


@pytest.mark.parametrize("name", ["a b", "50%25", "what?", "c#1", "ü"])
async def test_any_folder_name_will_do(tmp_path: Path, name: str) -> None:
    """The database lies in the very folder that was named, whatever characters its name has."""
    folder = tmp_path / name
    folder.mkdir()
    async with opened(folder) as desk:
        await desk.database.write(Put("a"))

        with closing(sqlite3.connect(folder / "gateway.db")) as raw:
            assert raw.execute("SELECT name FROM secret").fetchall() == [("a",)]


async def test_a_long_search_does_not_hold_up_the_others(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has deleted so many videos that a page is long to find gets it all the same, from a thread apart."""
    for number in range(300):
        await desk.tasks.add(new_task(f"video_{number:03}"))
    desk.sql("UPDATE task SET deleted = 1 WHERE id > 'video_001'")
    read = asyncio.Event()
    monkeypatch.setattr(lookups, "SECONDS", -1.0)
    apart = desk.database.read

    async def reading(work: Work[Any]) -> Any:
        read.set()
        return await apart(work)

    monkeypatch.setattr(desk.database, "read", reading)

    page = await desk.tasks.page("alice", after=None, limit=1, newest_first=True)

    assert page is not None
    assert [task.id for task in page.tasks] == ["video_001"]
    assert page.has_more
    assert read.is_set()

"""A SQLite database that takes nothing just now: callers learn that it passes, and it does."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from unit.store.support import Desk, Put, opened
from videogate.store import sqlite
from videogate.store.database import DatabaseAway
from videogate.task.errors import Busy


@pytest.fixture
async def hasty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    """A store that waits for nobody, once it is made."""
    async with opened(tmp_path):
        pass
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.1)
    async with opened(tmp_path) as desk:
        yield desk


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Another process has the database to itself."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def test_held_by_another_process(hasty: Desk) -> None:
    """While another process holds the database every write is told so, reads go on, and afterwards all is well."""
    await hasty.database.write(Put("before"))

    with held(hasty.path):
        writes = [hasty.database.write(Put(f"n{number}")) for number in range(3)]
        outcomes = await asyncio.gather(*writes, return_exceptions=True)
        seen = await hasty.database.read(
            lambda connection: connection.execute(text("SELECT name FROM secret")).scalar()
        )

    assert all(isinstance(each, DatabaseAway) for each in outcomes)
    assert seen == "before"
    assert await hasty.database.write(Put("after")) == "after"
    assert hasty.names() == {"before", "after"}


async def test_no_room_left(hasty: Desk) -> None:
    """A full disk is told to who meets it; what was stored stays, and with room again all is well."""
    await hasty.database.write(Put("before"))
    pages = await hasty.database.write(lambda connection: connection.execute(text("PRAGMA page_count")).scalar())
    await _limit(hasty, int(pages or 0) + 1)

    with pytest.raises(DatabaseAway):
        await hasty.database.write(Put("large", "x" * 100_000))

    await _limit(hasty, 1_000_000)
    assert await hasty.database.write(Put("large", "x" * 100_000)) == "large"
    assert hasty.names() == {"before", "large"}


async def _limit(desk: Desk, pages: int) -> None:
    await desk.database.write(lambda connection: connection.execute(text(f"PRAGMA max_page_count={pages}")) and None)


async def test_a_writer_that_may_not_write(hasty: Desk) -> None:
    """A disk that turned read-only is told like a full one."""

    def refused(connection: Connection) -> None:
        connection.execute(text("PRAGMA query_only=1"))
        try:
            Put("never")(connection)
        finally:
            connection.execute(text("PRAGMA query_only=0"))

    with pytest.raises(DatabaseAway):
        await hasty.database.write(refused)

    assert await hasty.database.write(Put("after")) == "after"
    assert hasty.names() == {"after"}


async def test_a_mistake_of_ours_is_no_passing_trouble(hasty: Desk) -> None:
    """SQL that cannot work is a bug, on either side: nobody is told to try again."""
    for call in (hasty.database.write, hasty.database.read):
        with pytest.raises(OperationalError, match="no such table"):
            await call(lambda connection: connection.execute(text("SELECT * FROM nowhere")) and None)


async def test_a_database_that_is_gone(hasty: Desk) -> None:
    """Readers learn of a file that cannot be opened, and it is an answer that callers understand."""
    moved = hasty.path.with_name("elsewhere")
    hasty.path.rename(moved)
    hasty.path.mkdir()
    try:
        with pytest.raises(Busy):
            await hasty.database.read(lambda connection: connection.execute(text("SELECT 1")).scalar())
    finally:
        hasty.path.rmdir()
        moved.rename(hasty.path)

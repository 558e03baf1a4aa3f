"""How a process leaves a PostgreSQL server: what was begun is finished, and one that hangs keeps nobody."""

import asyncio
import time

import pytest
from sqlalchemy import Connection, text

from unit.store.network import Network
from videogate.store import postgres
from videogate.store.database import DatabaseAway
from videogate.store.postgres import READERS, WRITERS, PostgresDatabase

SLOW = "SELECT pg_sleep(0.5)"


def slowly(connection: Connection) -> None:
    """Work that takes its time."""
    connection.execute(text(SLOW))


async def test_what_waits_its_turn_is_done_before_the_end(database_url: str) -> None:
    """More writes than there are connections, begun before the end, are all carried out."""
    database = PostgresDatabase(database_url)
    writes = [asyncio.ensure_future(database.write(slowly)) for _ in range(WRITERS + 2)]
    await asyncio.sleep(0.1)

    await database.close()

    assert await asyncio.gather(*writes) == [None] * len(writes)


async def test_a_server_that_hangs_ends_with_us(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process ends although its server says nothing any more: who still waits is told that the database is away."""
    monkeypatch.setattr(postgres, "CLOSE_SECONDS", 0.5)
    monkeypatch.setitem(vars(postgres)["_LIVELINESS"], "connect_timeout", 2)  # the least that the driver takes
    async with Network(database_url) as network:
        database = PostgresDatabase(network.url("pw"))
        await database.write(slowly)
        network.hang()
        waiting = [asyncio.ensure_future(database.write(slowly)) for _ in range(WRITERS)]
        waiting += [asyncio.ensure_future(database.read(slowly)) for _ in range(READERS)]
        await asyncio.sleep(0.1)
        began = time.monotonic()

        await database.close()

        assert time.monotonic() - began < 8
        told = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(each) for each in told] == [DatabaseAway] * len(waiting)

"""A SQLite database moved to PostgreSQL: every row, and never two gateways that hold the same task."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from postgres import ask
from unit.store.support import NOW, lane, opened
from videogate.store.claims import Claim, Order
from videogate.store.copying import CopyError, distrust, source_at
from videogate.store.database import AlreadyRunning
from videogate.store.keys import KeyStore
from videogate.store.migrate import migrate
from videogate.store.postgres import PostgresDatabase
from videogate.store.sqlite import mark_of, sqlite_engine
from videogate.store.tables import metadata
from videogate.store.workers import WorkerStore
from videogate.task.model import Artifact, Content, Receipt
from videogate.task.state import AttemptState, TaskState

# Moves a database, and dies with the mark on disk and nothing committed.
DYING = """
import os, signal, sys
from pathlib import Path
from videogate.faultpoints import arm
from videogate.store.copying import source_at

arm(lambda name: name == "copy.marked" and os.kill(os.getpid(), signal.SIGKILL))
with source_at(Path(sys.argv[1])) as source:
    source.move(sys.argv[2], 1_800_000_000.0)
"""


@pytest.fixture
async def old(tmp_path: Path) -> Path:
    """A SQLite database with tasks in every state, a key, and prompts in several scripts; nobody uses it."""
    engine = sqlite_engine(tmp_path / "gateway.db")
    migrate(engine)
    engine.dispose()
    async with opened(tmp_path) as desk:
        await KeyStore(desk.database).create("laptop", "openai", NOW, callbacks=True)
        done = await desk.submitted("video_done")
        assert await desk.ledger.fetching(done, Artifact("https://vendor.test/1.mp4"), due_at=NOW)
        done = await desk.claim(TaskState.FETCHING)
        content = Content("videos/ne/video_done.mp4", 9, "ab", "video/mp4")
        assert await desk.ledger.succeeded(done, content, size="1x1", seconds="1", now=NOW)
        running = await desk.submitted("video_running")
        assert await desk.ledger.observed(running, TaskState.RUNNING, 7, due_at=NOW + 9)
        lost = await desk.sending("video_lost")
        assert await desk.ledger.unknown(lost, "no answer", look_at=NOW + 999)
        await desk.sending("video_sending")
        await desk.add("video_waiting")
        return desk.path


def rows(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    """Everything in a database, as values."""
    with engine.connect() as connection:
        return {
            table.name: [
                dict(row) for row in connection.execute(select(table).order_by(*table.primary_key.columns)).mappings()
            ]
            for table in metadata.sorted_tables
        }


async def test_every_row_arrives_and_leases_of_the_dead_end(old: Path, database_url: str) -> None:
    """All tables are equal but for the leases of the server that was stopped, which are void, and due searches."""
    with source_at(old) as source:
        moved = source.move(database_url, NOW + 1)

    before, database = rows(sqlite_engine(old)), PostgresDatabase(database_url)
    after = rows(database.engine)
    await database.close()
    held = [task["id"] for task in before["task"] if task["lease_until"] > 0]
    assert held == ["video_sending"]
    for task in before["task"]:
        if task["id"] in held:
            task |= {"lease_by": None, "lease_until": 0, "fence": task["fence"] + 1, "due_at": round((NOW + 1) * 1e6)}
    for line in before["attempt"]:
        line["look_at"] = round((NOW + 1) * 1e6) if line["state"] == "unknown" else line["look_at"]
    assert after == before
    assert (moved.rows["task"], moved.in_flight) == (5, 4)


async def test_life_goes_on_there(old: Path, database_url: str, tmp_path: Path) -> None:
    """New rows get new numbers, moves are logged, what was being sent is searched for and what waits is sent once."""
    with source_at(old) as source:
        source.move(database_url, NOW + 1)

    async with opened(tmp_path / "nowhere", database_url) as desk:
        await desk.add("video_new")
        by_id: dict[str, Claim] = {}
        for state in (TaskState.INTENT, TaskState.SUBMITTING):
            claims = await desk.ledger.claim([Order(lane(state), 10)], now=NOW + 2, lease=60)
            by_id |= {claim.task.id: claim for claim in claims}
        assert sorted(by_id) == ["video_new", "video_sending", "video_waiting"]
        assert by_id["video_sending"].attempt.state is AttemptState.SENDING
        assert await desk.ledger.begin_send(by_id["video_waiting"], now=NOW + 2, deadline=NOW + 40)
        receipt = Receipt("job-late")
        assert await desk.ledger.accepted(by_id["video_sending"].attempt.id, receipt, now=NOW + 3, due_at=NOW + 3)
        newest = ask(database_url, "SELECT task_id, state FROM event ORDER BY id DESC LIMIT 2")
        assert newest == [("video_sending", "submitted"), ("video_waiting", "submitting")]


async def test_links_and_keys_stay_good(old: Path, database_url: str) -> None:
    """The secret that signs and digests comes along, in the place of one that PostgreSQL had already."""
    there = PostgresDatabase(database_url)
    await KeyStore(there).server_secret()

    with source_at(old) as source:
        source.move(database_url, NOW)

    ((value,),) = ask(database_url, "SELECT value FROM secret")
    assert value == rows(sqlite_engine(old))["secret"][0]["value"]
    assert value.encode() == await KeyStore(there).server_secret()
    await there.close()


async def test_what_is_in_use_is_refused(old: Path, database_url: str) -> None:
    """A running server on either side, a PostgreSQL that has videos: nothing changes, and the old one still serves."""
    async with opened(old.parent):
        with pytest.raises(AlreadyRunning), source_at(old):
            pass
    there = PostgresDatabase(database_url)
    workers = WorkerStore(there, "somebody")
    await workers.beat(NOW)
    with source_at(old) as source, pytest.raises(CopyError, match="a gateway works on that PostgreSQL"):
        source.move(database_url, NOW + 1)
    await workers.leave()
    await there.close()
    assert not mark_of(old).exists()

    with source_at(old) as source:
        source.move(database_url, NOW)
        with pytest.raises(CopyError, match="has rows in"):
            source.move(database_url, NOW)


async def test_who_dies_half_way_does_it_again(old: Path, database_url: str) -> None:
    """Killed before the commit, the old database is marked and the new one empty; the same command finishes it."""
    command = [sys.executable, "-c", DYING, str(old), database_url]
    assert (await asyncio.to_thread(subprocess.run, command, check=False)).returncode == -9
    assert mark_of(old).exists()
    assert ask(database_url, "SELECT count(*) FROM task") == [(0,)]

    with source_at(old) as source:
        assert source.move(database_url, NOW).rows["task"] == 5


async def test_what_a_restored_backup_calls_waiting_is_not_sent(tmp_path: Path, database_url: str) -> None:
    """After `distrust` it is one whose sender is gone; while a worker lives nothing is touched."""
    async with opened(tmp_path, database_url) as desk:
        await desk.add("video_1")
        await WorkerStore(desk.database, "somebody").beat(NOW)
        with pytest.raises(CopyError, match="a gateway works on this database"):
            await desk.database.write(lambda connection: distrust(connection, NOW + 1))

        assert await desk.database.write(lambda connection: distrust(connection, NOW + 60)) == 1

        assert (desk.state(), desk.attempts()) == (TaskState.SUBMITTING, [AttemptState.SENDING])

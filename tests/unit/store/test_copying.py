"""A SQLite database moved to PostgreSQL: every row, and never two gateways that hold the same task."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, select

from postgres import PostgresServer, ask
from unit.store.stocked import TASKS, WORDS, stocked
from unit.store.support import NOW, lane, opened
from videogate import faultpoints
from videogate.store.backup import BackupError
from videogate.store.claims import Claim, Order
from videogate.store.copying import Undecided, source_at
from videogate.store.database import AlreadyRunning
from videogate.store.keys import KeyStore
from videogate.store.migrate import _config, migrate
from videogate.store.postgres import PostgresDatabase, postgres_engine
from videogate.store.sqlite import mark_of, sqlite_engine
from videogate.store.tables import metadata
from videogate.store.target import CopyError, Moved, distrust, open_target, server_time
from videogate.store.workers import WorkerStore
from videogate.task.model import Receipt
from videogate.task.state import AttemptState, TaskState


@pytest.fixture
async def old(tmp_path: Path) -> Path:
    """A SQLite database with tasks in every state, keys, and a prompt in several scripts; nobody uses it."""
    return await stocked(tmp_path)


@pytest.fixture
def target(database_url: str) -> Iterator[Engine]:
    """An empty PostgreSQL."""
    engine = open_target(database_url)
    yield engine
    engine.dispose()


def move(old: Path, target: Engine) -> Moved:
    with source_at(old) as source:
        return source.move(target, NOW + 1)


def rows(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    """Everything in a database, as values."""
    with engine.connect() as connection:
        return {
            table.name: [
                dict(row) for row in connection.execute(select(table).order_by(*table.primary_key.columns)).mappings()
            ]
            for table in metadata.sorted_tables
        }


def revisions() -> list[str]:
    """Of the schema, the newest first."""
    return [each.revision for each in ScriptDirectory.from_config(_config()).walk_revisions()]


def migrate_to(engine: Engine, revision: str) -> None:
    config = _config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


def serves(old: Path) -> bool:
    """Whether a server would start on a SQLite database, as one of any version does: on its file."""
    return old.is_file() and not mark_of(old).exists()


async def test_every_row_arrives_and_leases_of_the_dead_end(old: Path, target: Engine) -> None:
    """All tables are equal but for the leases of the server that was stopped, which are void, and due searches."""
    before = rows(sqlite_engine(old))
    moved = move(old, target)

    after = rows(target)
    held = {task["id"] for task in before["task"] if task["lease_until"] > 0}
    assert held == {"video_sending"}
    for task in before["task"]:
        if task["id"] in held:
            task |= {"lease_by": None, "lease_until": 0, "fence": task["fence"] + 1, "due_at": round((NOW + 1) * 1e6)}
    for line in before["attempt"]:
        line["look_at"] = round((NOW + 1) * 1e6) if line["state"] == "unknown" else line["look_at"]
    assert after == before
    assert WORDS in {task["prompt"] for task in after["task"]}
    assert {key["callbacks"] for key in after["api_key"]} == {True, False}
    assert (moved.rows["task"], moved.rows["api_key"], moved.in_flight) == (6, 2, 5)


async def test_the_old_file_is_kept_under_another_name(old: Path, target: Engine) -> None:
    """It is whole there, nothing serves in its place, and whoever moves it again is told what happened."""
    before = rows(sqlite_engine(old))
    moved = move(old, target)

    assert moved.old == old.with_name(f"gateway.db.copied-to-postgresql-{NOW + 1:.0f}")
    assert rows(sqlite_engine(moved.old)) == before
    assert not serves(old)
    assert sorted(path.name for path in old.parent.glob("*.db*")) == sorted([moved.old.name, mark_of(old).name])
    with pytest.raises(CopyError, match=r"it was moved, as .*gateway\.db\.moved says"):
        move(old, target)


async def test_life_goes_on_there(old: Path, target: Engine, database_url: str, tmp_path: Path) -> None:
    """New rows get new numbers, moves are logged, what was being sent is searched for and what waits is sent once."""
    move(old, target)

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


async def test_links_and_keys_stay_good(old: Path, target: Engine, database_url: str) -> None:
    """The secret that signs and digests comes along, in the place of one that PostgreSQL had already."""
    secret = rows(sqlite_engine(old))["secret"][0]["value"]
    there = PostgresDatabase(database_url)
    await KeyStore(there).server_secret()
    await there.close()

    move(old, target)

    assert ask(database_url, "SELECT value FROM secret") == [(secret,)]


@pytest.mark.parametrize("works", [True, False], ids=["works", "only-answers"])
async def test_no_gateway_runs_there(old: Path, target: Engine, database_url: str, works: bool) -> None:
    """While one works or only answers on that PostgreSQL nothing is moved, and the old one would still start."""
    there = PostgresDatabase(database_url)
    if works:
        await WorkerStore(there, "somebody").beat(NOW)
    else:
        await there.ping()
    with source_at(old) as source, pytest.raises(CopyError, match="a gateway works on that PostgreSQL"):
        source.check(target, NOW)
    with pytest.raises(CopyError, match="a gateway works on that PostgreSQL"):
        move(old, target)
    await there.close()
    assert serves(old)
    assert rows(target)["task"] == []


async def test_a_gateway_that_holds_something_is_left_alone(
    old: Path, target: Engine, database_url: str, tmp_path: Path
) -> None:
    """A PostgreSQL with as little as a key of its own is refused."""
    there = PostgresDatabase(database_url)
    await KeyStore(there).create("somebody", None, NOW)
    await there.close()

    with pytest.raises(CopyError, match="has rows in api_key"):
        move(old, target)

    assert serves(old)
    assert len(rows(target)["api_key"]) == 1
    assert not list(tmp_path.glob(".copying*"))


async def test_nobody_writes_to_the_old_database_meanwhile(old: Path) -> None:
    """No second server starts, and a command that would make a key waits: it would not be copied."""
    async with opened(old.parent):
        with pytest.raises(AlreadyRunning), source_at(old):
            pass
    with source_at(old):
        with pytest.raises(AlreadyRunning):
            async with opened(old.parent):
                pass
        with closing(sqlite3.connect(old, timeout=0)) as other, pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("INSERT INTO secret VALUES ('a', 'b')")


async def test_a_server_on_its_way_meets_the_mark(old: Path) -> None:
    """One that looked for the mark just before it was made finds it when the file is its own."""
    mark_of(old).write_text("postgresql://db:5432/videogate\nold\n")
    with pytest.raises(AlreadyRunning, match="was just moved to PostgreSQL"):
        async with opened(old.parent):
            pass


async def test_a_commit_that_is_refused_leaves_all_as_it_was(old: Path, target: Engine, database_url: str) -> None:
    """PostgreSQL says no at the very end: one line says so, and the old database serves on."""
    ask(
        database_url,
        """
        CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not today'; END $$;
        CREATE CONSTRAINT TRIGGER late AFTER INSERT ON api_key DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION no()
        """,
    )
    with pytest.raises(CopyError, match=r"^PostgreSQL refused it: not today$"):
        move(old, target)
    assert serves(old)
    assert rows(target)["task"] == []


async def test_a_commit_whose_answer_is_lost_is_settled_by_the_next_run(
    old: Path, target: Engine, postgres: PostgresServer, database_url: str
) -> None:
    """Until then no server starts on the old file, and it is moved to no other PostgreSQL."""

    def break_off(place: str) -> None:
        if place == "copy.marked":
            ask(
                database_url,
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )

    faultpoints.arm(break_off)
    try:
        with pytest.raises(Undecided, match="run the same again"):
            move(old, target)
    finally:
        faultpoints.arm(None)
    assert not serves(old)

    url = postgres.database()
    other = open_target(url)
    with pytest.raises(CopyError, match=r"a move to postgresql://.* was begun"):
        move(old, other)
    other.dispose()
    postgres.drop(url)
    assert move(old, target).rows["task"] == len(TASKS)
    assert {task["id"] for task in rows(target)["task"]} == TASKS


async def test_a_rehearsal_changes_nothing(old: Path, target: Engine) -> None:
    """It counts what would go over, while a server runs on the old database."""
    before = rows(sqlite_engine(old))
    async with opened(old.parent):
        with source_at(old, alone=False) as source:
            assert source.move(target, NOW, rehearse=True).rows["task"] == len(TASKS)
    assert serves(old)
    assert rows(sqlite_engine(old)) == before
    assert rows(target)["task"] == []


async def test_a_file_of_an_older_version_is_moved_and_stays_what_it_is(tmp_path: Path, target: Engine) -> None:
    """The copy gets the newest schema, the file itself is not touched."""
    old, (newest, before, *_) = tmp_path / "gateway.db", revisions()
    migrate_to(sqlite_engine(old), before)
    with closing(sqlite3.connect(old)) as raw:
        raw.execute("INSERT INTO api_key (id, name, digest, created_at) VALUES ('key_1', 'laptop', 'ab', 1)")
        raw.commit()

    moved = move(old, target)

    assert [key["name"] for key in rows(target)["api_key"]] == ["laptop"]
    assert moved.old is not None
    with closing(sqlite3.connect(moved.old)) as raw:
        assert raw.execute("SELECT version_num FROM alembic_version").fetchall() == [(before,)]
    with target.connect() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == newest


@pytest.mark.parametrize("content", [b"", b"this is no database" * 100, None], ids=["empty", "junk", "other"])
async def test_what_is_no_gateways_database_is_refused(tmp_path: Path, target: Engine, content: bytes | None) -> None:
    """An empty file, a damaged one, another program's: each stays as it is, without a mark."""
    file = tmp_path / "gateway.db"
    if content is None:
        with closing(sqlite3.connect(file)) as raw:
            raw.execute("CREATE TABLE note (words TEXT)")
    else:
        file.write_bytes(content)
    before = file.read_bytes()

    with pytest.raises(BackupError):
        move(file, target)

    assert file.read_bytes() == before
    assert serves(file)


async def test_a_postgresql_of_another_version_is_left_alone(postgres: PostgresServer) -> None:
    """One of an older version may have gateways that run on it, so it is not migrated; a later one is not known."""
    url = postgres.empty()
    before = revisions()[1]
    migrate_to(postgres_engine(url), before)
    with pytest.raises(CopyError, match="of an older version"):
        open_target(url)
    assert ask(url, "SELECT version_num FROM alembic_version") == [(before,)]
    ask(url, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(CopyError, match="9999 is not known"):
        open_target(url)
    postgres.drop(url)


async def test_another_programs_tables_are_left_alone(postgres: PostgresServer) -> None:
    """A database with a table of a name that we need is refused in one line."""
    url = postgres.empty()
    ask(url, "CREATE TABLE task (words text)")
    with pytest.raises(CopyError, match=r'^PostgreSQL refused it: relation "task" already exists$'):
        open_target(url)
    postgres.drop(url)


async def test_what_postgresql_cannot_hold_is_named(old: Path, target: Engine) -> None:
    """A row that SQLite took and PostgreSQL does not stops the move, which says in which table it is."""
    with closing(sqlite3.connect(old)) as raw:
        raw.execute("UPDATE task SET waiting = 'a' || char(0) WHERE id = 'video_waiting'")
        raw.commit()
    with pytest.raises(CopyError, match=r"refused rows of task: .*NUL"):
        move(old, target)
    assert serves(old)


async def test_deliveries_of_the_dead_are_free(old: Path, target: Engine) -> None:
    """A webhook that was being sent when the server stopped is not held up by it."""
    with closing(sqlite3.connect(old)) as raw:
        raw.execute(
            "INSERT INTO webhook_delivery (id, url, target, task_id, event_id, type, state, tries, failures, due_at,"
            " lease_until, created_at) SELECT 'd', 'https://a.test', 'a.test', task_id, id, 'video.completed',"
            " 'pending', 1, 0, 1, 9999999999999999, 1 FROM event WHERE state = 'succeeded'"
        )
        raw.commit()
    move(old, target)
    assert [line["lease_until"] for line in rows(target)["webhook_delivery"]] == [0]


def test_the_time_is_that_of_postgresql(target: Engine) -> None:
    """Tasks live by the clock that all gateways will share."""
    assert abs(server_time(target) - time.time()) < 60


async def test_what_a_restored_backup_calls_waiting_is_not_sent(tmp_path: Path, database_url: str) -> None:
    """After `distrust` it is one whose sender is gone; while a worker lives nothing is touched."""
    migrate(engine := postgres_engine(database_url))
    engine.dispose()
    async with opened(tmp_path, database_url) as desk:
        await desk.add("video_1")
        await WorkerStore(desk.database, "somebody").beat(NOW)
        with pytest.raises(CopyError, match="a gateway works on this database"):
            await desk.database.write(lambda connection: distrust(connection, NOW + 1))

        assert await desk.database.write(lambda connection: distrust(connection, NOW + 60)) == 1

        assert (desk.state(), desk.attempts()) == (TaskState.SUBMITTING, [AttemptState.SENDING])

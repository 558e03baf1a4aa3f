"""The same schema on PostgreSQL, whoever migrates, and however many at once."""

import re
import time
from threading import Thread

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from migration.test_migrations import MOMENTS, died, run
from postgres import PostgresServer, ask
from videogate.store import postgres as module
from videogate.store.database import one_at_a_time
from videogate.store.migrate import migrate
from videogate.store.postgres import open_postgres, postgres_engine
from videogate.store.tables import metadata

# What makes up a schema, in the server's own words. Columns may stand in any order.
PARTS = """
SELECT 'column', table_name || '.' || column_name,
       concat_ws(' ', data_type, character_maximum_length, is_nullable, column_default)
FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL SELECT 'rule', conrelid::regclass || '.' || conname, pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL SELECT 'trigger', tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT 'function', proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace
UNION ALL SELECT 'settings', relname, reloptions::text FROM pg_class WHERE reloptions IS NOT NULL
AND relnamespace = 'public'::regnamespace
"""


def schema(url: str) -> dict[tuple[str, str], str]:
    """Every part of a schema by kind and name, but for spaces and what Alembic keeps for itself."""
    parts = ask(url, PARTS)
    return {(kind, name): re.sub(r"\s+", " ", words).strip() for kind, name, words in parts if "alembic" not in name}


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    """A database without tables."""
    return postgres.empty()


@pytest.fixture
def made(postgres: PostgresServer) -> dict[tuple[str, str], str]:
    """The schema as the tables say it."""
    url = postgres.empty()
    engine = postgres_engine(url)
    metadata.create_all(engine)
    engine.dispose()
    return schema(url)


def test_migrating_makes_the_tables(url: str, made: dict[tuple[str, str], str]) -> None:
    """A migration from nothing and the tables make the same: columns, rules, indexes, triggers."""
    database = open_postgres(url)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found = compare_metadata(context, metadata)
    database.engine.dispose()

    assert found == []
    assert schema(url) == made
    assert "WHERE" in made["index", "uq_attempt_maybe_paid"]
    assert {kind for kind, _ in made} == {"column", "index", "rule", "trigger", "function", "settings"}


def test_migrating_again_changes_nothing(url: str) -> None:
    """A start with an up-to-date database writes nothing to it."""
    open_postgres(url).engine.dispose()
    ask(url, "INSERT INTO secret VALUES ('server', 'x')")
    before = ask(url, "SELECT xmin::text, version_num FROM alembic_version"), schema(url)
    open_postgres(url).engine.dispose()

    assert (ask(url, "SELECT xmin::text, version_num FROM alembic_version"), schema(url)) == before
    assert ask(url, "SELECT * FROM secret") == [("server", "x")]


def test_eight_that_start_at_once_migrate_once(url: str, made: dict[tuple[str, str], str]) -> None:
    """Of processes that start at the same moment on an empty database one makes the schema; none of them fails."""
    starts = [run(url) for _ in range(8)]
    said = [process.communicate()[0].strip() for process in starts]

    assert [process.returncode for process in starts] == [0] * 8
    assert sorted(said)[:7] == ["0"] * 7
    assert int(max(said, key=int)) > 10
    assert schema(url) == made


@pytest.mark.parametrize("when", MOMENTS)
def test_a_kill_leaves_old_or_new(url: str, made: dict[tuple[str, str], str], when: str) -> None:
    """A migration killed at any step has done nothing, and the next start carries it out."""
    assert died(run(url, when))
    assert schema(url) == {}

    open_postgres(url).engine.dispose()
    assert schema(url) == made


def test_who_comes_second_waits_as_long_as_it_takes(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A migration of large tables may take longer than any statement of a server is allowed to: nobody gives up."""
    monkeypatch.setattr(module, "_SETTINGS", {"statement_timeout": "200ms", "lock_timeout": "200ms"})
    slow, second = postgres_engine(url), postgres_engine(url)
    with slow.begin() as connection:
        one_at_a_time(connection, "migrate")
        waiting = Thread(target=migrate, args=(second,))
        waiting.start()
        time.sleep(1)
        assert waiting.is_alive()
    waiting.join(30)

    with second.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM task")).scalar() == 0
        assert connection.execute(text("SHOW lock_timeout")).scalar() == "200ms"
    for engine in (slow, second):
        engine.dispose()

"""Alembic and the tables say the same, and a migration is all or nothing."""

import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from videogate.store.migrate import migrate, scripts
from videogate.store.sqlite import sqlite_engine
from videogate.store.tables import metadata

# Dies at the n-th change of the schema, inside the migration's transaction; or before its commit; or says how many
# changes it made.
DYING = """
import os, signal, sys
from pathlib import Path
from alembic.operations import Operations
from videogate import faultpoints
from videogate.store.migrate import migrate
from videogate.store.postgres import postgres_engine
from videogate.store.sqlite import sqlite_engine

where, when = sys.argv[1:]
invoke, done = Operations.invoke, 0

def die(place):
    if place == when:
        os.kill(os.getpid(), signal.SIGKILL)

def counting(self, operation):
    global done
    die(str(done))
    done += 1
    return invoke(self, operation)

Operations.invoke = counting
faultpoints.arm(die)
migrate(postgres_engine(where) if "://" in where else sqlite_engine(Path(where)))
print(done)
"""
MOMENTS = ["0", "1", "7", "migrating"]


def run(where: str | Path, when: str = "never") -> subprocess.Popen[str]:
    """Migrate in a process of its own, which dies at a moment."""
    return subprocess.Popen([sys.executable, "-c", DYING, str(where), when], stdout=subprocess.PIPE, text=True)


def died(process: subprocess.Popen[str]) -> bool:
    """Whether it was killed."""
    process.communicate()
    return process.returncode == -signal.SIGKILL


def migrated(path: Path) -> Path:
    engine = sqlite_engine(path)
    migrate(engine)
    engine.dispose()
    return path


def schema(path: Path) -> dict[str, str]:
    """Every table and index as SQLite keeps it, but for spaces, quotes and the order of a table's parts."""
    with closing(sqlite3.connect(path)) as raw:
        rows = raw.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {name: plain(sql) for name, sql in rows if name != "alembic_version"}


def plain(sql: str) -> str:
    words = re.sub(r"\s+", " ", sql.replace('"', "")).strip()
    head, _, body = words.partition("(")
    if not head.startswith("CREATE TABLE"):
        return words
    parts, depth, start = [], 0, 0
    body = body.rstrip().removesuffix(")")
    for at, character in enumerate(body + ","):
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            parts.append(body[start:at].strip())
            start = at + 1
    return f"{head.strip()} ({', '.join(sorted(parts))})"


def test_there_is_one_head() -> None:
    """The revisions form one line: no branch waits to be merged."""
    config = Config()
    config.set_main_option("script_location", str(scripts()).replace("%", "%%"))
    directory = ScriptDirectory.from_config(config)

    assert len(directory.get_heads()) == 1
    assert len(directory.get_bases()) == 1


def test_migrating_makes_the_tables(tmp_path: Path) -> None:
    """Autogenerate finds nothing to do after a migration from nothing."""
    engine = sqlite_engine(migrated(tmp_path / "gateway.db"))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found = compare_metadata(context, metadata)
    engine.dispose()

    assert found == []


def test_migrating_makes_the_rules(tmp_path: Path) -> None:
    """What autogenerate does not compare is equal too: checks, keys, and the conditions of partial indexes."""
    made = sqlite_engine(tmp_path / "made.db")
    metadata.create_all(made)
    made.dispose()
    theirs, ours = schema(migrated(tmp_path / "gateway.db")), schema(tmp_path / "made.db")

    assert theirs == ours
    assert "WHERE state IN ('accepted', 'sending', 'unknown')" in ours["uq_attempt_maybe_paid"]
    assert "CHECK (state IN (" in ours["task"]


def test_migrating_again_changes_nothing(tmp_path: Path) -> None:
    """A start with an up-to-date database leaves its schema and its rows alone."""
    path = migrated(tmp_path / "gateway.db")
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("INSERT INTO secret VALUES ('server', 'x')")
        version = raw.execute("PRAGMA schema_version").fetchall()
    migrated(path)

    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT * FROM secret").fetchall() == [("server", "x")]
        assert raw.execute("PRAGMA schema_version").fetchall() == version


@pytest.mark.parametrize("name", ["a b", "50%25", "100%", "what?"])
def test_any_folder_name_will_do(tmp_path: Path, name: str) -> None:
    """A migration does not care what the data directory is called."""
    (tmp_path / name).mkdir()

    assert schema(migrated(tmp_path / name / "gateway.db"))


def test_the_revisions_may_lie_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor what the folder is called in which the package is installed."""
    odd = tmp_path / "50% off"
    odd.symlink_to(scripts())
    monkeypatch.setattr("videogate.store.migrate.scripts", lambda: odd)

    assert schema(migrated(tmp_path / "gateway.db"))


@pytest.mark.parametrize("when", MOMENTS)
def test_a_kill_leaves_old_or_new(tmp_path: Path, when: str) -> None:
    """A migration killed at any step has done nothing, and the next start carries it out."""
    path = tmp_path / "gateway.db"
    assert died(run(path, when))
    assert schema(path) == {}

    whole = migrated(tmp_path / "whole.db")
    assert schema(migrated(path)) == schema(whole)
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]

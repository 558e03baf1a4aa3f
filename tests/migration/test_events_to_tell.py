"""Events that an older version had not dealt with, on each database."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Engine, insert, select, text, update

from videogate.store.migrate import _config, migrate
from videogate.store.postgres import postgres_engine
from videogate.store.sqlite import sqlite_engine
from videogate.store.tables import event, event_untold, task

BEFORE = "0007"  # the last revision with a cursor
WORDS = ("owner", "vendor", "account", "model", "vendor_model", "prompt", "size", "seconds", "request_id")
NUMBERS = ("progress", "created_at", "deadline_at", "due_at", "lease_until", "fence", "troubles", "misses")


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An empty database."""
    if request.param == "sqlite":
        made = sqlite_engine(tmp_path / "gateway.db")
    else:
        made = postgres_engine(request.getfixturevalue("postgres").empty())
    yield made
    made.dispose()


def upgrade(engine: Engine, revision: str) -> None:
    """Bring the schema to a revision."""
    config = _config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def test_what_was_to_be_told_is_still_told(engine: Engine) -> None:
    """Ends that the older version had not dealt with are told by the newer one; what was dealt with, and moves of
    which nobody is told, are not.
    """
    upgrade(engine, BEFORE)
    with engine.begin() as connection:
        for name in ("told", "good", "bad", "cancelled", "open"):
            row = {**dict.fromkeys(WORDS, "x"), **dict.fromkeys(NUMBERS, 0), "adjustments": [], "deleted": False}
            connection.execute(insert(task).values(id=name, state="intent", **row))
        ends = {"told": "succeeded", "good": "succeeded", "bad": "failed", "cancelled": "cancelled"}
        for name, state in ends.items():
            connection.execute(update(task).where(task.c.id == name).values(state=state))
            if name == "told":
                connection.execute(text("UPDATE event_cursor SET event_id = (SELECT max(id) FROM event)"))

    migrate(engine)
    with engine.begin() as connection:
        connection.execute(update(task).where(task.c.id == "open").values(state="succeeded"))
        untold = select(event.c.task_id, event.c.state).join(event_untold, event_untold.c.event_id == event.c.id)
        found = connection.execute(untold.order_by(event.c.id)).all()

    assert [tuple(row) for row in found] == [("good", "succeeded"), ("bad", "failed"), ("open", "succeeded")]

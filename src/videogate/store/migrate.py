"""Bringing a database's schema up to date with Alembic."""

from importlib.resources import files
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from videogate.faultpoints import faultpoint
from videogate.store.database import DatabaseAway, one_at_a_time


class UnknownSchema(Exception):
    """The database has no revision (`empty`), or one that this version does not know."""

    def __init__(self, words: str, *, empty: bool = False) -> None:
        super().__init__(words)
        self.empty = empty


DATABASE_ERRORS = (UnknownSchema, DatabaseAway, DBAPIError)
"""What looking at a database that cannot be used raises."""


def migrate(engine: Engine) -> None:
    """Bring the schema to the newest revision, in one transaction: a crash leaves the old one or the new one.

    Of several that start at once on a shared database, one does it and the others find it done.
    """
    config = _config()
    with engine.begin() as connection:
        _take_turns(connection)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        faultpoint("migrating")


def _take_turns(connection: Connection) -> None:
    """Wait for whoever is at it, and let a large table take its time; only what holds up others has a limit."""
    if connection.dialect.name == "sqlite":
        return
    for setting in ("statement_timeout = 0", "lock_timeout = 0"):
        connection.execute(text(f"SET LOCAL {setting}"))
    one_at_a_time(connection, "migrate")
    connection.execute(text("SET LOCAL lock_timeout TO DEFAULT"))


def pending(engine: Engine) -> list[str]:
    """The revisions that the schema lacks, oldest first; changes nothing. Raises UnknownSchema."""
    with engine.connect() as connection:
        at = MigrationContext.configure(connection).get_current_revision()
    newest_first = [each.revision for each in ScriptDirectory.from_config(_config()).walk_revisions()]
    if at is None:
        raise UnknownSchema("it holds no tables of videogate", empty=True)
    if at not in newest_first:
        raise UnknownSchema(f"its revision {at} is not known to this version, which is most likely the older one")
    return newest_first[: newest_first.index(at)][::-1]


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(scripts()).replace("%", "%%"))  # Alembic expands %(…)s
    return config


def scripts() -> Path:
    """The folder of revisions: inside the installed package, or at the top of a checkout."""
    installed = Path(str(files("videogate"))) / "_alembic"
    return installed if installed.is_dir() else Path(__file__).parents[3] / "alembic"

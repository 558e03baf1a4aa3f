"""Bringing a database's schema up to date with Alembic."""

from importlib.resources import files
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from videogate.faultpoints import faultpoint
from videogate.store.database import DatabaseAway


class UnknownSchema(Exception):
    """The database has no revision, or one that this version does not know."""


DATABASE_ERRORS = (UnknownSchema, DatabaseAway, DBAPIError)
"""What looking at a database that cannot be used raises."""


def migrate(engine: Engine) -> None:
    """Bring the schema to the newest revision, in one transaction: a crash leaves the old one or the new one."""
    config = _config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        faultpoint("migrating")


def pending(engine: Engine) -> list[str]:
    """The revisions that the schema lacks, oldest first; changes nothing. Raises UnknownSchema."""
    with engine.connect() as connection:
        at = MigrationContext.configure(connection).get_current_revision()
    newest_first = [each.revision for each in ScriptDirectory.from_config(_config()).walk_revisions()]
    if at is None:
        raise UnknownSchema("it holds no tables of videogate")
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

"""Bringing a database's schema up to date with Alembic."""

from importlib.resources import files
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine

from videogate.faultpoints import faultpoint


def migrate(engine: Engine) -> None:
    """Bring the schema to the newest revision, in one transaction: a crash leaves the old one or the new one."""
    config = Config()
    config.set_main_option("script_location", str(scripts()).replace("%", "%%"))  # Alembic expands %(…)s
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        faultpoint("migrating")


def scripts() -> Path:
    """The folder of revisions: inside the installed package, or at the top of a checkout."""
    installed = Path(str(files("videogate"))) / "_alembic"
    return installed if installed.is_dir() else Path(__file__).parents[3] / "alembic"

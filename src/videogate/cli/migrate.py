"""`videogate migrate`: bring the database's schema up to date."""

import asyncio

import typer

from videogate.app import open_database
from videogate.cli.common import plain_errors
from videogate.settings import read_settings


def migrate() -> None:
    """Bring the schema up to date. `serve` does so too, at its start."""
    with plain_errors():
        settings = read_settings()
        asyncio.run(_migrate())
        typer.echo(f"{settings.database_name} is up to date.")


async def _migrate() -> None:
    await open_database(read_settings()).close()

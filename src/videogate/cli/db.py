"""`videogate db`: back the database up, restore it, or move it, without paying for anything twice."""

import asyncio
from pathlib import Path
from time import time
from typing import Annotated, NoReturn

import typer

from videogate.cli import db_words
from videogate.cli.common import plain_errors
from videogate.media.storage import StorageAway
from videogate.moving import Wish, move, take_back_trust
from videogate.settings import ConfigurationError, Settings, lend_to_libraries, read_settings
from videogate.store.backup import BackupError, back_up
from videogate.store.backup import restore as put_back
from videogate.store.copying import Undecided
from videogate.store.target import CopyError

app = typer.Typer(help="Back the database up, restore it, move it.", no_args_is_help=True)


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="The file to make.")],
    force: Annotated[bool, typer.Option("--force", help="Overwrite it.")] = False,
) -> None:
    """Copy the database into one file, also while the server runs. Videos are not in it."""
    with plain_errors():
        database = _sqlite_file()
        try:
            back_up(database, file, force=force)
        except BackupError as error:
            _fail(error)
        typer.echo(f"{file} holds {database}, checked. Keep it as secret as the database: links are signed with it.")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A file that `backup` made.")],
    nothing_was_sent_since: Annotated[
        bool,
        typer.Option("--nothing-was-sent-since", help="No server ran after the backup: what waits may be sent."),
    ] = False,
) -> None:
    """Put a backup in the database's place, with the server stopped. What was there is kept beside it."""
    with plain_errors():
        database = _sqlite_file()
        try:
            done = put_back(file, database, now=time(), nothing_sent_since=nothing_was_sent_since)
        except BackupError as error:
            _fail(error)
        typer.echo(db_words.restored(database, done, trusted=nothing_was_sent_since))


@app.command("copy")
def copy_to_postgresql(
    file: Annotated[Path | None, typer.Argument(help="The SQLite file; gateway.db in the data directory.")] = None,
    media: Annotated[Path | None, typer.Option(help="The folder of its videos, if not the data directory's.")] = None,
    leave_missing: Annotated[bool, typer.Option("--leave-missing", help="Go without files that are nowhere.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Try it and take it back; a server may run.")] = False,
) -> None:
    """Move a stopped SQLite gateway, with all that is in flight, into the PostgreSQL of VIDEOGATE_DATABASE_URL."""
    with plain_errors():
        settings = _on_postgresql()
        database = file or settings.data_dir / "gateway.db"
        try:
            moved, files = move(settings, database, Wish(media, leave_missing, dry_run))
        except (CopyError, BackupError) as error:
            _fail(error)
        except StorageAway as error:
            _fail(Exception(f"the storage cannot be used: {error.why}"))
        except Undecided as error:
            typer.echo(f"Whether it was moved is not known: {error}.", err=True)
            raise typer.Exit(1) from None
        words = db_words.rehearsed if dry_run else db_words.copied
        typer.echo(words(database, settings.database_name, moved, files))


@app.command("distrust")
def distrust_backup() -> None:
    """Take what waits in a PostgreSQL that was restored from a backup for sent since: it is never sent again."""
    with plain_errors():
        settings = _on_postgresql()
        try:
            number = asyncio.run(take_back_trust(settings))
        except CopyError as error:
            _fail(error)
        typer.echo("\n".join([db_words.TAKEN.format(number=number), db_words.SENT_SINCE]))


def _sqlite_file() -> Path:
    settings = read_settings()
    if settings.shared:
        raise ConfigurationError("PostgreSQL has its own tools for this, such as pg_dump: see docs/deployment.md.")
    return settings.database_path


def _on_postgresql() -> Settings:
    settings = read_settings()
    lend_to_libraries()
    if not settings.shared:
        raise ConfigurationError("set VIDEOGATE_DATABASE_URL=postgresql://…: the database that this is about.")
    return settings


def _fail(error: Exception) -> NoReturn:
    typer.echo(f"Nothing was changed: {error}.", err=True)
    raise typer.Exit(1) from None

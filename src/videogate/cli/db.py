"""`videogate db`: back the database up, restore it, or move it, without paying for anything twice."""

import asyncio
from pathlib import Path
from time import time
from typing import Annotated, NoReturn

import typer

from videogate.cli.common import plain_errors
from videogate.media.storage import StorageAway
from videogate.moving import move, take_back_trust
from videogate.settings import ConfigurationError, Settings, lend_to_libraries, read_settings
from videogate.store.backup import BackupError, Restored, back_up
from videogate.store.backup import restore as put_back
from videogate.store.copying import CopyError

app = typer.Typer(help="Back the database up, restore it, move it.", no_args_is_help=True)

_SENT_SINCE = """
What was asked for after the backup is not in it:
  - Videos accepted since are unknown here. Their jobs at the vendors go on and are billed. The log names those
    that a search comes across, and that show our reference, as `foreign_job`; the others are in the consoles only.
  - Who repeats such a request, also under its Idempotency-Key, pays again.
  - Files of videos that were finished since belong to nobody here and are removed within an hour of the start. Copy
    the media folder, or that part of the bucket, first if you want them.
Attempts that were under way count as perhaps paid. They are looked for and never sent again. One that ends as
`submission_not_received` may still have been sent in a second try after the backup: look in the vendor's console."""

_TAKEN = "{number} videos were waiting to be sent and may have been sent since: they are looked for, not sent again."
_TRUSTED = "Videos that were waiting to be sent will be sent: you said that nothing was sent since the backup."


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
        typer.echo(_in_words(database, done, trusted=nothing_was_sent_since))


@app.command("copy")
def copy_to_postgresql(
    file: Annotated[Path | None, typer.Argument(help="The SQLite file; gateway.db in the data directory.")] = None,
) -> None:
    """Move a stopped SQLite gateway, with all that is in flight, into the PostgreSQL of VIDEOGATE_DATABASE_URL."""
    with plain_errors():
        settings = _on_postgresql()
        database = file or settings.data_dir / "gateway.db"
        try:
            moved, files = asyncio.run(move(settings, database))
        except (CopyError, BackupError, StorageAway, ValueError) as error:
            _fail(error)
        number = moved.rows
        typer.echo(
            f"{database} is now {settings.database_name}: {number['task']} videos, {moved.in_flight} under way, "
            f"{number['api_key']} keys. Put into the storage: {files.inputs} waiting pictures, {files.videos} videos.\n"
            "The old file stays as it is, and no server starts on it any more."
        )


@app.command("distrust")
def distrust_backup() -> None:
    """Take what waits in a PostgreSQL that was restored from a backup for sent since: it is never sent again."""
    with plain_errors():
        settings = _on_postgresql()
        try:
            number = asyncio.run(take_back_trust(settings))
        except CopyError as error:
            _fail(error)
        typer.echo("\n".join([_TAKEN.format(number=number), _SENT_SINCE]))


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


def _in_words(database: Path, done: Restored, *, trusted: bool) -> str:
    lines = [f"{database} is restored."]
    if done.before is not None:
        lines.append(f"The database before it is {done.before}.")
    lines += [_TRUSTED] if trusted else [_TAKEN.format(number=done.maybe_sent), _SENT_SINCE]
    return "\n".join(lines)


def _fail(error: Exception) -> NoReturn:
    typer.echo(f"Nothing was changed: {error}.", err=True)
    raise typer.Exit(1) from None

"""`videogate db`: back the database up, and restore it without paying for anything twice."""

from pathlib import Path
from time import time
from typing import Annotated

import typer

from videogate.cli.common import plain_errors
from videogate.settings import read_settings
from videogate.store.backup import BackupError, Restored, back_up
from videogate.store.backup import restore as put_back

app = typer.Typer(help="The SQLite database.", no_args_is_help=True)

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
        database = read_settings().database_path
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
        database = read_settings().database_path
        try:
            done = put_back(file, database, now=time(), nothing_sent_since=nothing_was_sent_since)
        except BackupError as error:
            _fail(error)
        typer.echo(_in_words(database, done, trusted=nothing_was_sent_since))


def _in_words(database: Path, done: Restored, *, trusted: bool) -> str:
    lines = [f"{database} is restored."]
    if done.before is not None:
        lines.append(f"The database before it is {done.before}.")
    lines += [_TRUSTED] if trusted else [_TAKEN.format(number=done.maybe_sent), _SENT_SINCE]
    return "\n".join(lines)


def _fail(error: BackupError) -> None:
    typer.echo(f"Nothing was changed: {error}.", err=True)
    raise typer.Exit(1) from None

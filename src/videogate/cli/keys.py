"""`videogate keys`: make, list and revoke callers' keys."""

import asyncio
from collections.abc import Awaitable, Callable
from time import time
from typing import Annotated, TypeVar

import typer

from videogate.app import open_database
from videogate.cli.common import plain_errors
from videogate.settings import read_settings
from videogate.store.keys import KeyStore
from videogate.wire.dialect import Dialect

T = TypeVar("T")

app = typer.Typer(help="Callers' keys.", no_args_is_help=True)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose key it is.")],
    dialect: Annotated[Dialect | None, typer.Option(help="The dialect that its callers read.")] = None,
    callbacks: Annotated[bool, typer.Option("--callbacks", help="Its requests may have a callback_url.")] = False,
) -> None:
    """Make a key. It is shown once; only its digest is kept."""
    key, value = _with_store(lambda store: store.create(name, dialect, time(), callbacks=callbacks))
    typer.echo(f"{key.id}  {value}")


@app.command("list")
def list_keys() -> None:
    """Show every key's id, name, dialect and state; never the key."""
    for key in _with_store(lambda store: store.all()):
        state = "revoked" if key.revoked else "live"
        typer.echo(f"{key.id}  {key.name}  {key.dialect or '-'}  {state}{'  callbacks' if key.callbacks else ''}")


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(help="As `list` shows it.")]) -> None:
    """Stop a key within seconds, also in a running server."""
    if not _with_store(lambda store: store.revoke(key_id, time())):
        typer.echo(f"There is no live key {key_id}.", err=True)
        raise typer.Exit(1)


def _with_store(work: Callable[[KeyStore], Awaitable[T]]) -> T:
    async def visit() -> T:
        database = open_database(read_settings(), alone=False)
        try:
            return await work(KeyStore(database))
        finally:
            await database.close()

    with plain_errors():
        return asyncio.run(visit())

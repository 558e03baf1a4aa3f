"""`videogate webhooks`: who is told when a video has ended, and what became of it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from time import time
from typing import Annotated, TypeVar
from urllib.parse import urlsplit

import typer

from videogate import logs
from videogate.app import open_database
from videogate.cli.common import plain_errors
from videogate.engine.letters import key_secret
from videogate.engine.webhooks import Wanted, Webhooks
from videogate.media.fetch import SafeFetcher
from videogate.settings import Settings, read_settings
from videogate.store.deliveries import DeliveryStore
from videogate.store.endpoints import EndpointStore
from videogate.store.keys import KeyStore, configured_id
from videogate.task.errors import InvalidRequest, VideogateError
from videogate.task.webhook import TYPES, Delivery, Endpoint

T = TypeVar("T")
SHOWN = 100  # endpoints

app = typer.Typer(help="Who is told when a video has ended.", no_args_is_help=True)

EndpointId = Annotated[str, typer.Argument(metavar="ENDPOINT", help="As `list` shows it.")]
KeyId = Annotated[str, typer.Argument(metavar="KEY_ID", help="As `videogate keys list` shows it.")]


@dataclass(frozen=True, slots=True)
class Desk:
    """What the commands work with."""

    webhooks: Webhooks
    server_secret: bytes
    names: Mapping[str, str]  # of the keys that are live, by id


@app.command()
def add(
    url: Annotated[str, typer.Argument(help="Where the events are sent.")],
    key: Annotated[str | None, typer.Option(metavar="KEY_ID", help="Whose videos; without it, every key's.")] = None,
    events: Annotated[str, typer.Option(help="Which events, comma-separated.")] = ",".join(TYPES.values()),
    name: Annotated[str | None, typer.Option(help="A name to know it by.")] = None,
) -> None:
    """Make an endpoint. Its secret is shown once; receivers check signatures with it."""

    async def work(desk: Desk) -> Endpoint:
        owner = None if key is None else _live(desk, key)
        types = [each.strip() for each in events.split(",") if each.strip()]
        return await desk.webhooks.add(owner, Wanted(url, name, types))

    made = _visit(work)
    typer.echo(f"{made.id}  {made.secret}")


@app.command("list")
def list_endpoints() -> None:
    """Show every endpoint: its id, whose videos it is told of, which events, its state and its link."""
    found, _ = _visit(lambda desk: desk.webhooks.page(None, after=None, limit=SHOWN))
    for each in found:
        state = "enabled" if each.disabled_at is None else f"disabled: {each.disabled_why}"
        typer.echo(f"{each.id}  {each.owner or 'every key'}  {','.join(each.events)}  {state}  {each.url}")


@app.command()
def remove(endpoint_id: EndpointId) -> None:
    """Forget an endpoint with its deliveries."""
    _visit(lambda desk: desk.webhooks.remove(endpoint_id, None))


@app.command()
def enable(endpoint_id: EndpointId) -> None:
    """Tell an endpoint again that was disabled, from now on."""
    _visit(lambda desk: desk.webhooks.change(endpoint_id, None, Wanted(enabled=True)))


@app.command("log")
def show_log(
    endpoint: Annotated[str | None, typer.Option(metavar="ENDPOINT", help="Of this one alone.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many.")] = 20,
) -> None:
    """Show deliveries, the newest first, and what became of their last try."""
    found, _ = _visit(lambda desk: desk.webhooks.deliveries(None, endpoint_id=endpoint, limit=limit))
    for each in found:
        typer.echo(_in_words(each))


@app.command()
def resend(delivery_id: Annotated[str, typer.Argument(metavar="DELIVERY", help="As `log` shows it.")]) -> None:
    """Send a delivery again under its id, whatever became of it. A running server does so at once."""
    _visit(lambda desk: desk.webhooks.again(delivery_id, None))


@app.command("test")
def send_test(
    endpoint_id: EndpointId,
    event: Annotated[str, typer.Option(help="Which event.")] = "video.completed",
) -> None:
    """Send an event of a made-up video now, and show what the endpoint answered, and how soon."""
    tested = _visit(lambda desk: desk.webhooks.test(endpoint_id, None, event))
    typer.echo(
        f"{tested.status or 'no answer'}  {tested.seconds * 1000:.0f} ms{f'  {tested.error}' if tested.error else ''}"
    )
    if tested.error:
        raise typer.Exit(1)


@app.command()
def secret(key_id: KeyId) -> None:
    """Show what signs the events that go to the callback_url of a key's requests. It never changes."""

    async def work(desk: Desk) -> str:
        return key_secret(desk.server_secret, _live(desk, key_id))

    typer.echo(_visit(work))


def _live(desk: Desk, key_id: str) -> str:
    if key_id not in desk.names:
        known = ", ".join(f"{each} ({name})" for each, name in desk.names.items()) or "none"
        raise InvalidRequest(f"There is no live key {key_id}. Live keys: {known}.")
    return key_id


def _in_words(delivery: Delivery) -> str:
    made = datetime.fromtimestamp(delivery.created_at, UTC).strftime("%Y-%m-%d %H:%M:%S")
    receiver = delivery.endpoint_id or f"callback at {urlsplit(delivery.url or '').hostname}"
    last = delivery.last_error or delivery.last_status or "not tried yet"
    tries = f"{delivery.tries} {'try' if delivery.tries == 1 else 'tries'}"
    return f"{made}  {delivery.id}  {delivery.state}  {delivery.type}  {delivery.task_id}  {receiver}  {tries}: {last}"


def _visit(work: Callable[[Desk], Awaitable[T]]) -> T:
    async def visit() -> T:
        settings = read_settings()
        logs.configure(fmt=settings.log_format, level="warning", secrets=settings.keys)
        database = open_database(settings, alone=False)
        fetcher = SafeFetcher(allow_private=settings.fetch_allow_private)
        try:
            webhooks = Webhooks(EndpointStore(database), DeliveryStore(database), fetcher, time)
            return await work(await _desk(webhooks, KeyStore(database), settings))
        finally:
            await fetcher.close()
            await database.close()

    with plain_errors():
        try:
            return asyncio.run(visit())
        except VideogateError as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from None


async def _desk(webhooks: Webhooks, keys: KeyStore, settings: Settings) -> Desk:
    server_secret = await keys.server_secret()
    made = {key.id: key.name for key in await keys.all() if not key.revoked}
    configured = {configured_id(server_secret, key): "of the settings" for key in settings.keys}
    return Desk(webhooks, server_secret, {**made, **configured})

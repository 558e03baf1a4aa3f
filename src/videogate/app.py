"""The composition root: the one file that sees every layer."""

import os
import random
import socket
from asyncio import create_task, gather
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from time import monotonic, time

import httpx
import structlog
from fastapi import FastAPI
from httpx_aiohttp import AiohttpTransport

from videogate import __version__, logs, vendors
from videogate.engine import doctor
from videogate.engine.callbacks import Addresses, Callbacks
from videogate.engine.characters import Characters
from videogate.engine.figures import Figures
from videogate.engine.history import History
from videogate.engine.poller import Poller
from videogate.engine.results import Results
from videogate.engine.shop import Shop, Terms
from videogate.engine.submit import Submissions
from videogate.engine.tell import Teller
from videogate.engine.upkeep import upkeep
from videogate.engine.watch import Watch
from videogate.engine.webhooks import CallbackRule, Webhooks
from videogate.media.disk import Disk
from videogate.media.fetch import SafeFetcher
from videogate.media.inputs import InputSpool
from videogate.media.storage import Storage, open_storage
from videogate.settings import ConfigurationError, Settings, unknown_variables, vendor_config
from videogate.store.database import SqliteDatabase
from videogate.store.deliveries import DeliveryStore
from videogate.store.endpoints import EndpointStore
from videogate.store.events import EventStore
from videogate.store.figures import FigureStore
from videogate.store.kept import KeptStore
from videogate.store.keys import KeyStore
from videogate.store.ledger import Ledger
from videogate.store.lost import LostStore, LostSubmit
from videogate.store.migrate import DATABASE_ERRORS, migrate, pending
from videogate.store.tasks import TaskStore
from videogate.task.model import Receipt
from videogate.vendorkit.client import CONNECT_SECONDS, POLL_SECONDS, SUBMIT_SECONDS, VendorClient
from videogate.vendorkit.config import VendorConfig
from videogate.vendorkit.contract import Vendor
from videogate.web import server
from videogate.web.auth import Keys
from videogate.web.deps import Parts
from videogate.web.health import Health
from videogate.web.links import Links
from videogate.web.models import Catalogue

log = structlog.get_logger("videogate.app")

PAST = 1_000  # completed tasks that say how long models take
NOT_CONFIGURED = "The operator has not configured this video's vendor just now; the video waits until that is done."


@dataclass(frozen=True, slots=True)
class Application:
    """The HTTP application, and `stop`, to be called as soon as the process is asked to end."""

    asgi: FastAPI
    stop: Callable[[], None]


def create_app(settings: Settings, variables: Mapping[str, str]) -> Application:
    """Put the application together; its lifespan opens the database and runs the poller.

    Args:
        settings: our own settings.
        variables: every VIDEOGATE_* variable; vendors find theirs in it.

    Raises ConfigurationError.
    """
    database_file(settings)  # what is wrong with it, or with the storage, is said before anything starts, in one line
    storage = media_storage(settings)
    kinds = vendors.discover()
    configs = read_vendors(kinds, variables)
    secrets = [*settings.keys, *(secret for config in configs.values() for secret in config.secrets)]
    logs.configure(fmt=settings.log_format, level=settings.log_level, secrets=secrets)
    for name in unknown_variables(variables, {name: kind.Config for name, kind in kinds.items()}):
        log.warning("unknown_setting", name=name)
    stops: list[Callable[[], None]] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        on = {name: (kinds[name], config) for name, config in configs.items()}
        async with running(settings, storage, on) as have:
            app.state.parts, stop = have
            stops.append(stop)
            yield

    asgi = server.build(lifespan, max_body=settings.max_body, version=__version__, origins=settings.origins)

    def stop_all() -> None:
        for stop in stops:
            stop()

    return Application(asgi, stop_all)


def read_vendors(kinds: Mapping[str, type[Vendor]], variables: Mapping[str, str]) -> dict[str, VendorConfig]:
    """The settings of every vendor that is on. Raises ConfigurationError."""
    found = {name: vendor_config(name, kind.Config, variables) for name, kind in kinds.items()}
    return {name: config for name, config in found.items() if config is not None}


@asynccontextmanager
async def running(
    settings: Settings, storage: Storage, on: Mapping[str, tuple[type[Vendor], VendorConfig]]
) -> AsyncIterator[tuple[Parts, Callable[[], None]]]:
    """Open the database, recover, run the poller; drain on leaving."""
    database = open_database(settings)
    fetcher = SafeFetcher(allow_private=settings.fetch_allow_private)
    submits, polls = _submit_client(), _poll_client()
    try:
        key_store = KeyStore(database)
        secret = await key_store.server_secret()
        if not settings.keys and not await key_store.all():
            raise ConfigurationError("No API key: set VIDEOGATE_API_KEYS, or make one with `videogate keys create`.")
        opened = {name: _open_vendor(kind, config, submits, polls, fetcher) for name, (kind, config) in on.items()}
        addresses = Addresses(secret, settings.public_url)
        links = Links(secret, settings.public_url, settings.link_seconds, time)
        shop = await _shop(settings, database, storage, opened, fetcher, addresses, links)
        poller = Poller(shop)
        keys = Keys(key_store, secret, settings.keys, monotonic, callbacks=settings.callback_urls)
        deliveries = DeliveryStore(database)
        webhooks = Webhooks(EndpointStore(database), deliveries, fetcher, time)
        teller = Teller(deliveries, fetcher, secret, keys.live, time, shop.jitter)
        await teller.recover()
        loop = create_task(poller.run(), name="poller")
        beside = upkeep(shop, teller)
        rounds = [create_task(each.run(), name=each.name) for each in beside]
        health = Health(database.ping, lambda: not loop.done())
        callbacks = Callbacks(shop, addresses, poller.wake)
        watch = Watch(shop.tasks, EventStore(database))
        figures = Figures(FigureStore(database), opened, time, __version__, shop.disk.free)
        rule = CallbackRule(keys.may_call_back, fetcher)
        characters = Characters(shop, secret)
        submissions = Submissions(shop, settings.aliases, poller.wake, rule.check, characters.named)
        parts = _parts(
            settings, shop, submissions, characters, keys, links, health, callbacks, figures, watch, webhooks
        )
        log.info("started", version=__version__, vendors=sorted(opened), data_dir=str(settings.data_dir))

        def stop() -> None:
            health.draining = True
            poller.stop()
            watch.stop()
            for each in beside:
                each.stop()

        yield parts, stop
        stop()
        await gather(loop, *rounds)
        await poller.drain()
        await teller.drain()
    finally:
        await submits.aclose()
        await polls.aclose()
        await fetcher.close()
        await database.close()
        log.info("stopped")


async def examine(settings: Settings, variables: Mapping[str, str]) -> list[doctor.Finding]:
    """Look at everything that a gateway with these settings needs; changes nothing and pays for nothing."""
    kinds = vendors.discover()
    unknown = unknown_variables(variables, {name: kind.Config for name, kind in kinds.items()})
    found = [doctor.settings_read(unknown), doctor.folder(settings.data_dir, settings.disk_floor)]
    found += await _database_and_keys(settings)
    try:
        found.append(await doctor.storage(media_storage(settings) if settings.data_dir.is_dir() else None))
    except ConfigurationError as error:
        found.append(doctor.Finding("storage", doctor.Mark.BAD, str(error)))
    found += await _examine_vendors(settings, kinds, variables)
    return found


async def _database_and_keys(settings: Settings) -> list[doctor.Finding]:
    path = settings.database_path
    if not path.is_file():
        return [doctor.no_database(path), doctor.callers_keys(len(settings.keys), made=0)]
    database = SqliteDatabase(path, alone=False)
    try:
        lacks = pending(database.engine)
        made = 0 if lacks else sum(not key.revoked for key in await KeyStore(database).all())
    except DATABASE_ERRORS as error:
        return [doctor.bad_database(path, error), doctor.callers_keys(len(settings.keys), made=None)]
    finally:
        await database.close()
    return [doctor.database(path, lacks), doctor.callers_keys(len(settings.keys), None if lacks else made)]


async def _examine_vendors(
    settings: Settings, kinds: Mapping[str, type[Vendor]], variables: Mapping[str, str]
) -> list[doctor.Finding]:
    fetcher = SafeFetcher(allow_private=settings.fetch_allow_private)
    submits, polls = _submit_client(), _poll_client()

    async def one(name: str, kind: type[Vendor]) -> list[doctor.Finding]:
        try:
            config = vendor_config(name, kind.Config, variables)
        except ConfigurationError as error:
            return [doctor.Finding(name, doctor.Mark.BAD, str(error))]
        return [] if config is None else await doctor.vendor(_open_vendor(kind, config, submits, polls, fetcher))

    try:
        found = [each for some in await gather(*(one(*each) for each in kinds.items())) for each in some]
    finally:
        await submits.aclose()
        await polls.aclose()
        await fetcher.close()
    return found or [doctor.no_vendor()]


def _open_vendor(
    kind: type[Vendor],
    config: VendorConfig,
    submits: httpx.AsyncClient,
    polls: httpx.AsyncClient,
    fetcher: SafeFetcher,
) -> Vendor:
    client = VendorClient(
        kind.name, config.base_url, secrets=config.secrets, submits=submits, polls=polls, opener=fetcher
    )
    return kind(config, client)


def receipt_of(lost: LostSubmit, vendor_task_id: str) -> Receipt:
    """The receipt of a job that a person found, as its vendor's polls need it."""
    return Receipt(vendor_task_id, vendors.discover()[lost.vendor].handle(lost.model, lost.way))


def database_file(settings: Settings) -> Path:
    """The database's path, there and writable. Raises ConfigurationError."""
    path = settings.database_path
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
    except OSError as error:
        raise ConfigurationError(
            f"{path.parent} cannot be written: {error.strerror}. See VIDEOGATE_DATA_DIR."
        ) from None
    return path


def media_storage(settings: Settings) -> Storage:
    """The storage. Raises ConfigurationError for one that can never work: a paid video would be lost there."""
    try:
        storage = open_storage(settings.media_url, settings.data_dir)
    except (ValueError, OSError) as error:
        raise ConfigurationError(f"VIDEOGATE_MEDIA_URL: {error}") from None
    if problem := storage.check():
        raise ConfigurationError(f"VIDEOGATE_MEDIA_URL names a storage that cannot be used: {problem}")
    return storage


def open_database(settings: Settings, *, alone: bool = True) -> SqliteDatabase:
    """The database, migrated. Raises AlreadyRunning if another server has it, ConfigurationError for a bad folder."""
    path = database_file(settings)
    database = SqliteDatabase(path, alone=alone)
    migrate(database.engine)
    return database


async def _shop(
    settings: Settings,
    database: SqliteDatabase,
    storage: Storage,
    opened: Mapping[str, Vendor],
    fetcher: SafeFetcher,
    addresses: Addresses,
    links: Links,
) -> Shop:
    ledger = Ledger(database, f"{socket.gethostname()}-{os.getpid()}-{token_hex(4)}")
    inputs = InputSpool(settings.data_dir / "inputs", fetcher)
    # Behind the lock this process is alone: whatever a dead one held is free.
    voided = await ledger.recover(time())
    storage.clear_spool()
    orphans = inputs.sweep(await ledger.inputs_in_use())
    log.info("recovered", leases=voided, orphaned_inputs=orphans)
    if waiting := await ledger.unserved(opened, NOT_CONFIGURED):
        log.warning("vendor_not_configured", tasks=dict(waiting))
    return Shop(
        tasks=TaskStore(database),
        ledger=ledger,
        lost=LostStore(database),
        kept=KeptStore(database),
        vendors=opened,
        inputs=inputs,
        storage=storage,
        disk=Disk({settings.database_path.parent, settings.data_dir, storage.spool}, settings.disk_floor, monotonic),
        terms=Terms(settings.task_deadline, settings.unknown_window, settings.retention),
        clock=time,
        jitter=lambda: random.uniform(-1, 1),  # noqa: S311 (spreads polls, guards nothing)
        new_id=lambda prefix: prefix + token_hex(16),
        history=History(await EventStore(database).took(PAST)),
        callback_url=addresses.url,
        video_link=links.public,
    )


def _parts(
    settings: Settings,
    shop: Shop,
    submissions: Submissions,
    characters: Characters,
    keys: Keys,
    links: Links,
    health: Health,
    callbacks: Callbacks,
    figures: Figures,
    watch: Watch,
    webhooks: Webhooks,
) -> Parts:
    return Parts(
        submissions=submissions,
        characters=characters,
        tasks=shop.tasks,
        inputs=shop.inputs,
        results=Results(shop),
        watch=watch,
        keys=keys,
        links=links,
        catalogue=Catalogue(shop.vendors.values(), settings.aliases, int(time())),
        health=health,
        callbacks=callbacks,
        webhooks=webhooks,
        figures=figures,
        clock=time,
        redirect=settings.content_redirect,
        default_model=settings.default_model,
        default_fit=settings.fit,
        default_dialect=settings.dialect.value,
    )


def _submit_client() -> httpx.AsyncClient:
    """Plain httpx, no retries, no connection kept: see `vendorkit.client`."""
    transport = httpx.AsyncHTTPTransport(retries=0, limits=httpx.Limits(max_keepalive_connections=0), trust_env=False)
    return httpx.AsyncClient(transport=transport, timeout=httpx.Timeout(SUBMIT_SECONDS, connect=CONNECT_SECONDS))


def _poll_client() -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=256, max_keepalive_connections=64)
    transport = AiohttpTransport(limits=limits, trust_env=False)
    return httpx.AsyncClient(
        transport=transport, timeout=httpx.Timeout(POLL_SECONDS, connect=CONNECT_SECONDS), trust_env=False
    )

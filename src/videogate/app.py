"""The composition root: the one file that sees every layer."""

import os
import random
import socket
from asyncio import to_thread
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from time import monotonic, time

import httpx
import structlog
from fastapi import FastAPI

from videogate import __version__, logs, traces, vendors
from videogate.engine.callbacks import Addresses, Callbacks
from videogate.engine.characters import Characters
from videogate.engine.crew import Crew
from videogate.engine.figures import Figures, asked, committed
from videogate.engine.history import History
from videogate.engine.results import Results
from videogate.engine.shop import Shop, Terms
from videogate.engine.submit import Submissions
from videogate.engine.tell import Teller
from videogate.engine.watch import Watch
from videogate.engine.webhooks import CallbackRule, Webhooks
from videogate.media.disk import Disk
from videogate.media.fetch import SafeFetcher
from videogate.media.inputs import InputSpool
from videogate.media.storage import Storage, open_storage
from videogate.settings import ConfigurationError, Role, Settings, unknown_variables, vendor_config
from videogate.store.database import AlreadyRunning, Database, DatabaseAway
from videogate.store.deliveries import DeliveryStore
from videogate.store.endpoints import EndpointStore
from videogate.store.events import EventStore
from videogate.store.figures import FigureStore
from videogate.store.kept import KeptStore
from videogate.store.keys import KeyStore
from videogate.store.ledger import Ledger
from videogate.store.lost import LostStore, LostSubmit
from videogate.store.migrate import migrate
from videogate.store.postgres import open_postgres
from videogate.store.sqlite import SqliteDatabase, mark_of
from videogate.store.tasks import TaskStore
from videogate.store.workers import WorkerStore
from videogate.task.model import Receipt
from videogate.vendorkit.client import CONNECT_SECONDS, POLL_SECONDS, SUBMIT_SECONDS, VendorClient
from videogate.vendorkit.config import VendorConfig
from videogate.vendorkit.contract import Vendor
from videogate.vendorkit.lines import PlainLine
from videogate.vendorkit.polls import Polls
from videogate.web import server
from videogate.web.auth import Keys
from videogate.web.deps import Parts
from videogate.web.health import Health
from videogate.web.links import Links
from videogate.web.models import Catalogue

log = structlog.get_logger("videogate.app")

NO_KEY = "No API key: set VIDEOGATE_API_KEYS, or make one with `videogate keys create`."
REFUSALS = (ConfigurationError, AlreadyRunning, DatabaseAway)  # reasons not to start, each in plain words
PAST = 1_000  # completed tasks that say how long models take


@dataclass(frozen=True, slots=True)
class Application:
    """The HTTP application, and how it learns of its end: first `announce`, for those who ask whether it is ready; then
    `stop`, from when on it begins nothing.

    `refusal` is what keeps it from its start: None while nothing does, or nothing that can be said in a sentence.
    """

    asgi: FastAPI
    announce: Callable[[], None]
    stop: Callable[[], None]
    refusal: Callable[[], Exception | None]


def create_app(settings: Settings, variables: Mapping[str, str], *, keyless: bool = False) -> Application:
    """Put the application together; its lifespan opens the database and runs the poller.

    Args:
        settings: our own settings.
        variables: every VIDEOGATE_* variable; vendors find theirs in it.
        keyless: start although no caller has a key yet.

    Raises ConfigurationError.
    """
    if not settings.shared:  # what is wrong with it, or with the storage, is said before anything starts, in one line
        database_file(settings)
    storage = media_storage(settings)
    kinds = vendors.discover()
    configs = read_vendors(kinds, variables)
    _begin_to_tell(settings, configs)
    for name in unknown_variables(variables, {name: kind.Config for name, kind in kinds.items()}):
        log.warning("unknown_setting", name=name)
    stops: list[Callable[[], None]] = []
    refusals: list[Exception] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        on = {name: (kinds[name], config) for name, config in configs.items()}
        try:
            async with running(settings, storage, on, keyless=keyless) as have:
                app.state.parts, stop = have
                stops.append(stop)
                yield
        except REFUSALS as error:
            if not stops:
                refusals.append(error)
            raise
        finally:
            await to_thread(traces.stop)

    asgi = server.build(
        lifespan,
        max_body=settings.max_body,
        version=__version__,
        origins=settings.origins,
        callers=settings.role is not Role.WORKER,
    )

    def stop_all() -> None:
        for stop in stops:
            stop()

    def announce() -> None:
        if stops:
            asgi.state.parts.health.draining = True

    return Application(asgi, announce, stop_all, lambda: next(iter(refusals), None))


def _begin_to_tell(settings: Settings, configs: Mapping[str, VendorConfig]) -> None:
    """Set logs and traces up."""
    secrets = [
        *settings.keys,
        *settings.database_secrets,
        *(secret for config in configs.values() for secret in config.secrets),
    ]
    logs.configure(fmt=settings.log_format, level=settings.log_level, secrets=secrets, trace_id=traces.trace_id)
    if wrong := traces.start(os.environ, __version__):
        log.warning("no_traces", why=wrong)


def read_vendors(kinds: Mapping[str, type[Vendor]], variables: Mapping[str, str]) -> dict[str, VendorConfig]:
    """The settings of every vendor that is on. Raises ConfigurationError."""
    found = {name: vendor_config(name, kind.Config, variables) for name, kind in kinds.items()}
    return {name: config for name, config in found.items() if config is not None}


@asynccontextmanager
async def running(
    settings: Settings,
    storage: Storage,
    on: Mapping[str, tuple[type[Vendor], VendorConfig]],
    *,
    keyless: bool,
) -> AsyncIterator[tuple[Parts, Callable[[], None]]]:
    """Open the database, recover, run what this process' role asks for; drain on leaving."""
    database = open_database(settings)
    fetcher = SafeFetcher(allow_private=settings.fetch_allow_private)
    submits, polls = submit_client(), poll_client()
    try:
        await database.follow_clock()
        key_store = KeyStore(database)
        secret = await key_store.server_secret()
        if not settings.keys and not await key_store.all():
            if not keyless:
                raise ConfigurationError(NO_KEY)
            log.warning("no_api_key", what=NO_KEY)
        opened = {name: open_vendor(kind, config, submits, polls, fetcher) for name, (kind, config) in on.items()}
        addresses = Addresses(secret, settings.public_url)
        links = Links(secret, settings.public_url, settings.link_seconds, database.clock)
        name = f"{socket.gethostname()[:40]}-{os.getpid()}-{token_hex(4)}"
        shop = await _shop(settings, database, storage, opened, fetcher, addresses, links, name)
        keys = Keys(key_store, secret, settings.keys, monotonic, callbacks=settings.callback_urls)
        deliveries = DeliveryStore(database)
        teller = Teller(deliveries, fetcher, secret, keys.live, database.clock, shop.jitter)
        crew = Crew(shop, teller, WorkerStore(database, name), database, works=settings.role is not Role.API)
        await crew.recover()
        crew.start()
        watch = Watch(shop.tasks, EventStore(database))
        health = Health(database.ping, crew.working, crew.gates)
        characters = Characters(shop, secret)
        rule = CallbackRule(keys.may_call_back, fetcher)
        parts = Parts(
            submissions=Submissions(shop, settings.aliases, crew.wake, rule.check, characters.named),
            characters=characters,
            tasks=shop.tasks,
            inputs=shop.inputs,
            results=Results(shop),
            watch=watch,
            keys=keys,
            links=links,
            catalogue=Catalogue(opened.values(), settings.aliases, int(time())),
            health=health,
            callbacks=Callbacks(shop, addresses, crew.wake),
            webhooks=Webhooks(EndpointStore(database), deliveries, fetcher, database.clock),
            figures=Figures(
                FigureStore(database),
                opened,
                database.clock,
                __version__,
                shop.disk.free,
                crew.gates,
                None if settings.shared else Path(f"{settings.database_path}-wal"),
            ),
            clock=database.clock,
            redirect=settings.content_redirect,
            default_model=settings.default_model,
            default_fit=settings.fit,
            default_dialect=settings.dialect.value,
        )
        log.info("started", version=__version__, vendors=sorted(opened), worker=name, role=settings.role.value)

        def stop() -> None:
            health.draining = True
            crew.stop()
            watch.stop()

        yield parts, stop
        stop()
        await crew.drain()
    finally:
        await submits.aclose()
        await polls.aclose()
        await fetcher.close()
        await database.close()
        storage.close()
        log.info("stopped")


def open_vendor(
    kind: type[Vendor],
    config: VendorConfig,
    submits: httpx.AsyncClient,
    polls: Polls,
    fetcher: SafeFetcher,
) -> Vendor:
    client = VendorClient(
        kind.name,
        config.base_url,
        secrets=config.secrets,
        submits=PlainLine(submits, watched=True),
        polls=polls,
        opener=fetcher,
        heard=asked,
    )
    return kind(config, client)


def receipt_of(lost: LostSubmit, vendor_task_id: str) -> Receipt:
    """The receipt of a job that a person found, as its vendor's polls need it."""
    return Receipt(vendor_task_id, vendors.discover()[lost.vendor].handle(lost.model, lost.way))


def database_file(settings: Settings) -> Path:
    """The database's path, there and writable. Raises ConfigurationError."""
    path = settings.database_path
    if (mark := mark_of(path)).exists():
        raise ConfigurationError(
            f"{path} was moved to PostgreSQL: set VIDEOGATE_DATABASE_URL to that, and if `videogate db copy` broke off "
            "run it again. To serve the old one all the same, which may pay again for what waits in it, remove "
            f"{mark}, and give the file that it names this name."
        )
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
        storage = open_storage(settings.media_url, settings.data_dir, shared=settings.shared)
    except (ValueError, OSError) as error:
        raise ConfigurationError(f"VIDEOGATE_MEDIA_URL: {error}") from None
    if problem := storage.check():
        raise ConfigurationError(f"VIDEOGATE_MEDIA_URL names a storage that cannot be used: {problem}")
    return storage


def open_database(settings: Settings, *, alone: bool = True) -> Database:
    """The database, migrated.

    Raises AlreadyRunning if another server has it, DatabaseAway if it cannot be reached, ConfigurationError for a bad
    folder or a role that SQLite has not.
    """
    if settings.shared:
        try:
            return open_postgres(settings.database_url, committed)
        except ValueError as error:
            raise ConfigurationError(f"VIDEOGATE_DATABASE_URL: {error}") from None
    if settings.role is not Role.ALL:
        raise ConfigurationError(
            f"VIDEOGATE_ROLE={settings.role} needs PostgreSQL (VIDEOGATE_DATABASE_URL): SQLite serves one process."
        )
    path = database_file(settings)
    database = SqliteDatabase(path, alone=alone, observe=committed)
    migrate(database.engine)
    return database


async def _shop(
    settings: Settings,
    database: Database,
    storage: Storage,
    opened: Mapping[str, Vendor],
    fetcher: SafeFetcher,
    addresses: Addresses,
    links: Links,
    name: str,
) -> Shop:
    if database.shared:
        inputs = InputSpool(storage.spool, fetcher, storage)
    else:
        inputs = InputSpool(settings.data_dir / "inputs", fetcher)
    folders = {storage.spool} if database.shared else {storage.spool, settings.data_dir, settings.database_path.parent}
    return Shop(
        tasks=TaskStore(database),
        ledger=Ledger(database, name),
        lost=LostStore(database),
        kept=KeptStore(database),
        vendors=opened,
        inputs=inputs,
        storage=storage,
        disk=Disk(folders, settings.disk_floor, monotonic),
        terms=Terms(settings.task_deadline, settings.unknown_window, settings.retention),
        clock=database.clock,
        jitter=lambda: random.uniform(-1, 1),  # noqa: S311 (spreads polls, guards nothing)
        new_id=lambda prefix: prefix + token_hex(16),
        history=History(await EventStore(database).took(PAST)),
        callback_url=addresses.url,
        video_link=links.public,
    )


def submit_client() -> httpx.AsyncClient:
    """Plain httpx, no retries, no connection kept: see `vendorkit.client`."""
    transport = httpx.AsyncHTTPTransport(retries=0, limits=httpx.Limits(max_keepalive_connections=0), trust_env=False)
    return httpx.AsyncClient(transport=transport, timeout=httpx.Timeout(SUBMIT_SECONDS, connect=CONNECT_SECONDS))


def poll_client() -> Polls:
    return Polls(connect=CONNECT_SECONDS, silence=POLL_SECONDS)

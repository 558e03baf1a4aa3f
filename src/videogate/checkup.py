"""The doctor's rounds: everything that a gateway with these settings needs, looked at from outside."""

from asyncio import gather
from collections.abc import Mapping

from videogate import vendors
from videogate.app import media_storage, open_vendor, poll_client, submit_client
from videogate.engine import doctor
from videogate.media.fetch import SafeFetcher
from videogate.settings import ConfigurationError, Settings, unknown_variables, vendor_config
from videogate.store.database import Database
from videogate.store.keys import KeyStore
from videogate.store.migrate import DATABASE_ERRORS, UnknownSchema, pending
from videogate.store.postgres import PostgresDatabase
from videogate.store.sqlite import SqliteDatabase
from videogate.vendorkit.contract import Vendor

_FILE_ADVICE = "restore a backup with `videogate db restore FILE`"
_SERVER_ADVICE = "see VIDEOGATE_DATABASE_URL, and whether the server runs and knows the user"


async def examine(settings: Settings, variables: Mapping[str, str]) -> list[doctor.Finding]:
    """Look at everything that a gateway with these settings needs; changes nothing and pays for nothing."""
    kinds = vendors.discover()
    unknown = unknown_variables(variables, {name: kind.Config for name, kind in kinds.items()})
    found = [doctor.settings_read(unknown), doctor.folder(settings.data_dir, settings.disk_floor)]
    found += await _database_and_keys(settings)
    try:
        found.append(await _storage(settings))
    except ConfigurationError as error:
        found.append(doctor.Finding("storage", doctor.Mark.BAD, str(error)))
    found += await _examine_vendors(settings, kinds, variables)
    return found


async def _database_and_keys(settings: Settings) -> list[doctor.Finding]:
    where, listed = settings.database_name, len(settings.keys)
    if not settings.shared and not settings.database_path.is_file():
        return [doctor.no_database(where), doctor.callers_keys(listed, made=0)]
    advice = _SERVER_ADVICE if settings.shared else _FILE_ADVICE
    try:
        lacks, made = await _look_into(settings)
    except UnknownSchema as error:
        if settings.shared and error.empty:
            return [doctor.no_database(where), doctor.callers_keys(listed, made=0)]
        return [doctor.bad_database(where, error, advice), doctor.callers_keys(listed, made=None)]
    except (*DATABASE_ERRORS, ValueError) as error:
        return [doctor.bad_database(where, error, advice), doctor.callers_keys(listed, made=None)]
    return [doctor.database(where, lacks), doctor.callers_keys(listed, made)]


async def _look_into(settings: Settings) -> tuple[list[str], int | None]:
    """The migrations that a database lacks, and how many live keys it has, if that can be told."""
    database: Database
    if settings.shared:
        database = PostgresDatabase(settings.database_url)
    else:
        database = SqliteDatabase(settings.database_path, alone=False)
    try:
        lacks = pending(database.engine)
        return lacks, None if lacks else sum(not key.revoked for key in await KeyStore(database).all())
    finally:
        await database.close()


async def _storage(settings: Settings) -> doctor.Finding:
    if not settings.data_dir.is_dir():
        return await doctor.storage(None)
    storage = media_storage(settings)
    try:
        return await doctor.storage(storage)
    finally:
        storage.close()


async def _examine_vendors(
    settings: Settings, kinds: Mapping[str, type[Vendor]], variables: Mapping[str, str]
) -> list[doctor.Finding]:
    fetcher = SafeFetcher(allow_private=settings.fetch_allow_private)
    submits, polls = submit_client(), poll_client()

    async def one(name: str, kind: type[Vendor]) -> list[doctor.Finding]:
        try:
            config = vendor_config(name, kind.Config, variables)
        except ConfigurationError as error:
            return [doctor.Finding(name, doctor.Mark.BAD, str(error))]
        return [] if config is None else await doctor.vendor(open_vendor(kind, config, submits, polls, fetcher))

    try:
        found = [each for some in await gather(*(one(*each) for each in kinds.items())) for each in some]
    finally:
        await submits.aclose()
        await polls.aclose()
        await fetcher.close()
    return found or [doctor.no_vendor()]

"""Moving a gateway from SQLite to PostgreSQL: the files first, so that no row ever points to nothing, then the rows."""

import shutil
from asyncio import to_thread
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from time import time

from videogate.app import media_storage
from videogate.media.inputs import FOLDER
from videogate.media.storage import Storage
from videogate.settings import Settings
from videogate.store.copying import Moved, Source, distrust, source_at
from videogate.store.postgres import open_postgres


@dataclass(frozen=True, slots=True)
class Files:
    """How many files were put into the storage."""

    inputs: int
    videos: int


async def move(settings: Settings, database: Path) -> tuple[Moved, Files]:
    """Move a stopped gateway's database, and what of its files is not in the storage yet.

    Raises CopyError, BackupError, AlreadyRunning, DatabaseAway, ValueError, StorageAway and ConfigurationError.
    """
    with source_at(database) as source:
        storage = media_storage(settings)
        try:
            files = await _files(source, storage, database.parent)
        finally:
            storage.close()
        moved = await to_thread(source.move, settings.database_url, time())
    return moved, files


async def take_back_trust(settings: Settings) -> int:
    """Take what waits in a restored PostgreSQL for perhaps sent. Returns how many tasks that were."""
    database = open_postgres(settings.database_url)
    try:
        await database.follow_clock()
        return await database.write(lambda connection: distrust(connection, database.clock()))
    finally:
        await database.close()


async def _files(source: Source, storage: Storage, old: Path) -> Files:
    inputs = videos = 0
    for key, mime in source.inputs():
        inputs += await _put(storage, old / FOLDER / key, f"{FOLDER}/{key}", mime)
    for kept in source.kept():
        videos += await _put(storage, old / "media" / kept.key, kept.key, kept.mime)
    return Files(inputs, videos)


async def _put(storage: Storage, path: Path, key: str, mime: str) -> bool:
    """Put a file into the storage, unless it is there or was never here."""
    length = await to_thread(_length, path)
    if length is None or await storage.has(key, length):
        return False
    draft = storage.spool / f"{token_hex(8)}.part"
    await to_thread(shutil.copyfile, path, draft)
    try:
        await storage.keep(key, draft, mime)
    finally:
        draft.unlink(missing_ok=True)
    return True


def _length(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None

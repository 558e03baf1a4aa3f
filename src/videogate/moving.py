"""Moving a gateway from SQLite to PostgreSQL: the files first, so that no row ever points to nothing, then the rows."""

import asyncio
from asyncio import to_thread
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from hashlib import sha256
from itertools import islice
from pathlib import Path
from secrets import token_hex

from videogate.app import media_storage
from videogate.faultpoints import faultpoint
from videogate.media.inputs import BLOCK, FOLDER
from videogate.media.storage import Storage
from videogate.settings import ConfigurationError, Settings
from videogate.store.copying import Needed, Source, source_at
from videogate.store.database import T
from videogate.store.postgres import open_postgres
from videogate.store.target import CopyError, Moved, distrust, open_target, server_time

_AT_ONCE = 8  # files on their way


@dataclass(frozen=True, slots=True)
class Wish:
    """How to move.

    Attributes:
        media: where finished videos lie, if not in `media` beside the database or in the data directory.
        leave_missing: go without files that are nowhere.
        rehearse: change nothing, also while the server runs.
    """

    media: Path | None = None
    leave_missing: bool = False
    rehearse: bool = False


class _Found(Enum):
    PUT = "put"
    THERE = "there"
    MISSING = "missing"


@dataclass
class Files:
    """How many files were put into the storage, how many were there, and which ones are nowhere, or not whole."""

    inputs: int = 0
    videos: int = 0
    there: int = 0
    missing: list[str] = field(default_factory=list)


def move(settings: Settings, database: Path, wish: Wish) -> tuple[Moved, Files]:
    """Move a stopped gateway's database, and what of its files is not in the storage yet.

    Nothing of it is left to another thread: who breaks this off breaks it off here, and the SQLite file is held till
    then. Raises CopyError, Undecided, BackupError, AlreadyRunning, DatabaseAway, StorageAway and ConfigurationError.
    """
    with source_at(database, alone=not wish.rehearse) as source:
        target = _opened(settings, open_target)
        try:
            source.check(target, server_time(target))
            files = asyncio.run(_files(settings, source, database, wish))
            faultpoint("copy.files")
            return source.move(target, server_time(target), rehearse=wish.rehearse), files
        finally:
            target.dispose()


async def take_back_trust(settings: Settings) -> int:
    """Take what waits in a restored PostgreSQL for perhaps sent. Returns how many tasks that were.

    Raises CopyError, DatabaseAway and ConfigurationError.
    """
    database = _opened(settings, open_postgres)
    try:
        await database.follow_clock()
        return await database.write(lambda connection: distrust(connection, database.clock()))
    finally:
        await database.close()


def _opened(settings: Settings, how: Callable[[str], T]) -> T:
    try:
        return how(settings.database_url)
    except ValueError as error:
        raise ConfigurationError(f"VIDEOGATE_DATABASE_URL: {error}") from None


async def _files(settings: Settings, source: Source, database: Path, wish: Wish) -> Files:
    homes = list(dict.fromkeys(path.resolve() for path in (database.parent, settings.data_dir)))
    media = [*([wish.media] if wish.media else []), *(home / "media" for home in homes)]
    files = Files()
    storage = media_storage(settings)
    try:
        inputs = _Way(storage, [home / FOLDER for home in homes], f"{FOLDER}/", rehearse=wish.rehearse)
        files.inputs = await _carry(source.inputs(), inputs, files)
        files.videos = await _carry(source.kept(), _Way(storage, media, "", rehearse=wish.rehearse), files)
    finally:
        storage.close()
    if files.missing and not wish.leave_missing:
        raise CopyError(
            f"{len(files.missing)} files, such as {files.missing[0]}, are neither in the storage nor whole in "
            f"{' or '.join(map(str, media))}: name their folder with --media, or go without them with --leave-missing"
        )
    return files


@dataclass(frozen=True)
class _Way:
    """From which folders files go into a storage, under keys that begin with `prefix`, or only would."""

    storage: Storage
    folders: list[Path]
    prefix: str
    rehearse: bool

    async def carry(self, file: Needed) -> _Found:
        """Put a file into the storage, unless it is there. Raises StorageAway."""
        key = self.prefix + file.key
        path = next((folder / file.key for folder in self.folders if (folder / file.key).is_file()), None)
        length = path.stat().st_size if path and file.length is None else file.length
        if length is not None and await self.storage.has(key, length):
            return _Found.THERE
        if path is None:
            return _Found.MISSING
        if self.rehearse:
            return _Found.PUT if path.stat().st_size == length else _Found.MISSING
        draft = self.storage.spool / f"{token_hex(8)}.part"
        try:
            if not await to_thread(_copied, path, draft, file):
                return _Found.MISSING
            await self.storage.keep(key, draft, file.mime)
        finally:
            draft.unlink(missing_ok=True)
        return _Found.PUT


async def _carry(needed: Iterator[Needed], way: _Way, files: Files) -> int:
    """Bring files over, a few at a time. Returns how many were put there."""
    put = 0
    while some := list(islice(needed, _AT_ONCE)):
        found = await asyncio.gather(*map(way.carry, some))
        files.missing += [file.key for file, what in zip(some, found, strict=True) if what is _Found.MISSING]
        files.there += found.count(_Found.THERE)
        put += found.count(_Found.PUT)
    return put


def _copied(path: Path, draft: Path, file: Needed) -> bool:
    """Copy a file; whether it is the one that the row knows."""
    length, digest = 0, sha256()
    with path.open("rb") as source, draft.open("xb") as target:
        while block := source.read(BLOCK):
            length += len(block)
            digest.update(block)
            target.write(block)
    return file.length in (None, length) and file.sha256 in (None, digest.hexdigest())

"""Where finished videos are kept. One library for local files and object stores; the keys are ours."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from math import inf
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import HTTPStore, LocalStore, MemoryStore, ObjectStore, from_url

from videogate.faultpoints import faultpoint
from videogate.media.renditions import FORMS, Rendition, Seekable
from videogate.media.spool import own_spool
from videogate.task.errors import Busy

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

Piece = bytes | memoryview

CHUNK = 256 * 1024  # bytes handed on at a time
READERS = 8  # local files read at once; the threads are their own, so that a slow disk holds up nothing else
UPLOADS = 4  # parts of one file that are on their way to an object store at once
_NO_BUCKET = " 404 "  # obstore has no error of its own for a bucket that is not there
TRIES = 3  # openings in a row that gave nothing before a read is given up
LINK_SECONDS = 900  # how long a store's own link works

# Whether a store is reached without TLS is said by its address, which the operator chose.
_CLIENT: "ClientConfig" = {"allow_http": True, "connect_timeout": "5s", "read_timeout": "30s", "timeout": "1h"}
_RETRY: "RetryConfig" = {"max_retries": 3, "retry_timeout": timedelta(seconds=15)}


class StorageAway(Busy):
    """The storage cannot be used just now."""

    def __init__(self, why: str) -> None:
        super().__init__("The gateway cannot use its storage just now. Nothing was lost; try again.")
        self.why = why


class Gone(Exception):
    """There is no file under this key."""


class Storage:
    """Files under keys such as `videos/4f/video_…4f.mp4`, and a folder where they are checked before they are kept.

    Args:
        store: where the files are.
        spool: a local folder for downloads.
        held: what keeps the spool this process's own.
        folder: the store's own folder, if it is one; the spool is then within it, so that keeping is a rename.
    """

    def __init__(
        self, store: ObjectStore, spool: Path, held: IO[bytes] | None = None, folder: Path | None = None
    ) -> None:
        self.spool = spool
        self._held = held
        self._store = store
        self._folder = folder
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="storage")
        spool.mkdir(parents=True, exist_ok=True, mode=0o700)

    def key(self, task_id: str) -> str:
        """Where a task's video is kept."""
        return f"videos/{task_id[-2:]}/{task_id}.mp4"

    def rendition_key(self, key: str, rendition: Rendition) -> str:
        """Where a picture that was made of the video under `key` is kept."""
        return f"{key.removesuffix('.mp4')}.{rendition.value}{FORMS[rendition].suffix}"

    def task_id(self, key: str) -> str:
        """Whose file a key names."""
        return key.rpartition("/")[2].partition(".")[0]

    async def keep(self, key: str, path: Path, mime: str) -> None:
        """Store a file, which is gone from `path` then or may be removed.

        On return it is complete under its key and on disk, or nothing is there. Raises StorageAway.
        """
        with _trouble():
            if self._folder is not None:
                await asyncio.to_thread(sync, path)
                await obstore.rename_async(self._store, f"{self.spool.name}/{path.name}", key)
                await asyncio.to_thread(self._flush, (self._folder / key).parent)
            else:
                name = key.rpartition("/")[2]
                attributes = {
                    "Content-Type": mime,
                    "Content-Disposition": f'attachment; filename="{name}"',
                    "Cache-Control": "private, no-cache",
                }
                await obstore.put_async(self._store, key, path, attributes=attributes, max_concurrency=UPLOADS)
        faultpoint("fetch.kept")

    async def keep_bytes(self, key: str, content: bytes, mime: str) -> None:
        """Store what is in memory, as `keep` does."""
        path = self.spool / f"{key.rpartition('/')[2]}.{os.urandom(4).hex()}.part"
        try:
            await asyncio.to_thread(path.write_bytes, content)
            await self.keep(key, path, mime)
        except OSError as error:
            raise StorageAway(str(error)) from error
        finally:
            path.unlink(missing_ok=True)

    async def open(self, key: str, start: int, end: int) -> AsyncIterator[Piece]:
        """The bytes from `start` up to `end` (exclusive), piece by piece, in constant memory.

        A read that breaks off is taken up where it broke. Raises Gone and StorageAway at once, not at the first piece.
        """
        return self._read(await self._stream(key, start, end), key, start, end)

    async def _read(self, stream: AsyncIterator[Piece], key: str, start: int, end: int) -> AsyncIterator[Piece]:
        at, tries = start, 0
        while at < end:
            try:
                async for piece in stream:
                    at, tries = at + len(piece), 0
                    yield piece
            except (BaseError, OSError):
                pass
            if at < end:
                tries += 1
                if tries == TRIES:
                    raise StorageAway(f"{key} broke off at {at} of {end} bytes")
                stream = await self._stream(key, at, end)

    async def _stream(self, key: str, start: int, end: int) -> AsyncIterator[Piece]:
        with _trouble():
            if start >= end:
                return _nothing()
            if self._folder is not None:
                await asyncio.to_thread((self._folder / key).stat)  # who has no file is told before any piece
                return self._local(self._folder / key, start, end)
            result = await obstore.get_async(self._store, key, options={"range": (start, end)})
            return _pieces(result.stream(min_chunk_size=CHUNK))

    async def _local(self, path: Path, start: int, end: int) -> AsyncIterator[Piece]:
        """A local file's bytes, past obstore, which reads those 8 KiB at a time: a fifth of the speed.

        A piece's memory is taken here and filled in a thread: each thread that took its own would keep it for later.
        """
        loop = asyncio.get_running_loop()
        with await loop.run_in_executor(self._readers, lambda: path.open("rb", buffering=0)) as file:
            file.seek(start)
            while start < end:
                piece = bytearray(min(CHUNK, end - start))
                if not (got := await loop.run_in_executor(self._readers, file.readinto, piece)):
                    return
                start += got
                yield memoryview(piece)[:got]

    async def has(self, key: str, length: int) -> bool:
        """Whether there is a file of this length under a key. Raises StorageAway."""
        try:
            with _trouble():
                return (await obstore.head_async(self._store, key))["size"] == length
        except Gone:
            return False

    async def read_whole(self, key: str) -> bytes:
        """A small file. Raises Gone and StorageAway."""
        with _trouble():
            result = await obstore.get_async(self._store, key)
            return bytes(await result.bytes_async())

    @contextmanager
    def reader(self, key: str) -> Iterator[Seekable]:
        """The file for a library that reads and seeks, in a thread. Raises Gone and StorageAway, later too."""
        with _trouble():
            file = obstore.open_reader(self._store, key)
            try:
                yield Seekable(file)
            finally:
                file.close()

    async def link(self, key: str) -> str | None:
        """A link of the store's own to a file, good for `LINK_SECONDS`; None where the store makes none."""
        if isinstance(self._store, LocalStore | HTTPStore | MemoryStore):
            return None
        with _trouble():
            return await obstore.sign_async(self._store, "GET", key, timedelta(seconds=LINK_SECONDS))

    async def remove(self, *keys: str) -> None:
        """Remove files; one that is not there is no error. Raises StorageAway."""
        for key in keys:
            try:
                with _trouble():
                    await obstore.delete_async(self._store, key)
            except Gone:
                continue

    async def remove_video(self, key: str) -> None:
        """Remove a video and what was made of it. Raises StorageAway."""
        await self.remove(key, *(self.rendition_key(key, each) for each in Rendition))

    async def listing(self, prefix: str = "videos", older_than: float = inf) -> AsyncIterator[list[str]]:
        """The keys of all files written before `older_than` (seconds since the epoch), some hundred at a time.

        Raises StorageAway.
        """
        with _trouble():
            async for some in obstore.list(self._store, prefix=prefix, chunk_size=500):
                yield [each["path"] for each in some if each["last_modified"].timestamp() < older_than]

    def check(self) -> str | None:
        """What keeps this storage from ever working, in words; trouble that may pass is none."""
        try:
            next(iter(obstore.list(self._store, prefix="videos", chunk_size=1)), None)
        except (FileNotFoundError, PermissionDeniedError, UnauthenticatedError) as error:
            return _first_line(error)
        except (BaseError, OSError) as error:
            return _first_line(error) if _NO_BUCKET in str(error) else None
        return None

    def clear_spool(self) -> None:
        """Remove what downloads left behind when the process died. One that is this process's own is empty."""
        if self._held is None:
            for path in self.spool.iterdir():
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Give up a spool of this process's own."""
        if self._held is not None:
            shutil.rmtree(self.spool, ignore_errors=True)
            self._held.close()

    def _flush(self, folder: Path) -> None:
        """Wait until a new file's place, and that of new folders above it, is on disk."""
        for each in (folder, *folder.parents):
            sync(each)
            if each == self._folder:
                return


def open_storage(url: str, data_dir: Path, *, shared: bool = False) -> Storage:
    """The storage that a URL names; empty: the folder `media` in the data directory. `shared`: with other processes.

    `file:///PATH` is another folder; `s3://`, `gs://`, `az://` and what else obstore knows is an object store, whose
    credentials come from that store's usual variables. Raises ValueError, in words.
    """
    parts = urlsplit(url)
    if parts.scheme in ("", "file"):
        folder = Path(unquote(parts.path)) if parts.scheme else data_dir / "media"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return Storage(LocalStore(folder), *_spool(folder, shared=shared), folder=folder)
    try:
        store = from_url(url, client_options=_CLIENT, retry_config=_RETRY)
    except BaseError as error:
        raise ValueError(_first_line(error)) from error
    return Storage(store, *_spool(data_dir, shared=shared))


def _spool(parent: Path, *, shared: bool) -> tuple[Path, IO[bytes] | None]:
    return own_spool(parent) if shared else (parent / "spool", None)


@contextmanager
def _trouble() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise Gone from error
    except (BaseError, OSError) as error:
        raise StorageAway(_first_line(error)) from error


async def _pieces(stream: Any) -> AsyncIterator[Piece]:
    async for piece in stream:
        yield memoryview(piece)


async def _nothing() -> AsyncIterator[Piece]:
    return
    yield


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def sync(path: Path) -> None:
    """Bring a file, or the entries of a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

"""The spool of input files: uploads wait here until the vendor has them."""

import asyncio
import os
import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import partial
from hashlib import sha256
from io import BytesIO
from mmap import ACCESS_READ, mmap
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO, TypeVar
from urllib.parse import unquote_to_bytes

from videogate.media.fetch import SafeFetcher
from videogate.media.pictures import identify
from videogate.media.storage import Storage, sync
from videogate.task.errors import Busy, InvalidRequest
from videogate.task.frames import Frame
from videogate.task.model import Film, Picture, Role

T = TypeVar("T")
FOLDER = "inputs"  # in a storage
BLOCK = 256 * 1024
PICTURE_BYTES = 20 * 1024 * 1024
FILM_BYTES = 64 * 1024 * 1024  # a film is sent on whole, from memory
FILM_HEAD = 12  # bytes that tell what kind of video it is
_DATA_URL = re.compile(r"data:(?P<mime>[\w.+/-]*)(?:;[\w=.-]+)*?(?P<base64>;base64)?,", re.ASCII)


class InputSpool:
    """Input files under generated names: in one folder, or in the storage where other machines may need them.

    Args:
        folder: where files are; with a storage, where they pass through.
        fetcher: opens links.
        storage: where all processes find them; None: there is one process.
    """

    def __init__(self, folder: Path, fetcher: SafeFetcher, storage: Storage | None = None) -> None:
        self._folder = folder
        self._fetcher = fetcher
        self._storage = storage
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    async def store(self, role: Role, content: bytes | BinaryIO, param: str) -> Picture:
        """Keep an uploaded picture, in constant memory; durable on return.

        Raises InvalidRequest, naming `param`, if it is none, and Busy if the disk takes no file.
        """
        source = BytesIO(content) if isinstance(content, bytes) else content
        path, length, digest, (mime, frame) = await asyncio.to_thread(
            self._keep, source, param, PICTURE_BYTES, _identify
        )
        await self._hand_on(path, mime)
        return Picture(role, key=path.name, mime=mime, frame=frame, length=length, sha256=digest)

    async def store_film(self, content: BinaryIO, param: str) -> Film:
        """Keep an uploaded video likewise. Raises as `store` does."""
        path, length, digest, mime = await asyncio.to_thread(self._keep, content, param, FILM_BYTES, _film_type)
        await self._hand_on(path, mime)
        return Film(path.name, mime, length, digest)

    async def _hand_on(self, path: Path, mime: str) -> None:
        if self._storage is not None:
            try:
                await self._storage.keep(_key(path.name), path, mime)
            finally:
                await asyncio.to_thread(path.unlink, missing_ok=True)

    def _keep(
        self, source: BinaryIO, param: str, most: int, look: Callable[[Path, str], T]
    ) -> tuple[Path, int, str, T]:
        path = self._folder / token_hex(16)
        try:
            length, digest = _copy(source, path, param, most)
            return path, length, digest, look(path, param)
        except BaseException as error:
            path.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise Busy("The gateway cannot store a file just now. Nothing was spent; try again.") from error
            raise

    async def take(self, picture: Picture, param: str) -> Picture:
        """Bring a picture that came as text to its stored form: a data URL becomes a file, a link stays a link.

        Raises InvalidRequest, naming `param`, for a text that is neither.
        """
        url = picture.url or ""
        if url.startswith("data:"):
            return await self.store(picture.role, decode_data_url(url, param), param)
        if re.match(r"(https?|oss)://[^/]", url):
            return picture
        raise InvalidRequest(f"{param} must be a file, an http(s) link or a data URL; got {url[:40]!r}.", param=param)

    async def ready(
        self, picture: Picture, *, as_link: bool
    ) -> tuple[str | None, str | None, Callable[[], bytes] | None]:
        """A picture as a vendor gets it: link, media type, reader. A link is read by us if the vendor takes none.

        Raises InvalidRequest or Unavailable when such a link cannot be read, and Busy while a file cannot.
        """
        if picture.key is not None:
            return None, picture.mime, await self._reader(picture.key)
        if as_link or picture.url is None:
            return picture.url, None, None
        content = await self._fetcher.read(picture.url, PICTURE_BYTES)
        mime, _ = identify(content)
        return None, mime, partial(bytes, content)

    async def film(self, film: Film) -> bytes:
        """A kept video, whole. Raises Busy while it cannot be read."""
        return await asyncio.to_thread(await self._reader(film.key))

    async def _reader(self, key: str) -> Callable[[], bytes]:
        if self._storage is None:
            return (self._folder / key).read_bytes
        return partial(bytes, await self._storage.read_whole(_key(key)))

    async def drop(self, inputs: Iterable[Picture | Film]) -> None:
        """Remove the files of these inputs. One that cannot be removed just now is swept later."""
        keys = [each.key for each in inputs if each.key is not None]
        if self._storage is None:
            for key in keys:
                (self._folder / key).unlink(missing_ok=True)
            return
        with suppress(Busy):
            await self._storage.remove(*map(_key, keys))

    async def sweep_shared(self, in_use: Callable[[], Awaitable[set[str]]], before: float) -> int:
        """Remove files from before then that no task needs. Returns how many.

        What tasks need is asked after each look at the files: one of a request that is just being accepted is young.
        """
        removed = 0
        if self._storage is not None:
            async for keys in self._storage.listing(FOLDER, older_than=before):
                needed = await in_use() if keys else set()
                orphans = [key for key in keys if key.removeprefix(f"{FOLDER}/") not in needed]
                await self._storage.remove(*orphans)
                removed += len(orphans)
        return removed

    def sweep(self, in_use: set[str]) -> int:
        """Remove files that no task needs, left by a crash. Only where this is the one process. Returns how many."""
        orphans = [path for path in self._folder.iterdir() if path.name not in in_use]
        for path in orphans:
            path.unlink(missing_ok=True)
        return len(orphans)


def _key(name: str) -> str:
    return f"{FOLDER}/{name}"


def _copy(source: BinaryIO, path: Path, param: str, most: int) -> tuple[int, str]:
    """Copy to a new file and sync it; its length and digest. Raises InvalidRequest if it is too large."""
    length, digest = 0, sha256()
    with path.open("xb") as file:
        while block := source.read(BLOCK):
            length += len(block)
            if length > most:
                raise InvalidRequest(f"{param} is larger than {most} bytes.", param=param)
            digest.update(block)
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    sync(path.parent)
    return length, digest.hexdigest()


def _identify(path: Path, param: str) -> tuple[str, Frame]:
    with path.open("rb") as file:
        if not path.stat().st_size:
            return identify(b"", param)
        with mmap(file.fileno(), 0, access=ACCESS_READ) as content:
            return identify(content, param)


def film_type(head: bytes, param: str) -> str:
    """The media type of an MP4 or QuickTime file by its first bytes.

    Raises InvalidRequest, naming `param`, for anything else.
    """
    if head[4:8] != b"ftyp":
        raise InvalidRequest(f"{param} must be a video: an MP4 or MOV file.", param=param, code="unsupported_input")
    return "video/quicktime" if head[8:12] == b"qt  " else "video/mp4"


def _film_type(path: Path, param: str) -> str:
    with path.open("rb") as file:
        return film_type(file.read(FILM_HEAD), param)


def decode_data_url(url: str, param: str) -> bytes:
    """The bytes of a data URL. Raises InvalidRequest, naming `param`."""
    head = _DATA_URL.match(url)
    if head is None:
        raise InvalidRequest(f"{param} is not a well-formed data URL.", param=param)
    body = url[head.end() :]
    try:
        return b64decode("".join(body.split()), validate=True) if head["base64"] else unquote_to_bytes(body)
    except (NotBase64, ValueError) as error:
        raise InvalidRequest(f"{param} holds a data URL that cannot be decoded.", param=param) from error

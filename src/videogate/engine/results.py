"""Finished videos, and the pictures that are made of them, for whoever may have them."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256

from videogate.engine.shop import Shop, log
from videogate.media.probe import NotAFilm
from videogate.media.renditions import FORMS, Rendition, render
from videogate.media.storage import Gone, Piece
from videogate.task.errors import InvalidRequest, VideoExpired, VideoNotReady
from videogate.task.model import Content, Task
from videogate.task.state import LIVE, TaskState

POLL_AFTER = 5.0  # seconds to suggest to a caller who is too early
ARTISTS = 2  # pictures made at once
VIDEO = "video"
VARIANTS = (VIDEO, *(each.value for each in Rendition))


@dataclass(frozen=True, slots=True)
class File:
    """Something that a caller may read. `content` is the whole of it where it is small, else it is in the storage."""

    key: str
    length: int
    sha256: str
    mime: str
    content: bytes | None = None

    @property
    def name(self) -> str:
        """A name to save it under: an id of ours, nothing that a caller wrote."""
        return self.key.rpartition("/")[2]


class Results:
    """Looks results up and reads them. Pictures are made once, on first ask, and kept beside their video."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._artists = ThreadPoolExecutor(ARTISTS, thread_name_prefix="renditions")
        self._making: dict[str, asyncio.Task[bytes]] = {}

    async def find(self, task: Task, variant: str) -> File:
        """The file of a task. Raises InvalidRequest, VideoNotReady, VideoExpired, StorageAway."""
        if variant not in VARIANTS:
            raise InvalidRequest(f"variant must be one of {', '.join(VARIANTS)}.", param="variant")
        content = self._content(task)
        if variant == VIDEO:
            return File(content.key, content.length, content.sha256, content.mime)
        try:
            return await self._picture(content, Rendition(variant))
        except Gone:
            raise VideoExpired(task.id) from None
        except NotAFilm as error:
            raise InvalidRequest(f"No {variant} can be made of this video: {error}.", param="variant") from error

    async def read(self, file: File, start: int, end: int) -> AsyncIterator[Piece]:
        """The bytes from `start` up to `end` (exclusive). Raises Gone and StorageAway at once."""
        if file.content is not None:
            return _whole(file.content[start:end])
        return await self._shop.storage.open(file.key, start, end)

    async def link(self, file: File) -> str | None:
        """The storage's own link to a file, if it makes any. Raises StorageAway."""
        return None if file.content is not None else await self._shop.storage.link(file.key)

    def _content(self, task: Task) -> Content:
        if task.content is not None and task.kept(self._shop.clock()):
            return task.content
        if task.state is TaskState.SUCCEEDED:
            raise VideoExpired(task.id)
        if task.state in LIVE:
            raise VideoNotReady(f"The video '{task.id}' is not completed yet; ask again later.", POLL_AFTER)
        reason = task.failure.message if task.failure else "the reason is not known"
        raise VideoNotReady(f"The video '{task.id}' failed and has no content: {reason}")

    async def _picture(self, content: Content, rendition: Rendition) -> File:
        key = self._shop.storage.rendition_key(content.key, rendition)
        try:
            picture = await self._shop.storage.read_whole(key)
        except Gone:
            picture = await self._make_once(key, content, rendition)
        return File(key, len(picture), sha256(picture).hexdigest(), FORMS[rendition].mime, picture)

    async def _make_once(self, key: str, content: Content, rendition: Rendition) -> bytes:
        """Make a picture; whoever asks for it meanwhile waits for the same one."""
        making = self._making.get(key)
        if making is None:
            making = asyncio.create_task(self._make(key, content, rendition), name=f"make-{key}")
            self._making[key] = making
            making.add_done_callback(lambda _: self._making.pop(key, None))
        return await asyncio.shield(making)  # who hangs up leaves the others theirs

    async def _make(self, key: str, content: Content, rendition: Rendition) -> bytes:
        picture = await asyncio.get_running_loop().run_in_executor(self._artists, self._draw, content.key, rendition)
        await self._shop.storage.keep_bytes(key, picture, FORMS[rendition].mime)
        log.info("rendition_made", key=key, bytes=len(picture))
        return picture

    def _draw(self, key: str, rendition: Rendition) -> bytes:
        with self._shop.storage.reader(key) as video:
            return render(video, rendition)


async def _whole(content: bytes) -> AsyncIterator[Piece]:
    yield content

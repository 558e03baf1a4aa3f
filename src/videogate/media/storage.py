"""Where finished videos are kept. One library for local files and object stores; the keys are ours."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import obstore
from obstore.store import LocalStore, ObjectStore

from videogate.faultpoints import faultpoint

CHUNK = 256 * 1024  # bytes handed on at a time


class Storage:
    """Videos under keys such as `videos/4f/video_…4f.mp4`.

    Args:
        folder: holds the videos, and beside them the spool where downloads are checked before they are kept.
    """

    def __init__(self, folder: Path) -> None:
        self.spool = folder / "spool"
        self._folder = folder / "media"
        for each in (self.spool, self._folder):
            each.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._store: ObjectStore = LocalStore(self._folder)

    def key(self, task_id: str) -> str:
        """Where a task's video is kept."""
        return f"videos/{task_id[-2:]}/{task_id}.mp4"

    async def keep(self, key: str, path: Path) -> None:
        """Store a file. On return it is complete under its key and on disk, or nothing is there."""
        with path.open("rb") as file:
            await obstore.put_async(self._store, key, file)
        await asyncio.to_thread(self._flush, self._folder / key)
        faultpoint("fetch.kept")

    async def read(self, key: str, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes from `start` up to `end` (exclusive), piece by piece."""
        if end <= start:
            return
        result = await obstore.get_async(self._store, key, options={"range": (start, end)})
        async for chunk in result.stream(min_chunk_size=CHUNK):
            yield bytes(chunk)

    async def delete(self, key: str) -> None:
        """Remove a file; one that is not there is no error."""
        try:
            await obstore.delete_async(self._store, key)
        except FileNotFoundError:
            return

    def clear_spool(self) -> None:
        """Remove what downloads left behind when the process died."""
        for path in self.spool.iterdir():
            path.unlink(missing_ok=True)

    @staticmethod
    def _flush(path: Path) -> None:
        """Wait until the file and its place in the folder are on disk."""
        for each in (path, path.parent):
            sync(each)


def sync(path: Path) -> None:
    """Bring a file, or the entries of a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

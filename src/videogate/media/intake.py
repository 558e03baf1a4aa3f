"""Receiving a download into a temporary file, in constant memory."""

import asyncio
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from videogate.faultpoints import faultpoint
from videogate.vendorkit.client import Download

BLOCK = 1024 * 1024  # bytes written at a time


@dataclass(frozen=True, slots=True)
class Received:
    """A download on disk: where, how many bytes, and their digest."""

    path: Path
    length: int
    sha256: str


async def receive(download: Download, folder: Path, name: str) -> Received:
    """Write a download to `folder`. On any error the partial file is removed."""
    path = folder / f"{name}.part"
    digest, length, block = sha256(), 0, bytearray()

    def write(piece: bytes) -> None:
        digest.update(piece)
        with path.open("ab") as file:
            file.write(piece)

    try:
        path.unlink(missing_ok=True)
        async for chunk in download.chunks():
            block += chunk
            faultpoint("fetch.receiving")
            if len(block) >= BLOCK:
                await asyncio.to_thread(write, bytes(block))
                length += len(block)
                block.clear()
        await asyncio.to_thread(write, bytes(block))
        faultpoint("fetch.received")
        return Received(path, length + len(block), digest.hexdigest())
    except BaseException:
        path.unlink(missing_ok=True)
        raise

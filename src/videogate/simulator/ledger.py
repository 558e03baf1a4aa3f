"""The witness of what was accepted, and of what was cancelled: on disk before the answer leaves."""

import asyncio
import json
import os
from pathlib import Path
from threading import Lock
from typing import Any

_END = b"0}\n"  # of a line, with the digit that says whether its job was cancelled


class Ledger:
    """Lines of JSON in the order of acceptance; in the file too, if there is one.

    A line's `cancelled` is 0, and becomes 1 when its job is cancelled, and not billed. Nothing else ever changes.
    """

    def __init__(self, path: Path | None) -> None:
        self.lines: list[dict[str, Any]] = []
        self._path = path
        self._lock = Lock()
        self._places: dict[tuple[str, str], tuple[dict[str, Any], int]] = {}  # each job's line, and where it ends
        if path is not None:
            path.touch()
            _sync(path.absolute().parent)

    async def append(self, line: dict[str, Any]) -> None:
        """Write one line, with a `vendor` and an `id`. When this returns, it survives a power cut."""
        line, end = {**line, "cancelled": 0}, 0
        if self._path is not None:
            text = json.dumps(line, ensure_ascii=False) + "\n"
            end = await asyncio.to_thread(self._write, self._path, text.encode())
        self.lines.append(line)
        self._places[line["vendor"], line["id"]] = line, end

    async def cancel(self, vendor: str, job_id: str) -> None:
        """Note that a job was cancelled. When this returns, it survives a power cut."""
        line, end = self._places[vendor, job_id]
        if self._path is not None:
            # One byte: no reader ever sees half of it.
            await asyncio.to_thread(self._write, self._path, b"1", end - len(_END))
        line["cancelled"] = 1

    def _write(self, path: Path, text: bytes, start: int | None = None) -> int:
        """Write over what is at `start`, or at the end of the file; where the text ends."""
        with self._lock, path.open("ab" if start is None else "r+b") as file:
            if start is not None:
                file.seek(start)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            return file.tell()


def _sync(folder: Path) -> None:
    # A new file is only as durable as its entry in the folder.
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

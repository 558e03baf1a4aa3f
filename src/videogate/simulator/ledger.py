"""The witness of what was accepted: on disk before the answer leaves."""

import asyncio
import json
import os
from pathlib import Path
from threading import Lock
from typing import Any


class Ledger:
    """Lines of JSON in the order of acceptance; in the file too, if there is one."""

    def __init__(self, path: Path | None) -> None:
        self.lines: list[dict[str, Any]] = []
        self._path = path
        self._lock = Lock()
        if path is not None:
            path.touch()
            _sync(path.absolute().parent)

    async def append(self, line: dict[str, Any]) -> None:
        """Write one line. When this returns, it survives a power cut."""
        if self._path is not None:
            await asyncio.to_thread(self._write, json.dumps(line, ensure_ascii=False) + "\n")
        self.lines.append(line)

    def _write(self, text: str) -> None:
        assert self._path is not None
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    # A new file is only as durable as its entry in the folder.
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

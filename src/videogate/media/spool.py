"""Folders for files on their way: one for each process where several share a disk."""

import fcntl
import shutil
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import IO

_LOCK = "lock"


def own_spool(parent: Path) -> tuple[Path, IO[bytes]]:
    """A folder of this process alone in `parent`, and what holds it until it is closed.

    Folders of processes that have ended are removed with all that they left behind.
    """
    for other in parent.glob("spool-*"):
        _remove_if_free(other)
    path = parent / f"spool-{token_hex(8)}"
    path.mkdir(parents=True, mode=0o700)
    held = (path / _LOCK).open("wb")
    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return path, held


def _remove_if_free(path: Path) -> None:
    # A folder without its lock is one that is just being made.
    with suppress(OSError), (path / _LOCK).open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path, ignore_errors=True)

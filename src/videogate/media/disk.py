"""How much room there is on the disks that we write to."""

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

GIB = 1024**3
PART = 0.05  # of a disk, unless told otherwise
FRESH = 1.0  # seconds that a look is trusted


class Disk:
    """The disks of some folders, and the floor below which no new work is taken: what is under way needs the rest.

    Args:
        folders: that we write to.
        floor: bytes that must be free; None: 5 % of each disk, but not more than 2 GiB.
        clock: monotonic seconds.
    """

    def __init__(self, folders: Iterable[Path], floor: int | None, clock: Callable[[], float]) -> None:
        self._folders = tuple(folders)
        self._floor = floor
        self._clock = clock
        self._seen: tuple[float, bool] | None = None

    def has_room(self) -> bool:
        """Whether every disk is above the floor."""
        now = self._clock()
        if self._seen is None or now - self._seen[0] >= FRESH:
            self._seen = (now, all(self._above(folder) for folder in self._folders))
        return self._seen[1]

    def free(self) -> int:
        """Bytes that are free on the fullest disk."""
        return min(shutil.disk_usage(folder).free for folder in self._folders)

    def _above(self, folder: Path) -> bool:
        usage = shutil.disk_usage(folder)
        floor = min(usage.total * PART, 2 * GIB) if self._floor is None else self._floor
        return usage.free >= floor

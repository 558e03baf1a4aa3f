"""Work that is done in rounds until the process is asked to end."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from videogate.engine.shop import log

AFTER_TROUBLE = 1.0  # seconds from a round that failed to the next


class Rounds:
    """Repeats a round until told to stop. A round returns the seconds to wait for the next.

    Args:
        name: of the work, for the log.
        work: one round. It may fail: the rounds outlive a database that is away.
    """

    def __init__(self, name: str, work: Callable[[], Awaitable[float]]) -> None:
        self.name = name
        self._work = work
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """Begin no further round."""
        self._stopped.set()

    async def run(self) -> None:
        """Work now and again, until `stop`."""
        while not self._stopped.is_set():
            try:
                wait = await self._work()
            except Exception:  # noqa: BLE001 (see `work`)
                log.exception("round_failed", work=self.name)
                wait = AFTER_TROUBLE
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._stopped.wait()

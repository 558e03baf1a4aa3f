"""Whether this process lives and can work. No vendor is ever asked."""

from collections.abc import Awaitable, Callable


class Health:
    """Readiness: the database answers, the poller runs, nobody asked us to stop."""

    def __init__(self, ping: Callable[[], Awaitable[None]], polling: Callable[[], bool]) -> None:
        self._ping = ping
        self._polling = polling
        self.draining = False

    async def problems(self) -> list[str]:
        """What keeps us from working, in words; empty when ready."""
        found = []
        if self.draining:
            found.append("shutting down")
        if not self._polling():
            found.append("the poller is not running")
        try:
            await self._ping()
        except Exception as error:  # noqa: BLE001 (whatever the driver raises)
            found.append(f"the database does not answer: {type(error).__name__}")
        return found

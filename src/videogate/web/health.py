"""Whether this process lives and can work. No vendor is ever asked."""

from collections.abc import Awaitable, Callable, Sequence

from videogate.engine.gates import GateStanding


class Health:
    """Readiness: the database answers, the poller runs, nobody asked us to stop."""

    def __init__(
        self,
        ping: Callable[[], Awaitable[None]],
        polling: Callable[[], bool],
        gates: Callable[[], Sequence[GateStanding]] = tuple,
    ) -> None:
        self._ping = ping
        self._polling = polling
        self._gates = gates
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

    def vendors(self) -> dict[str, dict[str, dict[str, str | None]]]:
        """For each vendor and kind of call: how many calls this process lets through, and why not all."""
        found: dict[str, dict[str, dict[str, str | None]]] = {}
        for gate in self._gates():
            found.setdefault(gate.vendor, {})[gate.op] = {"passes": gate.passes.name.lower(), "why": gate.why}
        return found

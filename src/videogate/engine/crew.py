"""The crew: all that one process does besides answering, from its start to its drain."""

from asyncio import Task, create_task, gather, wait

from videogate.engine.gates import GateStanding
from videogate.engine.poller import Poller
from videogate.engine.rounds import Rounds
from videogate.engine.shop import Shop, log
from videogate.engine.tell import Teller
from videogate.engine.upkeep import beats, follows, upkeep
from videogate.store.database import Database
from videogate.store.workers import WorkerStore
from videogate.task.errors import Busy

ROUNDS = 5.0  # seconds that rounds under way get at the end; who comes next does again what they were at
NOT_CONFIGURED = "The operator has not configured this video's vendor just now; the video waits until that is done."


class Crew:
    """Runs the poller and everything beside it; in a process that works for no vendor, next to nothing.

    Args:
        shop: stores and vendors.
        teller: sends webhooks.
        workers: where workers of a shared database say that they live.
        database: the database.
        works: whether this process works, or only answers callers.
    """

    def __init__(self, shop: Shop, teller: Teller, workers: WorkerStore, database: Database, *, works: bool) -> None:
        self._shop = shop
        self._teller = teller
        self._workers = workers
        self._database = database
        self._poller = Poller(shop) if works else None
        self._beside: list[Rounds] = []
        self._loop: Task[None] | None = None
        self._rounds: list[Task[None]] = []

    async def recover(self) -> None:
        """Take over what a dead process held: at once where nobody else is there, else when its leases run out."""
        shop = self._shop
        if not self._database.shared:
            voided = await shop.ledger.recover(shop.clock())
            shop.storage.clear_spool()
            orphans = shop.inputs.sweep(await shop.ledger.inputs_in_use())
            log.info("recovered", leases=voided, orphaned_inputs=orphans)
            await self._teller.recover()
        elif self._poller is not None:
            # Before the first claim: the others would void claims of one that they have not heard of.
            self._poller.share((await self._workers.beat(shop.clock())).workers)
        if self._poller is not None and (waiting := await shop.ledger.unserved(shop.vendors, NOT_CONFIGURED)):
            log.warning("vendor_not_configured", tasks=dict(waiting))

    def start(self) -> None:
        """Begin."""
        follow_clock = self._database.follow_clock
        if self._poller is not None:
            self._beside += upkeep(self._shop, self._teller)
            self._loop = create_task(self._poller.run(), name="poller")
        if self._database.shared:
            shares = self._poller and beats(self._shop, follow_clock, self._workers, self._poller)
            self._beside.append(shares or follows(follow_clock))
        self._rounds = [create_task(each.run(), name=each.name) for each in self._beside]

    def wake(self) -> None:
        """Something is due. Workers in other processes find it within a second."""
        if self._poller is not None:
            self._poller.wake()

    def gates(self) -> list[GateStanding]:
        """How the gates before the vendors stand in this process."""
        return self._poller.gates() if self._poller is not None else []

    def working(self) -> bool:
        """Whether what should run does."""
        return self._loop is None or not self._loop.done()

    def stop(self) -> None:
        """Begin nothing more."""
        if self._poller is not None:
            self._poller.stop()
        for each in self._beside:
            each.stop()

    async def drain(self) -> None:
        """Finish what cannot be repeated, break off the rest, give everything back.

        While the database is away nothing can be given back: the others take it when its leases run out.
        """
        if self._rounds:
            _, late = await wait(self._rounds, timeout=ROUNDS)
            for each in late:
                each.cancel()
            await gather(*late, return_exceptions=True)
        if self._loop is not None:
            await self._loop
        if self._poller is None:
            return
        for last in (
            self._poller.drain,
            self._teller.drain,
            *((self._workers.leave,) if self._database.shared else ()),
        ):
            try:
                await last()
            except Busy as error:
                log.warning("not_given_back", why=str(error))

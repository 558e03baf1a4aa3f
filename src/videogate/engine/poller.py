"""The loop: claim what is due, run the verb that its state asks for, within each vendor's bounds.

Every vendor has four lanes (send, settle, look, fetch), each with its own slots and rate, so that a vendor which hangs
fills its own lanes and nobody else's.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from time import monotonic

from videogate.engine import deliver, poll, reconcile, schedule, send
from videogate.engine.rates import Bucket
from videogate.engine.shop import Shop, log
from videogate.store.ledger import Agenda, Claim, Lane
from videogate.task.state import TaskState
from videogate.vendorkit.contract import Vendor

TICK = 1.0  # seconds between looks at the agenda when nothing wakes the loop
CRASH_PAUSE = 5.0  # seconds before a verb that failed on a bug of ours is tried again
DRAIN_OTHERS = 3.0  # seconds that polls and downloads get to finish; they are repeatable

Verb = Callable[[Shop, Claim], Awaitable[None]]


class Track:
    """One lane with its slots, its rate and what runs in it."""

    def __init__(self, lane: Lane, verb: Verb, *, slots: int, rate: float, lease: float) -> None:
        self.lane = lane
        self.verb = verb
        self.lease = lease
        self.running: set[asyncio.Task[None]] = set()
        self._slots = slots
        self.bucket = Bucket(rate)

    def room(self, agenda: Agenda, now: float) -> int:
        """How many tasks to claim now."""
        due = sum(agenda.due.get((self.lane.vendor, state), 0) for state in self.lane.states)
        return min(due, self._slots - len(self.running), self.bucket.available(now))


def tracks(vendor: Vendor) -> list[Track]:
    """The lanes of one vendor, within its documented limits."""
    name, limits = vendor.name, vendor.limits

    def lane(*states: TaskState) -> Lane:
        return Lane(name, frozenset(states))

    return [
        Track(
            lane(TaskState.INTENT),
            send.send,
            slots=limits.submits_at_once,
            rate=limits.submits_per_second,
            lease=send.LEASE,
        ),
        Track(lane(TaskState.SUBMITTING), reconcile.settle, slots=8, rate=100.0, lease=reconcile.LEASE),
        Track(
            lane(TaskState.SUBMITTED, TaskState.RUNNING),
            poll.observe,
            slots=limits.polls_at_once,
            rate=limits.polls_per_second,
            lease=poll.LEASE,
        ),
        Track(lane(TaskState.FETCHING), deliver.fetch, slots=limits.fetches_at_once, rate=100.0, lease=deliver.LEASE),
    ]


class Poller:
    """Runs until told to stop. One per process."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._tracks = [track for vendor in shop.vendors.values() for track in tracks(vendor)]
        self._woken = asyncio.Event()
        self._stopping = False

    def wake(self) -> None:
        """Look at the agenda now."""
        self._woken.set()

    def stop(self) -> None:
        """Claim nothing more."""
        self._stopping = True
        self.wake()

    async def run(self) -> None:
        """Claim and work until `stop`. A database that is away is waited for."""
        while not self._stopping:
            self._woken.clear()
            try:
                wait = await self._round()
            except Exception:  # noqa: BLE001 (the loop outlives a database that is away)
                log.exception("poller_round_failed")
                wait = TICK
            if not self._stopping:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), wait)

    async def drain(self) -> None:
        """Let running sends finish, give the rest a moment, then hand every lease back."""
        sends = [work for track in self._tracks if track.verb is send.send for work in track.running]
        others = [work for track in self._tracks if track.verb is not send.send for work in track.running]
        if others:
            _, late = await asyncio.wait(others, timeout=DRAIN_OTHERS)
            for work in late:
                work.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if sends:
            await asyncio.wait(sends, timeout=send.LEASE)
        await self._shop.ledger.hand_back(self._shop.clock())
        log.info("drained", sends=len(sends), others=len(others))

    async def _round(self) -> float:
        """One look at the agenda. Returns the seconds to wait for the next."""
        now = self._shop.clock()
        agenda = await self._shop.ledger.agenda(now)
        if agenda.due and not self._stopping:
            await self._claim(agenda, now)
        soonest = TICK if agenda.next_at is None else agenda.next_at - self._shop.clock()
        starved = [track.bucket.wait() for track in self._tracks if self._waits_for_tokens(track, agenda)]
        return max(0.01, min(TICK, soonest, *starved))

    async def _claim(self, agenda: Agenda, now: float) -> None:
        for lease, group in _by_lease(self._tracks):
            wanted = [(track, track.room(agenda, monotonic())) for track in group]
            orders = [(track.lane, room) for track, room in wanted if room > 0]
            if not orders:
                continue
            for claim in await self._shop.ledger.claim(orders, now=now, lease=lease):
                track = next(each for each in group if _takes(each.lane, claim))
                track.bucket.take(1)
                self._start(track, claim)

    def _start(self, track: Track, claim: Claim) -> None:
        name = f"{track.verb.__name__}-{claim.task.id}"
        work = asyncio.create_task(self._work(track, claim), name=name)
        track.running.add(work)
        work.add_done_callback(track.running.discard)
        work.add_done_callback(lambda _: self.wake())

    async def _work(self, track: Track, claim: Claim) -> None:
        try:
            await track.verb(self._shop, claim)
        except Exception:  # noqa: BLE001 (one task's bug must not stop the others)
            log.exception("verb_failed", verb=track.verb.__name__, task=claim.task.id)
            troubles = claim.task.troubles + 1
            wait = schedule.after_trouble(floor=CRASH_PAUSE, troubles=troubles, jitter=self._shop.jitter())
            with suppress(Exception):
                await self._shop.ledger.postponed(claim, due_at=self._shop.clock() + wait, troubles=troubles)

    def _waits_for_tokens(self, track: Track, agenda: Agenda) -> bool:
        due = any(agenda.due.get((track.lane.vendor, state)) for state in track.lane.states)
        return due and track.bucket.available(monotonic()) == 0


def _takes(lane: Lane, claim: Claim) -> bool:
    return claim.task.vendor == lane.vendor and claim.task.state in lane.states


def _by_lease(every: Sequence[Track]) -> list[tuple[float, list[Track]]]:
    leases = sorted({track.lease for track in every})
    return [(lease, [track for track in every if track.lease == lease]) for lease in leases]

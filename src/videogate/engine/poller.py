"""The loop: claim what is due, run the verb that its state asks for, within each vendor's bounds.

Every vendor has four lanes (send, settle, look, fetch), each with its own slots and gate, so that a vendor which hangs
or refuses fills its own lanes and nobody else's.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from math import ceil
from time import monotonic

from videogate.engine import deliver, poll, reconcile, schedule, send
from videogate.engine.gates import Gate, GateStanding, Shut, Went, slots
from videogate.engine.shop import Shop, log
from videogate.faultpoints import faultpoint
from videogate.store.claims import Agenda, Bound, Claim, Lane, Order
from videogate.task.state import TaskState
from videogate.vendorkit.contract import Vendor

TICK = 1.0  # seconds between looks at the agenda when nothing wakes the loop
REST = 0.05  # seconds from one look to the next, at least
IN_A_ROW = 4  # calls that are begun before others have a turn of the event loop: each takes half a millisecond
STEP = 5.0  # seconds that the wall clock goes back between two looks: somebody set it
USUAL_CALL = 0.2  # seconds that a vendor's answer takes: a wished rate needs so many calls at once
CRASH_PAUSE = 5.0  # seconds before a verb that failed on a bug of ours is tried again
CRASH_WORDS = "The gateway met an error of its own; it tries again."
DRAIN_OTHERS = 3.0  # seconds that polls and downloads get to finish; they are repeatable

Verb = Callable[[Shop, Claim], Awaitable[Went | None]]
# The verbs that call a vendor, by what the call is to it.
CALLS: Mapping[Verb, str] = {send.send: "submit", poll.observe: "poll", deliver.fetch: "result"}


class Track:
    """One lane with its slots, its gate and what runs in it. `jobs`: how many its account runs at once, if bounded."""

    def __init__(
        self, lane: Lane, verb: Verb, *, account: str, slots: int, rate: float, lease: float, jobs: int | None = None
    ) -> None:
        self.lane = lane
        self.verb = verb
        self.account = account
        self.lease = lease
        self.jobs = jobs
        self.bound = None if jobs is None else Bound(account, jobs)
        self.running: set[asyncio.Task[None]] = set()
        self.full = False  # whether the account runs all the jobs it may
        self._whole = slots
        self._slots = slots
        self.gate = Gate(rate)

    def share(self, workers: int) -> None:
        """Keep to one of so many equal shares of the slots and the rate."""
        self._slots = max(1, self._whole // workers)
        self.gate.share(workers)

    def due(self, agenda: Agenda) -> int:
        """How many tasks wait for this lane."""
        return sum(agenda.due.get((self.lane.vendor, state), 0) for state in self.lane.states)

    def room(self, agenda: Agenda, now: float) -> int:
        """How many tasks to claim now, as far as slots and gate go."""
        return min(self.due(agenda), self._slots - len(self.running), self.gate.available(now))

    def held_up(self) -> str | None:
        """Why tasks that are due must wait, in words for their callers."""
        if self.gate.shut is not None:
            return self.gate.shut.why
        return f"{self.lane.vendor} runs {self.jobs} jobs at once here; this one waits its turn." if self.full else None


def tracks(vendor: Vendor) -> list[Track]:
    """The lanes of one vendor, within its documented limits."""
    name, account, limits, config = vendor.name, vendor.account, vendor.limits, vendor.config
    submits = config.submits_per_second or limits.submits_per_second
    polls = config.polls_per_second or limits.polls_per_second

    def lane(*states: TaskState) -> Lane:
        return Lane(name, frozenset(states))

    return [
        Track(
            lane(TaskState.INTENT),
            send.send,
            account=account,
            slots=max(limits.submits_at_once, ceil(submits * USUAL_CALL)),
            rate=submits,
            lease=send.LEASE,
            jobs=slots(limits.jobs_at_once, config.max_jobs),
        ),
        Track(
            lane(TaskState.SUBMITTING), reconcile.settle, account=account, slots=8, rate=100.0, lease=reconcile.LEASE
        ),
        Track(
            lane(TaskState.SUBMITTED, TaskState.RUNNING),
            poll.observe,
            account=account,
            slots=max(limits.polls_at_once, ceil(polls * USUAL_CALL)),
            rate=polls,
            lease=poll.LEASE,
        ),
        Track(
            lane(TaskState.FETCHING),
            deliver.fetch,
            account=account,
            slots=limits.fetches_at_once,
            rate=100.0,
            lease=deliver.LEASE,
        ),
    ]


class Poller:
    """Runs until told to stop. One per process."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._tracks = [track for vendor in shop.vendors.values() for track in tracks(vendor)]
        self._woken = asyncio.Event()
        self._stopping = False
        self._next_sweep = 0.0  # monotonic
        self._ahead = shop.clock() - monotonic()  # of the wall clock

    def wake(self) -> None:
        """Look at the agenda now."""
        self._woken.set()

    def share(self, workers: int) -> None:
        """Keep to one of so many equal shares of what the vendors allow: other workers have the others."""
        for track in self._tracks:
            track.share(workers)

    def gates(self) -> list[GateStanding]:
        """How the gates before every vendor stand in this process."""
        now = monotonic()
        return [
            track.gate.standing(track.lane.vendor, CALLS[track.verb], now)
            for track in self._tracks
            if track.verb in CALLS
        ]

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
                # Whoever wakes the loop does so a thousand times a second under load: one look serves them all.
                await asyncio.sleep(min(wait, REST))
                with suppress(TimeoutError):
                    async with asyncio.timeout(max(0.0, wait - REST)):
                        await self._woken.wait()

    async def drain(self) -> None:
        """Let running sends finish, give the rest a moment, then hand every lease back."""
        faultpoint("draining")
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
        await self._mind_the_clock(now)
        agenda = await self._shop.ledger.agenda(now)
        if agenda.due and not self._stopping:
            await self._claim(agenda, now)
            if monotonic() >= self._next_sweep:
                self._next_sweep = monotonic() + TICK
                await self._sweep(agenda, now)
        soonest = TICK if agenda.next_at is None else agenda.next_at - self._shop.clock()
        shut = [track.gate.wait(monotonic()) for track in self._tracks if self._waits_for_gate(track, agenda)]
        return max(0.01, min(TICK, soonest, *shut))

    async def _mind_the_clock(self, now: float) -> None:
        """When the wall clock was set back, moments that it chose before are too far away."""
        ahead = now - monotonic()
        if ahead < self._ahead - STEP:
            tasks = await self._shop.ledger.clock_set_back(now)
            log.warning("clock_set_back", seconds=round(self._ahead - ahead, 1), tasks=tasks)
        self._ahead = ahead

    async def _claim(self, agenda: Agenda, now: float) -> None:
        for lease, group in _by_lease(self._tracks):
            began = monotonic()
            wanted = [(track, await self._room(track, agenda, began, now)) for track in group]
            orders = [Order(track.lane, room, track.bound) for track, room in wanted if room > 0]
            if not orders:
                continue
            claims = await self._shop.ledger.claim(orders, now=now, lease=lease)
            for number, claim in enumerate(claims, start=1):
                track = next(each for each in group if _takes(each.lane, claim))
                track.gate.take(began)
                self._start(track, claim, began)
                if not number % IN_A_ROW:
                    await asyncio.sleep(0)  # a caller's request gets its turn

    async def _room(self, track: Track, agenda: Agenda, began: float, now: float) -> int:
        """How many tasks a lane takes now. Jobs are counted only where there is a bound and something to send."""
        room = track.room(agenda, began)
        if track.jobs is None or room <= 0:
            return room
        free = track.jobs - await self._shop.ledger.jobs(track.account, now)
        track.full = free < room
        return min(room, free)

    async def _sweep(self, agenda: Agenda, now: float) -> None:
        """What is due and not sent: end it when its deadline has passed, else tell its caller why it waits."""
        if not any(state is TaskState.INTENT for _, state in agenda.due):
            return
        for claim in await self._shop.ledger.late(now=now, lease=send.LEASE):
            await send.too_late(self._shop, claim)
        for track in self._tracks:
            if track.verb is send.send and track.due(agenda) and (why := track.held_up()):
                await self._shop.ledger.explain(track.lane.vendor, why, now=now)

    def _start(self, track: Track, claim: Claim, began: float) -> None:
        name = f"{track.verb.__name__}-{claim.task.id}"
        work = asyncio.create_task(self._work(track, claim, began), name=name)
        track.running.add(work)
        work.add_done_callback(track.running.discard)
        work.add_done_callback(lambda _: self.wake())

    async def _work(self, track: Track, claim: Claim, began: float) -> None:
        went: Went | None = None
        try:
            went = await track.verb(self._shop, claim)
        except Exception:  # noqa: BLE001 (one task's bug must not stop the others)
            log.exception("verb_failed", verb=track.verb.__name__, task=claim.task.id)
            troubles = claim.task.troubles + 1
            wait = schedule.after_trouble(floor=CRASH_PAUSE, troubles=troubles, jitter=self._shop.jitter())
            with suppress(Exception):
                await self._shop.ledger.postponed(
                    claim, due_at=self._shop.clock() + wait, troubles=troubles, waiting=CRASH_WORDS
                )
        finally:
            self._heard(track, went, began)

    def _heard(self, track: Track, went: Went | None, began: float) -> None:
        """Let the gate know how a call went, and log what it makes of that."""
        before, now = track.gate.shut, monotonic()
        track.gate.ended(went, began=began, now=now, jitter=self._shop.jitter())
        after = track.gate.shut
        if after is not None and after is not before:
            until = self._shop.clock() + after.until - now
            _tell_gate("gate_closed", track, after, seconds=round(after.until - now, 1), until=round(until, 1))
        elif before is not None and after is None:
            _tell_gate("gate_open", track, before, seconds=round(now - before.since, 1))

    def _waits_for_gate(self, track: Track, agenda: Agenda) -> bool:
        return track.due(agenda) > 0 and track.gate.available(monotonic()) == 0


def _tell_gate(event: str, track: Track, shut: Shut, **facts: object) -> None:
    log.warning(
        event,
        vendor=track.lane.vendor,
        account=track.account,
        verb=track.verb.__name__,
        cause=shut.how.name.lower(),
        why=shut.why,
        times=shut.times,
        **facts,
    )


def _takes(lane: Lane, claim: Claim) -> bool:
    return claim.task.vendor == lane.vendor and claim.task.state in lane.states


def _by_lease(every: Sequence[Track]) -> list[tuple[float, list[Track]]]:
    leases = sorted({track.lease for track in every})
    return [(lease, [track for track in every if track.lease == lease]) for lease in leases]

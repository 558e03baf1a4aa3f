"""The state of one simulator: jobs in time, rates, faults, films, the ledger."""

import asyncio
import heapq
import random
import secrets
import time
from collections import Counter
from collections.abc import Collection, Coroutine
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

from videogate.simulator.faults import Fault, Faults
from videogate.simulator.films import Films
from videogate.simulator.ledger import Ledger
from videogate.simulator.options import Options


class Stage(StrEnum):
    """Where a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    MODERATED = "moderated"
    CANCELLED = "cancelled"


_ENDINGS = {"moderate": Stage.MODERATED, "fail": Stage.FAILED}


@dataclass
class Job:
    """One job: `seconds` and the size are the film's; it is `created`, `begins`, `ends` at times since the epoch.

    `token` names its result in links. `details` is what its vendor alone needs to know. `looks`: how often it was asked
    for by its id.
    """

    vendor: str
    id: str
    model: str
    prompt: str
    width: int
    height: int
    seconds: float
    created: float
    begins: float
    ends: float
    token: str
    ends_as: Stage = Stage.DONE
    looks: int = 0
    details: dict[str, Any] = field(default_factory=dict)

    def stage(self, now: float | None = None) -> tuple[Stage, float]:
        """Where it is, and how far its running has come (0 to 1): a function of the time alone."""
        now = time.time() if now is None else now
        if now >= self.ends:
            return self.ends_as, 1.0
        if now < self.begins:
            return Stage.QUEUED, 0.0
        return Stage.RUNNING, (now - self.begins) / (self.ends - self.begins)

    def end_now(self, stage: Stage) -> None:
        """Cut it short."""
        now = time.time()
        self.begins, self.ends, self.ends_as = min(self.begins, now), now, stage

    def looked_at(self, fault: Fault | None) -> None:
        """A poll finds it."""
        self.looks += 1
        self.suffer(fault)

    def suffer(self, fault: Fault | None) -> None:
        """What a fault makes of it: at a poll at once, at submit in its own time."""
        if fault is not None and fault.mode == "wait":
            self.begins, self.ends = self.begins + fault.delay, self.ends + fault.delay
        if fault is not None and fault.mode in _ENDINGS:
            self.ends_as = _ENDINGS[fault.mode]
            if fault.op == "poll":
                self.end_now(self.ends_as)


class World:
    """Everything that the vendors of one simulator share. `vendors`: their names."""

    def __init__(self, options: Options, vendors: Collection[str]) -> None:
        self.options = options
        self.faults = Faults(vendors)
        self.films = Films()
        self.ledger = Ledger(options.ledger)
        self.calls: Counter[str] = Counter()
        self.closing = asyncio.Event()
        self._random: random.Random = secrets.SystemRandom()
        if options.seed is not None:
            self._random = random.Random(options.seed)  # noqa: S311 (the same ids in every run, on demand)
        self._jobs: dict[tuple[str, str], Job] = {}
        self._tokens: dict[str, Job] = {}
        self._buckets: dict[str, tuple[float, float]] = {}
        self._slots: dict[str, list[float]] = {}
        self._later: set[asyncio.Task[None]] = set()

    def hex(self, size: int) -> str:
        """`size` random bytes in hexadecimal."""
        return self._random.randbytes(size).hex()

    def uuid(self) -> str:
        """A random UUID."""
        return str(UUID(bytes=self._random.randbytes(16), version=4))

    def when(self, slots: str, at_once: int | None = None) -> tuple[float, float, float] | None:
        """When a job that comes now is created, begins and ends, if `slots` runs `at_once` jobs (None: any number).

        None if it would have to wait and must not.
        """
        now = time.time()
        begins = now + self.options.queue_seconds
        if at_once is None or not self.options.rate_limits:
            return now, begins, begins + self.options.render_seconds
        busy = self._slots.setdefault(slots, [])
        if len(busy) == at_once:
            if self.options.crowded == "refuse" and busy[0] > now:
                return None
            begins = max(begins, heapq.heappop(busy))
        ends = begins + self.options.render_seconds
        heapq.heappush(busy, ends)
        return now, begins, ends

    async def accept(self, job: Job, **witnessed: Any) -> None:
        """Take a job on. When this returns, the ledger has it on disk, with what was `witnessed` of the request."""
        size = f"{job.width}x{job.height}"
        line = {"vendor": job.vendor, "id": job.id, "at": job.created, "model": job.model, "prompt": job.prompt}
        await self.ledger.append({**line, "size": size, "seconds": job.seconds, **witnessed})
        self._forget()
        self._jobs[job.vendor, job.id] = job
        self._tokens[job.token] = job

    async def cancel(self, job: Job) -> None:
        """Take a job off before it runs. When this returns, the ledger has it on disk that nobody pays for it."""
        job.end_now(Stage.CANCELLED)
        await self.ledger.cancel(job.vendor, job.id)

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that no call waits for."""
        task = asyncio.create_task(work)
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    def find(self, vendor: str, job_id: str) -> Job | None:
        """A job that is still remembered."""
        job = self._jobs.get((vendor, job_id))
        return job if job and self._remembered(job) else None

    def of(self, vendor: str) -> list[Job]:
        """A vendor's remembered jobs, oldest first."""
        return [job for job in self._jobs.values() if job.vendor == vendor and self._remembered(job)]

    def looks(self) -> list[dict[str, Any]]:
        """How often each remembered job was looked at, the oldest first."""
        jobs = [job for job in self._jobs.values() if self._remembered(job)]
        return [{"vendor": job.vendor, "id": job.id, "looks": job.looks} for job in jobs]

    def behind(self, token: str) -> Job | None:
        """The finished job whose result a link opens, while the link lives."""
        job = self._tokens.get(token)
        now = time.time()
        return job if job and job.stage(now)[0] is Stage.DONE and now < self.dies(job) else None

    def dies(self, job: Job) -> float:
        """When a job's result can no longer be fetched."""
        return job.ends + self.options.link_seconds

    def allow(self, name: str, rate: float) -> bool:
        """Whether a call passes the rate limit `name` of `rate` calls a second."""
        if not self.options.rate_limits:
            return True
        now = time.monotonic()
        tokens, at = self._buckets.get(name, (rate, now))
        tokens = min(rate, tokens + (now - at) * rate)
        allowed = tokens >= 1
        self._buckets[name] = (tokens - 1 if allowed else tokens, now)
        return allowed

    def _remembered(self, job: Job) -> bool:
        return time.time() - job.created < self.options.record_seconds

    def _forget(self) -> None:
        while self._jobs:
            key, job = next(iter(self._jobs.items()))
            if self._remembered(job):
                return
            del self._jobs[key], self._tokens[job.token]

"""Watch: wait for a task to move, without asking the database once for every one who waits."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from itertools import pairwise
from time import monotonic

from videogate.engine.shop import log
from videogate.store.events import Event, EventStore
from videogate.store.tasks import TaskStore
from videogate.task.model import Task
from videogate.task.state import ENDED, PHASES, TaskState

TICK = 0.2  # seconds between looks at the log while somebody waits


@dataclass(eq=False, slots=True)
class _Waiter:
    task_id: str
    after: int
    moved: asyncio.Future[bool]

    def tell(self, *, moved: bool) -> None:
        if not self.moved.done():
            self.moved.set_result(moved)


class Watch:
    """One look at the log of moves serves everybody who waits; while nobody does, there is none."""

    def __init__(self, tasks: TaskStore, events: EventStore) -> None:
        self._tasks = tasks
        self._events = events
        self._waiters: set[_Waiter] = set()
        self._looking: asyncio.Task[None] | None = None
        self._stopped = False

    def stop(self) -> None:
        """Let everybody go: the process ends."""
        self._stopped = True
        for waiter in self._waiters:
            waiter.tell(moved=False)

    async def changed(self, task: Task, seconds: float) -> Task | None:
        """The task as soon as its phase is another one or it has ended, or as it is after so many seconds.

        None if it was deleted meanwhile.
        """
        until = monotonic() + seconds
        while True:
            newest = (await self._events.newest({task.id})).get(task.id, 0)
            now = await self._tasks.get(task.owner, task.id)
            if now is None or now.state in ENDED or PHASES[now.state] is not PHASES[task.state]:
                return now
            left = until - monotonic()
            if left <= 0 or self._stopped:
                return now
            await self._moved(task.id, newest, left)

    async def phases(self, owner: str, task_id: str, after: int, beat: float) -> AsyncIterator[tuple[int, Task] | None]:
        """A task at each change of its phase, with the id of that event, from the first one later than `after` on.

        None whenever nothing happened for `beat` seconds. Ends with the task, and when that is deleted.
        """
        while not self._stopped:
            events = await self._events.of(task_id)
            task = await self._tasks.get(owner, task_id)
            if task is None:
                return
            for event in changes(events):
                if event.id > after:
                    yield event.id, as_it_was(task, event.state)
            if events[-1].state in ENDED:
                return
            after = max(after, events[-1].id)
            if not await self._moved(task_id, after, beat):
                yield None

    async def _moved(self, task_id: str, after: int, seconds: float) -> bool:
        """Wait until the log has a later event of the task, at most `seconds`. Whether it has."""
        if self._stopped:
            return False
        waiter = _Waiter(task_id, after, asyncio.get_running_loop().create_future())
        self._waiters.add(waiter)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), name="watch")
        try:
            async with asyncio.timeout(seconds):
                return await waiter.moved
        except TimeoutError:
            return False
        finally:
            self._waiters.discard(waiter)

    async def _look(self) -> None:
        while self._waiters:
            try:
                newest = await self._events.newest({waiter.task_id for waiter in self._waiters})
            except Exception:  # noqa: BLE001 (who waits outlives a database that is away)
                log.exception("watch_failed")
                newest = {}
            for waiter in self._waiters:
                if newest.get(waiter.task_id, 0) > waiter.after:
                    waiter.tell(moved=True)
            await asyncio.sleep(TICK)


def as_it_was(task: Task, state: TaskState) -> Task:
    """A task as it came to a state that it may have left: without what came with its next phase."""
    if PHASES[state] is PHASES[task.state]:
        return replace(task, state=state)
    return replace(task, state=state, progress=0, expires_at=None, failure=None)


def changes(events: list[Event]) -> list[Event]:
    """The events at which the phase is another one than before: the first, and what callers see as a change."""
    return events[:1] + [after for before, after in pairwise(events) if PHASES[before.state] is not PHASES[after.state]]

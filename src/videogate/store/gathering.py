"""What is asked at the same moment is taken together: one trip to a server is enough for many callers.

Nobody waits for company. The first to ask is served at once, with those whose requests came in the same turn of the
event loop; who asks meanwhile is served next. So a lone caller has the shortest way, and the busier it is the less each
caller costs.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Generic, TypeVar

from videogate.store.database import DatabaseAway

PATIENCE = 1.0  # seconds; what takes longer holds up nobody who asks after that
ROUNDS = 3  # at the same time, when they take that long

A = TypeVar("A")


class _Asked(Generic[A]):
    """One thing asked, and where its caller waits for the answer."""

    __slots__ = ("answer", "what")

    def __init__(self, what: A) -> None:
        self.what = what
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def tell(self, outcome: Any) -> None:
        """Wake the caller with a result, or with an exception to raise."""
        if self.answer.done():
            return
        if isinstance(outcome, BaseException):
            self.answer.set_exception(outcome)
        else:
            self.answer.set_result(outcome)


class Gathering(Generic[A]):
    """Those who ask for the same kind of thing, all of them in one event loop.

    Args:
        pool: where they are served: in one thread of it, unless one takes too long.
        serve: what each of these gets, in order: a result or an exception. It may raise what all of them get.
        most: how many are served together.
        writes: whether what was begun may be done although its caller was told nothing.
    """

    def __init__(
        self, pool: ThreadPoolExecutor, serve: Callable[[list[A]], Sequence[Any]], *, most: int, writes: bool = False
    ) -> None:
        self._pool = pool
        self._serve = serve
        self._most = most
        self._writes = writes
        self._waiting: deque[_Asked[A]] = deque()
        self._rounds = 0
        self._began = 0.0  # the newest of them
        self._idle = asyncio.Event()
        self._idle.set()

    async def ask(self, what: A, seconds: float) -> Any:
        """What `serve` has for it. Raises DatabaseAway after so many seconds; who does not wait changes nothing."""
        loop = asyncio.get_running_loop()
        asked = _Asked(what)
        self._waiting.append(asked)
        if not self._rounds or (self._rounds < ROUNDS and loop.time() - self._began > PATIENCE):
            self._rounds += 1
            self._next(loop)
        late = loop.call_later(seconds, self._late, asked)
        try:
            return await asked.answer
        finally:
            late.cancel()

    async def idle(self) -> None:
        """Return when everybody is served."""
        await self._idle.wait()

    def end(self) -> None:
        """Tell those whose turn has not come that it will not."""
        while self._waiting:
            self._waiting.popleft().tell(DatabaseAway())

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        self._idle.clear()
        self._began = loop.time()
        loop.call_soon(self._go, loop)  # not at once: others may be about to ask

    def _go(self, loop: asyncio.AbstractEventLoop) -> None:
        taken = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
        running: Future[Sequence[Any]] = Future()
        try:
            running = self._pool.submit(self._serve, [asked.what for asked in taken])
        except RuntimeError as error:  # the pool takes nothing any more
            running.set_exception(error)

        def served(done: Future[Sequence[Any]]) -> None:
            with suppress(RuntimeError):  # of a loop that was closed meanwhile: nobody waits there any more
                loop.call_soon_threadsafe(self._served, loop, taken, done)

        running.add_done_callback(served)

    def _served(self, loop: asyncio.AbstractEventLoop, taken: list[_Asked[A]], done: Future[Sequence[Any]]) -> None:
        failure = DatabaseAway() if done.cancelled() else done.exception()
        outcomes = done.result() if failure is None else [failure] * len(taken)
        for asked, outcome in zip(taken, outcomes, strict=True):
            asked.tell(outcome)
        if self._waiting:
            self._next(loop)
            return
        self._rounds -= 1
        if not self._rounds:
            self._idle.set()

    def _late(self, asked: _Asked[A]) -> None:
        begun = asked not in self._waiting
        if not begun:
            self._waiting.remove(asked)
        asked.tell(DatabaseAway(maybe_done=self._writes and begun))

"""What the poller's and the list's questions cost in a database file, without the gateway around them.

The stores' own methods are called on one connection, in a transaction that is undone: no thread is waited for and
nothing is flushed to disk, so that what is measured is the search for rows, its compilation and its result.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from calls import PAGE
from sqlalchemy import Connection, Select, select, update

from videogate.store.claims import Lane, Order
from videogate.store.database import Database, Work
from videogate.store.ledger import Ledger
from videogate.store.rows import Row, micros
from videogate.store.sqlite import sqlite_engine
from videogate.store.tables import task
from videogate.store.tasks import TaskStore
from videogate.task.state import TaskState

T = TypeVar("T")
TIMES = 300  # that each is asked
FLYING, DUE = 1_000, 20  # tasks that wait for a look, and how many of them are due
LOOKED_AT = frozenset({TaskState.SUBMITTED, TaskState.RUNNING})
LEASE = 30.0  # seconds


class InPlace:
    """As much of a database as the stores need here: work is done at once, on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def read(self, work: Work[T]) -> T:
        return work(self._connection)

    async def write(self, work: Work[T]) -> T:
        return work(self._connection)

    async def one(self, query: Select[Any], **parameters: Any) -> Row | None:
        return self._connection.execute(query, parameters).mappings().one_or_none()

    async def some(self, query: Select[Any], **parameters: Any) -> Sequence[Row]:
        return self._connection.execute(query, parameters).mappings().all()


def costs(path: Path, ids: Sequence[str], deep: str) -> dict[str, float]:
    """Mean microseconds of each question.

    `ids` are ended tasks; some of them are taken for tasks in flight. `deep` is a task far down the list.
    """
    engine = sqlite_engine(path)
    try:
        with engine.connect() as connection, connection.begin() as undone:
            found = asyncio.run(_ask(connection, ids, deep))
            undone.rollback()
    finally:
        engine.dispose()
    return found


async def _ask(connection: Connection, ids: Sequence[str], deep: str) -> dict[str, float]:
    database = cast("Database", InPlace(connection))
    ledger, tasks, now = Ledger(database, "bench"), TaskStore(database), time.time()
    ((vendor, owner),) = connection.execute(select(task.c.vendor, task.c.owner).where(task.c.id == deep)).all()
    for flying, due_at in ((ids[:DUE], now - 1), (ids[DUE:FLYING], now + 60)):
        change = update(task).where(task.c.id.in_(flying))
        connection.execute(change.values(state=TaskState.RUNNING, due_at=micros(due_at), lease_until=0))
    order = Order(Lane(vendor, LOOKED_AT), 1)

    def page(after: str | None) -> Awaitable[object]:
        return tasks.page(owner, after=after, limit=PAGE, newest_first=True)

    return {
        "what is due, µs": await _mean(connection, lambda: ledger.agenda(now)),
        "a claim, µs": await _mean(connection, lambda: ledger.claim([order], now=now, lease=LEASE)),
        "first page, µs": await _mean(connection, lambda: page(None)),
        "deep page, µs": await _mean(connection, lambda: page(deep)),
    }


async def _mean(connection: Connection, ask: Callable[[], Awaitable[object]]) -> float:
    """Ask many times, each time of the same rows; the first answer, which warms up, is not counted."""
    took = 0.0
    for number in range(TIMES + 1):
        connection.exec_driver_sql("SAVEPOINT bench")
        began = time.perf_counter()
        answer = await ask()
        took += (time.perf_counter() - began) if number else 0.0
        assert answer, "nothing was found"
        connection.exec_driver_sql("ROLLBACK TO bench")
        connection.exec_driver_sql("RELEASE bench")
    return 1e6 * took / TIMES

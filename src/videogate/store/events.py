"""The log of what became of tasks: one row for every move of a task's state, written by the database itself.

A trigger writes it, in the transaction of the move, so that no path can forget it and none can write what did not
happen. Whoever waits for a change, streams changes or tells a webhook reads this log.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from videogate.store.database import Database
from videogate.store.rows import seconds
from videogate.store.tables import event, task
from videogate.task.state import TaskState


@dataclass(frozen=True, slots=True)
class Event:
    """A move: `id` grows with time, `at` is seconds since the epoch."""

    id: int
    task_id: str
    state: TaskState
    at: float


class EventStore:
    """Reads the log."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, task_id: str, after: int = 0) -> list[Event]:
        """A task's moves after an event, the oldest first."""
        query = select(event).where(event.c.task_id == task_id, event.c.id > after).order_by(event.c.id)
        return await self._database.read(
            lambda connection: [
                Event(row["id"], row["task_id"], TaskState(row["state"]), seconds(row["at"]))
                for row in connection.execute(query).mappings()
            ]
        )

    async def took(self, most: int) -> list[tuple[str, str, float]]:
        """Vendor, model and seconds from acceptance to completion of the last completed tasks, the oldest first."""
        query = (
            select(task.c.vendor, task.c.vendor_model, task.c.started_at, task.c.completed_at)
            .join(event, event.c.task_id == task.c.id)
            .where(event.c.state == TaskState.SUCCEEDED, task.c.started_at.is_not(None))
            .order_by(event.c.id.desc())
            .limit(most)
        )
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return [(vendor, model, seconds(ended - began)) for vendor, model, began, ended in reversed(rows)]

    async def newest(self, task_ids: Collection[str]) -> Mapping[str, int]:
        """The id of the last event of each of these tasks."""
        query = (
            select(event.c.task_id, func.max(event.c.id).label("newest"))
            .where(event.c.task_id.in_(task_ids))
            .group_by(event.c.task_id)
        )

        def work(connection: Connection) -> Mapping[str, int]:
            return {row.task_id: row.newest for row in connection.execute(query)}

        return await self._database.read(work)

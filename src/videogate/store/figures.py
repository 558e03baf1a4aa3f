"""What is open just now, counted for whoever watches. Reads rows of open tasks only, however many have ended."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from videogate.store.database import Database
from videogate.store.rows import among, seconds
from videogate.store.tables import attempt, task
from videogate.task.state import LIVE, UNSETTLED, AttemptState, TaskState


@dataclass(frozen=True, slots=True)
class Standing:
    """Numbers by vendor. `due_at` is that of the task which waits longest, seconds since the epoch."""

    tasks: Mapping[tuple[str, TaskState], int]
    due_at: Mapping[str, float]
    attempts: Mapping[tuple[str, AttemptState], int]


class FigureStore:
    """Counts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def standing(self) -> Standing:
        """Tasks that have not ended, and attempts whose outcome is not known or waits for a person."""
        return await self._database.read(_standing)


def _standing(connection: Connection) -> Standing:
    open_tasks = connection.execute(
        select(task.c.vendor, task.c.state, func.count(), func.min(task.c.due_at))
        .where(among(task.c.state, LIVE))
        .group_by(task.c.vendor, task.c.state)
    ).all()
    unsettled = connection.execute(
        select(task.c.vendor, attempt.c.state, func.count())
        .join(task, task.c.id == attempt.c.task_id)
        .where(among(attempt.c.state, UNSETTLED))
        .group_by(task.c.vendor, attempt.c.state)
    ).all()
    due_at: dict[str, float] = {}
    for vendor, _, _, earliest in open_tasks:
        due_at[vendor] = min(due_at.get(vendor, seconds(earliest)), seconds(earliest))
    return Standing(
        tasks={(vendor, TaskState(state)): count for vendor, state, count, _ in open_tasks},
        due_at=due_at,
        attempts={(vendor, AttemptState(state)): count for vendor, state, count in unsettled},
    )

"""Claims: which tasks are due, and taking them. A claim is a lease; every one raises the task's fence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, and_, func, select, update

from videogate.store.rows import among, micros, seconds, to_attempt, to_task
from videogate.store.tables import attempt, task
from videogate.task.model import Artifact, Attempt, Task
from videogate.task.state import LIVE, TaskState

OPEN = among(task.c.state, LIVE)  # in the words of the index of what is due
_SHARE = 100  # late tasks in one round


@dataclass(frozen=True, slots=True)
class Lane:
    """Work of one kind for one vendor: which states it claims."""

    vendor: str
    states: frozenset[TaskState]


@dataclass(frozen=True, slots=True)
class Claim:
    """A task that is ours until the lease ends, with the newest line of its ledger."""

    task: Task
    attempt: Attempt
    sent_at: float | None
    artifact: Artifact | None

    @property
    def fence(self) -> int:
        return self.task.fence


@dataclass(frozen=True, slots=True)
class Agenda:
    """What is due now, by vendor and state, and when the next task will be (None: nothing is waiting)."""

    due: Mapping[tuple[str, TaskState], int]
    next_at: float | None


def agenda(connection: Connection, now: int) -> Agenda:
    """What there is to do."""
    ready = and_(OPEN, task.c.due_at <= now, task.c.lease_until <= now)
    counts = connection.execute(
        select(task.c.vendor, task.c.state, func.count()).where(ready).group_by(task.c.vendor, task.c.state)
    )
    due = {(vendor, TaskState(state)): count for vendor, state, count in counts}
    later = connection.execute(select(func.min(task.c.due_at)).where(OPEN, task.c.due_at > now)).scalar()
    return Agenda(due, None if later is None else seconds(later))


def claim(connection: Connection, lane: Lane, limit: int, worker: str, now: int, until: int) -> list[Claim]:
    """Take due tasks of a lane, most overdue first."""
    chosen = (
        select(task.c.id)
        .where(
            task.c.vendor == lane.vendor,
            OPEN,
            task.c.state.in_(sorted(lane.states)),
            task.c.due_at <= now,
            task.c.lease_until <= now,
        )
        .order_by(task.c.due_at)
        .limit(limit)
    )
    return take(connection, chosen, worker, until)


def take(connection: Connection, chosen: Select[tuple[str]], worker: str, until: int) -> list[Claim]:
    """Take the chosen tasks."""
    rows = connection.execute(
        update(task)
        .where(task.c.id.in_(chosen.with_for_update(skip_locked=True).scalar_subquery()))
        .values(lease_by=worker, lease_until=until, due_at=until, fence=task.c.fence + 1)
        .returning(*task.c)
    ).mappings()
    return [_with_attempt(connection, row) for row in rows.all()]


def late(now: int) -> Select[tuple[str]]:
    """Tasks that were never sent and whose deadline has passed, whatever their vendor; a share of them."""
    return (
        select(task.c.id)
        .where(OPEN, task.c.due_at <= now, task.c.lease_until <= now)
        .where(task.c.state == TaskState.INTENT, task.c.deadline_at <= now)
        .order_by(task.c.deadline_at)
        .limit(_SHARE)
    )


def unserved(connection: Connection, served: Sequence[str], waiting: str) -> Mapping[str, int]:
    """Tell who waits for a vendor that is not served, and nobody else any more. How many wait, by vendor."""
    others = and_(OPEN, task.c.vendor.not_in(served))
    back = and_(OPEN, task.c.vendor.in_(served), task.c.waiting == waiting)
    connection.execute(update(task).where(back).values(waiting=None))
    connection.execute(update(task).where(others).values(waiting=waiting))
    counts = connection.execute(select(task.c.vendor, func.count()).where(others).group_by(task.c.vendor))
    return {vendor: count for vendor, count in counts}  # noqa: C416 (rows are no pairs to the type checker)


def _with_attempt(connection: Connection, row: RowMapping) -> Claim:
    newest = select(attempt).where(attempt.c.task_id == row["id"]).order_by(attempt.c.number.desc()).limit(1)
    line = connection.execute(newest).mappings().one()
    sent_at = None if line["sent_at"] is None else seconds(line["sent_at"])
    artifact = Artifact(row["artifact"]) if row["artifact"] else None
    return Claim(to_task(row), to_attempt(line), sent_at, artifact)


def void(connection: Connection, held: ColumnElement[bool], now: float) -> int:
    """Void leases. How many there were."""
    values = {"fence": task.c.fence + 1, **free(now)}
    return connection.execute(update(task).where(OPEN, held).values(values)).rowcount


def free(due_at: float) -> dict[str, Any]:
    """Give a lease back."""
    return {"lease_by": None, "lease_until": 0, "due_at": micros(due_at)}

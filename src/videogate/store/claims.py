"""Claims: which tasks are due, and taking them. A claim is a lease; every one raises the task's fence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    RowMapping,
    Select,
    and_,
    bindparam,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from videogate.store.database import one_at_a_time
from videogate.store.rows import among, maybe_seconds, micros, seconds, to_attempt, to_task
from videogate.store.tables import attempt, task
from videogate.task.model import Artifact, Attempt, Task
from videogate.task.state import LIVE, UNSETTLED, AttemptState, TaskState

OPEN = among(task.c.state, LIVE)  # in the words of the index of what is due
_SHARE = 100  # late tasks in one round


@dataclass(frozen=True, slots=True)
class Lane:
    """Work of one kind for one vendor: which states it claims."""

    vendor: str
    states: frozenset[TaskState]


@dataclass(frozen=True, slots=True)
class Bound:
    """How many jobs an account may have to run at once, whoever claims them."""

    account: str
    jobs: int


@dataclass(frozen=True, slots=True)
class Order:
    """A wish for tasks of a lane: at most so many, and fewer where that is more jobs than its account may run."""

    lane: Lane
    most: int
    bound: Bound | None = None


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


# Built once: to build a statement takes several times as long as to run it.
_NOW = bindparam("now", type_=BigInteger)
_DUE = and_(OPEN, task.c.due_at <= _NOW, task.c.lease_until <= _NOW)
_COUNTS = select(task.c.vendor, task.c.state, func.count()).where(_DUE).group_by(task.c.vendor, task.c.state)
_NEXT_AT = select(func.min(task.c.due_at)).where(OPEN, task.c.due_at > _NOW)
_LATE = (
    select(task.c.id)
    .where(_DUE, task.c.state == TaskState.INTENT, task.c.deadline_at <= _NOW)
    .order_by(task.c.deadline_at)
    .limit(_SHARE)
)
_LATER = attempt.alias("later")
_NEWEST = select(attempt).where(
    attempt.c.task_id.in_(bindparam("ids", expanding=True)),
    ~select(_LATER.c.id).where(_LATER.c.task_id == attempt.c.task_id, _LATER.c.number > attempt.c.number).exists(),
)


def _taking(chosen: Select[tuple[str]]) -> ReturningUpdate[Any]:
    """Take the chosen tasks, but for those that somebody else is taking."""
    # Apart from the update, so that the choice is made once, whatever plan the database finds.
    once = chosen.with_for_update(skip_locked=True).cte("chosen").prefix_with("MATERIALIZED", dialect="postgresql")
    until = bindparam("until", type_=BigInteger)
    return (
        update(task)
        .where(task.c.id.in_(select(once.c.id)))
        .values(lease_by=bindparam("by"), lease_until=until, due_at=until, fence=task.c.fence + 1)
        .returning(*task.c)
    )


@cache
def _taking_due(states: frozenset[TaskState]) -> ReturningUpdate[Any]:
    """Take due tasks of a lane, most overdue first."""
    return _taking(
        select(task.c.id)
        .where(task.c.vendor == bindparam("lane"), task.c.state.in_(sorted(states)), _DUE)
        .order_by(task.c.due_at)
        .limit(bindparam("most", type_=Integer))
    )


_TAKING_LATE = _taking(_LATE)


def agenda(connection: Connection, now: int) -> Agenda:
    """What there is to do."""
    counts = connection.execute(_COUNTS, {"now": now})
    due = {(vendor, TaskState(state)): count for vendor, state, count in counts}
    later = connection.execute(_NEXT_AT, {"now": now}).scalar()
    return Agenda(due, None if later is None else seconds(later))


def claim(connection: Connection, wanted: Sequence[Order], worker: str, now: int, until: int) -> list[Claim]:
    """Take due tasks, as many of each lane as its order says, most overdue first."""
    return _with_attempts(connection, [row for order in wanted for row in _fill(connection, order, worker, now, until)])


def _fill(connection: Connection, order: Order, worker: str, now: int, until: int) -> Sequence[RowMapping]:
    limit = order.most
    if order.bound is not None:
        one_at_a_time(connection, f"jobs {order.bound.account}")
        limit = min(limit, order.bound.jobs - jobs(connection, order.bound.account, now))
    if limit <= 0:
        return ()
    values = {"lane": order.lane.vendor, "now": now, "most": limit, "by": worker, "until": until}
    return connection.execute(_taking_due(order.lane.states), values).mappings().all()


def jobs(connection: Connection, account: str, now: int) -> int:
    """How many jobs an account has to run: sent, about to be, or perhaps sent, and not known to have ended."""
    sent = task.c.state.in_([TaskState.SUBMITTING, TaskState.SUBMITTED, TaskState.RUNNING])
    claimed = and_(task.c.state == TaskState.INTENT, task.c.lease_until > now)
    query = select(func.count()).where(OPEN, task.c.account == account, or_(sent, claimed))
    return connection.execute(query).scalar_one()


def late(connection: Connection, now: int) -> bool:
    """Whether there are tasks that were never sent and whose deadline has passed, whatever their vendor."""
    return bool(connection.execute(_LATE, {"now": now}).scalars().all())


def take_late(connection: Connection, worker: str, now: int, until: int) -> list[Claim]:
    """Take a share of them."""
    taken = connection.execute(_TAKING_LATE, {"now": now, "by": worker, "until": until})
    return _with_attempts(connection, taken.mappings().all())


def unserved(connection: Connection, served: Sequence[str], waiting: str) -> Mapping[str, int]:
    """Tell who waits for a vendor that is not served, and nobody else any more. How many wait, by vendor."""
    others = and_(OPEN, task.c.vendor.not_in(served))
    back = and_(OPEN, task.c.vendor.in_(served), task.c.waiting == waiting)
    connection.execute(update(task).where(back).values(waiting=None))
    connection.execute(update(task).where(others).values(waiting=waiting))
    counts = connection.execute(select(task.c.vendor, func.count()).where(others).group_by(task.c.vendor))
    return {vendor: count for vendor, count in counts}  # noqa: C416 (rows are no pairs to the type checker)


def _with_attempts(connection: Connection, rows: Sequence[RowMapping]) -> list[Claim]:
    if not rows:
        return []
    lines = connection.execute(_NEWEST, {"ids": [row["id"] for row in rows]}).mappings()
    by_task = {line["task_id"]: line for line in lines}
    return [_claim(row, by_task[row["id"]]) for row in rows]


def _claim(row: RowMapping, line: RowMapping) -> Claim:
    artifact = Artifact(row["artifact"]) if row["artifact"] else None
    return Claim(to_task(row), to_attempt(line), maybe_seconds(line["sent_at"]), artifact)


def void(connection: Connection, held: ColumnElement[bool], now: float) -> int:
    """Void leases. How many there were."""
    values = {"fence": task.c.fence + 1, **free(now)}
    return connection.execute(update(task).where(OPEN, held).values(values)).rowcount


def begin_anew(connection: Connection, held: ColumnElement[bool], now: float) -> int:
    """Void leases and begin every search, since whoever ran is gone. How many leases there were."""
    lost = update(attempt).where(among(attempt.c.state, UNSETTLED), attempt.c.state == AttemptState.UNKNOWN)
    connection.execute(lost.values(look_at=micros(now)))
    return void(connection, held, now)


def free(due_at: float) -> dict[str, Any]:
    """Give a lease back."""
    return {"lease_by": None, "lease_until": 0, "due_at": micros(due_at)}

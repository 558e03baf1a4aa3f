"""Submits whose outcome is not known: what to look for, when, and how each of them ends.

These moves take no claim of a task: evidence counts whoever brings it, and each move is one compare-and-set on the
attempt's own state.
"""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, and_, func, select, update

from videogate.store.database import Database
from videogate.store.ledger import ended, settle
from videogate.store.rows import among, micros, seconds, to_fitted
from videogate.store.tables import attempt, task, task_request
from videogate.task.errors import Failure
from videogate.task.state import UNSETTLED, AttemptState, TaskState

# One that seemed never to have arrived stays looked for: its sender may have been paused, and have sent it since.
_LOOKED_FOR = (AttemptState.UNKNOWN, AttemptState.NEEDS_REVIEW, AttemptState.NOT_CREATED)
_SHARE = 50  # attempts in one round


@dataclass(frozen=True, slots=True)
class LostSubmit:
    """An attempt that may have been paid for, with what its vendor was asked. Times are since the epoch.

    `remix_of` is the vendor's job of the video that it is a remix of; empty if it is none.
    """

    attempt_id: int
    task_id: str
    request_id: str
    vendor: str
    account: str
    client_ref: str
    state: AttemptState
    model: str
    way: str
    prompt: str
    fingerprint: str | None
    sent_at: float
    looks: int
    evidence: str
    remix_of: str = ""


class LostStore:
    """The searching side of the ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def due(self, vendor: str, *, now: float, lease: float) -> list[LostSubmit]:
        """Take what is to be looked for now; nobody else gets it for `lease` seconds."""
        return await self._database.write(lambda connection: _due(connection, vendor, micros(now), micros(now + lease)))

    async def next_at(self, vendor: str) -> float | None:
        """When there is something to look for next."""
        query = select(func.min(attempt.c.look_at)).select_from(_ATTEMPTS).where(_searched(vendor))
        found = await self._database.read(lambda connection: connection.execute(query).scalar())
        return None if found is None else seconds(found)

    async def like(self, lost: LostSubmit) -> list[LostSubmit]:
        """Every open attempt at the same model with the same prompt, this one and those on the way included."""
        query = _select().where(
            attempt.c.account == lost.account,
            among(attempt.c.state, UNSETTLED),
            task.c.vendor_model == lost.model,
            task.c.prompt == lost.prompt,
        )
        return await self._database.read(lambda connection: _all(connection, query))

    async def under_review(self) -> list[LostSubmit]:
        """What waits for a person."""
        query = (
            _select()
            .where(among(attempt.c.state, UNSETTLED), attempt.c.state == AttemptState.NEEDS_REVIEW)
            .order_by(attempt.c.sent_at)
        )
        return await self._database.read(lambda connection: _all(connection, query))

    async def bound(self, account: str, vendor_task_ids: Collection[str]) -> set[str]:
        """Which of a vendor's jobs belong to an attempt already."""
        query = select(attempt.c.vendor_task_id).where(
            attempt.c.account == account, attempt.c.vendor_task_id.in_(sorted(vendor_task_ids))
        )
        found = await self._database.read(lambda connection: connection.execute(query).scalars().all())
        return {each for each in found if each is not None}

    async def known(self, account: str, client_refs: Collection[str]) -> set[str]:
        """Which of these references are attempts of ours."""
        query = select(attempt.c.client_ref).where(
            attempt.c.account == account, attempt.c.client_ref.in_(sorted(client_refs))
        )
        return set(await self._database.read(lambda connection: connection.execute(query).scalars().all()))

    async def look_later(self, lost: LostSubmit, *, looks: int, look_at: float | None) -> None:
        """Put it back; None: never look again."""
        change = (
            update(attempt)
            .where(attempt.c.id == lost.attempt_id, attempt.c.state.in_(_LOOKED_FOR))
            .values(looks=looks, look_at=None if look_at is None else micros(look_at))
        )
        await self._database.write(lambda connection: connection.execute(change))

    async def review(self, lost: LostSubmit, failure: Failure, *, now: float, look_at: float | None) -> bool:
        """No look-up settled it: a person must. The task ends; late evidence reopens it."""
        values = {"look_at": None if look_at is None else micros(look_at), "settled_at": micros(now)}
        return await self._end(lost, AttemptState.NEEDS_REVIEW, failure, now, values)

    async def not_created(
        self, lost: LostSubmit, failure: Failure, *, now: float, look_at: float | None = None
    ) -> bool:
        """Its vendor, asked by our reference, knows no such job. The task ends; nothing is sent again."""
        values = {"look_at": None if look_at is None else micros(look_at), "settled_at": micros(now)}
        return await self._end(lost, AttemptState.NOT_CREATED, failure, now, values)

    async def write_off(self, lost: LostSubmit, *, now: float) -> bool:
        """A person gave it up. The task has ended before."""
        values = {"look_at": None, "settled_at": micros(now)}
        return await self._database.write(
            lambda connection: settle(connection, lost.attempt_id, AttemptState.WRITTEN_OFF, values)
        )

    async def _end(
        self, lost: LostSubmit, target: AttemptState, failure: Failure, now: float, values: dict[str, int | None]
    ) -> bool:
        def work(connection: Connection) -> bool:
            if not settle(connection, lost.attempt_id, target, values):
                return False
            moved = {"state": TaskState.FAILED, "fence": task.c.fence + 1, **ended(failure, now)}
            here = and_(task.c.id == lost.task_id, task.c.state == TaskState.SUBMITTING)
            return connection.execute(update(task).where(here).values(moved)).rowcount == 1

        return await self._database.write(work)


_ATTEMPTS = attempt.join(task, task.c.id == attempt.c.task_id)


_made = attempt.alias()
_remixed = select(_made.c.vendor_task_id).where(
    _made.c.task_id == task.c.remixed_from, _made.c.state == AttemptState.ACCEPTED
)


def _searched(vendor: str) -> ColumnElement[bool]:
    return and_(task.c.vendor == vendor, attempt.c.state.in_(_LOOKED_FOR), attempt.c.look_at.is_not(None))


def _select() -> Select[tuple[object, ...]]:
    columns = (
        attempt,
        task.c.request_id,
        task.c.vendor,
        task.c.vendor_model,
        task.c.prompt,
        task.c.fingerprint,
        task_request.c.fitted,
        _remixed.scalar_subquery().label("remix_of"),
    )
    return select(*columns).select_from(_ATTEMPTS.join(task_request, task_request.c.task_id == task.c.id))


def _due(connection: Connection, vendor: str, now: int, until: int) -> list[LostSubmit]:
    query = _select().where(_searched(vendor), attempt.c.look_at <= now).order_by(attempt.c.look_at).limit(_SHARE)
    return [
        lost
        for row in connection.execute(query).mappings().all()
        if (lost := _to_lost(row)) and _take(connection, lost.attempt_id, row["look_at"], until)
    ]


def _take(connection: Connection, attempt_id: int, look_at: int, until: int) -> bool:
    mine = and_(attempt.c.id == attempt_id, attempt.c.look_at == look_at)
    return connection.execute(update(attempt).where(mine).values(look_at=until)).rowcount == 1


def _all(connection: Connection, query: Select[tuple[object, ...]]) -> list[LostSubmit]:
    return [_to_lost(row) for row in connection.execute(query).mappings().all()]


def _to_lost(row: RowMapping) -> LostSubmit:
    return LostSubmit(
        attempt_id=row["id"],
        task_id=row["task_id"],
        request_id=row["request_id"],
        vendor=row["vendor"],
        account=row["account"],
        client_ref=row["client_ref"],
        state=AttemptState(row["state"]),
        model=row["vendor_model"],
        way=to_fitted(row["fitted"]).way,
        prompt=row["prompt"],
        fingerprint=row["fingerprint"],
        sent_at=seconds(row["sent_at"]),
        looks=row["looks"],
        evidence=row["evidence"] or "",
        remix_of=row["remix_of"] or "",
    )

"""Deliveries: who has to be told of which event, made from the log of moves, and what became of each.

The log's own triggers put every event that somebody may want to be told of on a list. It is taken off in the
transaction that writes its deliveries, so that each event makes them once, wherever a process dies and however many
read the list.

`whose` is the key that asks and sees its own deliveries only; None is the operator, who sees all.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from secrets import token_hex
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    delete,
    func,
    insert,
    literal_column,
    select,
    tuple_,
    update,
)

from videogate.store.database import Database
from videogate.store.endpoints import change, to_endpoint
from videogate.store.rows import Row, maybe_seconds, micros, seconds
from videogate.store.tables import event, event_untold, task, task_request, webhook_delivery, webhook_endpoint
from videogate.task.state import TaskState
from videogate.task.webhook import TYPES, Delivery, DeliveryState, Due, Endpoint, Letter, Outcome

KEPT = 30 * 86_400.0  # seconds that a delivery which has ended stays in the log

_SHARE = 500  # events in one transaction
_FORGOTTEN = 1_000  # old deliveries in one transaction
_PENDING = webhook_delivery.c.state == literal_column("'pending'")  # in the words of the index of what is due
_DELETED = "the video was deleted"


class DeliveryStore:
    """Makes deliveries, hands them out to be sent, and keeps what became of them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def behind(self) -> bool:
        """Whether the log has events that were not dealt with."""
        return await self._database.read(_behind)

    async def dispatch(self, now: float) -> int:
        """Deal with the next share of the log. Returns how many deliveries it made."""
        return await self._database.write(lambda connection: _dispatch(connection, now))

    async def due(self, now: float, room: Callable[[str], int]) -> list[Due]:
        """What is to be sent, the oldest first: of each target as much as there is `room` for."""
        return await self._database.read(lambda connection: _due(connection, now, room))

    async def claim(self, ids: Collection[str], *, now: float, until: float) -> list[Letter]:
        """Take deliveries to be sent; nobody else gets them before `until`. Deleted videos' are given up."""
        return await self._database.write(lambda connection: _claim(connection, ids, now, until))

    async def settle(self, delivery: Delivery, outcome: Outcome, now: float) -> bool:
        """Keep what a try came to. False, and nothing is kept, if somebody else has tried since."""
        return await self._database.write(lambda connection: _settle(connection, delivery, outcome, now))

    async def release(self, ids: Collection[str] | None = None) -> int:
        """Give deliveries back that were taken and not settled; all of them unless told. Returns how many."""
        which = () if ids is None else (webhook_delivery.c.id.in_(ids),)
        held = update(webhook_delivery).where(_PENDING, webhook_delivery.c.lease_until > 0, *which)
        return await self._database.write(lambda connection: connection.execute(held.values(lease_until=0)).rowcount)

    async def page(
        self, whose: str | None, *, endpoint_id: str | None = None, after: str | None = None, limit: int
    ) -> tuple[list[Delivery], bool] | None:
        """Deliveries, the newest first, after the one named, and whether there are more; None if there is none such."""
        which = _which(whose, endpoint_id)
        return await self._database.read(lambda connection: _page(connection, which, after, limit))

    async def again(
        self, delivery_id: str, whose: str | None, *, endpoint_id: str | None = None, now: float
    ) -> Delivery | None:
        """Begin a delivery anew, whatever became of it. None if there is none such."""
        which = and_(webhook_delivery.c.id == delivery_id, *_which(whose, endpoint_id))
        return await self._database.write(lambda connection: _again(connection, which, now))

    async def endpoint_of(self, delivery_id: str) -> Endpoint | None:
        """The endpoint that a delivery goes to, if it goes to one."""
        query = select(webhook_endpoint).join(webhook_delivery).where(webhook_delivery.c.id == delivery_id)
        row = await self._database.read(lambda connection: connection.execute(query).mappings().one_or_none())
        return to_endpoint(row) if row else None

    async def forget(self, before: float) -> int:
        """Forget some of the deliveries that were made before then and have ended. Returns how many."""
        old = (
            select(webhook_delivery.c.id)
            .where(webhook_delivery.c.created_at < micros(before), webhook_delivery.c.state != DeliveryState.PENDING)
            .limit(_FORGOTTEN)
        )
        forget = delete(webhook_delivery).where(webhook_delivery.c.id.in_(old))
        return await self._database.write(lambda connection: connection.execute(forget).rowcount)


def _behind(connection: Connection) -> bool:
    return connection.execute(select(event_untold.c.event_id).limit(1)).first() is not None


def _dispatch(connection: Connection, now: float) -> int:
    share = select(event_untold.c.event_id).order_by(event_untold.c.event_id).limit(_SHARE)
    ids = connection.execute(share.with_for_update(skip_locked=True)).scalars().all()
    if not ids:
        return 0
    rows = connection.execute(
        select(
            event,
            task.c.owner,
            task.c.deleted,
            task_request.c.spec["callback_url"].as_string().label("link"),
        )
        .join(task, task.c.id == event.c.task_id)
        .outerjoin(task_request, task_request.c.task_id == event.c.task_id)
        .where(event.c.id.in_(ids))
        .order_by(event.c.id)
    )
    told = [row for row in rows.mappings() if TaskState(row["state"]) in TYPES and not row["deleted"]]
    listening = connection.execute(select(webhook_endpoint).where(webhook_endpoint.c.disabled_at.is_(None))).mappings()
    endpoints = [to_endpoint(row) for row in listening]
    new = [values for row in told for values in _made(row, endpoints, now)]
    if new:
        connection.execute(insert(webhook_delivery), new)
    connection.execute(delete(event_untold).where(event_untold.c.event_id.in_(ids)))
    return len(new)


def _made(row: Row, endpoints: Sequence[Endpoint], now: float) -> Iterator[dict[str, Any]]:
    """The deliveries of one event."""
    kind = TYPES[TaskState(row["state"])]
    for endpoint in endpoints:
        if kind in endpoint.events and endpoint.owner in (None, row["owner"]):
            receiver = {"endpoint_id": endpoint.id, "url": None, "owner": endpoint.owner, "target": endpoint.id}
            yield {**_blank(row, kind, now), **receiver}
    if link := row["link"]:
        # One receiver of a key is not to hold up the others of it.
        target = f"{row['owner']} {urlsplit(link).hostname}"
        yield {**_blank(row, kind, now), "endpoint_id": None, "url": link, "owner": row["owner"], "target": target}


def _blank(row: Row, kind: str, now: float) -> dict[str, Any]:
    return {
        "id": "wh_" + token_hex(16),
        "task_id": row["task_id"],
        "event_id": row["id"],
        "type": kind,
        "state": DeliveryState.PENDING,
        "tries": 0,
        "failures": 0,
        "due_at": micros(now),
        "lease_until": 0,
        "created_at": micros(now),
    }


def _due(connection: Connection, now: float, room: Callable[[str], int]) -> list[Due]:
    # From target to target by the index: a receiver that is behind by thousands hides nobody.
    found: list[Due] = []
    following = select(func.min(webhook_delivery.c.target)).where(_PENDING)
    target = connection.execute(following).scalar()
    while target is not None:
        if (free := room(target)) > 0:
            found += _due_at(connection, target, now, free)
        target = connection.execute(following.where(webhook_delivery.c.target > target)).scalar()
    return sorted(found, key=lambda each: each.due_at)


def _due_at(connection: Connection, target: str, now: float, most: int) -> list[Due]:
    query = (
        select(webhook_delivery.c.id, webhook_delivery.c.owner, webhook_delivery.c.due_at)
        .where(
            _PENDING,
            webhook_delivery.c.target == target,
            webhook_delivery.c.due_at <= micros(now),
            webhook_delivery.c.lease_until <= micros(now),
        )
        .order_by(webhook_delivery.c.due_at)
        .limit(most)
    )
    return [Due(row.id, target, row.owner, seconds(row.due_at)) for row in connection.execute(query)]


def _whole() -> Select[Any]:
    """Deliveries with what they tell of."""
    return select(webhook_delivery, event.c.at.label("event_at")).join(event, event.c.id == webhook_delivery.c.event_id)


def _to_delivery(values: Row) -> Delivery:
    return Delivery(
        id=values["id"],
        endpoint_id=values["endpoint_id"],
        url=values["url"],
        owner=values["owner"],
        task_id=values["task_id"],
        event_number=values["event_id"],
        event_at=seconds(values["event_at"]),
        type=values["type"],
        state=DeliveryState(values["state"]),
        tries=values["tries"],
        failures=values["failures"],
        due_at=seconds(values["due_at"]),
        last_status=values["last_status"],
        last_error=values["last_error"],
        created_at=seconds(values["created_at"]),
        delivered_at=maybe_seconds(values["delivered_at"]),
    )


def _claim(connection: Connection, ids: Collection[str], now: float, until: float) -> list[Letter]:
    free = and_(webhook_delivery.c.id.in_(ids), _PENDING, webhook_delivery.c.lease_until <= micros(now))
    ours = select(webhook_delivery.c.id).where(free).with_for_update(skip_locked=True)
    held = webhook_delivery.c.id.in_(connection.execute(ours).scalars().all())
    gone = select(task.c.id).where(task.c.id == webhook_delivery.c.task_id, task.c.deleted).exists()
    given_up = {"state": DeliveryState.GIVEN_UP, "last_error": _DELETED}
    connection.execute(update(webhook_delivery).where(held, gone).values(given_up))
    taken = {"tries": webhook_delivery.c.tries + 1, "lease_until": micros(until)}
    connection.execute(update(webhook_delivery).where(held, _PENDING).values(taken))
    rows = connection.execute(_whole().where(held, _PENDING).order_by(webhook_delivery.c.due_at)).mappings().all()
    endpoints = _endpoints(connection, {row["endpoint_id"] for row in rows})
    return [Letter(_to_delivery(row), endpoints.get(row["endpoint_id"])) for row in rows]


def _endpoints(connection: Connection, ids: Collection[str | None]) -> Mapping[str | None, Endpoint]:
    rows = connection.execute(select(webhook_endpoint).where(webhook_endpoint.c.id.in_(ids))).mappings()
    return {row["id"]: to_endpoint(row) for row in rows}


def _settle(connection: Connection, delivery: Delivery, outcome: Outcome, now: float) -> bool:
    mine = and_(webhook_delivery.c.id == delivery.id, webhook_delivery.c.tries == delivery.tries, _PENDING)
    values = {
        "state": outcome.state,
        "failures": outcome.failures,
        "due_at": micros(outcome.due_at),
        "lease_until": 0,
        "last_status": outcome.status,
        "last_error": outcome.error,
        "delivered_at": micros(now) if outcome.state is DeliveryState.DELIVERED else None,
    }
    kept = connection.execute(update(webhook_delivery).where(mine).values(values)).rowcount == 1
    if outcome.disable and delivery.endpoint_id:
        disabled = partial(replace, disabled_at=now, disabled_why=outcome.disable)
        change(connection, delivery.endpoint_id, None, disabled)
    return kept


def _which(whose: str | None, endpoint_id: str | None) -> tuple[ColumnElement[bool], ...]:
    mine = () if whose is None else (webhook_delivery.c.owner == whose,)
    return mine if endpoint_id is None else (*mine, webhook_delivery.c.endpoint_id == endpoint_id)


def _page(
    connection: Connection, which: tuple[ColumnElement[bool], ...], after: str | None, limit: int
) -> tuple[list[Delivery], bool] | None:
    query = _whole().where(*which)
    if after is not None:
        anchor = connection.execute(
            select(webhook_delivery.c.created_at).where(webhook_delivery.c.id == after, *which)
        ).scalar()
        if anchor is None:
            return None
        query = query.where(tuple_(webhook_delivery.c.created_at, webhook_delivery.c.id) < tuple_(anchor, after))
    query = query.order_by(webhook_delivery.c.created_at.desc(), webhook_delivery.c.id.desc()).limit(limit + 1)
    rows = connection.execute(query).mappings().all()
    return [_to_delivery(row) for row in rows[:limit]], len(rows) > limit


def _again(connection: Connection, which: ColumnElement[bool], now: float) -> Delivery | None:
    begun = {"state": DeliveryState.PENDING, "failures": 0, "due_at": micros(now), "delivered_at": None}
    connection.execute(update(webhook_delivery).where(which).values(begun))
    row = connection.execute(_whole().where(which)).mappings().one_or_none()
    return _to_delivery(row) if row else None

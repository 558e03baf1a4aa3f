"""Endpoints: where webhooks are sent, whose they are, and what signs them.

`whose` is the key that asks and sees its own endpoints only; None is the operator, who sees all.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, tuple_, update

from videogate.store.database import Database, one_at_a_time
from videogate.store.rows import Row, maybe_micros, maybe_seconds, micros, seconds
from videogate.store.tables import webhook_delivery, webhook_endpoint
from videogate.task.webhook import DeliveryState, Endpoint

Edit = Callable[[Endpoint], Endpoint]

_DISABLED = "the endpoint was disabled"


class EndpointStore:
    """Keeps endpoints."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, new: Endpoint, most: int) -> bool:
        """Keep a new endpoint. False, and nothing is kept, if its owner has `most` already."""
        return await self._database.write(lambda connection: _add(connection, new, most))

    async def get(self, endpoint_id: str, whose: str | None) -> Endpoint | None:
        """One endpoint."""
        return await self._database.read(lambda connection: _get(connection, endpoint_id, whose))

    async def page(self, whose: str | None, *, after: str | None, limit: int) -> tuple[list[Endpoint], bool] | None:
        """Endpoints, the newest first, after the one named, and whether there are more; None if there is none such."""
        return await self._database.read(lambda connection: _page(connection, whose, after, limit))

    async def change(self, endpoint_id: str, whose: str | None, edit: Edit) -> Endpoint | None:
        """Put what `edit` makes of an endpoint in its place. None if there is none such."""
        return await self._database.write(lambda connection: change(connection, endpoint_id, whose, edit))

    async def remove(self, endpoint_id: str, whose: str | None) -> bool:
        """Forget an endpoint with its deliveries. False if there is none such."""
        return await self._database.write(lambda connection: _remove(connection, endpoint_id, whose))


def to_endpoint(row: Row) -> Endpoint:
    """A row of `webhook_endpoint`."""
    return Endpoint(
        id=row["id"],
        owner=row["owner"],
        name=row["name"],
        url=row["url"],
        events=tuple(row["events"]),
        secret=row["secret"],
        created_at=seconds(row["created_at"]),
        updated_at=seconds(row["updated_at"]),
        old_secret=row["old_secret"],
        old_secret_until=seconds(row["old_secret_until"]),
        disabled_at=maybe_seconds(row["disabled_at"]),
        disabled_why=row["disabled_why"],
    )


def _to_row(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "owner": endpoint.owner,
        "name": endpoint.name,
        "url": endpoint.url,
        "events": list(endpoint.events),
        "secret": endpoint.secret,
        "created_at": micros(endpoint.created_at),
        "updated_at": micros(endpoint.updated_at),
        "old_secret": endpoint.old_secret,
        "old_secret_until": micros(endpoint.old_secret_until),
        "disabled_at": maybe_micros(endpoint.disabled_at),
        "disabled_why": endpoint.disabled_why,
    }


def _seen_by(whose: str | None) -> tuple[ColumnElement[bool], ...]:
    return () if whose is None else (webhook_endpoint.c.owner == whose,)


def _add(connection: Connection, new: Endpoint, most: int) -> bool:
    one_at_a_time(connection, f"endpoints {new.owner}")
    owned = (
        select(func.count())
        .select_from(webhook_endpoint)
        .where(webhook_endpoint.c.owner.is_not_distinct_from(new.owner))
    )
    if connection.execute(owned).scalar_one() >= most:
        return False
    connection.execute(insert(webhook_endpoint).values(_to_row(new)))
    return True


def _get(connection: Connection, endpoint_id: str, whose: str | None, *, to_change: bool = False) -> Endpoint | None:
    query = select(webhook_endpoint).where(webhook_endpoint.c.id == endpoint_id, *_seen_by(whose))
    if to_change:
        query = query.with_for_update()
    row = connection.execute(query).mappings().one_or_none()
    return to_endpoint(row) if row else None


def _page(
    connection: Connection, whose: str | None, after: str | None, limit: int
) -> tuple[list[Endpoint], bool] | None:
    query = select(webhook_endpoint).where(*_seen_by(whose))
    if after is not None:
        anchor = _get(connection, after, whose)
        if anchor is None:
            return None
        here = tuple_(webhook_endpoint.c.created_at, webhook_endpoint.c.id)
        query = query.where(here < tuple_(micros(anchor.created_at), anchor.id))
    query = query.order_by(webhook_endpoint.c.created_at.desc(), webhook_endpoint.c.id.desc()).limit(limit + 1)
    rows = connection.execute(query).mappings().all()
    return [to_endpoint(row) for row in rows[:limit]], len(rows) > limit


def change(connection: Connection, endpoint_id: str, whose: str | None, edit: Edit) -> Endpoint | None:
    """Put what `edit` makes of an endpoint in its place. What a disabled one still had to be sent is given up."""
    found = _get(connection, endpoint_id, whose, to_change=True)
    if found is None:
        return None
    changed = edit(found)
    before = _to_row(found)
    if values := {name: value for name, value in _to_row(changed).items() if value != before[name]}:
        connection.execute(update(webhook_endpoint).where(webhook_endpoint.c.id == found.id).values(values))
    if changed.disabled_at is not None:
        waiting = (webhook_delivery.c.endpoint_id == found.id, webhook_delivery.c.state == DeliveryState.PENDING)
        given_up = {"state": DeliveryState.GIVEN_UP, "last_error": _DISABLED}
        connection.execute(update(webhook_delivery).where(*waiting).values(given_up))
    return changed


def _remove(connection: Connection, endpoint_id: str, whose: str | None) -> bool:
    if _get(connection, endpoint_id, whose, to_change=True) is None:
        return False
    connection.execute(delete(webhook_delivery).where(webhook_delivery.c.endpoint_id == endpoint_id))
    connection.execute(delete(webhook_endpoint).where(webhook_endpoint.c.id == endpoint_id))
    return True

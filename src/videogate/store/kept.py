"""Which results are in our storage, and from when on they are not to be.

A result that is to go is no longer served from that moment; its row names its file until the file is gone, so that a
crash in between leaves nothing behind that nobody knows of.
"""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, and_, func, or_, select, update

from videogate.store.database import Database
from videogate.store.rows import among, micros, seconds
from videogate.store.tables import task
from videogate.task.state import LIVE

_SHARE = 100  # results in one round
_KEPT = task.c.content_key.is_not(None)  # in the words of the index of what expires


@dataclass(frozen=True, slots=True)
class Expired:
    """A result whose file is to be removed."""

    task_id: str
    key: str


class KeptStore:
    """The sweeper's side of the store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def expired(self, now: float) -> list[Expired]:
        """Results that are to go, the oldest first; a share of them."""
        query = (
            select(task.c.id, task.c.content_key)
            .where(_KEPT, task.c.expires_at <= micros(now))
            .order_by(task.c.expires_at)
            .limit(_SHARE)
        )
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return [Expired(task_id, key) for task_id, key in rows]

    async def next_at(self) -> float | None:
        """When the next result is to go."""
        query = select(func.min(task.c.expires_at)).where(_KEPT, task.c.expires_at.is_not(None))
        found = await self._database.read(lambda connection: connection.execute(query).scalar())
        return None if found is None else seconds(found)

    async def removed(self, task_ids: Collection[str], now: float) -> None:
        """The files of these are gone. Only of results that were to go: one that was made anew is not touched."""
        gone = and_(task.c.id.in_(task_ids), _KEPT, task.c.expires_at <= micros(now))
        change = update(task).where(gone).values(content_key=None)
        await self._database.write(lambda connection: connection.execute(change))

    async def owners(self, task_ids: Collection[str]) -> set[str]:
        """Which of these have a result, or may have one soon: files of others are nobody's."""
        query = select(task.c.id).where(task.c.id.in_(task_ids), or_(_KEPT, among(task.c.state, LIVE)))

        def work(connection: Connection) -> set[str]:
            return set(connection.execute(query).scalars())

        return await self._database.read(work)

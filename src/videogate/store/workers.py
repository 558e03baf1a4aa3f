"""Which workers share the database: each says from time to time that it lives, and takes over from those that do not.

A worker that only was silent for long, and goes on, finds that its claims are void: its later writes change nothing.
What it had sent is looked for, never sent again.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, and_, delete, func, insert, select, update

from videogate.store import claims
from videogate.store.database import Database
from videogate.store.rows import micros
from videogate.store.tables import task, worker

LIVES = 10.0  # seconds that a word of a worker counts


@dataclass(frozen=True, slots=True)
class Beat:
    """What a worker learns of the others: how many live, itself included, and how many claims of the dead it voided."""

    workers: int
    voided: int


class WorkerStore:
    """The list of workers."""

    def __init__(self, database: Database, name: str) -> None:
        self._database = database
        self._name = name
        self._since: float | None = None  # from when on it has heard the others without a gap

    async def beat(self, now: float) -> Beat:
        """Say that this worker lives, and void what the dead hold."""
        beat, self._since = await self._database.write(
            lambda connection: _beat(connection, self._name, now, self._since)
        )
        return beat

    async def leave(self) -> None:
        """This worker ends."""
        gone = delete(worker).where(worker.c.name == self._name)
        await self._database.write(lambda connection: connection.execute(gone))


def _beat(connection: Connection, name: str, now: float, since: float | None) -> tuple[Beat, float]:
    mine = worker.c.name == name
    before = connection.execute(select(worker.c.seen_at).where(mine)).scalar()
    seen = {"seen_at": micros(now)}
    if not connection.execute(update(worker).where(mine).values(seen)).rowcount:  # another may just have buried it
        connection.execute(insert(worker).values(name=name, **seen))
    if since is None or before is None or before <= micros(now - LIVES / 2):
        since = now
    # Who came just now, or was silent itself, cannot tell whether the others are: the database may have been away from
    # all of them. They get as long as ever to speak again.
    voided = _bury(connection, now, sure=now - since >= LIVES, first=before is None)
    return Beat(connection.execute(select(func.count()).select_from(worker)).scalar_one(), voided), since


def _bury(connection: Connection, now: float, *, sure: bool, first: bool) -> int:
    """Strike the silent off the list, where that is `sure`, and void what is held by workers that are not on it."""
    dead = delete(worker).where(worker.c.seen_at <= micros(now - LIVES))
    if not (sure and connection.execute(dead).rowcount) and not first:
        return 0
    lives = select(worker.c.name)
    held = and_(task.c.lease_by.is_not(None), task.c.lease_by.not_in(lives), task.c.lease_until > micros(now))
    return claims.void(connection, held, now)

"""How SQL reaches a database, whichever it is.

Work is given as plain functions of a connection: `await database.write(work)` returns after COMMIT, `await
database.read(work)` never blocks a writer.
"""

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Engine, Select, func, select

from videogate.store.rows import Row
from videogate.task.errors import Busy

T = TypeVar("T")
Work = Callable[[Connection], T]
Key = tuple[Select[Any], Mapping[str, Any]]
"""A query that lives as long as the program and gives at most one row, and its parameters."""
Addition = Callable[[Connection, Row | None], T]
Observe = Callable[[int, float], None]
"""Told of a commit: how many units of work were in it, and how many seconds they took."""


def unseen(_works: int, _seconds: float) -> None:
    """Tell nobody."""


class Database(Protocol):
    """A database as the stores use it. `shared`: other processes may serve it at the same time."""

    shared: bool
    engine: Engine

    async def write(self, work: Work[T]) -> T:
        """Run `work` in a transaction; return its result once that is durable.

        What `work` raises is raised here and undoes only this work. Cancelling the caller does not undo it. Raises
        DatabaseAway while nothing can be written. Work may be run twice, its first run undone.
        """

    async def add(
        self, work: Addition[T], name: str | None = None, key: Key | None = None, *, alone: bool = False
    ) -> T:
        """As `write`, for work that only adds rows of its own: so it may share a transaction with others of the kind.

        Args:
            work: is given the row that `key` finds.
            name: no other transaction that asks for it runs at the same time, as with `one_at_a_time`. Works of one
                name are done in the order of these calls.
            key: by what to find a row first.
            alone: the work may have to wait for rows that others hold, so that its transaction is its own.
        """

    async def read(self, work: Work[T]) -> T:
        """Run `work` on a connection that cannot write. Raises DatabaseAway while nothing can be read."""

    async def one(self, query: Select[Any], **parameters: Any) -> Row | None:
        """The one row that a query by key gives, the cheapest way there is. Raises DatabaseAway."""

    async def some(self, query: Select[Any], **parameters: Any) -> Sequence[Row]:
        """The rows of a query that has a limit, the cheapest way there is. Raises DatabaseAway."""

    async def ping(self) -> None:
        """Return if a transaction can be committed; raise what keeps it from that."""

    def clock(self) -> float:
        """The time by which tasks live, in seconds since the epoch: all who share the database have the same."""

    async def follow_clock(self) -> None:
        """Read the clock that is shared anew."""

    async def close(self) -> None:
        """Finish the writes under way and close every connection."""


class AlreadyRunning(RuntimeError):
    """Another process serves this data directory; SQLite takes one."""


class DatabaseAway(Busy):
    """The database cannot be used just now. Nothing was changed, unless it went away during a commit."""

    def __init__(self, *, maybe_done: bool = False) -> None:
        what = "Whether this was recorded is not known: look before you repeat it" if maybe_done else _UNCHANGED
        super().__init__(f"The gateway cannot use its database just now. {what}.")
        self.maybe_done = maybe_done


_UNCHANGED = "Nothing was changed; try again"


def one_at_a_time(connection: Connection, name: str) -> None:
    """Let no other transaction that asks for the same name run from here to the end of this one.

    SQLite's write transactions run one after the other anyway.
    """
    if connection.dialect.name != "sqlite":
        connection.execute(select(func.pg_advisory_xact_lock(lock_number(name))))


def find(connection: Connection, key: Key | None) -> Row | None:
    """The row that a key finds; none without a key."""
    if key is None:
        return None
    query, parameters = key
    return connection.execute(query, parameters).mappings().one_or_none()


def lock_number(name: str) -> int:
    """Which of PostgreSQL's advisory locks a name stands for."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), signed=True)

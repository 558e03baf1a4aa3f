"""Works of many callers in one PostgreSQL transaction: one flush and a few trips to the server for all of them.

Nothing here waits for a name that another transaction has: so one caller does not hold up the others, and transactions
of several processes cannot wait for each other. There are no savepoints, which are trips too: a work that raises is
undone here, as long as nothing was sent; else all of them are, and each is done in a transaction of its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from videogate.store.database import Addition, Key, find, lock_number, one_at_a_time
from videogate.store.later import later_of
from videogate.store.pg_lookups import ManyLookups
from videogate.store.rows import Row

LEFT_OUT = object()
"""In place of the result of a work that has to wait: it wants a transaction of its own."""

_TRY_LOCKS = """
SELECT number FROM unnest(%(numbers)s::bigint[]) AS asked(number) WHERE pg_try_advisory_xact_lock(number)
"""


@dataclass(frozen=True, slots=True)
class Share:
    """A work and what it needs, in the words of the database's `add`."""

    work: Addition[Any]
    name: str | None
    key: Key | None
    alone: bool

    def apart(self, connection: Connection) -> Any:
        """Do it in a transaction of its own."""
        if self.name is not None:
            one_at_a_time(connection, self.name)
        return self.work(connection, find(connection, self.key))


def do_shared(connection: Connection, shares: Sequence[Share], lookups: ManyLookups) -> list[Any]:
    """Do those works that need not wait, in order. For each its result, its exception or LEFT_OUT."""
    chosen = _choose(connection, shares)
    keyed = [number for number in chosen if shares[number].key is not None]
    keys = [key for number in keyed if (key := shares[number].key) is not None]
    rows = dict(zip(keyed, lookups.find(connection, keys), strict=True))
    results = [LEFT_OUT] * len(shares)
    for number in chosen:
        results[number] = _do(connection, shares[number], rows.get(number))
    return results


def outcome(work: Callable[[], Any]) -> Any:
    """A result, or the exception in its place."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001 (handed to the caller)
        return error


def _choose(connection: Connection, shares: Sequence[Share]) -> list[int]:
    """The numbers of those whose names are free, taken until the transaction's end."""
    names = [share.name and lock_number(share.name) for share in shares]
    wanted = sorted({name for name in names if name is not None})
    held = {None}
    if wanted:
        held |= set(connection.exec_driver_sql(_TRY_LOCKS, {"numbers": wanted}).scalars())
    chosen: list[int] = []
    seen: set[int | None] = set()
    for number, (share, name) in enumerate(zip(shares, names, strict=True)):
        # All looks come before the first work: one would miss what another of its name is about to write.
        if name in held and not share.alone and not (share.key is not None and name in seen):
            chosen.append(number)
            seen.add(name)
    return chosen


def _do(connection: Connection, share: Share, row: Row | None) -> Any:
    later = later_of(connection)
    assert later is not None, "every transaction that writes has one"
    mark = later.mark()
    try:
        return share.work(connection, row)
    except Exception as error:
        if not later.undo(mark):
            raise
        return error

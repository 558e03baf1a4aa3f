"""What a PostgreSQL server's errors mean: what is done again, what passes, and what is a mistake of ours."""

from collections.abc import Callable, Collection

from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection

from videogate.store.database import DatabaseAway, T

TRIES = 3  # of work that another's undid, or that met a connection which had died unseen

# SQLSTATEs: https://www.postgresql.org/docs/current/errcodes-appendix.html (2026-11-28)
_UNDONE = frozenset({"40001", "40P01"})  # serialization failure, deadlock: the same again may go through
_AWAY_CLASSES = frozenset({"08", "53", "57", "58"})  # connection, resources, an operator's doing, the system
ONLY_READS = "25006"  # a server such as a standby; of a reader it is a mistake of ours
AWAY = frozenset({ONLY_READS, "55P03"})  # and a lock that did not come


def persist(once: Callable[[], T], away: Collection[str]) -> T:
    """Do it again where that is right and may help.

    `away` are SQLSTATEs of troubles that pass, beside those that always do. Raises DatabaseAway for such a trouble and
    for a server that says nothing; all else as it comes.
    """
    for tried in range(1, TRIES + 1):
        try:
            return once()
        except NoConnection as error:
            raise DatabaseAway from error
        except DBAPIError as error:
            # After a restart of the server each connection of the pool is dead: the first error drops them all.
            again = error.connection_invalidated or state_of(error) in _UNDONE
            if again and tried < TRIES:
                continue
            if again or _passes(error, away):
                raise DatabaseAway from error.orig
            raise
    raise AssertionError("unreachable")


def _passes(error: DBAPIError, away: Collection[str]) -> bool:
    """Whether it is the database's trouble and not a mistake of ours."""
    state = state_of(error)
    if state is None:  # no word from a server
        return isinstance(error, OperationalError)
    return state in away or state[:2] in _AWAY_CLASSES


def state_of(error: DBAPIError) -> str | None:
    """The SQLSTATE, where a server spoke."""
    state: str | None = getattr(error.orig, "sqlstate", None)
    return state

"""The PostgreSQL to which a gateway moves, or in which a backup was restored: what it must be like, and filling it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, Table, delete, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from videogate.store import claims
from videogate.store.backup import take_for_sent
from videogate.store.migrate import UnknownSchema, migrate, pending
from videogate.store.postgres import clock_of, open_postgres
from videogate.store.rows import among, micros
from videogate.store.tables import attempt, metadata, secret, task, webhook_delivery, worker
from videogate.store.workers import LIVES
from videogate.task.state import LIVE

BATCH = 1_000  # rows in memory
_OWN = (secret, worker)  # what a PostgreSQL gateway that never had a task may hold
_LIVES = text(
    "SELECT 1 FROM pg_stat_activity WHERE application_name = 'videogate' AND datname = current_database()"
    " AND pid <> pg_backend_pid()"
)


class CopyError(Exception):
    """Nothing was moved; the text says why."""


@dataclass(frozen=True, slots=True)
class Moved:
    """How many rows went over, by table, how many tasks of them had not ended, and what the old file is called now.

    `old` is None while the file has its name: after a rehearsal, or where it could not be renamed.
    """

    rows: Mapping[str, int]
    in_flight: int
    old: Path | None = None


def open_target(url: str) -> Engine:
    """The PostgreSQL at a URL, with the newest schema. One that has another is left alone.

    Raises CopyError, and ValueError and DatabaseAway as `open_postgres` does.
    """
    with plain():
        return open_postgres(url, prepare=_migrate_if_new).engine


def _migrate_if_new(engine: Engine) -> None:
    try:
        lacks = pending(engine)
    except UnknownSchema as error:
        if not error.empty:
            raise CopyError(f"that PostgreSQL cannot be used: {error}") from None
        migrate(engine)
        return
    if lacks:
        raise CopyError(
            "that PostgreSQL is a gateway of an older version: if it is empty, run `videogate migrate` first"
        )


def server_time(target: Engine) -> float:
    """The time by which tasks in a PostgreSQL live, in seconds since the epoch. Raises CopyError."""
    with plain(), target.connect() as connection:
        return clock_of(connection)


def distrust(connection: Connection, now: float) -> int:
    """Take everything that waits to be sent for perhaps sent: of a PostgreSQL that was restored from a backup.

    Returns how many there were. Raises CopyError while a gateway works on it.
    """
    if _working(connection, now):
        raise CopyError("a gateway works on this database: stop all of them first")
    lock_all(connection)
    return take_for_sent(connection, now)


def _working(connection: Connection, now: float) -> bool:
    lives = select(worker.c.name).where(worker.c.seen_at > micros(now - LIVES))
    return connection.execute(lives).first() is not None


def refuse_if_used(connection: Connection, now: float) -> None:
    """Raise CopyError for a PostgreSQL that a gateway works on, or has worked on."""
    # One that only answers is on no list, and would go on signing with the secret that is replaced here.
    if _working(connection, now) or connection.execute(_LIVES).first() is not None:
        raise CopyError("a gateway works on that PostgreSQL: stop all of them first")
    for table in metadata.sorted_tables:
        if table not in _OWN and _count(connection, table):
            raise CopyError(f"that PostgreSQL has rows in {table.name} already: it is a gateway's, and is left alone")


def lock_all(connection: Connection) -> None:
    """Have everybody else wait, and a large table take its time. An earlier move that still ends is waited for."""
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    connection.execute(text(f"LOCK TABLE {_names()} IN ACCESS EXCLUSIVE MODE"))


def fill(target: Connection, source: Connection, now: float) -> Moved:
    """Put every row of a database into an empty one, and give back the leases of the server that ran on it.

    Raises CopyError if it does not take them, or has not what was put into it.
    """
    # The log of moves is copied like everything else: it must not be written anew.
    target.execute(text("ALTER TABLE task DISABLE TRIGGER USER"))
    for table in _OWN:
        target.execute(delete(table))  # links, callbacks and the ids of keys are signed with the secret that comes
    for table in _tables():
        _copy_rows(source, target, table)
        if (column := table.autoincrement_column) is not None:
            count = f"SELECT setval(pg_get_serial_sequence('{table.name}', '{column.name}'), max({column.name}))"
            target.execute(text(f"{count} FROM {table.name}"))
    target.execute(text("ALTER TABLE task ENABLE TRIGGER USER"))
    moved = counted(source)
    if counted(target) != moved or _fences(target) != _fences(source):
        raise CopyError("PostgreSQL has not what was put into it")
    claims.begin_anew(target, task.c.lease_until > 0, now)
    target.execute(update(webhook_delivery).where(webhook_delivery.c.lease_until > 0).values(lease_until=0))
    target.execute(text(f"ANALYZE {_names()}"))  # before its own turn comes, PostgreSQL would plan as for empty tables
    return moved


def _copy_rows(source: Connection, target: Connection, table: Table) -> None:
    order = list(table.primary_key.columns)
    found = source.execution_options(yield_per=BATCH).execute(select(table).order_by(*order)).mappings()
    try:
        for batch in found.partitions(BATCH):
            target.execute(insert(table), [dict(row) for row in batch])
    except DBAPIError as error:
        raise CopyError(f"PostgreSQL refused rows of {table.name}: {_first_line(error)}") from error


def _tables() -> list[Table]:
    """All that is copied, what others point to first."""
    return [table for table in metadata.sorted_tables if table is not worker]


def _names() -> str:
    return ", ".join(table.name for table in metadata.sorted_tables)


def counted(connection: Connection) -> Moved:
    """How much there is."""
    rows = {table.name: _count(connection, table) for table in _tables()}
    open_ones = select(func.count()).select_from(task).where(among(task.c.state, LIVE))
    return Moved(rows, connection.execute(open_ones).scalar_one())


def _fences(connection: Connection) -> tuple[int, int]:
    tasks, attempts = (connection.execute(select(func.sum(each.c.fence))).scalar() for each in (task, attempt))
    return int(tasks or 0), int(attempts or 0)


def _count(connection: Connection, table: Table) -> int:
    return connection.execute(select(func.count()).select_from(table)).scalar_one()


def name_of(target: Engine) -> str:
    """Where a PostgreSQL is, without what is secret of it."""
    url = target.url
    return f"postgresql://{url.host or url.query.get('host', '')}:{url.port or 5432}/{url.database}"


@contextmanager
def plain() -> Iterator[None]:
    """Say what PostgreSQL refuses in one line."""
    try:
        yield
    except DBAPIError as error:
        raise CopyError(f"PostgreSQL refused it: {_first_line(error)}") from error


def _first_line(error: DBAPIError) -> str:
    return str(error.orig).partition("\n")[0]

"""Moving a gateway from SQLite to PostgreSQL, with whatever is in flight.

Two gateways that both hold a task pay for it twice, so there is never a moment at which both could. A mark beside the
SQLite file, which keeps every server off it, is on disk before PostgreSQL commits. Whoever dies in between has a mark
and an empty PostgreSQL: the same command again does the rest. Whoever dies after it is told that the rows are there.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Connection, Engine, Table, delete, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from videogate.faultpoints import faultpoint
from videogate.store import claims
from videogate.store.backup import back_up, sync, take_for_sent
from videogate.store.migrate import migrate
from videogate.store.postgres import open_postgres
from videogate.store.rows import among, micros, to_spec
from videogate.store.sqlite import lock, mark_of, sqlite_engine
from videogate.store.tables import attempt, metadata, secret, task, task_request, worker
from videogate.store.workers import LIVES
from videogate.task.state import LIVE, UNSETTLED, AttemptState

_BATCH = 1_000  # rows in memory
_NUMBERED = ("attempt", "event")  # tables whose ids PostgreSQL counts up
_OWN = (secret, worker)  # what a PostgreSQL gateway that never had a task may hold


class CopyError(Exception):
    """Nothing was moved; the text says why."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A finished video's file."""

    key: str
    length: int
    mime: str


@dataclass(frozen=True, slots=True)
class Moved:
    """How many rows went over, by table, and how many tasks of them had not ended."""

    rows: Mapping[str, int]
    in_flight: int


class Source:
    """A SQLite database that no server uses while this is open, as a copy at the newest schema."""

    def __init__(self, database: Path, draft: Engine) -> None:
        self._database = database
        self._draft = draft

    def inputs(self) -> list[tuple[str, str]]:
        """Key and media type of the input files of tasks that have not ended."""
        query = select(task_request.c.spec).join(task, task.c.id == task_request.c.task_id)
        with self._draft.connect() as connection:
            specs = connection.execute(query.where(among(task.c.state, LIVE))).scalars().all()
        return [(each.key, each.mime or "") for spec in specs for each in to_spec(spec).files if each.key]

    def kept(self) -> Iterator[Kept]:
        """The files of finished videos."""
        query = select(task.c.content_key, task.c.content_length, task.c.content_mime)
        with self._draft.connect() as connection:
            for key, length, mime in connection.execute(query.where(task.c.content_key.is_not(None))):
                yield Kept(key, length, mime)

    def move(self, url: str, now: float) -> Moved:
        """Put every row into the PostgreSQL at `url`, in one transaction, and keep servers off the SQLite file.

        Raises CopyError if it holds a gateway already, and ValueError and DatabaseAway as `open_postgres` does.
        """
        target = open_postgres(url).engine
        mark = mark_of(self._database)
        try:
            with self._draft.connect() as source, target.connect() as connection:
                transaction = connection.begin()
                _refuse_if_used(connection, now)
                moved = _move(source, connection, now)
                mark.write_text("moved to PostgreSQL\n", "utf-8")
                for each in (mark, mark.parent):
                    sync(each)
                faultpoint("copy.marked")
                try:
                    transaction.commit()
                except DBAPIError as error:
                    if not error.connection_invalidated:
                        mark.unlink()
                    raise
        except DBAPIError as error:
            raise CopyError(f"PostgreSQL refused it: {str(error.orig).partition(chr(10))[0]}") from error
        finally:
            target.dispose()
        return moved


@contextmanager
def source_at(database: Path) -> Iterator[Source]:
    """The database to be moved. Raises CopyError, BackupError, and AlreadyRunning while a server uses it."""
    if not database.is_file():
        raise CopyError(f"there is no database at {database}")
    with closing(lock(database)), TemporaryDirectory(dir=database.parent, prefix=".copying-") as folder:
        draft = Path(folder) / "gateway.db"
        back_up(database, draft)
        engine = sqlite_engine(draft)
        try:
            migrate(engine)
            yield Source(database, engine)
        finally:
            engine.dispose()


def distrust(connection: Connection, now: float) -> int:
    """Take everything that waits to be sent for perhaps sent: of a PostgreSQL that was restored from a backup.

    Returns how many there were. Raises CopyError while a gateway works on it.
    """
    if _working(connection, now):
        raise CopyError("a gateway works on this database: stop all of them first")
    return take_for_sent(connection, now)


def _working(connection: Connection, now: float) -> bool:
    lives = select(worker.c.name).where(worker.c.seen_at > micros(now - LIVES))
    return connection.execute(lives).first() is not None


def _refuse_if_used(connection: Connection, now: float) -> None:
    if _working(connection, now):
        raise CopyError("a gateway works on that PostgreSQL: stop all of them first")
    for table in metadata.sorted_tables:
        if table not in _OWN and _count(connection, table):
            raise CopyError(
                f"that PostgreSQL has rows in {table.name} already: it is another gateway's, or was copied to before"
            )


def _move(source: Connection, target: Connection, now: float) -> Moved:
    # The log of moves is copied like everything else: it must not be written anew.
    target.execute(text("ALTER TABLE task DISABLE TRIGGER USER"))
    for table in _OWN:
        target.execute(delete(table))  # links, callbacks and the ids of keys are signed with the secret that comes
    rows = {table.name: _copy_rows(source, target, table) for table in metadata.sorted_tables if table is not worker}
    for name in _NUMBERED:
        target.execute(text(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), max(id)) FROM {name}"))  # noqa: S608
    target.execute(text("ALTER TABLE task ENABLE TRIGGER USER"))
    claims.void(target, task.c.lease_until > 0, now)
    lost = update(attempt).where(among(attempt.c.state, UNSETTLED), attempt.c.state == AttemptState.UNKNOWN)
    target.execute(lost.values(look_at=micros(now)))
    query = select(func.count()).select_from(task).where(among(task.c.state, LIVE))
    return Moved(rows, target.execute(query).scalar_one())


def _copy_rows(source: Connection, target: Connection, table: Table) -> int:
    order = list(table.primary_key.columns)
    found = source.execution_options(yield_per=_BATCH).execute(select(table).order_by(*order)).mappings()
    for batch in found.partitions(_BATCH):
        target.execute(insert(table), [dict(row) for row in batch])
    copied, there = _count(target, table), _count(source, table)
    if copied != there:
        raise CopyError(f"{there} rows of {table.name} became {copied}")
    return copied


def _count(connection: Connection, table: Table) -> int:
    return connection.execute(select(func.count()).select_from(table)).scalar_one()

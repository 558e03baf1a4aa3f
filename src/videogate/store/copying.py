"""Moving a gateway from SQLite to PostgreSQL, with whatever is in flight.

Two gateways that both hold a task pay for it twice, so there is never a moment at which both could. The order is:

1. A mark beside the SQLite file comes to the disk: no server starts there any more. It says where the rows go.
2. PostgreSQL commits all rows at once.
3. The SQLite file gets another name: nor does a server start there that knows of no marks.

Who dies before 2 has an empty PostgreSQL, who dies after it a full one, which has the secret of the old database: the
same command can tell, and does the rest. A commit that is refused takes its mark back; where its answer was lost the
mark stays. A mark that names another PostgreSQL is obeyed: the rows may be there.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import Connection, Engine, RootTransaction, Row, Select, select
from sqlalchemy.exc import DBAPIError

from videogate.faultpoints import faultpoint
from videogate.store.backup import back_up, rename_database, sync, trouble
from videogate.store.migrate import migrate, pending
from videogate.store.rows import among, to_spec
from videogate.store.sqlite import BUSY_SECONDS, lock, mark_of, sqlite_engine
from videogate.store.tables import secret, task, task_request
from videogate.store.target import BATCH, CopyError, Moved, counted, fill, lock_all, name_of, plain, refuse_if_used
from videogate.task.state import LIVE

_DRAFT = ".copying-"


class Undecided(Exception):
    """The connection broke during the commit: the rows are in PostgreSQL, or none is."""


@dataclass(frozen=True, slots=True)
class Needed:
    """A file that a row points to, and what the row knows of it. `length` is in bytes."""

    key: str
    mime: str
    length: int | None
    sha256: str | None


class Source:
    """A SQLite database that no server uses while this is open, as a copy at the newest schema."""

    def __init__(self, database: Path, draft: Engine, hold: sqlite3.Connection | None) -> None:
        self._database = database
        self._draft = draft
        self._hold = hold  # keeps commands from writing what would not be copied

    def inputs(self) -> Iterator[Needed]:
        """The input files of tasks that have not ended."""
        query = select(task_request.c.spec).join(task, task.c.id == task_request.c.task_id)
        for (spec,) in self._stream(query.where(among(task.c.state, LIVE))):
            for each in to_spec(spec).files:
                if each.key:
                    yield Needed(each.key, each.mime or "", each.length, each.sha256)

    def kept(self) -> Iterator[Needed]:
        """The files of finished videos."""
        columns = (task.c.content_key, task.c.content_mime, task.c.content_length, task.c.content_sha256)
        for row in self._stream(select(*columns).where(task.c.content_key.is_not(None))):
            yield Needed(*row)

    def check(self, target: Engine, now: float) -> None:
        """Raise CopyError if PostgreSQL cannot take this over, before anybody spends time on files."""
        with plain(), self._draft.connect() as source, target.connect() as connection:
            if not self._is_there(source, connection):
                refuse_if_used(connection, now)

    def move(self, target: Engine, now: float, *, rehearse: bool = False) -> Moved:
        """Put every row into PostgreSQL, in one transaction, and put the SQLite file out of use.

        A rehearsal does the same and takes it back. Raises CopyError if PostgreSQL holds a gateway already, Undecided.
        """
        with plain(), self._draft.connect() as source, target.connect() as connection:
            transaction = connection.begin()
            there = self._is_there(source, connection)
            if not there:  # or it is just being committed, which the lock waits for
                lock_all(connection)
                there = self._is_there(source, connection)
            if there:
                return counted(source) if rehearse else self._finish(counted(source))
            refuse_if_used(connection, now)
            moved = fill(connection, source, now)
            faultpoint("copy.rows")
            if rehearse:
                transaction.rollback()
                return moved
            self._commit(transaction, f"{name_of(target)}\n{self._database.name}.copied-to-postgresql-{now:.0f}\n")
        faultpoint("copy.committed")
        return self._finish(moved)

    def _stream(self, query: Select[Any]) -> Iterator[Row[*tuple[Any, ...]]]:
        with self._draft.connect() as connection:
            yield from connection.execution_options(yield_per=BATCH).execute(query)

    def _is_there(self, source: Connection, target: Connection) -> bool:
        """Whether a move of this database to that PostgreSQL was broken off after its commit."""
        mark = mark_of(self._database)
        if not mark.exists():
            return False
        where = mark.read_text("utf-8").partition("\n")[0]
        if where != name_of(target.engine):
            raise CopyError(
                f"a move to {where} was begun: take that again, or remove {mark} if surely nothing is there"
            )
        ours, theirs = (set(each.execute(select(secret.c.value)).scalars()) for each in (source, target))
        return bool(ours) and ours == theirs

    def _commit(self, transaction: RootTransaction, words: str) -> None:
        mark = mark_of(self._database)
        draft = mark.with_name(f".{mark.name}.part")
        try:
            draft.write_text(words, "utf-8")
            sync(draft)
            draft.replace(mark)
            sync(mark.parent)
            faultpoint("copy.marked")
            transaction.commit()
        except (DBAPIError, OSError) as error:
            if isinstance(error, DBAPIError) and error.connection_invalidated:
                raise Undecided("the connection to PostgreSQL broke during the commit: run the same again") from error
            mark.unlink(missing_ok=True)
            raise

    def _finish(self, moved: Moved) -> Moved:
        if self._hold is not None:
            self._hold.close()
        old = self._database.with_name(mark_of(self._database).read_text("utf-8").splitlines()[1])
        try:
            rename_database(self._database, old)
        except OSError:  # the mark is enough
            return moved
        return replace(moved, old=old)


@contextmanager
def source_at(database: Path, *, alone: bool = True) -> Iterator[Source]:
    """The database to be moved; with `alone` no server runs on it or starts meanwhile.

    Raises CopyError, BackupError, and AlreadyRunning while a server uses it.
    """
    if not database.is_file():
        before = f"; it was moved, as {mark} says" if (mark := mark_of(database)).exists() else ""
        raise CopyError(f"there is no database at {database}{before}")
    with (
        trouble(),
        _held(database) if alone else nullcontext() as hold,
        TemporaryDirectory(dir=database.parent, prefix=_DRAFT) as folder,
    ):
        draft = Path(folder) / "gateway.db"
        back_up(database, draft)
        engine = sqlite_engine(draft)
        try:
            pending(engine)
            migrate(engine)
            yield Source(database, engine, hold)
        finally:
            engine.dispose()


@contextmanager
def _held(database: Path) -> Iterator[sqlite3.Connection]:
    """Keep everybody else from writing."""
    with (
        closing(lock(database)),
        closing(sqlite3.connect(database, isolation_level=None, timeout=BUSY_SECONDS)) as hold,
    ):
        hold.execute("BEGIN IMMEDIATE")
        for left in database.parent.glob(f"{_DRAFT}*"):  # by one that was killed
            rmtree(left)
        yield hold

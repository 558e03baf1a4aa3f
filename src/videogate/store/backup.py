"""Backups of a SQLite database: made while a server runs, restored while none does.

A backup is older than what has been paid since. What it calls "not sent yet" may have left after it, so a restore takes
those attempts for sent: they are looked for at their vendors and never sent again.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from sqlalchemy import Connection, func, select, update

from videogate.store.migrate import UnknownSchema, migrate, pending
from videogate.store.rows import among, micros
from videogate.store.sqlite import lock, sqlite_engine
from videogate.store.tables import attempt, event, task
from videogate.task.state import LIVE, AttemptState, TaskState

MAYBE_SENT = (
    "The gateway was restored from a backup; whether this was sent since is being found out. It is not sent again."
)
_BESIDE = ("-wal", "-shm")  # what SQLite keeps beside a database


class BackupError(Exception):
    """The backup or the restore was not made, and nothing was changed; the text says why."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did: where the database before it is kept, and how many attempts now count as perhaps sent."""

    before: Path | None
    maybe_sent: int


def back_up(database: Path, target: Path, *, force: bool = False) -> None:
    """Copy a database into one file, which is there whole and checked, or not at all; servers go on meanwhile.

    Raises BackupError.
    """
    if not database.is_file():
        raise BackupError(f"there is no database at {database}")
    if target.exists() and (not force or (database.exists() and target.samefile(database))):
        raise BackupError(f"{target} exists; --force overwrites a backup")
    with trouble(), _beside(target) as draft:
        _copy(database, draft)
        _verify(draft)
        _put(draft, target)


def restore(source: Path, database: Path, *, now: float, nothing_sent_since: bool = False) -> Restored:
    """Put a backup in a database's place, at the newest schema, and keep the database that was there.

    Attempts that the backup calls prepared become `sending`, as a dead sender leaves them, unless the caller knows
    that nothing was sent since. Raises BackupError, and AlreadyRunning while a server uses the database.
    """
    if not source.is_file():
        raise BackupError(f"there is no file {source}")
    with trouble():
        database.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with closing(lock(database)), _beside(database) as draft:
            _copy(source, draft)
            _verify(draft)
            maybe_sent = _prepare(draft, now, nothing_sent_since=nothing_sent_since)
            _verify(draft)
            before = _keep_old(database, now)
            _put(draft, database)
    return Restored(before, maybe_sent)


def take_for_sent(connection: Connection, now: float) -> int:
    """Make of every attempt that waits to be sent one whose sender is gone. Returns how many there were.

    It counts as sent when the backup was made: what is still prepared then leaves within moments.
    """
    waits = select(task.c.id).where(among(task.c.state, LIVE), task.c.state == TaskState.INTENT)
    prepared = attempt.c.state == AttemptState.PREPARED
    made = connection.execute(select(func.max(event.c.at))).scalar() or micros(now)
    owners = select(attempt.c.task_id).where(prepared, attempt.c.task_id.in_(waits))
    moved = {"state": TaskState.SUBMITTING, "waiting": MAYBE_SENT, "due_at": micros(now)}
    held = {"lease_by": None, "lease_until": 0, "fence": task.c.fence + 1}
    ids = connection.execute(owners).scalars().all()
    connection.execute(update(task).where(task.c.id.in_(owners)).values({**moved, **held}))
    sent = {"state": AttemptState.SENDING, "sent_at": made, "send_deadline": made}
    submitting = select(task.c.id).where(task.c.state == TaskState.SUBMITTING)
    connection.execute(update(attempt).where(prepared, attempt.c.task_id.in_(submitting)).values(sent))
    return len(ids)


def _copy(source: Path, target: Path) -> None:
    """Copy within one read transaction, by SQLite's own means: writers are not held up, nothing half is seen."""
    with closing(_open(source, "ro")) as old, closing(_open(target, "rw")) as new:
        old.backup(new)
        new.execute("PRAGMA journal_mode=DELETE")  # so that it is one file


def _verify(path: Path) -> None:
    with closing(_open(path, "ro")) as raw:
        found = [row[0] for row in raw.execute("PRAGMA integrity_check(1)")]
    if found != ["ok"]:
        raise BackupError(f"the copy is damaged: {found[0]}")


def _prepare(draft: Path, now: float, *, nothing_sent_since: bool) -> int:
    engine = sqlite_engine(draft)
    try:
        pending(engine)
        migrate(engine)
        with engine.begin() as connection:
            maybe_sent = 0 if nothing_sent_since else take_for_sent(connection, now)
    finally:
        engine.dispose()
    with closing(_open(draft, "rw")) as raw:
        raw.execute("PRAGMA journal_mode=DELETE")
    return maybe_sent


def _keep_old(database: Path, now: float) -> Path | None:
    """Give the database a second name, and take what SQLite keeps beside it from the first."""
    if not database.exists():
        return None
    _into_one_file(database)
    before = database.with_name(f"{database.name}.before-restore-{now:.0f}-{token_hex(2)}")
    before.hardlink_to(database)
    _rename_beside(database, before)
    return before


def rename_database(database: Path, name: Path) -> None:
    """Give a database that nobody uses another name. Raises OSError."""
    _into_one_file(database)
    database.rename(name)
    _rename_beside(database, name)
    sync(name.parent)


def _into_one_file(database: Path) -> None:
    with suppress(sqlite3.DatabaseError), closing(_open(database, "rw")) as raw:  # a damaged one is kept as it is
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _rename_beside(database: Path, name: Path) -> None:
    for suffix in _BESIDE:
        beside = database.with_name(database.name + suffix)
        if beside.exists():
            beside.rename(name.with_name(name.name + suffix))


def _put(draft: Path, target: Path) -> None:
    sync(draft)
    draft.replace(target)
    sync(target.parent)


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """An empty file beside another, for its owner's eyes only, gone afterwards unless it was renamed."""
    draft = target.with_name(f".{target.name}.{token_hex(4)}.part")
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        yield draft
    finally:
        for suffix in ("", "-journal", *_BESIDE):
            draft.with_name(draft.name + suffix).unlink(missing_ok=True)


@contextmanager
def trouble() -> Iterator[None]:
    """Turn what a disk or a file that is no database of ours raises into a BackupError."""
    try:
        yield
    except UnknownSchema as error:
        raise BackupError(f"this is no database that can be used here: {error}") from None
    except (OSError, sqlite3.DatabaseError) as error:
        raise BackupError(str(error)) from error


def _open(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode={mode}", uri=True, timeout=30)


def sync(path: Path) -> None:
    """Bring a file, or the entries of a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

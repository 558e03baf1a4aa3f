"""A store on a real SQLite file or PostgreSQL database, and what tests ask of it."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from threading import Event as Flag
from typing import Any

import psycopg
from sqlalchemy import Connection

from postgres import Asking
from videogate.store.claims import Claim, Lane, Order
from videogate.store.database import Database
from videogate.store.ledger import Ledger
from videogate.store.lost import LostStore
from videogate.store.postgres import PostgresDatabase
from videogate.store.sqlite import SqliteDatabase
from videogate.store.tables import metadata, secret
from videogate.store.tasks import TaskStore
from videogate.task.errors import Failure, FailureCode
from videogate.task.model import Fitted, NewTask, Picture, Receipt, Task, TaskSpec
from videogate.task.state import LIVE, AttemptState, TaskState

NOW = 1_800_000_000.0
VENDOR, ACCOUNT = "maker", "maker@vendor.test"
UNKNOWN_OUTCOME = Failure(FailureCode.UNKNOWN_OUTCOME, "nobody knows")
REFUSED = (sqlite3.IntegrityError, psycopg.errors.IntegrityError)  # a rule of the schema, in each driver's words
BROKEN = Failure(FailureCode.VENDOR_ERROR, "broken", "E1", "it broke")


def new_task(task_id: str, **changes: Any) -> NewTask:
    """A request as accepted at NOW."""
    values = {
        "id": task_id,
        "owner": "alice",
        "spec": TaskSpec(model="film-1", prompt=f"a film called {task_id}"),
        "fitted": Fitted("720x1280", "4"),
        "vendor": VENDOR,
        "account": ACCOUNT,
        "vendor_model": "film-1",
        "client_ref": f"ref-{task_id}",
        "created_at": NOW,
        "deadline_at": NOW + 86_400,
        "request_id": "req_1",
    }
    return NewTask(**{**values, **changes})


def lane(*states: TaskState, vendor: str = VENDOR) -> Lane:
    """Work of a vendor; every live state unless told otherwise."""
    return Lane(vendor, frozenset(states or LIVE))


class Put:
    """A unit of work that writes one row of `secret`, which has no rules but its primary key."""

    def __init__(self, name: str, value: str = "x") -> None:
        self.row = {"name": name, "value": value}

    def __call__(self, connection: Connection) -> str:
        connection.execute(secret.insert().values(self.row))
        return self.row["name"]


class Gate:
    """A unit of work that keeps its writer busy until it is opened."""

    def __init__(self) -> None:
        self.entered, self.open = Flag(), Flag()

    def __call__(self, connection: Connection) -> None:
        self.entered.set()
        assert self.open.wait(20)

    async def reached(self) -> None:
        await asyncio.to_thread(self.entered.wait, 20)


@dataclass(frozen=True)
class Desk:
    """The store's parts on one database, with a second, raw connection to look at what is really in it.

    `path` is the SQLite file; `url` the PostgreSQL database, where it is one.
    """

    path: Path
    url: str | None
    database: Database
    tasks: TaskStore
    ledger: Ledger
    lost: LostStore
    asking: Asking | None = None

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a statement on a connection of its own; changes are committed."""
        if self.asking is not None:
            return self.asking(statement, *values)
        with closing(sqlite3.connect(self.path, timeout=10)) as raw, raw:
            return raw.execute(statement, values).fetchall()

    def names(self) -> set[str]:
        """What was `put`."""
        return {name for (name,) in self.sql("SELECT name FROM secret")}

    async def add(self, task_id: str = "video_1", *pictures: Picture, **changes: Any) -> Task:
        spec = TaskSpec(model="film-1", prompt=f"a film called {task_id}", pictures=pictures)
        return (await self.tasks.add(new_task(task_id, **{"spec": spec, **changes}))).task

    async def claim(self, *states: TaskState, now: float = NOW, lease: float = 60.0) -> Claim:
        """Claim the one task that is due."""
        (claim,) = await self.ledger.claim([Order(lane(*states), 10)], now=now, lease=lease)
        return claim

    async def sending(self, task_id: str = "video_1") -> Claim:
        """A fresh task whose attempt is being sent."""
        await self.add(task_id)
        claim = await self.claim(TaskState.INTENT)
        assert await self.ledger.begin_send(claim, now=NOW, deadline=NOW + 40)
        return claim

    async def submitted(self, task_id: str = "video_1") -> Claim:
        """A task that its vendor accepted, claimed to be looked at."""
        claim = await self.sending(task_id)
        assert await self.ledger.accepted(claim.attempt.id, Receipt(f"job-{task_id}"), now=NOW, due_at=NOW)
        return await self.claim(TaskState.SUBMITTED)

    def state(self, task_id: str = "video_1") -> TaskState:
        ((state,),) = self.sql("SELECT state FROM task WHERE id = ?", task_id)
        return TaskState(state)

    def attempts(self, task_id: str = "video_1") -> list[AttemptState]:
        """The states of a task's attempts, in order."""
        rows = self.sql("SELECT state FROM attempt WHERE task_id = ? ORDER BY number", task_id)
        return [AttemptState(state) for (state,) in rows]

    def everything(self) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
        """Every row of tasks and attempts, to see that nothing changed."""
        return self.sql("SELECT * FROM task ORDER BY id"), self.sql("SELECT * FROM attempt ORDER BY id")


@asynccontextmanager
async def opened(
    folder: Path, url: str | None = None, *, worker: str = "worker-1", alone: bool = True
) -> AsyncIterator[Desk]:
    """A store in `folder`, or in the PostgreSQL database at `url`."""
    path = folder / "gateway.db"
    database = SqliteDatabase(path, alone=alone) if url is None else PostgresDatabase(url)
    asking = None if url is None else Asking(url)
    try:
        metadata.create_all(database.engine)
        yield Desk(path, url, database, TaskStore(database), Ledger(database, worker), LostStore(database), asking)
    finally:
        if asking is not None:
            asking.close()
        await database.close()

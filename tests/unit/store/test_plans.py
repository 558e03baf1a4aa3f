"""What the store's statements read: their cost grows with what is open, however much has ended."""

import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
import pytest
from sqlalchemy import Table, event

from unit.store.support import ACCOUNT, NOW, VENDOR, Desk, lane, new_task
from videogate.store.claims import Bound, Order
from videogate.store.deliveries import DeliveryStore
from videogate.store.endpoints import EndpointStore
from videogate.store.events import EventStore
from videogate.store.figures import FigureStore
from videogate.store.kept import KeptStore
from videogate.store.postgres import PostgresDatabase
from videogate.store.sqlite import SqliteDatabase
from videogate.store.tables import attempt, task, task_request, webhook_delivery
from videogate.store.tables import event as log
from videogate.task.state import TaskState
from videogate.task.webhook import Endpoint

MANY = 3_000
NUMBERS = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})"
COPIES: dict[Table, dict[str, str]] = {
    task: {"id": "'old_' || i"},
    task_request: {"task_id": "'old_' || i"},
    attempt: {"task_id": "'old_' || i", "client_ref": "'old_' || i"},
    webhook_delivery: {"id": "'wh_' || i", "task_id": "'old_' || i", "event_id": "event_id + i"},
}
LARGE = {table.name for table in (*COPIES, log)}
ENDPOINT = Endpoint("we_1", "alice", "all", "https://a.test/", ("video.completed",), "whsec_eA==", NOW, NOW)
Statement = tuple[str, Any]


async def fill(desk: Desk) -> None:
    """Thousands of videos that were completed and told of, and a few that are open."""
    await EndpointStore(desk.database).add(ENDPOINT, 1)
    await desk.add("old_0")
    desk.sql("UPDATE attempt SET state = 'accepted'")
    desk.sql("UPDATE task SET state = 'succeeded', content_key = 'x', expires_at = ?", int(2 * NOW * 1e6))
    await DeliveryStore(desk.database).dispatch(NOW)
    desk.sql("UPDATE webhook_delivery SET state = 'delivered'")
    for table, new in COPIES.items():
        names = [column.name for column in table.columns if column.autoincrement is not True]
        values = ", ".join(new.get(name, name) for name in names)
        desk.sql(f"{NUMBERS} INSERT INTO {table.name} ({', '.join(names)}) SELECT {values} FROM {table.name}, n")
    desk.sql("DELETE FROM event_untold")
    for number in range(1, 6):
        await desk.add(f"video_{number}")
    desk.sql("ANALYZE")


@contextmanager
def watched(desk: Desk) -> Iterator[list[Statement]]:
    """The statements that are run meanwhile."""
    found: list[Statement] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if statement.lstrip().startswith(("SELECT", "UPDATE", "DELETE", "WITH")):
            found.append((statement, values))

    assert isinstance(desk.database, SqliteDatabase | PostgresDatabase)
    engines = (desk.database.engine, desk.database._readers)
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    lookups = desk.database._lookups._open() if isinstance(desk.database, SqliteDatabase) else None
    if lookups is not None:
        lookups.set_trace_callback(lambda statement: found.append((statement, ())))
    yield found
    if lookups is not None:
        lookups.set_trace_callback(None)
    for engine in engines:
        event.remove(engine, "before_cursor_execute", note)


def scanned(desk: Desk, statement: str, values: Any) -> set[str]:
    """The tables that a statement reads from end to end."""
    if desk.url is None:
        with closing(sqlite3.connect(desk.path)) as raw:
            steps = [row[3].split() for row in raw.execute(f"EXPLAIN QUERY PLAN {statement}", values)]
        return {words[1] for words in steps if words[0] == "SCAN" and "INDEX" not in words}
    with psycopg.connect(desk.url) as raw_:
        ((plan,),) = raw_.execute(f"EXPLAIN (FORMAT JSON) {statement}".encode(), values).fetchall()
    return {node["Relation Name"] for node in _nodes(plan[0]["Plan"]) if node["Node Type"] == "Seq Scan"}


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for each in plan.get("Plans", ()):
        yield from _nodes(each)


Call = Callable[[Desk], Awaitable[object]]
WORKERS: list[Call] = [
    lambda desk: desk.ledger.agenda(NOW),
    lambda desk: desk.ledger.claim([Order(lane(TaskState.INTENT), 2)], now=NOW, lease=30),
    lambda desk: desk.ledger.claim([Order(lane(TaskState.INTENT), 9, Bound(ACCOUNT, 4))], now=NOW, lease=30),
    lambda desk: desk.ledger.claim([Order(lane(TaskState.SUBMITTED, TaskState.RUNNING), 9)], now=NOW, lease=30),
    lambda desk: desk.ledger.jobs(ACCOUNT, NOW),
    lambda desk: desk.ledger.explain(VENDOR, "full", now=NOW),
    lambda desk: desk.ledger.unserved([VENDOR], "not served"),
    lambda desk: desk.ledger.hasten(ACCOUNT, "ref-video_1", now=NOW),
    lambda desk: desk.ledger.clock_set_back(NOW),
    lambda desk: desk.ledger.inputs_in_use(),
    lambda desk: desk.ledger.hand_back(NOW),
    lambda desk: desk.ledger.late(now=NOW + 90_000, lease=30),
    lambda desk: desk.ledger.recover(NOW),
    lambda desk: desk.lost.due(VENDOR, now=NOW, lease=1),
    lambda desk: desk.lost.next_at(VENDOR),
    lambda desk: desk.lost.under_review(),
    lambda desk: desk.lost.bound(ACCOUNT, ["job-1"]),
    lambda desk: desk.lost.known(ACCOUNT, ["ref-video_1"]),
    lambda desk: FigureStore(desk.database).standing(),
    lambda desk: KeptStore(desk.database).expired(NOW),
    lambda desk: KeptStore(desk.database).next_at(),
    lambda desk: KeptStore(desk.database).owners(["video_1", "video_2"]),
]
CALLERS: list[Call] = [
    lambda desk: desk.tasks.get("alice", "video_1"),
    lambda desk: desk.tasks.page("alice", after=None, limit=20, newest_first=True),
    lambda desk: desk.tasks.page("alice", after="old_7", limit=20, newest_first=False),
    lambda desk: desk.tasks.add(new_task("video_8", fingerprint="asked", tries=1)),
    lambda desk: desk.tasks.add(new_task("video_9", fingerprint="asked", idempotency="key")),
    lambda desk: desk.tasks.receipt("video_1"),
    lambda desk: desk.tasks.delete("alice", "video_1", NOW),
    lambda desk: EventStore(desk.database).of("video_1"),
    lambda desk: EventStore(desk.database).newest(["video_1"]),
]
TELLERS: list[Call] = [
    lambda desk: DeliveryStore(desk.database).behind(),
    lambda desk: DeliveryStore(desk.database).dispatch(NOW),
    lambda desk: DeliveryStore(desk.database).due(NOW, lambda _: 5),
    lambda desk: DeliveryStore(desk.database).claim(["wh_1"], now=NOW, until=NOW + 1),
    lambda desk: DeliveryStore(desk.database).page(None, limit=20),
    lambda desk: DeliveryStore(desk.database).page("alice", endpoint_id="we_1", limit=20),
    lambda desk: DeliveryStore(desk.database).endpoint_of("wh_1"),
    lambda desk: DeliveryStore(desk.database).release(),
]


@pytest.mark.parametrize("calls", [WORKERS, CALLERS, TELLERS], ids=["workers", "callers", "tellers"])
async def test_what_has_ended_is_never_read(desk: Desk, calls: list[Call]) -> None:
    """Claims, searches, figures, the API's own reads and webhooks go by an index, each of them."""
    await fill(desk)

    for call in calls:
        with watched(desk) as statements:
            await call(desk)

        assert statements
        for statement, values in statements:
            assert not scanned(desk, statement, values) & LARGE, statement

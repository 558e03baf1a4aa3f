"""Callers of a PostgreSQL server who come at the same moment: one trip for all of them, and nobody notices."""

import asyncio
import time
import traceback
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, bindparam, event, insert, select
from sqlalchemy.exc import DataError, IntegrityError
from structlog.testing import capture_logs

from postgres import PostgresServer
from unit.store.network import Network
from unit.store.support import Desk, Gate, Put, new_task, opened
from videogate.store import postgres as module
from videogate.store.database import DatabaseAway, lock_number
from videogate.store.direct import DirectInsert
from videogate.store.postgres import WRITERS, PostgresDatabase
from videogate.store.rows import Row
from videogate.store.tables import secret
from videogate.store.tasks import TaskStore
from videogate.task.errors import InvalidRequest
from videogate.task.model import Added, Adjustment, Fitted, Task, TaskSpec

COMMIT = b"COMMIT\0"
AT_ONCE = 2.0  # seconds
ODD = 'a "film" of 100% \\ 猫 {} %s %(id)s \x01 \U0001f600'


class Counted:
    """A database that is told of its commits and of the statements of its readers."""

    def __init__(self, url: str) -> None:
        self.commits: list[int] = []
        self.database = PostgresDatabase(url, lambda works, _seconds: self.commits.append(works))
        self.tasks = TaskStore(self.database)
        self.statements = 0
        event.listen(self.database._readers, "before_cursor_execute", self._count)

    def _count(self, *_: Any) -> None:
        self.statements += 1


@asynccontextmanager
async def counted_at(url: str) -> AsyncIterator[Counted]:
    """A database, closed afterwards."""
    counted = Counted(url)
    try:
        yield counted
    finally:
        await counted.database.close()


@pytest.fixture
async def counted(database_url: str) -> AsyncIterator[Counted]:
    """An empty database."""
    async with counted_at(database_url) as made:
        yield made


@pytest.fixture
async def desk(tmp_path: Any, database_url: str) -> AsyncIterator[Desk]:
    """The same database, to look at what is in it."""
    async with opened(tmp_path, database_url) as made:
        yield made


async def create(tasks: TaskStore, number: int, **changes: Any) -> Added:
    """One of many requests."""
    return await tasks.add(new_task(f"video_{number}", **{"fingerprint": f"asked {number}", **changes}))


async def outcomes(*calls: Any) -> list[Any]:
    return await asyncio.gather(*calls, return_exceptions=True)


def rows(desk: Desk) -> Mapping[str, int]:
    """How many rows each create left, which make one each."""
    counts = {}
    for table in ("task", "task_request", "attempt", "event"):
        ((counts[table],),) = desk.sql(f"SELECT count(*) FROM {table}")
    return counts


# Lookups.


async def test_each_caller_gets_its_own_row(counted: Counted) -> None:
    """Of many who look at the same moment each sees its own task, or none where it has none; few statements are run."""
    for number in range(20):
        await create(counted.tasks, number, owner="alice" if number % 2 else "bob")
    wanted = [(owner, number) for number in range(25) for owner in ("alice", "bob")] * 3

    found = await asyncio.gather(*(counted.tasks.get(owner, f"video_{number}") for owner, number in wanted))

    owners = {f"video_{number}": "alice" if number % 2 else "bob" for number in range(20)}
    for (owner, number), task in zip(wanted, found, strict=True):
        mine = owners.get(f"video_{number}") == owner
        assert (task.id if task else None) == (f"video_{number}" if mine else None)
    assert counted.statements <= 4


async def test_two_kinds_of_lookups(counted: Counted) -> None:
    """Who looks for something else at the same moment finds that, and each in its own order."""
    for name in ("a", "b", "c"):
        await create(counted.tasks, ord(name))
        await counted.database.write(Put(name, f"value {name}"))
    query = select(secret).where(secret.c.name == bindparam("name"))

    looks = [(counted.tasks.get("alice", f"video_{ord(n)}"), counted.database.one(query, name=n)) for n in "cab"]
    found = await asyncio.gather(*(look for pair in looks for look in pair))

    assert [task.id for task in found[::2] if isinstance(task, Task)] == [f"video_{ord(n)}" for n in "cab"]
    assert found[1::2] == [{"name": n, "value": f"value {n}"} for n in "cab"]
    assert counted.statements == 2


async def test_a_row_is_the_same_either_way(counted: Counted, desk: Desk) -> None:
    """A task that is looked up is the task that a list shows, in every field."""
    changed = (Adjustment("size", "10x10", "720x1280", ODD),)
    await create(counted.tasks, 1, fitted=Fitted("720x1280", "4", adjustments=changed), traceparent="00-a-b-01")
    failure = '{"code": "vendor_error", "message": "m", "vendor_code": null, "vendor_message": null}'
    desk.sql("UPDATE task SET state = 'failed', completed_at = 1, failure = ?::json", failure)

    page = await counted.tasks.page("alice", after=None, limit=1, newest_first=True)

    assert page is not None
    assert await counted.tasks.get("alice", "video_1") == page.tasks[0]
    assert page.tasks[0].adjustments == changed


async def test_a_lookup_that_cannot_be_asked(counted: Counted) -> None:
    """An id that the server cannot take is its caller's mistake; who looks at the same moment sees its task."""
    await create(counted.tasks, 1)

    bad, *good = await outcomes(*(counted.tasks.get("alice", each) for each in ("nul\0", "video_1", "video_2")))

    assert isinstance(bad, DataError)
    assert [each and each.id for each in good] == ["video_1", None]


async def test_lookups_of_who_has_gone(counted: Counted) -> None:
    """Callers that stop waiting take nobody's answer with them."""
    await create(counted.tasks, 1)
    looks = [asyncio.create_task(counted.tasks.get("alice", "video_1")) for _ in range(9)]
    await asyncio.sleep(0)
    for look in looks[::2]:
        look.cancel()

    assert [look and look.id for look in await asyncio.gather(*looks[1::2])] == ["video_1"] * 4
    assert await counted.tasks.get("alice", "video_1") is not None


async def test_a_server_that_hangs_while_many_look(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All are told in time that the database is away, and look again with success when it is back."""
    async with Network(database_url) as network, counted_at(network.url("pw")) as far:
        await create(far.tasks, 1)
        await far.tasks.get("alice", "video_1")
        monkeypatch.setattr(module, "ANSWER_SECONDS", 0.5)
        network.hang()
        began = time.monotonic()
        first = asyncio.create_task(far.tasks.get("alice", "video_1"))
        await asyncio.sleep(0.2)

        told = await outcomes(first, *(far.tasks.get("alice", "video_1") for _ in range(9)))

        assert time.monotonic() - began < AT_ONCE
        assert [type(each) for each in told] == [DatabaseAway] * 10
        assert not any(each.maybe_done for each in told)
        monkeypatch.undo()
        network.resume()
        assert await far.tasks.get("alice", "video_1") is not None


async def test_a_server_that_is_started_again(server: PostgresServer) -> None:
    """While it is down callers are told so at once; the first calls after its start go through."""
    async with counted_at(server.database()) as counted:
        await asyncio.gather(*(create(counted.tasks, number) for number in range(20)))
        await asyncio.gather(*(counted.tasks.get("alice", f"video_{number}") for number in range(20)))
        await asyncio.to_thread(server.stop)
        began = time.monotonic()
        looks = await outcomes(*(counted.tasks.get("alice", f"video_{number}") for number in range(5)))
        creates = await outcomes(*(create(counted.tasks, number) for number in range(20, 25)))

        assert time.monotonic() - began < 2 * AT_ONCE
        assert {type(each) for each in (*looks, *creates)} == {DatabaseAway}
        await asyncio.to_thread(server.start)
        found = await asyncio.gather(*(counted.tasks.get("alice", f"video_{number}") for number in range(25)))
        assert [task and task.id for task in found] == [f"video_{number}" for number in range(20)] + [None] * 5
        assert all([(await create(counted.tasks, number)).new for number in range(20, 25)])


# Creates.


async def test_creates_at_the_same_moment(counted: Counted, desk: Desk) -> None:
    """All of them are there when they are answered, with all that belongs to each, after few commits."""
    keys = [{}, {"idempotency": "key"}]

    added = await asyncio.gather(
        *(
            create(counted.tasks, number, **{k: f"{v} {number}" for k, v in keys[number % 2].items()})
            for number in range(60)
        )
    )

    assert all(each.new for each in added)
    assert rows(desk) == dict.fromkeys(("task", "task_request", "attempt", "event"), 60)
    assert desk.sql("SELECT count(*) FROM idempotency_key") == [(30,)]
    assert sum(counted.commits) == 60
    assert len(counted.commits) <= 4


async def test_what_was_asked_is_kept_as_it_was(counted: Counted) -> None:
    """No character of a request is lost or means something else on its way."""
    odder = f"{ODD} \0 \ud800 \\u0000"
    spec = TaskSpec(model="film-1", prompt=f"{ODD} \\u0000", options={odder: [odder, None, 1.5, {"a": [2**60]}]})

    added = await create(counted.tasks, 1, spec=spec, request_id="'; --")

    kept = await counted.tasks.get("alice", "video_1")
    assert (await counted.tasks.request("video_1"))[0] == spec
    assert kept == added.task
    assert kept.prompt == spec.prompt


async def test_a_refused_create_takes_no_other_with_it(counted: Counted, desk: Desk) -> None:
    """A key of another request is refused; all who came at the same moment have their videos, by one commit."""
    await create(counted.tasks, 0, idempotency="key")
    counted.commits.clear()

    refused, *others = await outcomes(
        create(counted.tasks, 1, idempotency="key"), *(create(counted.tasks, number) for number in range(2, 22))
    )

    assert isinstance(refused, InvalidRequest)
    assert all(each.new for each in others)
    assert rows(desk)["task"] == 21
    assert len(counted.commits) == 1


async def test_a_create_that_the_schema_refuses(counted: Counted, desk: Desk) -> None:
    """One that cannot be written fails alone: nothing of it stays, and the others are written."""
    await create(counted.tasks, 0)

    broken, *others = await outcomes(
        create(counted.tasks, 1, client_ref="ref-video_0"), *(create(counted.tasks, number) for number in range(2, 12))
    )

    assert isinstance(broken, IntegrityError)
    assert all(each.new for each in others)
    assert rows(desk) == dict.fromkeys(("task", "task_request", "attempt", "event"), 11)


@pytest.mark.parametrize("sign", ["\0", "\ud800"], ids=["nul", "half a character"])
async def test_a_text_that_no_server_takes(counted: Counted, desk: Desk, sign: str) -> None:
    """It fails alone, and no error or log quotes what was written beside it."""
    spec = TaskSpec(model="film-1", prompt=f"sesame of tests {sign} and more")

    with capture_logs() as logs:
        bad, good = await outcomes(create(counted.tasks, 1, spec=spec), create(counted.tasks, 2))

    assert isinstance(bad, ValueError)
    assert good.new
    assert "sesame" not in f"{logs} {bad}"
    assert "sesame" not in "".join(traceback.format_exception(bad))
    assert rows(desk)["task"] == 1


async def test_equal_creates_at_the_same_moment(counted: Counted, desk: Desk) -> None:
    """Two tries under one key make one task, and so do a first try and its client's second; others share a commit."""
    keyed = [create(counted.tasks, number, idempotency="key", fingerprint="asked") for number in (1, 2)]
    tried = [create(counted.tasks, number, fingerprint="again", tries=number - 3) for number in (3, 4)]

    added = await asyncio.gather(*keyed, *tried, *(create(counted.tasks, number) for number in range(5, 9)))

    assert [(each.task.id, each.new) for each in added[:4]] == [
        ("video_1", True),
        ("video_1", False),
        ("video_3", True),
        ("video_3", False),
    ]
    assert rows(desk)["task"] == 6
    assert counted.commits == [6, 1, 1]


async def test_keys_that_two_processes_want_in_opposite_orders(counted: Counted, database_url: str) -> None:
    """Two processes that get the same requests at the same moment make one task of each, and wait for no deadlock."""
    numbers = list(range(20))
    began = time.monotonic()
    async with counted_at(database_url) as other:
        ours, theirs = await asyncio.gather(
            asyncio.gather(*(create(counted.tasks, n, idempotency=f"key {n}") for n in numbers)),
            asyncio.gather(*(create(other.tasks, n, id=f"other_{n}", idempotency=f"key {n}") for n in numbers[::-1])),
        )

    for mine, yours in zip(ours, theirs[::-1], strict=True):
        assert mine.task.id == yours.task.id
        assert mine.new != yours.new
    assert time.monotonic() - began < 10


async def test_a_create_that_has_to_wait(counted: Counted, desk: Desk) -> None:
    """While another process works on an equal request only its like waits; the others have their videos at once."""
    number = lock_number("alice asked 1")
    with psycopg.connect(desk.url or "") as theirs:
        theirs.execute("SELECT pg_advisory_xact_lock(%s)", [number])
        waiting = asyncio.create_task(create(counted.tasks, 1))
        others = await asyncio.wait_for(asyncio.gather(*(create(counted.tasks, n) for n in range(2, 9))), AT_ONCE)

        assert all(each.new for each in others)
        assert not waiting.done()
    assert (await waiting).new


async def test_a_retry_that_has_to_wait(counted: Counted, desk: Desk) -> None:
    """While somebody holds the task of an earlier try only its retry waits; it is answered with that task."""
    await create(counted.tasks, 1)
    with psycopg.connect(desk.url or "") as theirs:
        theirs.execute("SELECT * FROM task FOR UPDATE")
        waiting = asyncio.create_task(create(counted.tasks, 9, fingerprint="asked 1", tries=1))
        others = await asyncio.wait_for(asyncio.gather(*(create(counted.tasks, n) for n in range(2, 9))), AT_ONCE)

        assert all(each.new for each in others)
        assert not waiting.done()
    assert (await waiting).task.id == "video_1"


@pytest.mark.parametrize("heard", [True, False], ids=["answer lost", "request lost"])
async def test_a_commit_that_is_cut(database_url: str, desk: Desk, heard: bool) -> None:
    """When the connection breaks at COMMIT each caller in it learns that nobody knows, and nothing is done twice."""
    async with Network(database_url) as network, counted_at(network.url("pw")) as far:
        await create(far.tasks, 0)
        network.cut, network.heard = COMMIT, heard

        told = await outcomes(*(create(far.tasks, number) for number in range(1, 6)))

        assert [each.maybe_done for each in told if isinstance(each, DatabaseAway)] == [True] * 5
        assert rows(desk)["task"] == (6 if heard else 1)
        assert (await create(far.tasks, 9)).new


async def test_a_work_finds_what_it_has_written(counted: Counted) -> None:
    """Rows are sent together and late, but no statement of a work comes before those that it wrote earlier."""
    row = {"name": "a", "value": "b"}

    def work(connection: Connection, _row: Row | None) -> object:
        DirectInsert(insert(secret))(connection, row)
        return connection.execute(select(secret)).mappings().one()

    assert await counted.database.add(work) == row


async def test_creates_of_who_has_gone(counted: Counted, desk: Desk) -> None:
    """A caller that stops waiting loses nothing: its create is made like the others."""
    creates = [asyncio.create_task(create(counted.tasks, number)) for number in range(6)]
    await asyncio.sleep(0)
    for each in creates[::2]:
        each.cancel()
    await outcomes(*creates)
    await counted.database.close()

    assert [each.cancelled() for each in creates] == [True, False] * 3
    assert rows(desk)["task"] == 6


async def test_creates_that_wait_at_the_end(counted: Counted, desk: Desk) -> None:
    """What was asked for before the end is made, although all connections were busy then."""
    gates = [Gate() for _ in range(WRITERS)]
    held = [asyncio.create_task(counted.database.write(gate)) for gate in gates]
    for gate in gates:
        await gate.reached()
    creates = [asyncio.create_task(create(counted.tasks, number)) for number in range(3)]
    await asyncio.sleep(0.05)
    creates.append(asyncio.create_task(create(counted.tasks, 3)))
    await asyncio.sleep(0)

    ending = asyncio.create_task(counted.database.close())
    await asyncio.sleep(0.05)
    for gate in gates:
        gate.open.set()
    await asyncio.gather(ending, *held)

    assert all(each.new for each in await asyncio.gather(*creates))
    assert rows(desk)["task"] == 4


async def test_a_server_that_hangs_at_the_end(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process ends although its server says nothing any more, and whoever waits is told that it is away."""
    monkeypatch.setattr(module, "CLOSE_SECONDS", 0.5)
    monkeypatch.setitem(vars(module)["_LIVELINESS"], "connect_timeout", 2)  # the least that the driver takes
    async with Network(database_url) as network:
        far = Counted(network.url("pw"))
        await create(far.tasks, 0)
        await far.tasks.get("alice", "video_0")
        network.hang()
        calls: list[asyncio.Future[Any]] = []
        for number in range(1, 4):
            calls += [asyncio.ensure_future(create(far.tasks, number))]
            calls += [asyncio.ensure_future(far.tasks.get("alice", "video_0"))]
            await asyncio.sleep(0.05)
        began = time.monotonic()

        await far.database.close()

        assert time.monotonic() - began < 8
        assert [type(each) for each in await outcomes(*calls)] == [DatabaseAway] * 6

"""Several processes on one PostgreSQL database, at the same moment. Each `Desk` has connections of its own, as each
process has.
"""

import asyncio
import random
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import TypeVar

import psycopg
import pytest

from unit.store.support import ACCOUNT, NOW, UNKNOWN_OUTCOME, VENDOR, Desk, lane, new_task, opened
from videogate.store.claims import Bound, Claim, Order
from videogate.store.deliveries import DeliveryStore
from videogate.store.endpoints import EndpointStore
from videogate.store.keys import KeyStore
from videogate.store.workers import WorkerStore
from videogate.task.model import Receipt
from videogate.task.state import AttemptState, TaskState
from videogate.task.webhook import DeliveryState, Endpoint, Outcome

T = TypeVar("T")
CREW = 4


@pytest.fixture
async def crew(tmp_path: Path, database_url: str) -> AsyncIterator[list[Desk]]:
    """The same database, opened by several."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(opened(tmp_path, database_url, worker=f"worker-{number}"))
            for number in range(CREW)
        ]


async def race(calls: Iterable[Awaitable[T]]) -> list[T]:
    """All at once."""
    return await asyncio.gather(*calls)


def taken_by(claims: Iterable[Sequence[Claim]]) -> list[str]:
    """The tasks of claims."""
    return sorted(claim.task.id for each in claims for claim in each)


# Claims.


async def test_no_task_has_two_holders(crew: list[Desk]) -> None:
    """However claims of several processes interleave, each task is held by one, and none is left over."""
    names = sorted(f"video_{number}" for number in range(60))
    await race(crew[0].add(name) for name in names)

    orders = [Order(lane(), 1 + number % 5) for number in range(60)]
    claims = await race(
        crew[number % CREW].ledger.claim([order], now=NOW, lease=30) for number, order in enumerate(orders)
    )

    assert taken_by(claims) == names


async def test_an_account_never_has_more_jobs_than_its_bound(crew: list[Desk]) -> None:
    """Processes that claim at the same moment get together what the account has room for, no more and no less."""
    await race(crew[0].add(f"video_{number}") for number in range(40))
    order = Order(lane(TaskState.INTENT), 5, Bound(ACCOUNT, 7))
    held: dict[str, Claim] = {}

    for lap in range(4):
        claims = await race(desk.ledger.claim([order], now=NOW, lease=30) for desk in crew for _ in range(2))
        held |= {claim.task.id: claim for each in claims for claim in each}
        assert len(held) == await crew[lap].ledger.jobs(ACCOUNT, NOW) == 7
        for task_id in sorted(held)[: lap + 2]:
            claim = held.pop(task_id)
            assert await crew[lap].ledger.begin_send(claim, now=NOW, deadline=NOW + 40)
            assert await crew[lap].ledger.rejected(claim, UNKNOWN_OUTCOME, now=NOW)


async def test_a_lost_submit_is_looked_for_by_one(crew: list[Desk]) -> None:
    """What one process looks for, no other does."""
    names = sorted(f"video_{number}" for number in range(12))
    for name in names:
        assert await crew[0].ledger.unknown(await crew[0].sending(name), "lost", look_at=NOW)

    found = await race(desk.lost.due(VENDOR, now=NOW, lease=60) for desk in crew)

    assert sorted(lost.task_id for each in found for lost in each) == names


# The ledger of money.


async def test_one_job_is_bound_once(crew: list[Desk]) -> None:
    """Of two attempts that are told of one job at the same moment one gets it, and nobody gets an error."""
    for lap in range(10):
        first, second = [await crew[0].sending(f"video_{lap}{twin}") for twin in "ab"]
        receipt = Receipt(f"job-{lap}")

        bound = await race(
            desk.ledger.accepted(claim.attempt.id, receipt, now=NOW, due_at=NOW + 900)
            for desk, claim in zip(crew, (first, second, first, second), strict=True)
        )

        assert bound.count(True) == 1
        assert len(crew[0].sql("SELECT id FROM attempt WHERE vendor_task_id = ?", f"job-{lap}")) == 1


async def test_an_attempt_has_one_job(crew: list[Desk]) -> None:
    """Of several jobs for one attempt the first is bound, and the others change nothing."""
    for lap in range(10):
        claim = await crew[0].sending(f"video_{lap}")

        bound = await race(
            desk.ledger.accepted(claim.attempt.id, Receipt(f"job-{lap}-{number}"), now=NOW, due_at=NOW + 900)
            for number, desk in enumerate(crew)
        )

        assert bound.count(True) == 1
        assert crew[0].attempts(f"video_{lap}") == [AttemptState.ACCEPTED]


async def test_what_is_being_sent_is_not_cancelled(crew: list[Desk]) -> None:
    """A delete and a send of one task at the same moment: it is sent or it is cancelled, never both."""
    sender, owner = crew[:2]
    for lap in range(20):
        name = f"video_{lap}"
        await sender.add(name)
        claim = await sender.claim(TaskState.INTENT)
        send = sender.ledger.begin_send(claim, now=NOW, deadline=NOW + 40)
        delete = owner.tasks.delete("alice", name, NOW)

        await race([send, delete] if lap % 2 else [delete, send])

        sent = sender.state(name) is TaskState.SUBMITTING
        assert sender.attempts(name) == [AttemptState.SENDING if sent else AttemptState.NOT_SENT]
        assert sender.state(name) is (TaskState.SUBMITTING if sent else TaskState.CANCELLED)
        assert await sender.ledger.unknown(claim, "lost", look_at=NOW) is sent


@pytest.mark.parametrize("other", ["gives it up for lost", "sends it to review"])
async def test_a_job_that_turns_up_is_kept_whatever_else_happens(crew: list[Desk], other: str) -> None:
    """While another process writes a submit off as lost, its answer comes in: the job is bound and the task goes on."""
    finder, loser = crew[:2]
    for lap in range(8):
        name = f"video_{lap}"
        claim = await loser.sending(name)
        if other == "gives it up for lost":
            loss = loser.ledger.unknown(claim, "lost", look_at=NOW)
        else:
            assert await loser.ledger.unknown(claim, "lost", look_at=NOW)
            (lost,) = await loser.lost.due(VENDOR, now=NOW, lease=60)
            loss = loser.lost.review(lost, UNKNOWN_OUTCOME, now=NOW, look_at=None)
        found = finder.ledger.accepted(claim.attempt.id, Receipt(f"job-{lap}"), now=NOW, due_at=NOW + 900)

        await race([found, loss] if lap % 2 else [loss, found])

        assert (finder.state(name), finder.attempts(name)) == (TaskState.SUBMITTED, [AttemptState.ACCEPTED])


# Requests.


async def test_fifty_tries_of_one_key_make_one_task(crew: list[Desk]) -> None:
    """Whichever process a try of a request reaches, all of them get one task, and one of them made it."""
    asked = {"fingerprint": "asked", "idempotency": "key"}

    added = await race(crew[number % CREW].tasks.add(new_task(f"video_{number}", **asked)) for number in range(50))

    assert [each.new for each in added].count(True) == 1
    assert [(each.task.id,) for each in added[:1]] == crew[0].sql("SELECT id FROM task")
    assert len({each.task.id for each in added}) == 1


async def test_retries_find_a_task_each(crew: list[Desk]) -> None:
    """Dropped requests that are tried again at the same moment share no task and make no further one."""
    for number in range(CREW):
        await crew[0].tasks.add(new_task(f"video_{number}", fingerprint="asked"))

    found = await race(
        desk.tasks.add(new_task(f"again_{number}", fingerprint="asked", tries=1)) for number, desk in enumerate(crew)
    )

    assert {each.task.id for each in found} == {f"video_{number}" for number in range(CREW)}


async def test_the_servers_secret_is_one(crew: list[Desk]) -> None:
    """Processes that start at the same moment on an empty database agree on one secret."""
    found = await race(KeyStore(desk.database).server_secret() for desk in crew for _ in range(5))

    assert len(set(found)) == 1


async def test_an_owner_has_so_many_endpoints(crew: list[Desk]) -> None:
    """Requests for endpoints that come at the same moment do not pass the limit together."""
    for owner in ("alice", None):
        added = await race(
            EndpointStore(crew[number % CREW].database).add(endpoint(f"{owner}_{number}", owner), 3)
            for number in range(12)
        )

        assert added.count(True) == 3


# Workers.


async def test_who_speaks_while_it_is_buried_is_listed(crew: list[Desk]) -> None:
    """A worker whose word comes while another takes it off the list is on it afterwards."""
    worker = WorkerStore(crew[0].database, "worker-0")
    await worker.beat(NOW)
    with psycopg.connect(crew[0].url or "") as other:
        other.execute("DELETE FROM worker")
        speaking = asyncio.create_task(worker.beat(NOW + 1))
        await asyncio.sleep(0.3)
        assert not speaking.done()

    assert (await speaking).workers == 1


# Webhooks.


def endpoint(name: str, owner: str | None = None) -> Endpoint:
    return Endpoint(f"we_{name}", owner, name, "https://a.test/", ("video.completed",), "whsec_eA==", NOW, NOW)


class Movers(threading.Thread):
    """Other processes whose transactions move tasks, stay open, and commit in an order of their own."""

    def __init__(self, url: str, ids: Sequence[str], share: int) -> None:
        super().__init__(name="movers")
        self.url = url
        self.shares = [list(ids[at : at + share]) for at in range(0, len(ids), share)]

    def run(self) -> None:
        connections = [psycopg.connect(self.url) for _ in self.shares]
        for connection, share in zip(connections, self.shares, strict=True):
            connection.execute("UPDATE task SET state = 'succeeded' WHERE id = ANY(%s)", [share])
        random.Random(7).shuffle(connections)
        for connection in connections:
            with closing(connection):
                time.sleep(0.02)
                connection.commit()


async def tell(desk: Desk, movers: Movers) -> list[str]:
    """Do what a process does about webhooks until all is told. Returns the deliveries that it sent."""
    store, sent = DeliveryStore(desk.database), []
    moving = True
    while moving or await store.behind() or await store.due(NOW, lambda _: 1):
        moving = movers.is_alive()
        await store.dispatch(NOW)
        due = await store.due(NOW, lambda _: 7)
        for letter in await store.claim([each.id for each in due], now=NOW, until=NOW + 60):
            sent.append(letter.delivery.id)
            assert await store.settle(letter.delivery, Outcome(DeliveryState.DELIVERED, 0, 200, None, NOW), NOW)
    return sent


async def test_each_event_is_told_once(crew: list[Desk], monkeypatch: pytest.MonkeyPatch) -> None:
    """Several dispatch and send while tasks end in transactions that commit late and out of order: no event is
    missed, and nobody is told twice.
    """
    monkeypatch.setattr("videogate.store.deliveries._SHARE", 5)
    for name in ("one", "two"):
        assert await EndpointStore(crew[0].database).add(endpoint(name), 9)
    ids = [f"video_{number}" for number in range(80)]
    await race(crew[number % CREW].add(name) for number, name in enumerate(ids))

    movers = Movers(crew[0].url or "", ids, 8)
    movers.start()
    sent = await race(tell(desk, movers) for desk in crew)
    movers.join()

    made = crew[0].sql("SELECT endpoint_id, task_id FROM webhook_delivery")
    assert sorted(made) == sorted((f"we_{name}", each) for name in ("one", "two") for each in ids)
    everything = sorted(each for share in sent for each in share)
    assert everything == sorted(each for (each,) in crew[0].sql("SELECT id FROM webhook_delivery"))
    assert sum(bool(share) for share in sent) > 1, "more than one took part"

"""Who lives: the list of workers on one database, and what becomes of the claims of the dead."""

import pytest

from unit.store.support import NOW, Desk, lane
from videogate.store.claims import Claim, Order
from videogate.store.ledger import Ledger
from videogate.store.workers import LIVES, Beat, WorkerStore
from videogate.task.state import TaskState


@pytest.fixture
def workers(desk: Desk) -> list[WorkerStore]:
    return [WorkerStore(desk.database, f"worker-{number}") for number in range(3)]


async def claim_as(desk: Desk, name: str, *, now: float = NOW) -> Claim:
    """Another worker's claim of a task of its own, for long."""
    await desk.add(f"video_of_{name}")
    (claim,) = await Ledger(desk.database, name).claim([Order(lane(TaskState.INTENT), 1)], now=now, lease=900)
    return claim


async def beats(worker: WorkerStore, *, until: float) -> None:
    """A worker that has lived since NOW, and is heard as often as it must be."""
    for part in range(5):
        await worker.beat(NOW + (until - NOW) * part / 4)


async def test_each_beat_counts_who_lives(workers: list[WorkerStore]) -> None:
    """A worker counts from its first word on, once however often it speaks."""
    assert [(await each.beat(NOW)).workers for each in workers] == [1, 2, 3]
    assert [(await each.beat(NOW + 1)).workers for each in workers] == [3, 3, 3]


async def test_the_dead_drop_out(workers: list[WorkerStore]) -> None:
    """A worker that is silent for long enough counts no more, not a moment before, and counts again once it speaks."""
    first, second, _ = workers
    await first.beat(NOW)
    await beats(second, until=NOW + LIVES * 0.8)

    assert (await second.beat(NOW + LIVES - 0.1)).workers == 2
    assert (await second.beat(NOW + LIVES)).workers == 1
    assert (await first.beat(NOW + LIVES + 1)).workers == 2
    assert (await second.beat(NOW + LIVES + 1)).workers == 2


async def test_who_leaves_counts_no_more(workers: list[WorkerStore]) -> None:
    """A worker that ends is not waited for; the others stay, and to leave twice is no mistake."""
    first, second, third = workers
    for each in workers:
        await each.beat(NOW)
    await third.leave()
    await third.leave()

    assert (await first.beat(NOW)).workers == 2
    await first.leave()
    assert (await second.beat(NOW)).workers == 1


async def test_claims_of_the_dead_are_free(desk: Desk, workers: list[WorkerStore]) -> None:
    """What a silent worker holds is due as soon as it counts as dead, and what it writes later changes nothing; the
    claims of the living are kept.
    """
    dead, alive, _ = workers
    await dead.beat(NOW)
    await beats(alive, until=NOW + LIVES * 0.8)
    lost, kept = await claim_as(desk, "worker-0"), await claim_as(desk, "worker-1")

    assert await alive.beat(NOW + LIVES - 0.1) == Beat(2, 0)
    assert await alive.beat(NOW + LIVES) == Beat(1, 1)
    assert not await desk.ledger.postponed(lost, due_at=NOW, troubles=1)
    assert (await desk.claim(now=NOW + LIVES)).task.id == lost.task.id
    assert await desk.ledger.postponed(kept, due_at=NOW, troubles=1)


async def test_claims_from_before_the_first_word_are_free(desk: Desk, workers: list[WorkerStore]) -> None:
    """Who starts voids what is held by workers that are on no list, such as those of before a restart of them all."""
    lost = await claim_as(desk, "gone")

    assert await workers[0].beat(NOW) == Beat(1, 1)
    assert not await desk.ledger.postponed(lost, due_at=NOW, troubles=1)


async def test_who_was_silent_itself_buries_nobody(desk: Desk, workers: list[WorkerStore]) -> None:
    """When the database was away from all of them, the first that reaches it again does not void what others hold."""
    first, second, _ = workers
    for each in (first, second):
        await each.beat(NOW)
    held = await claim_as(desk, "worker-1")
    later = NOW + 3 * LIVES

    assert await first.beat(later) == Beat(2, 0)
    assert await first.beat(later + LIVES * 0.4) == Beat(2, 0)
    assert await first.beat(later + LIVES * 0.8) == Beat(2, 0)
    assert await second.beat(later + LIVES * 0.9) == Beat(2, 0)
    assert await first.beat(later + LIVES * 1.2) == Beat(2, 0)
    assert await desk.ledger.postponed(held, due_at=NOW, troubles=1)


async def test_who_came_just_now_buries_nobody(desk: Desk, workers: list[WorkerStore]) -> None:
    """A worker that starts while the others are silent, perhaps for want of the database, gives them time to speak."""
    silent, new, _ = workers
    await silent.beat(NOW)
    held = await claim_as(desk, "worker-0")
    later = NOW + 3 * LIVES

    assert await new.beat(later) == Beat(2, 0)
    assert await new.beat(later + LIVES * 0.4) == Beat(2, 0)
    assert await new.beat(later + LIVES * 0.8) == Beat(2, 0)
    assert await new.beat(later + LIVES) == Beat(1, 1)
    assert not await desk.ledger.postponed(held, due_at=NOW, troubles=1)

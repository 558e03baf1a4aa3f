"""Waiting for a task to move: by the log that the database writes, with one look for everybody who waits."""

import asyncio
from collections.abc import Mapping

import pytest

from unit.engine.support import Scene
from videogate.engine.watch import Watch, changes
from videogate.store.events import Event, EventStore
from videogate.task.errors import Failure, FailureCode
from videogate.task.model import Task
from videogate.task.state import TaskState

BROKEN = Failure(FailureCode.VENDOR_ERROR, "it broke")


@pytest.fixture
def watch(scene: Scene) -> Watch:
    """A watch on the scene's tasks."""
    return Watch(scene.shop.tasks, EventStore(scene.desk.database))


async def phases(watch: Watch, task: Task, after: int = 0, beat: float = 20.0) -> list[tuple[int, Task] | None]:
    return [change async for change in watch.phases(task.owner, task.id, after, beat)]


async def test_every_move_is_in_the_log(scene: Scene) -> None:
    """Whatever moves a task, its log has each state once, in order, and nothing that was undone."""
    claim = await scene.submitted()
    await scene.shop.ledger.observed(claim, TaskState.RUNNING, 10, due_at=scene.now)
    await scene.shop.ledger.observed(claim, TaskState.RUNNING, 20, due_at=scene.now)  # overtaken, or no move at all
    await scene.shop.ledger.failed(await scene.claim(TaskState.RUNNING), BROKEN, now=scene.now)

    events = await EventStore(scene.desk.database).of(scene.task_id)

    assert [event.state for event in events] == ["intent", "submitting", "submitted", "running", "failed"]
    assert [event.id for event in events] == sorted({event.id for event in events})


async def test_who_waits_is_told_of_the_next_phase(scene: Scene, watch: Watch) -> None:
    """A move within a phase wakes nobody's answer; the next phase does, long before the time is up."""
    task = await scene.create()
    waiting = asyncio.create_task(watch.changed(task, 60))
    claim = await scene.claim()
    await scene.shop.ledger.begin_send(claim, now=scene.now, deadline=scene.now + 40)
    await asyncio.sleep(0.5)
    assert not waiting.done()

    await scene.shop.ledger.rejected(claim, BROKEN, now=scene.now)

    moved = await asyncio.wait_for(waiting, 20)
    assert moved is not None
    assert moved.state is TaskState.FAILED


async def test_a_wait_without_news_ends_in_time(scene: Scene, watch: Watch) -> None:
    """When nothing happens the task comes back as it was; one that has ended comes back at once."""
    task = await scene.create()
    same = await watch.changed(task, 0.3)
    assert same is not None
    assert same.state is TaskState.INTENT

    claim = await scene.claim()
    await scene.shop.ledger.given_up(claim, BROKEN, now=scene.now)
    ended = await scene.task()
    assert await asyncio.wait_for(watch.changed(ended, 60), 20) == ended


async def test_a_wait_for_what_is_deleted_ends(scene: Scene, watch: Watch) -> None:
    """A task that its owner deletes meanwhile is not waited for any longer."""
    task = await scene.create()
    waiting = asyncio.create_task(watch.changed(task, 60))
    await asyncio.sleep(0.1)

    await scene.submissions.delete("alice", task.id)

    assert await asyncio.wait_for(waiting, 20) is None


async def test_one_look_serves_everybody(scene: Scene, watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifty who wait cost the looks of one; when nobody waits there is none."""
    asked: list[int] = []
    newest = EventStore.newest

    async def counted(store: EventStore, task_ids: set[str]) -> Mapping[str, int]:
        asked.append(len(task_ids))
        return await newest(store, task_ids)

    task = await scene.create()
    monkeypatch.setattr(EventStore, "newest", counted)
    await asyncio.gather(*(watch.changed(task, 1.0) for _ in range(50)))
    looks = len(asked)
    await asyncio.sleep(0.6)

    assert looks < 50 * 2 + 50  # at its begin and at its end each waiter looks for itself, the rest is shared
    assert len(asked) <= looks + 1


async def test_a_stream_beats_while_nothing_happens(scene: Scene, watch: Watch) -> None:
    """Without news there is a sign of life in every beat, and the stream ends with the process."""
    task = await scene.create()
    stream = watch.phases("alice", task.id, 0, 0.05)

    first = await anext(stream)
    assert first is not None
    assert first[1].state is TaskState.INTENT
    assert [await anext(stream) for _ in range(3)] == [None, None, None]
    watch.stop()
    assert [change async for change in stream if change is not None] == []


async def test_a_stream_tells_the_past_as_it_was(scene: Scene, watch: Watch) -> None:
    """Each change of phase comes once with the video of that moment; a later id begins behind it."""
    claim = await scene.submitted()
    await scene.shop.ledger.observed(claim, TaskState.RUNNING, 10, due_at=scene.now)
    await scene.shop.ledger.failed(await scene.claim(TaskState.RUNNING), BROKEN, now=scene.now)
    task = await scene.task()

    told = [change for change in await phases(watch, task) if change is not None]

    assert [each.state for _, each in told] == [TaskState.INTENT, TaskState.RUNNING, TaskState.FAILED]
    assert [each.failure for _, each in told] == [None, None, BROKEN]
    assert [each.progress for _, each in told[:2]] == [0, 0]
    assert await phases(watch, task, after=told[0][0]) == told[1:]
    assert await phases(watch, task, after=told[-1][0]) == []
    assert await phases(watch, task, after=10**15) == []


def test_only_changes_of_phase_are_changes() -> None:
    """Three inner states of one phase are one event for callers, also when a state comes back."""
    states = [
        TaskState.INTENT,
        TaskState.SUBMITTING,
        TaskState.INTENT,
        TaskState.SUBMITTED,
        TaskState.FETCHING,
        TaskState.RUNNING,
        TaskState.SUCCEEDED,
    ]
    log = [Event(number, "video_1", state, 0.0) for number, state in enumerate(states, 1)]

    assert [event.id for event in changes(log)] == [1, 5, 7]
    assert changes([]) == []

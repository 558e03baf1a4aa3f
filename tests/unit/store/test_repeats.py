"""One task for all tries of a request: by the caller's key, or by its client's own count of tries."""

import asyncio
from typing import Any

import pytest

from unit.store.support import NOW, Desk, new_task
from videogate.store.tasks import KEY_KEPT, RETRIED_WITHIN
from videogate.task.errors import InvalidRequest
from videogate.task.model import Added
from videogate.task.state import TaskState

FIRST, SECOND = "video_1", "video_2"


async def add(desk: Desk, task_id: str, **changes: Any) -> Added:
    """Accept a request; all of them ask for the same unless told otherwise."""
    return await desk.tasks.add(new_task(task_id, **{"fingerprint": "asked", **changes}))


def ids(desk: Desk) -> list[str]:
    """The tasks that there are."""
    return [task_id for (task_id,) in desk.sql("SELECT id FROM task ORDER BY id")]


# By key


async def test_a_key_stands_for_one_task(desk: Desk) -> None:
    """The same request under the same key gets the first task in its present state, and writes nothing."""
    first = await add(desk, FIRST, idempotency="key")
    desk.sql("UPDATE task SET state = 'running', progress = 40")
    before = desk.everything()

    again = await add(desk, SECOND, idempotency="key", created_at=NOW + 60)

    assert (first.new, again.new) == (True, False)
    assert (again.task.id, again.task.state, again.task.progress) == (FIRST, TaskState.RUNNING, 40)
    assert desk.everything() == before


async def test_many_at_once_make_one(desk: Desk) -> None:
    """Fifty tries of one key at the same moment: one of them is new."""
    added = await asyncio.gather(*(add(desk, f"video_{number}", idempotency="key") for number in range(50)))

    assert [each.new for each in added].count(True) == 1
    assert {each.task.id for each in added} == set(ids(desk))
    assert len(ids(desk)) == 1


async def test_a_key_takes_one_request(desk: Desk) -> None:
    """Another request under a used key is refused, names the header, and leaves nothing behind."""
    await add(desk, FIRST, idempotency="key")
    before = desk.everything()

    with pytest.raises(InvalidRequest, match="another request") as caught:
        await add(desk, SECOND, idempotency="key", fingerprint="something else")

    assert (caught.value.param, caught.value.code) == ("Idempotency-Key", "idempotency_key_reuse")
    assert desk.everything() == before


async def test_keys_are_their_owners(desk: Desk) -> None:
    """Two callers may use the same key, and one caller several, each for a task of its own."""
    await add(desk, FIRST, idempotency="key")

    assert (await add(desk, SECOND, idempotency="key", owner="bob")).new
    assert (await add(desk, "video_3", idempotency="another")).new
    assert (await add(desk, "video_4", idempotency="key")).task.id == FIRST


@pytest.mark.parametrize(("age", "counts"), [(KEY_KEPT, True), (KEY_KEPT + 1, False)])
async def test_a_key_counts_for_seven_days(desk: Desk, age: float, counts: bool) -> None:
    """Until then it stands for its task; after that it is free for any request."""
    await add(desk, FIRST, idempotency="key")
    asked = {"created_at": NOW + age, "fingerprint": "asked" if counts else "something else"}

    again = await add(desk, SECOND, idempotency="key", **asked)
    third = await add(desk, "video_3", idempotency="key", **asked)

    assert again.new is not counts
    assert third.task.id == (FIRST if counts else SECOND)
    assert len(desk.sql("SELECT * FROM idempotency_key")) == 1


async def test_a_deleted_task_frees_its_key(desk: Desk) -> None:
    """Whoever deleted the video and asks again under its key gets a new one, and that is what the key stands for."""
    await add(desk, FIRST, idempotency="key")
    await desk.tasks.delete("alice", FIRST, NOW)

    assert (await add(desk, SECOND, idempotency="key", fingerprint="something else")).new
    assert (await add(desk, "video_3", idempotency="key", fingerprint="something else")).task.id == SECOND


async def test_old_keys_are_forgotten(desk: Desk) -> None:
    """Only what is older than the given time goes; tasks stay."""
    await add(desk, FIRST, idempotency="old", created_at=NOW)
    await add(desk, SECOND, idempotency="new", created_at=NOW + 1)

    assert await desk.tasks.forget_keys(NOW + 1) == 1
    assert await desk.tasks.forget_keys(NOW + 1) == 0

    assert desk.sql("SELECT digest FROM idempotency_key") == [("new",)]
    assert ids(desk) == [FIRST, SECOND]


# By the client's own count


async def test_equal_requests_are_two(desk: Desk) -> None:
    """Without a key and on its first try, an equal request is a second wish."""
    assert (await add(desk, FIRST)).new
    assert (await add(desk, SECOND)).new


async def test_a_retry_finds_the_try_before(desk: Desk) -> None:
    """Every further try gets the first one's task, and the try is kept."""
    await add(desk, FIRST)

    second = await add(desk, SECOND, tries=1)
    third = await add(desk, "video_3", tries=2)

    assert [(each.task.id, each.new) for each in (second, third)] == [(FIRST, False)] * 2
    assert desk.sql("SELECT id, tries FROM task") == [(FIRST, 2)]


async def test_a_retry_of_what_never_arrived_is_new(desk: Desk) -> None:
    """Nothing to find: the request is accepted, and its own next try finds it."""
    assert (await add(desk, FIRST, tries=1)).new

    assert (await add(desk, SECOND, tries=2)).task.id == FIRST


async def test_two_dropped_requests_find_a_task_each(desk: Desk) -> None:
    """Equal requests that were both dropped and both tried again keep two tasks, try by try."""
    await add(desk, FIRST)
    await add(desk, SECOND, created_at=NOW + 1)

    for tries in (1, 2):
        found = [await add(desk, f"video_{tries}{number}", tries=tries) for number in range(2)]
        assert [each.task.id for each in found] == [SECOND, FIRST]
    assert (await add(desk, "video_9", tries=2)).new


async def test_a_retry_prefers_whoever_tried_most(desk: Desk) -> None:
    """The third try belongs to a task that had a second, not to an older one that had none."""
    await add(desk, SECOND, tries=1, created_at=NOW + 5)
    await add(desk, FIRST)

    assert (await add(desk, "video_3", tries=2, created_at=NOW + 6)).task.id == SECOND


@pytest.mark.parametrize(
    "changes",
    [
        {"owner": "bob"},
        {"fingerprint": "something else"},
        {"fingerprint": None},
        {"created_at": NOW + RETRIED_WITHIN + 1},
        {"idempotency": "key"},
        {"tries": 0},
    ],
    ids="-".join,
)
async def test_what_is_no_retry_of_it(desk: Desk, changes: dict[str, Any]) -> None:
    """Another caller, another request, a late one, one with a key, a first try: each is a task of its own."""
    await add(desk, FIRST)

    assert (await add(desk, SECOND, **{"tries": 1, **changes})).new


async def test_a_deleted_task_answers_no_retry(desk: Desk) -> None:
    """Its caller had the id and deleted it: that request is not lost."""
    await add(desk, FIRST)
    await desk.tasks.delete("alice", FIRST, NOW)

    assert (await add(desk, SECOND, tries=1)).new

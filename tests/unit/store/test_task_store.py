"""Tasks as their callers see them."""

from json import dumps, loads
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

from unit.store.support import NOW, REFUSED, UNKNOWN_OUTCOME, Desk, new_task
from videogate.store.rows import from_spec, to_fitted, to_spec
from videogate.task.frames import Frame
from videogate.task.model import Adjustment, Content, Film, Fit, Fitted, Picture, Rework, Role, Source, TaskSpec
from videogate.task.state import AttemptState, TaskState

PICTURE = Picture(Role.FIRST_FRAME, key="k1", mime="image/png", frame=Frame(64, 48), length=9, sha256="ab")


async def test_add_stores_task_request_and_attempt(desk: Desk) -> None:
    """Accepting writes the task, what was asked for and one prepared attempt, and all of it reads back equal."""
    spec = TaskSpec(
        model="alias",
        prompt="一只猫 🐈",
        size="1280P",
        seconds="3",
        resolution="720P",
        aspect_ratio="16:9",
        fit=Fit.STRICT,
        pictures=(PICTURE, Picture(Role.REFERENCE, url="https://a.test/x.png")),
        options={"seed": 7, "deep": {"list": [1, None, True, 1.5]}},
    )
    fitted = Fitted("1280x720", "4", Frame(1280, 720), 720, "16:9", "way", (Adjustment("seconds", "3", "4", "why"),))

    added = (await desk.tasks.add(new_task("video_1", spec=spec, fitted=fitted))).task

    assert added == await desk.tasks.get("alice", "video_1")
    assert (added.state, added.model, added.size, added.seconds) == (TaskState.INTENT, "alias", "1280x720", "4")
    assert added.adjustments == fitted.adjustments
    assert await desk.tasks.request("video_1") == (spec, fitted)
    assert desk.attempts() == [AttemptState.PREPARED]


async def test_add_is_all_or_nothing(desk: Desk) -> None:
    """An id that exists is refused, and the second request leaves nothing behind."""
    await desk.add("video_1")
    before = desk.everything()

    with pytest.raises(IntegrityError, match=r"task\.id|pk_task"):
        await desk.add("video_1", client_ref="another")
    with pytest.raises(IntegrityError, match=r"attempt\.client_ref|uq_attempt_account"):
        await desk.add("video_2", client_ref="ref-video_1")

    assert desk.everything() == before


async def test_owners_see_only_their_own(desk: Desk) -> None:
    """Get, page, a page's anchor and delete all treat another owner's task as one that does not exist."""
    await desk.add("video_1", owner="alice")

    assert await desk.tasks.get("bob", "video_1") is None
    assert await desk.tasks.delete("bob", "video_1", NOW) is None
    page = await desk.tasks.page("bob", after=None, limit=10, newest_first=True)
    assert page is not None
    assert page.tasks == ()
    assert await desk.tasks.page("bob", after="video_1", limit=10, newest_first=True) is None
    assert await desk.tasks.get("alice", "video_1") is not None


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
async def test_pages_cover_every_task_once(desk: Desk, newest_first: bool, limit: int) -> None:
    """Walking the pages meets each task once and in order, though many were created in the same microsecond."""
    for number in range(9):
        await desk.add(f"video_{number * 7 % 9}", created_at=NOW + number // 4)
    await desk.add("video_x", owner="bob")

    seen: list[str] = []
    after, more = None, True
    while more:
        page = await desk.tasks.page("alice", after=after, limit=limit, newest_first=newest_first)
        assert page is not None
        assert len(page.tasks) <= limit
        seen += [task.id for task in page.tasks]
        after, more = seen[-1], page.has_more

    expected = desk.sql("SELECT id FROM task WHERE owner = 'alice' ORDER BY created_at, id")
    assert seen == [name for (name,) in (reversed(expected) if newest_first else expected)]


async def test_a_deleted_anchor_still_anchors(desk: Desk) -> None:
    """A caller that deletes the last task of a page can go on paging from it."""
    for number in range(3):
        await desk.add(f"video_{number}", created_at=NOW + number)
    await desk.tasks.delete("alice", "video_1", NOW)

    page = await desk.tasks.page("alice", after="video_1", limit=10, newest_first=True)

    assert page is not None
    assert [task.id for task in page.tasks] == ["video_0"]


async def test_deleting_an_unsent_task_cancels_it(desk: Desk) -> None:
    """A task that was not sent is never sent: its attempt closes, and a worker that holds it is overtaken."""
    await desk.add()
    claim = await desk.claim(TaskState.INTENT)

    was = await desk.tasks.delete("alice", "video_1", NOW)

    assert was is not None
    assert was.state is TaskState.INTENT
    assert not await desk.ledger.begin_send(claim, now=NOW, deadline=NOW + 40)
    assert (desk.state(), desk.attempts()) == (TaskState.CANCELLED, [AttemptState.NOT_SENT])
    assert await desk.tasks.get("alice", "video_1") is None
    assert await desk.tasks.delete("alice", "video_1", NOW) is None


async def test_deleting_a_sent_task_only_hides_it(desk: Desk) -> None:
    """Money may be in flight: the ledger and the state go on, the owner sees nothing."""
    claim = await desk.submitted()

    await desk.tasks.delete("alice", "video_1", NOW)

    assert await desk.tasks.get("alice", "video_1") is None
    assert (desk.state(), desk.attempts()) == (TaskState.SUBMITTED, [AttemptState.ACCEPTED])
    assert await desk.ledger.observed(claim, TaskState.RUNNING, 5, due_at=NOW)


async def test_deleting_an_ended_task_keeps_its_end(desk: Desk) -> None:
    """A finished task stays finished; what comes back names the content to remove."""
    claim = await desk.submitted()
    await desk.ledger.failed(claim, UNKNOWN_OUTCOME, now=NOW)
    desk.sql(
        "UPDATE task SET state='succeeded', content_key='k', content_length=1, content_sha256='s', content_mime='m'"
    )

    was = await desk.tasks.delete("alice", "video_1", NOW)

    assert was is not None
    assert was.content == Content("k", 1, "s", "m")
    assert desk.state() is TaskState.SUCCEEDED


@pytest.mark.parametrize(
    ("table", "column"),
    [("task", "state"), ("attempt", "state")],
)
async def test_words_outside_the_protocol_are_refused(desk: Desk, table: str, column: str) -> None:
    """The database itself refuses a state that the protocol does not have."""
    await desk.add()

    with pytest.raises(REFUSED, match=f"ck_{table}_state"):
        desk.sql(f"UPDATE {table} SET {column} = 'paid'")


frames = st.builds(Frame, st.integers(1, 9_999), st.integers(1, 9_999))
texts = st.text(max_size=30)
films = st.builds(Film, texts, texts, st.integers(0, 9), texts)
pictures = st.builds(Picture, st.sampled_from(Role), st.none() | texts, st.none() | texts, frame=st.none() | frames)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(
    st.builds(
        TaskSpec,
        texts,
        texts,
        fit=st.sampled_from(Fit),
        pictures=st.lists(pictures, max_size=3).map(tuple),
        source=st.none() | st.builds(Source, st.sampled_from(Rework), st.none() | texts, st.none() | films),
        options=st.dictionaries(texts, json_values, max_size=4),
    )
)
def test_a_stored_request_reads_back_equal(spec: TaskSpec) -> None:
    """Whatever was asked for survives the way through JSON."""
    assert to_spec(loads(dumps(from_spec(spec)))) == spec


def test_a_stored_fit_reads_back_equal() -> None:
    """A fit without a frame reads back without one."""
    assert to_fitted(
        {"size": "a", "seconds": "1", "frame": None, "tier": None, "ratio": None, "adjustments": []}
    ) == Fitted("a", "1")

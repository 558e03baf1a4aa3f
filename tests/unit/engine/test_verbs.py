"""Send, settle, observe, fetch: what each answer of a vendor does to the ledger."""

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import httpx
import pytest

from unit.engine.support import AWAY, EXPIRED, FLOOR, LINK, Result, Scene, film
from unit.media.support import png
from videogate.engine import deliver, poll, reconcile, send
from videogate.media.probe import probe
from videogate.task.errors import FailureCode, InvalidRequest, Unavailable
from videogate.task.model import Picture, Role
from videogate.task.state import ENDED, TaskState

REFUSED: dict[str, Any] = {"error": {"message": "not like this"}}
LATER: dict[str, Any] = {"error": {"message": "too many", "later": True}}
MP4 = film()


# Send.


async def test_an_accepted_submit(scene: Scene) -> None:
    """A reply with an id binds the job; the first look comes later, and exactly one request left."""
    await scene.create(prompt="a 灯塔", options={"seed": 7})
    scene.answer(200, {"id": "job-1"})

    await send.send(scene.shop, await scene.claim())

    assert (scene.state, scene.lines) == (TaskState.SUBMITTED, ["accepted"])
    assert scene.due_in >= FLOOR
    (request,) = scene.sent
    body = json.loads(request.content)
    assert (body["prompt"], body["seed"], body["ref"]) == ("a 灯塔", 7, "vg0002")
    assert request.headers["authorization"] == "Bearer vendor-secret"


async def test_sending_is_durable_before_the_request_leaves(scene: Scene) -> None:
    """While the request is on the wire, another connection already reads `sending`."""
    await scene.create()
    seen: list[list[str]] = []

    def look(request: httpx.Request) -> httpx.Response:
        seen.append(scene.lines)
        return httpx.Response(200, json={"id": "job-1"})

    scene.handle = look  # type: ignore[method-assign]
    await send.send(scene.shop, await scene.claim())

    assert seen == [["sending"]]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, "oops"),
        (500, REFUSED),
        (502, "<html>"),
        (503, LATER),
        (408, REFUSED),
        (409, REFUSED),
        (425, "{}"),
        (200, "{}"),
        (200, "not json"),
        (201, '{"id": ""}'),
        (302, ""),
        (400, "<html>a proxy's page</html>"),
        (401, "{}"),
        (429, "<html>"),
    ],
)
async def test_an_unclear_answer_is_unknown(scene: Scene, status: int, body: Any) -> None:
    """A submit that may have been carried out waits as unknown: it is not sent again and not given up."""
    await scene.create()
    scene.answer(status, body)

    await send.send(scene.shop, await scene.claim())

    assert (scene.state, scene.lines) == (TaskState.SUBMITTING, ["unknown"])


@pytest.mark.parametrize(
    "error",
    [
        httpx.ReadTimeout("t"),
        httpx.WriteTimeout("t"),
        httpx.ReadError("r"),
        httpx.WriteError("w"),
        httpx.RemoteProtocolError("p"),
        httpx.DecodingError("d"),
        TimeoutError(),
        OSError(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_lost_answer_is_unknown(scene: Scene, error: Exception) -> None:
    """An error after the first byte may have left says nothing about the job."""
    await scene.create()
    scene.answers.append(error)

    await send.send(scene.shop, await scene.claim())

    assert (scene.state, scene.lines) == (TaskState.SUBMITTING, ["unknown"])


async def test_a_bug_after_the_request_left_is_unknown(scene: Scene) -> None:
    """An error that nobody foresaw is told, and the attempt counts as possibly paid."""
    await scene.create()
    scene.answers.append(ZeroDivisionError("a bug"))

    with pytest.raises(ZeroDivisionError):
        await send.send(scene.shop, await scene.claim())

    assert (scene.state, scene.lines) == (TaskState.SUBMITTING, ["unknown"])


@pytest.mark.parametrize("error", [httpx.ConnectError("c"), httpx.ConnectTimeout("c"), httpx.PoolTimeout("p")])
async def test_what_never_left_is_sent_again(scene: Scene, error: Exception) -> None:
    """A request that surely never left is followed by a new attempt with a reference of its own."""
    await scene.create()
    scene.answers.append(error)
    await send.send(scene.shop, await scene.claim())
    assert (scene.state, scene.lines) == (TaskState.INTENT, ["not_sent", "prepared"])
    scene.answer(200, {"id": "job-1"})
    await send.send(scene.shop, await scene.claim(TaskState.INTENT))

    assert (scene.state, scene.lines) == (TaskState.SUBMITTED, ["not_sent", "accepted"])
    first, second = (json.loads(request.content)["ref"] for request in scene.sent)
    assert first != second


async def test_throttling_waits_as_long_as_asked(scene: Scene) -> None:
    """A documented throttle created nothing: the next attempt waits at least as long as the vendor wished."""
    await scene.create()
    scene.answer(429, LATER, **{"retry-after": "77"})

    await send.send(scene.shop, await scene.claim())

    assert (scene.state, scene.lines) == (TaskState.INTENT, ["not_sent", "prepared"])
    assert scene.due_in == 77


async def test_waits_between_attempts_grow(scene: Scene) -> None:
    """A vendor that is away is tried at growing intervals."""
    await scene.create()
    waits = []
    for _ in range(4):
        scene.answers.append(httpx.ConnectError("away"))
        await send.send(scene.shop, await scene.claim(TaskState.INTENT))
        waits.append(scene.due_in)

    assert waits == sorted(set(waits))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
async def test_a_refusal_ends_the_task(scene: Scene, status: int) -> None:
    """The vendor's documented refusal fails the task with its code; nothing was paid."""
    await scene.create()
    scene.answer(status, REFUSED)

    await send.send(scene.shop, await scene.claim())

    assert (scene.state, scene.lines) == (TaskState.FAILED, ["rejected"])
    failure = (await scene.task()).failure
    assert failure is not None
    assert (failure.code, failure.vendor_code) == (FailureCode.INVALID_REQUEST, "E1")


async def test_the_deadline_stops_a_send(scene: Scene) -> None:
    """A task that was not sent in time fails without a request."""
    task = await scene.create()
    scene.now = task.deadline_at

    await send.send(scene.shop, await scene.claim())

    assert (scene.state, scene.lines, scene.sent) == (TaskState.FAILED, ["not_sent"], [])


async def test_an_overtaken_sender_sends_nothing(scene: Scene) -> None:
    """A worker whose lease went to another does not let a byte leave."""
    await scene.create()
    claim = await scene.claim()
    await scene.shop.ledger.recover(scene.now)

    await send.send(scene.shop, claim)

    assert (scene.sent, scene.lines) == ([], ["prepared"])


async def test_a_model_that_is_gone_fails_before_sending(scene: Scene) -> None:
    """A task of a model that a restart took away ends; nothing is sent."""
    await scene.create()
    scene.desk.sql("UPDATE task SET vendor_model = 'old-1'")

    await send.send(scene.shop, await scene.claim())

    assert (scene.state, scene.lines, scene.sent) == (TaskState.FAILED, ["not_sent"], [])


async def test_pictures_travel_and_their_files_go(scene: Scene, tmp_path: Path) -> None:
    """An uploaded picture's bytes reach the vendor, and its file stays until the task has ended."""
    content = png(64, 48)
    picture = await scene.shop.inputs.store(Role.FIRST_FRAME, content, "input_reference")
    await scene.create(model="picture-1", pictures=(picture,))
    scene.answer(200, {"id": "job-1"})
    assert len(list((tmp_path / "inputs").iterdir())) == 1

    await send.send(scene.shop, await scene.claim())

    assert json.loads(scene.sent[0].content)["pictures"] == [len(content)]
    assert len(list((tmp_path / "inputs").iterdir())) == 1
    scene.now += 1000
    scene.answer(200, {"state": "broken"})
    await poll.observe(scene.shop, await scene.claim())

    assert (scene.state, list((tmp_path / "inputs").iterdir())) == (TaskState.FAILED, [])


async def test_a_picture_in_the_metadata_is_kept_like_any_other(scene: Scene, tmp_path: Path) -> None:
    """A data URL among the options becomes a file of ours; what is refused leaves none."""
    link = f"data:image/png;base64,{b64encode(png(64, 48)).decode()}"
    for pictures in ([link, "no link"], [link, link, link]):
        with pytest.raises(InvalidRequest):
            await scene.create(model="picture-1", options={"img_url": pictures})
    assert list((tmp_path / "inputs").iterdir()) == []

    await scene.create(model="picture-1", options={"img_url": link})

    assert len(list((tmp_path / "inputs").iterdir())) == 1


async def test_a_picture_that_cannot_be_read_is_tried_four_times(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link of the caller's that fails is opened again at growing intervals, then the task ends unsent."""

    async def read(url: str, limit: int) -> bytes:
        raise Unavailable("away")

    monkeypatch.setattr(scene.shop.inputs._fetcher, "read", read)
    await scene.create(model="picture-1", pictures=(Picture(Role.FIRST_FRAME, url="https://a.test/x.png"),))
    for _ in range(3):
        await send.send(scene.shop, await scene.claim())
        assert scene.lines == ["prepared"]
    await send.send(scene.shop, await scene.claim())

    failure = (await scene.task()).failure
    assert failure is not None
    assert (failure.code, scene.lines, scene.sent) == (FailureCode.INPUT_UNREADABLE, ["not_sent"], [])


# Settle.


async def test_a_dead_senders_attempt_becomes_unknown_then_reviewed(scene: Scene) -> None:
    """A send whose holder fell silent is unknown, then a person's: nothing is ever sent again."""
    await scene.create()
    claim = await scene.claim()
    await scene.shop.ledger.begin_send(claim, now=scene.now, deadline=scene.now + 40)

    await reconcile.settle(scene.shop, await scene.claim(TaskState.SUBMITTING))
    assert (scene.state, scene.lines) == (TaskState.SUBMITTING, ["unknown"])
    await reconcile.search(scene.shop, scene.shop.vendors["maker"])

    assert (scene.state, scene.lines, scene.sent) == (TaskState.FAILED, ["needs_review"], [])
    failure = (await scene.task()).failure
    assert failure is not None
    assert failure.code is FailureCode.UNKNOWN_OUTCOME


# Observe.


async def observe(scene: Scene) -> None:
    await poll.observe(scene.shop, await scene.claim(TaskState.SUBMITTED, TaskState.RUNNING))


async def test_a_jobs_progress_is_kept(scene: Scene) -> None:
    """Waiting and working are told apart, a vendor's progress is taken over but for the last percent."""
    await scene.submitted()
    for body, state, progress in (
        ({"state": "waiting"}, TaskState.SUBMITTED, 0),
        ({"state": "working", "progress": 40}, TaskState.RUNNING, 40),
        ({"state": "working", "progress": 30}, TaskState.RUNNING, 40),
        ({"state": "working", "progress": 100}, TaskState.RUNNING, 99),
    ):
        scene.answer(200, body)
        await observe(scene)
        assert (scene.state, (await scene.task()).progress) == (state, progress)
        assert scene.due_in >= FLOOR


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, "oops"),
        (502, "<html>"),
        (503, LATER),
        (429, LATER),
        (429, ""),
        (200, '{"state": "exploded"}'),
        (200, "{}"),
        (200, "[]"),
        (200, "half an ob"),
        (401, REFUSED),
        (404, "<html>"),
        (404, "{}"),
    ],
)
async def test_no_poll_trouble_ends_a_task(scene: Scene, status: int, body: Any) -> None:
    """However often an answer tells nothing, the task goes on, and the waits grow to a bound."""
    await scene.submitted()
    waits = []
    for _ in range(12):
        scene.answer(status, body)
        await observe(scene)
        assert scene.state not in ENDED
        waits.append(scene.due_in)

    assert waits == sorted(waits)
    assert waits[0] >= FLOOR
    assert waits[-1] == waits[-2] <= 60


@pytest.mark.parametrize("error", [httpx.ConnectError("c"), httpx.ReadTimeout("r"), TimeoutError(), OSError()])
async def test_no_network_error_ends_a_task(scene: Scene, error: Exception) -> None:
    """A poll that was lost on the way says nothing about the job."""
    await scene.submitted()
    scene.answers.append(error)

    await observe(scene)

    assert scene.state is TaskState.SUBMITTED
    assert scene.lines == ["accepted"]


async def test_a_throttled_poll_heeds_the_vendors_wish(scene: Scene) -> None:
    """`Retry-After` on a poll is kept."""
    await scene.submitted()
    scene.answer(429, LATER, **{"retry-after": "123"})

    await observe(scene)

    assert scene.due_in == 123


async def test_a_documented_failure_ends_the_task(scene: Scene) -> None:
    """The vendor's own failed state does end a task, with its code; the paid line stays accepted."""
    await scene.submitted()
    scene.answer(200, {"state": "broken"})

    await observe(scene)

    failure = (await scene.task()).failure
    assert failure is not None
    assert (scene.state, scene.lines) == (TaskState.FAILED, ["accepted"])
    assert (failure.code, failure.vendor_code) == (FailureCode.MODERATION_BLOCKED, "E7")


async def test_three_not_founds_in_a_row_lose_a_job(scene: Scene) -> None:
    """One or two definite not-founds pass, also after a good look in between; the third in a row ends the task."""
    await scene.submitted()
    for body in ("gone", "gone", "working", "gone", "gone"):
        scene.answer(200, {"state": body})
        await observe(scene)
        assert scene.state not in ENDED
    scene.answer(200, {"state": "gone"})
    await observe(scene)

    failure = (await scene.task()).failure
    assert failure is not None
    assert failure.code is FailureCode.VENDOR_LOST


@pytest.mark.parametrize("body", [{"state": "working"}, {"state": "what?"}])
async def test_the_deadline_ends_a_task(scene: Scene, body: dict[str, str]) -> None:
    """Past its deadline a task that is not finished fails, whatever the last answer was."""
    claim = await scene.submitted()
    scene.now = claim.task.deadline_at
    scene.answer(200, body)
    await poll.observe(scene.shop, claim)

    failure = (await scene.task()).failure
    assert failure is not None
    assert failure.code is FailureCode.DEADLINE


async def test_a_video_that_is_done_at_the_deadline_is_fetched(scene: Scene) -> None:
    """A paid video that exists is not thrown away for being late."""
    claim = await scene.submitted()
    scene.now = claim.task.deadline_at + 5
    scene.answer(200, {"state": "done"})
    await poll.observe(scene.shop, claim)

    assert scene.state is TaskState.FETCHING


async def test_a_deleted_task_is_not_fetched(scene: Scene) -> None:
    """What its owner deleted is watched to its end and then let go; its link is never opened."""
    claim = await scene.submitted()
    await scene.shop.tasks.delete("alice", claim.task.id, scene.now)
    await scene.shop.ledger.postponed(claim, due_at=scene.now, troubles=0)
    scene.answer(200, {"stopped": False})
    scene.answer(200, {"state": "done"})

    await observe(scene)

    assert (scene.state, scene.opened) == (TaskState.CANCELLED, [])


# Fetch.


async def fetch(scene: Scene) -> None:
    await deliver.fetch(scene.shop, await scene.claim(TaskState.FETCHING))


async def test_a_result_is_kept_and_then_completed(scene: Scene, tmp_path: Path) -> None:
    """The stored file is the vendor's, byte for byte; size and length are those of the film, and no part is left."""
    scene.results = [Result(MP4)]
    await deliver.fetch(scene.shop, await scene.fetching())

    task = await scene.task()
    assert (task.state, task.progress, task.size, task.seconds) == (TaskState.SUCCEEDED, 100, "64x48", "2")
    assert task.content is not None
    kept = tmp_path / "media" / task.content.key
    assert kept.read_bytes() == MP4
    assert task.content.length == len(MP4)
    assert probe(kept).frame.width == 64
    assert scene.opened == [LINK]
    assert list(scene.shop.storage.spool.iterdir()) == []


@pytest.mark.parametrize(
    ("result", "state"),
    [
        (Result(b"<html>not here</html>" * 50), TaskState.RUNNING),
        (Result(b""), TaskState.RUNNING),
        (Result(MP4[: len(MP4) // 2]), TaskState.RUNNING),
        (Result(MP4[:8] + b"\0" * 900), TaskState.RUNNING),
        (Result(MP4[:1500], Unavailable("broke off")), TaskState.FETCHING),
        (AWAY, TaskState.FETCHING),
        (EXPIRED, TaskState.RUNNING),
    ],
    ids=["a page", "nothing", "half", "a head", "broken off", "away", "expired"],
)
async def test_a_bad_result_is_tried_again(
    scene: Scene, tmp_path: Path, result: Result | Exception, state: TaskState
) -> None:
    """What is no whole film completes nothing and leaves nothing: it is fetched anew, through a new link if need be."""
    scene.results = [result]
    await deliver.fetch(scene.shop, await scene.fetching())

    assert scene.state is state
    assert scene.due_in >= FLOOR
    assert [path for path in (tmp_path / "media").rglob("*") if path.is_file()] == []
    assert list(scene.shop.storage.spool.iterdir()) == []
    if state is TaskState.RUNNING:
        scene.answer(200, {"state": "done"})
        await observe(scene)
    scene.results = [Result(MP4)]
    await fetch(scene)
    assert scene.state is TaskState.SUCCEEDED


async def test_a_link_that_keeps_dying_is_asked_for_less_and_less(scene: Scene) -> None:
    """Fetches of a result whose link dies every time come at growing intervals, not in a tight loop."""
    await scene.fetching()
    await scene.shop.ledger.recover(scene.now)
    gaps, before = [], scene.now
    for _ in range(5):
        scene.results = [EXPIRED]
        await fetch(scene)
        scene.answer(200, {"state": "done"})
        await observe(scene)
        gaps.append(scene.now + scene.due_in - before)
        before = scene.now + scene.due_in

    assert gaps == sorted(set(gaps))


async def test_the_deadline_ends_a_fetch(scene: Scene) -> None:
    """A result that cannot be had until the deadline fails the task."""
    claim = await scene.fetching()
    scene.now = claim.task.deadline_at
    scene.results = [AWAY]
    await deliver.fetch(scene.shop, claim)

    failure = (await scene.task()).failure
    assert failure is not None
    assert failure.code is FailureCode.DEADLINE


async def test_a_task_deleted_before_its_fetch_is_not_fetched(scene: Scene) -> None:
    """Nothing is downloaded for a task that nobody can see."""
    await scene.fetching()
    await scene.shop.tasks.delete("alice", scene.task_id, scene.now)
    await scene.shop.ledger.recover(scene.now)

    await fetch(scene)

    assert (scene.state, scene.opened) == (TaskState.CANCELLED, [])


async def test_a_task_deleted_during_its_fetch_leaves_no_file(scene: Scene, tmp_path: Path) -> None:
    """A video whose owner deleted it while it was being copied is not kept."""
    claim = await scene.fetching()
    await scene.submissions.delete("alice", scene.task_id)
    scene.results = [Result(MP4)]

    await deliver.fetch(scene.shop, claim)

    assert scene.opened == [LINK]
    assert [path for path in (tmp_path / "media").rglob("*") if path.is_file()] == []


async def test_an_overtaken_fetch_completes_nothing(scene: Scene) -> None:
    """A worker that lost its lease during the download does not complete the task."""
    claim = await scene.fetching()
    await scene.shop.ledger.recover(scene.now)
    scene.results = [Result(MP4)]

    await deliver.fetch(scene.shop, claim)

    assert scene.state is TaskState.FETCHING


# Accept and delete.


async def test_an_alias_stands_for_its_model(scene: Scene) -> None:
    """The caller reads the name it gave; the vendor is asked for the model behind it."""
    task = await scene.create(model="alias")

    assert (task.model, task.vendor_model, task.vendor) == ("alias", "text-1", "maker")


@pytest.mark.parametrize("name", ["nothing", "dead", ""])
async def test_an_unknown_model_is_refused(scene: Scene, name: str) -> None:
    """A model that nobody offers is refused with the names of those that are; nothing is stored."""
    with pytest.raises(InvalidRequest, match="text-1") as caught:
        await scene.create(model=name)

    assert (caught.value.param, caught.value.code) == ("model", "model_not_found")
    assert scene.desk.everything() == ([], [])


async def test_deleting_removes_the_video(scene: Scene, tmp_path: Path) -> None:
    """Deleting a finished task removes its file; deleting it again finds nothing."""
    scene.results = [Result(MP4)]
    await deliver.fetch(scene.shop, await scene.fetching())
    task_id = scene.task_id

    await scene.submissions.delete("alice", task_id)

    assert [path for path in (tmp_path / "media").rglob("*") if path.is_file()] == []
    with pytest.raises(Exception, match=task_id):
        await scene.submissions.delete("alice", task_id)

"""Videos made from videos: what is asked of a source before anything is spent, and what its vendor is told of it."""

import json
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from unit.engine.support import LINK, Result, Scene, film
from videogate.engine import deliver, poll, send
from videogate.engine.characters import Characters
from videogate.engine.repeats import fingerprint
from videogate.engine.submit import Submissions
from videogate.task.errors import CharacterNotFound, FailureCode, InvalidRequest, VideoExpired, VideoNotFound
from videogate.task.model import Film, Receipt, Repeat, Rework, Source, Task, TaskSpec
from videogate.task.state import TaskState

HEAD = b"\0\0\0\x18ftypisom"
PUBLIC = "https://gateway.example.com"
SPEC = TaskSpec("", "on and on", source=Source(Rework.EXTEND, "video_1"))


@pytest.fixture
def linked(scene: Scene) -> Scene:
    """A shop whose videos can be opened from outside."""
    return published(scene, lambda owner, video_id: f"{PUBLIC}/{owner}/{video_id}")


def published(scene: Scene, link: Any) -> Scene:
    shop = replace(scene.shop, video_link=link)
    return replace(scene, shop=shop, submissions=Submissions(shop, {}, lambda: None))


async def finished(scene: Scene, *, result: str | None = "made-1") -> Task:
    """A completed video of 64x48 and 2 seconds."""
    task = await scene.create(model="longer-1")
    claim = await scene.claim()
    assert await scene.shop.ledger.begin_send(claim, now=scene.now, deadline=scene.now + 40)
    receipt = Receipt("job-1", {"place": "a"})
    await scene.shop.ledger.accepted(claim.attempt.id, receipt, now=scene.now, due_at=scene.now)
    scene.answer(200, {"state": "done", "result": result})
    await poll.observe(scene.shop, await scene.claim(TaskState.SUBMITTED))
    scene.results.append(Result(film()))
    await deliver.fetch(scene.shop, await scene.claim(TaskState.FETCHING))
    done = await scene.shop.tasks.get("alice", task.id)
    assert done is not None
    assert (done.state, done.size, done.seconds) == (TaskState.SUCCEEDED, "64x48", "2")
    scene.sent.clear()
    return done


async def ask(scene: Scene, rework: Rework, video_id: str | None, owner: str = "alice", **changes: Any) -> Task:
    source = Source(rework, video_id, changes.pop("film", None))
    repeat = changes.pop("repeat", Repeat())
    spec = TaskSpec(**{"model": "", "prompt": "on and on", "source": source, **changes})
    return await scene.submissions.create(owner, spec, "req_2", repeat)


async def sent(scene: Scene) -> dict[str, Any]:
    """What leaves for the task that is due."""
    scene.answer(200, {"id": "job-2"})
    await send.send(scene.shop, await scene.claim(TaskState.INTENT))
    (request,) = scene.sent
    body: dict[str, Any] = json.loads(request.content)
    return body


# What the vendor is told


async def test_an_extension_goes_up_under_the_vendors_own_id(scene: Scene) -> None:
    """Model and size are the source's own, the length is both together, and the vendor's id of the video is sent."""
    made = await finished(scene)

    longer = await ask(scene, Rework.EXTEND, made.id, seconds="8")

    assert (longer.model, longer.vendor_model, longer.size, longer.seconds) == ("longer-1", "longer-1", "64x48", "10")
    body = await sent(scene)
    assert body["source"] == {"job": "job-1", "result": "made-1", "link": None, "film": None}
    assert made.id not in json.dumps(body)


async def test_the_result_is_kept_beside_what_the_receipt_held(scene: Scene) -> None:
    """In one write with the move to the fetch: a crash leaves both or none, and the poll's own words stay."""
    made = await finished(scene)

    assert await scene.shop.tasks.receipt(made.id) == Receipt("job-1", {"place": "a", "result": "made-1"})


async def test_a_remix_is_named_in_the_task(scene: Scene) -> None:
    """Only a remix says of which video it is one."""
    made = await finished(scene)

    remix = await ask(scene, Rework.REMIX, made.id)
    longer = await ask(scene, Rework.EXTEND, made.id)

    assert (remix.remixed_from, longer.remixed_from) == (made.id, None)
    assert (remix.size, remix.seconds) == ("64x48", "2")


async def test_who_opens_links_gets_one_when_it_is_sent(linked: Scene) -> None:
    """It is made at the last moment, so that it has not died in the queue."""
    made = await finished(linked)
    await ask(linked, Rework.EDIT, made.id)

    assert (await sent(linked))["source"] == {
        "job": "",
        "result": None,
        "link": f"{PUBLIC}/alice/{made.id}",
        "film": None,
    }


async def test_a_file_goes_up_and_leaves_nothing_behind(scene: Scene, tmp_path: Path) -> None:
    """It waits in the spool until it is sent, a restart leaves it there, and it goes with its task."""
    kept = await scene.shop.inputs.store_film(BytesIO(HEAD + b"film"), "video")
    await ask(scene, Rework.REMIX, None, model="longer-1", film=kept)
    assert await scene.shop.ledger.inputs_in_use() == {kept.key}

    scene.answer(400, {"error": {"message": "no"}})
    await send.send(scene.shop, await scene.claim(TaskState.INTENT))

    assert json.loads(scene.sent[0].content)["source"]["film"] == (HEAD + b"film").decode("latin-1")
    assert (kept.mime, kept.length) == ("video/mp4", 16)
    assert list((tmp_path / "inputs").iterdir()) == []


@pytest.mark.parametrize(
    ("content", "mime"), [(HEAD, "video/mp4"), (b"\0\0\0\x14ftypqt  " + bytes(9), "video/quicktime")]
)
async def test_films_are_known_by_their_bytes(scene: Scene, content: bytes, mime: str) -> None:
    """The client's word for the type is not asked."""
    assert (await scene.shop.inputs.store_film(BytesIO(content), "video")).mime == mime


@pytest.mark.parametrize("content", [b"", b"ftyp", b"\x89PNG\r\n\x1a\n" + bytes(99), b"\0\0\0\x18FTYPisom"])
async def test_what_is_no_film_is_refused(scene: Scene, tmp_path: Path, content: bytes) -> None:
    """A file that is not a film leaves nothing in the spool."""
    with pytest.raises(InvalidRequest) as caught:
        await scene.shop.inputs.store_film(BytesIO(content), "video")

    assert caught.value.param == "video"
    assert list((tmp_path / "inputs").iterdir()) == []


# What is asked of a source


@pytest.mark.parametrize("rework", Rework)
async def test_only_the_callers_own_videos_can_be_used(scene: Scene, rework: Rework) -> None:
    """Unknown, foreign and deleted answer alike."""
    made = await finished(scene)
    errors = []
    for owner, video_id in (("bob", made.id), ("alice", "video_9"), ("alice", made.id)):
        if (owner, video_id) == ("alice", made.id):
            await scene.submissions.delete("alice", made.id)
        with pytest.raises(VideoNotFound) as caught:
            await ask(scene, rework, video_id, owner)
        errors.append((str(caught.value).replace(video_id, "?"), caught.value.param))

    assert set(errors) == {
        ("No video with the id '?' exists for this API key.", "video_id" if rework is Rework.REMIX else "video")
    }


async def test_an_unfinished_video_cannot_be_used(scene: Scene) -> None:
    """It is named, with where it is."""
    task = await scene.create(model="longer-1")

    with pytest.raises(InvalidRequest, match=f"'{task.id}' is queued") as caught:
        await ask(scene, Rework.EXTEND, task.id)

    assert (caught.value.param, caught.value.code) == ("video", "video_not_ready")


async def test_a_model_takes_what_its_own_account_made(scene: Scene) -> None:
    """Ids mean something to one account alone, and to some ways only if the same model made the video."""
    made = await finished(scene)

    with pytest.raises(InvalidRequest, match=r"picture-1 cannot extend a video. Models that can: longer-1\.") as caught:
        await ask(scene, Rework.EXTEND, made.id, model="picture-1")
    assert caught.value.param == "model"
    scene.desk.sql("UPDATE task SET vendor_model = 'text-1'")
    with pytest.raises(InvalidRequest, match="longer-1 can extend only videos that it made here itself"):
        await ask(scene, Rework.EXTEND, made.id, model="longer-1")
    assert (await ask(scene, Rework.REMIX, made.id, model="longer-1")).state is TaskState.INTENT
    scene.desk.sql("UPDATE task SET account = 'maker@elsewhere'")
    with pytest.raises(InvalidRequest, match="longer-1 can remix only videos that maker made here"):
        await ask(scene, Rework.REMIX, made.id, model="longer-1")


async def test_a_video_of_a_vendor_that_is_off_cannot_be_used(scene: Scene) -> None:
    """Its model is not there any more; the ones that can are named."""
    made = await finished(scene)
    scene.desk.sql("UPDATE task SET vendor = 'gone', model = 'gone-1'")

    with pytest.raises(InvalidRequest, match=r"gone-1 is not available here just now\. Models that can: longer-1"):
        await ask(scene, Rework.EXTEND, made.id)


async def test_a_video_from_before_cannot_be_gone_on_from(scene: Scene) -> None:
    """Where the vendor's id of the video was not kept, the caller reads so before anything is spent."""
    made = await finished(scene, result=None)

    with pytest.raises(InvalidRequest, match="an earlier version") as caught:
        await ask(scene, Rework.EXTEND, made.id)

    assert caught.value.param == "video"


async def test_a_link_needs_an_address_and_a_video_that_is_kept(scene: Scene) -> None:
    """Neither a link to nowhere nor one to nothing is given out."""
    made = await finished(scene)

    with pytest.raises(InvalidRequest, match="VIDEOGATE_PUBLIC_URL"):
        await ask(scene, Rework.EDIT, made.id)
    scene.desk.sql("UPDATE task SET expires_at = 0")
    with pytest.raises(VideoExpired) as caught:
        await ask(published(scene, lambda _owner, _id: LINK), Rework.EDIT, made.id)
    assert caught.value.param == "video"


@pytest.mark.parametrize("change", ["account", "deleted"])
async def test_what_changed_before_it_was_sent_ends_the_task_unsent(linked: Scene, change: str) -> None:
    """The account of a source told by its id, the source itself of a link: the task fails, nothing leaves."""
    made = await finished(linked)
    task = await ask(linked, Rework.EDIT if change == "deleted" else Rework.EXTEND, made.id)
    if change == "account":
        linked.desk.sql("UPDATE task SET account = 'maker@elsewhere'")
    else:
        await linked.submissions.delete("alice", made.id)

    await send.send(linked.shop, await linked.claim(TaskState.INTENT))

    ended = await linked.shop.tasks.get("alice", task.id)
    assert ended is not None
    assert ended.failure is not None
    assert (ended.state, ended.failure.code) == (TaskState.FAILED, FailureCode.INVALID_REQUEST)
    assert linked.sent == []


# Repeats


@pytest.mark.parametrize(
    "source",
    [
        None,
        Source(Rework.EXTEND, "video_2"),
        Source(Rework.REMIX, "video_1"),
        Source(Rework.EXTEND, film=Film("k", "video/mp4", 1, "ab")),
    ],
)
def test_what_is_made_of_which_video_counts(source: Source | None) -> None:
    """Another source, another kind and none at all are other requests."""
    assert fingerprint(replace(SPEC, source=source)) != fingerprint(SPEC)


def test_a_file_counts_by_its_bytes() -> None:
    """The name of its file is new with every try."""
    first, again, other = (Source(Rework.EDIT, film=Film(key, "video/mp4", 1, sha)) for key, sha in ("ka", "lb", "kc"))
    same = replace(again, film=replace(again.film, sha256="a")) if again.film else again

    assert fingerprint(replace(SPEC, source=first)) == fingerprint(replace(SPEC, source=same))
    assert fingerprint(replace(SPEC, source=first)) != fingerprint(replace(SPEC, source=other))


@pytest.mark.parametrize("repeat", [Repeat("key"), Repeat(None, 1)])
async def test_a_repeated_request_outlives_its_source(scene: Scene, repeat: Repeat) -> None:
    """The same request gets the same video when the source is gone; another one gets the 404."""
    made = await finished(scene)
    first = await ask(scene, Rework.EXTEND, made.id, repeat=replace(repeat, tries=0))
    await scene.submissions.delete("alice", made.id)

    with capture_logs() as logged:
        again = await ask(scene, Rework.EXTEND, made.id, repeat=repeat)

    assert again == first
    assert [each["event"] for each in logged] == ["task_repeated"]
    with pytest.raises(VideoNotFound):
        await ask(scene, Rework.EXTEND, made.id, repeat=Repeat("another"))
    if repeat.key:
        with pytest.raises(InvalidRequest, match="another request"):
            await ask(scene, Rework.REMIX, made.id, repeat=repeat)


# Characters


async def test_an_id_of_a_character_is_good_for_its_owner_alone(scene: Scene) -> None:
    """What is not exactly the id that was given out is no character: foreign, cut, longer, of another account."""
    (vendor,) = scene.shop.vendors.values()
    vendor.characters = True
    characters = Characters(scene.shop, b"secret")
    ours = characters._sign("alice", vendor, "char/ü?")

    def named(owner: str, given: Any, by: Characters = characters) -> Any:
        spec = TaskSpec("m", "p", options={"characters": given})
        return by.named(owner, vendor, spec).options["characters"]

    assert named("alice", [{"id": ours}]) == [{"id": "char/ü?"}]
    assert ours.isascii()
    assert "/" not in ours
    for owner, given, by in [
        ("bob", ours, characters),
        ("alice", ours[:-1], characters),
        ("alice", ours + "A", characters),
        ("alice", ours.upper(), characters),
        ("alice", "char/ü?", characters),
        ("alice", "", characters),
        ("alice", ours, Characters(scene.shop, b"another")),
    ]:
        with pytest.raises((CharacterNotFound, InvalidRequest)):
            named(owner, [{"id": given}], by)
    odd: list[Any] = ["x", {"id": ours}, [ours], [{}], [{"id": 5}]]
    for each in odd:
        with pytest.raises(InvalidRequest):
            named("alice", each)
    vendor.characters = False
    assert named("alice", "left to be reported") == "left to be reported"


async def test_without_an_upstream_that_keeps_them_there_are_no_characters(scene: Scene) -> None:
    """The caller reads why."""
    with pytest.raises(InvalidRequest, match="No vendor"):
        await Characters(scene.shop, b"secret").get("alice", "char_1")

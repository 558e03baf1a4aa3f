"""How long results are kept, who removes them, and what a delete does about the vendor."""

import asyncio
from pathlib import Path

import httpx
import pytest

from unit.engine.support import Result, Scene, film
from videogate.engine import deliver, poll, sweep
from videogate.engine.results import Results
from videogate.engine.rounds import Rounds
from videogate.media.disk import Disk
from videogate.media.renditions import FORMS, Rendition, Seekable, render
from videogate.media.storage import StorageAway
from videogate.task.errors import Busy, InvalidRequest, VideoExpired, VideoNotReady
from videogate.task.state import TaskState

WEEK = 604_800.0
MP4 = film()


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "media").rglob("*") if path.is_file())


async def completed(scene: Scene) -> str:
    scene.results = [Result(MP4)]
    await deliver.fetch(scene.shop, await scene.fetching())
    return scene.task_id


async def test_a_result_expires_when_it_was_promised_to(scene: Scene, tmp_path: Path) -> None:
    """Until then it is served and its file stays; from then on it is told as expired, and the sweeper removes it."""
    await completed(scene)
    results, task = Results(scene.shop), await scene.task()
    assert task.expires_at == scene.now + WEEK

    scene.now += WEEK - 1
    wait = await sweep.sweep_expired(scene.shop)
    assert wait == pytest.approx(1)
    assert (await results.find(task, "video")).length == len(MP4)
    scene.now += 1
    with pytest.raises(VideoExpired):
        await results.find(task, "video")
    assert files(tmp_path) != []

    await sweep.sweep_expired(scene.shop)

    assert files(tmp_path) == []
    swept = await scene.task()
    assert (swept.state, swept.content, swept.expires_at) == (TaskState.SUCCEEDED, None, task.expires_at)
    with pytest.raises(VideoExpired):
        await results.find(swept, "thumbnail")
    assert await sweep.sweep_expired(scene.shop) == sweep.LONGEST


async def test_a_sweep_that_dies_half_way_is_done_again(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash after the file's removal, or before it, leaves a row that names it: the next round goes on."""
    await completed(scene)
    scene.now += WEEK
    remove_video = scene.shop.storage.remove_video

    async def dies_before(_key: str) -> None:
        raise StorageAway("gone for a while")

    async def dies_after(key: str) -> None:
        await remove_video(key)
        raise StorageAway("gone for a while")

    for dying in (dies_before, dies_after):
        monkeypatch.setattr(scene.shop.storage, "remove_video", dying)
        with pytest.raises(StorageAway):
            await sweep.sweep_expired(scene.shop)
        assert (await scene.task()).content is not None

    monkeypatch.setattr(scene.shop.storage, "remove_video", remove_video)
    await sweep.sweep_expired(scene.shop)

    assert files(tmp_path) == []
    assert (await scene.task()).content is None


async def test_files_that_are_nobodys_are_removed(scene: Scene, tmp_path: Path) -> None:
    """A crash between a file and its row leaves a file that no task has; those of open and finished tasks stay."""
    await completed(scene)
    finished = files(tmp_path)
    stray = tmp_path / "media" / "videos" / "99" / "video_99.thumbnail.webp"
    stray.parent.mkdir()
    stray.write_bytes(b"x")

    await sweep.sweep_strays(scene.shop)
    assert files(tmp_path) == finished

    scene.desk.sql("UPDATE task SET state = 'fetching', content_key = NULL")
    await sweep.sweep_strays(scene.shop)
    assert files(tmp_path) == finished

    scene.desk.sql("UPDATE task SET state = 'cancelled'")
    await sweep.sweep_strays(scene.shop)
    assert files(tmp_path) == []


async def test_a_delete_whose_removal_fails_is_the_sweepers(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A storage that is away does not fail the delete: the file goes as soon as the storage is back."""
    task_id = await completed(scene)

    async def away(*_keys: str) -> None:
        raise StorageAway("gone for a while")

    with monkeypatch.context() as patched:
        patched.setattr(scene.shop.storage, "remove", away)
        await scene.submissions.delete("alice", task_id)
    assert files(tmp_path) != []

    await sweep.sweep_expired(scene.shop)

    assert files(tmp_path) == []


async def test_a_result_of_a_task_deleted_meanwhile_expires_at_once(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that dies after completing a video that its owner deleted leaves it to the sweeper, not for a week."""
    claim = await scene.fetching()
    await scene.submissions.delete("alice", scene.task_id)
    scene.results = [Result(MP4)]

    async def away(*_keys: str) -> None:
        raise StorageAway("gone for a while")

    with monkeypatch.context() as patched:
        patched.setattr(scene.shop.storage, "remove", away)
        await deliver.fetch(scene.shop, claim)
    assert files(tmp_path) != []

    await sweep.sweep_expired(scene.shop)

    assert files(tmp_path) == []


@pytest.mark.parametrize("rendition", list(Rendition))
async def test_a_picture_is_made_once(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rendition: Rendition
) -> None:
    """Many who ask at once, and whoever asks later, get the same picture; it is drawn once and kept."""
    await completed(scene)
    results, task = Results(scene.shop), await scene.task()
    drawn: list[Rendition] = []

    def counted(source: Seekable, wanted: Rendition) -> bytes:
        drawn.append(wanted)
        return render(source, wanted)

    monkeypatch.setattr("videogate.engine.results.render", counted)
    found = await asyncio.gather(*(results.find(task, rendition.value) for _ in range(8)))
    found.append(await Results(scene.shop).find(task, rendition.value))

    assert len({each.content for each in found}) == 1
    assert len(drawn) == 1
    assert found[0].mime == FORMS[rendition].mime
    assert len(files(tmp_path)) == 2


async def test_who_hangs_up_leaves_the_others_their_picture(scene: Scene) -> None:
    """The first to ask may go away: the picture is still made, for everybody else."""
    await completed(scene)
    results, task = Results(scene.shop), await scene.task()
    first = asyncio.create_task(results.find(task, "thumbnail"))
    await asyncio.sleep(0)
    second = asyncio.create_task(results.find(task, "thumbnail"))
    await asyncio.sleep(0)
    first.cancel()

    assert (await second).content


async def test_a_video_of_which_no_picture_can_be_made(scene: Scene, tmp_path: Path) -> None:
    """A video that plays nowhere gives a clear 400 for its pictures; a variant that is none names those that are."""
    await completed(scene)
    task = await scene.task()
    (video,) = (tmp_path / "media").rglob("*.mp4")
    video.write_bytes(MP4[:40] + bytes(2000))

    with pytest.raises(InvalidRequest, match="thumbnail") as caught:
        await Results(scene.shop).find(task, "thumbnail")
    assert caught.value.param == "variant"
    with pytest.raises(InvalidRequest, match="video, thumbnail, spritesheet"):
        await Results(scene.shop).find(task, "poster")
    video.unlink()
    with pytest.raises(VideoExpired):
        await Results(scene.shop).find(task, "thumbnail")


async def test_what_is_not_ready_is_told(scene: Scene) -> None:
    """An open task asks to come back; a failed one says why there is nothing."""
    await scene.submitted()
    with pytest.raises(VideoNotReady) as caught:
        await Results(scene.shop).find(await scene.task(), "video")
    assert caught.value.retry_after

    scene.answer(200, {"state": "broken"})
    scene.now += 100
    await poll.observe(scene.shop, await scene.claim())
    with pytest.raises(VideoNotReady, match="failed") as caught:
        await Results(scene.shop).find(await scene.task(), "video")
    assert caught.value.retry_after is None


# What a delete does about the vendor.


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (httpx.Response(200, json={"stopped": True}), "maker has cancelled the job."),
        (httpx.Response(200, json={"stopped": False}), "billed"),
        (httpx.Response(200, json={}), "could not be asked"),
        (httpx.Response(502), "could not be asked"),
        (httpx.ConnectError("nobody there"), "could not be asked"),
    ],
    ids=["done", "too late", "odd", "trouble", "away"],
)
async def test_a_running_job_is_cancelled_where_it_can_be(
    scene: Scene, answer: httpx.Response | Exception, words: str
) -> None:
    """The vendor is asked to stop, and its owner is told what that means for the bill."""
    await scene.submitted()
    scene.answers.append(answer)

    gone = await scene.submissions.delete("alice", scene.task_id)

    assert words in (gone.bill or "")
    assert [request.url.path for request in scene.sent] == ["/api/jobs/job-1/stop"]


async def test_a_vendor_that_cannot_cancel_is_not_asked(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its owner is told plainly that the video will still be billed."""
    monkeypatch.setattr(type(scene.shop.vendors["maker"]), "cancels", False)
    await scene.submitted()

    gone = await scene.submissions.delete("alice", scene.task_id)

    assert gone.bill == "maker cannot cancel a job; it goes on there and will be billed."
    assert scene.sent == []


async def test_a_delete_before_the_send_costs_nothing(scene: Scene) -> None:
    """What was never sent is never billed, and says so; a finished video's delete has nothing to say."""
    task = await scene.create()

    assert "nothing will be billed" in ((await scene.submissions.delete("alice", task.id)).bill or "")


async def test_deleting_what_has_ended_says_nothing_of_the_bill(scene: Scene) -> None:
    """The video was made and paid for: there is no question."""
    assert (await scene.submissions.delete("alice", await completed(scene))).bill is None


async def test_the_poller_cancels_what_was_deleted_while_it_was_queued(scene: Scene) -> None:
    """A job that its vendor has not begun is cancelled by the poller too, should the delete's own call have failed."""
    await scene.submitted()
    scene.answers.append(httpx.ConnectError("nobody there"))
    await scene.submissions.delete("alice", scene.task_id)
    await scene.shop.ledger.recover(scene.now)
    claim = await scene.claim(TaskState.SUBMITTED)
    scene.answer(200, {"stopped": True})
    scene.answer(200, {"state": "broken"})

    await poll.observe(scene.shop, claim)

    assert [request.url.path for request in scene.sent][1:] == ["/api/jobs/job-1/stop", "/api/jobs/job-1"]
    assert scene.state is TaskState.FAILED


# Room on the disk.


async def test_below_the_floor_nothing_new_is_taken(scene: Scene, tmp_path: Path) -> None:
    """A create gets a 503 that says why; a result under way is still fetched."""
    claim = await scene.fetching()
    scene.shop.disk._floor = 2**62
    scene.now += 10

    with pytest.raises(Busy, match="disk"):
        await scene.create()
    scene.results = [Result(MP4)]
    await deliver.fetch(scene.shop, claim)

    assert scene.state is TaskState.SUCCEEDED
    assert files(tmp_path) != []


def test_the_floor_of_a_small_disk_is_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless told otherwise 5 % of a disk stay free, on large ones 2 GiB; 0 is no floor."""
    sizes = {"total": 0, "free": 0}

    class Usage:
        def __init__(self) -> None:
            self.total, self.free = sizes["total"], sizes["free"]

    monkeypatch.setattr("shutil.disk_usage", lambda _folder: Usage())
    for total, free, floor, room in [
        (10_000, 501, None, True),
        (10_000, 499, None, False),
        (2**50, 2**31, None, True),
        (2**50, 2**31 - 1, None, False),
        (10_000, 0, 0, True),
        (10_000, 9_999, 10_000, False),
    ]:
        sizes.update(total=total, free=free)
        assert Disk([tmp_path], floor, lambda: 0.0).has_room() is room


async def test_rounds_outlive_trouble_and_end_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A round that fails is followed by the next; after `stop` there is none."""
    monkeypatch.setattr("videogate.engine.rounds.AFTER_TROUBLE", 0.001)
    done: list[int] = []

    async def work() -> float:
        done.append(len(done))
        if len(done) == 1:
            raise StorageAway("gone for a while")
        if len(done) == 3:
            rounds.stop()
        return 0.001

    rounds = Rounds("a test", work)
    await asyncio.wait_for(rounds.run(), 10)

    assert done == [0, 1, 2]

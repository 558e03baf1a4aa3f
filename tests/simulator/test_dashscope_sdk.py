"""Alibaba's own SDK against the simulator of its service: both of its clients, told only another base URL.

`VideoSynthesis` is the first client (answers carry errors), `Client` the second (it raises them).
"""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import dashscope
import httpx
import pytest
from dashscope.aigc.video_synthesis import AioVideoSynthesis, VideoSynthesis
from dashscope.api_entities.aio_session import close_shared_aio_session
from dashscope.utils.oss_utils import OssUtils
from dashscope.v2.errors import (
    AuthenticationError,
    BadRequestError,
    ContentFilterError,
    DashScopeError,
    InternalServerError,
    RateLimitError,
)

from videogate.cli.children import Child

KEY = "simulator"
LINK = "https://pictures.example/cat.png"  # counts as a picture of 1280x720
VOICE = "https://pictures.example/meow.mp3"
TEXT: dict[str, Any] = {"model": "wan2.5-t2v-preview", "prompt": "a kitten in the sun", "size": "832*480"}

# What is asked, and the film and the usage that the vendor's pages promise for it. The local `cat.png` has 960x640.
WORK: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "t2v 2.5": (TEXT, "832x480 5", {"video_duration": 5, "video_ratio": "832*480", "video_count": 1}),
    "t2v 2.1": (
        {"model": VideoSynthesis.Models.wanx_2_1_t2v_turbo, "prompt": "a kitten", "size": "624*624"},
        "624x624 5",
        {"video_duration": 5, "video_ratio": "624*624", "video_count": 1},
    ),
    "t2v 2.7": (
        {"model": "wan2.7-t2v", "prompt": "a kitten", "resolution": "720P", "ratio": "3:4", "duration": 2},
        "832x1104 2",
        {"duration": 2.0, "output_video_duration": 2, "SR": 720, "ratio": "3:4"},
    ),
    "i2v by link": (
        {"model": "wan2.2-i2v-flash", "prompt": "it runs", "img_url": LINK, "resolution": "480P"},
        "832x480 5",
        {"duration": 5, "SR": 480, "video_count": 1},
    ),
    "i2v by local file": (
        {"model": "wan2.5-i2v-preview", "prompt": "it runs", "img_url": "cat.png", "resolution": "480P"},
        "768x512 5",
        {"duration": 5, "SR": 480, "video_count": 1},
    ),
    "i2v 2.7 by local files": (
        {
            "model": "wan2.7-i2v",
            "media": [{"type": "first_frame", "url": "file://cat.png"}, {"type": "last_frame", "url": "cat.png"}],
            "resolution": "720P",
            "duration": 2,
        },
        "1168x768 2",
        {"duration": 2.0, "input_video_duration": 0, "output_video_duration": 2, "SR": 720},
    ),
    "kf2v by link and local file": (
        {
            "model": "wan2.2-kf2v-flash",
            "prompt": "the camera rises",
            "first_frame_url": "cat.png",
            "last_frame_url": LINK,
            "resolution": "480P",
        },
        "768x512 5",
        {"video_duration": 5, "SR": 480, "video_count": 1},
    ),
    "r2v": (
        {
            "model": "wan2.6-r2v",
            "prompt": "character1 runs",
            "reference_urls": ["cat.png", LINK],
            "size": "1280*720",
            "duration": 2,
        },
        "1280x720 2",
        {"output_video_duration": 2, "size": "1280*720", "SR": 720, "video_count": 1},
    ),
}

# What is asked wrongly, and the status, the code and the beginning of the message that the SDK reports.
WRONG: dict[str, tuple[dict[str, Any], int, str, str]] = {
    "key": ({"api_key": "sk-wrong"}, 401, "InvalidApiKey", "Invalid API-key provided."),
    "model": ({"model": "wan9-t2v"}, 400, "InvalidParameter", "Model not exist."),
    "size": ({"size": "1234*567"}, 400, "InvalidParameter", "The size is not match 1234*567"),
    "duration": ({"duration": 7}, 400, "InvalidParameter", "duration"),
    "no prompt": ({"prompt": None}, 400, "InvalidParameter", "Field required: input.prompt"),
    "s2v on the path of t2v": ({"model": "wan2.2-s2v"}, 400, "InvalidParameter", "url error, please check url！"),
}


@pytest.fixture(scope="module")
def root(start: Callable[..., Child]) -> str:
    """The URL of a simulator that serves Wanxiang at the root, at any rate."""
    return start("--only", "wanxiang", "--no-rate-limits").url


@pytest.fixture(scope="module")
def patient(start: Callable[..., Child]) -> str:
    """The same, but it holds its rates, and every job stays in the queue."""
    return start("--only", "wanxiang", "--queue-seconds", "600").url


@pytest.fixture(autouse=True)
def sdk(root: str, cat: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Point the SDK's globals at the simulator, and stand where `cat.png` is."""
    monkeypatch.setattr(dashscope, "base_http_api_url", f"{root}/api/v1")
    monkeypatch.setattr(dashscope, "api_key", KEY)
    monkeypatch.chdir(cat.parent)
    yield
    dashscope.close_shared_sync_session()


@pytest.fixture
async def aio() -> AsyncIterator[type[AioVideoSynthesis]]:
    """The first client's asynchronous twin."""
    yield AioVideoSynthesis
    await close_shared_aio_session()


@pytest.fixture(scope="module")
def client(root: str) -> Iterator[dashscope.Client]:
    """The SDK's second client, which does not try again."""
    with dashscope.Client(api_key=KEY, base_url=f"{root}/api/v1", max_retries=0) as made:
        yield made


@pytest.fixture
async def async_client(root: str) -> AsyncIterator[dashscope.AsyncClient]:
    """The second client's asynchronous twin."""
    async with dashscope.AsyncClient(api_key=KEY, base_url=f"{root}/api/v1", max_retries=0) as made:
        yield made


def test_the_first_client_gets_the_films_it_asked_for(web: httpx.Client, film: Callable[[bytes], str]) -> None:
    """It uploads what is local, submits and waits; films and usage are those of the vendor's pages."""
    tasks = {work: VideoSynthesis.async_call(**asked) for work, (asked, _, _) in WORK.items()}
    done = {work: VideoSynthesis.wait(task) for work, task in tasks.items()}

    assert {work: each.output.task_status for work, each in done.items()} == dict.fromkeys(WORK, "SUCCEEDED")
    shown = {work: film(web.get(each.output.video_url).content) for work, each in done.items()}
    assert shown == {work: film for work, (_, film, _) in WORK.items()}
    for work, (_, _, usage) in WORK.items():
        assert usage.items() <= dict(done[work].usage).items(), work


def test_submit_fetch_and_wait(web: httpx.Client, film: Callable[[bytes], str]) -> None:
    """A submitted task is PENDING, is found by its id and by its answer, and ends with its prompts and times."""
    task = VideoSynthesis.async_call(**TEXT)

    assert (task.status_code, task.output.task_status) == (200, "PENDING")
    assert VideoSynthesis.fetch(task).output.task_status in {"PENDING", "RUNNING", "SUCCEEDED"}
    done = VideoSynthesis.wait(task.output.task_id).output
    assert done.task_status == "SUCCEEDED"
    assert done["submit_time"] < done["scheduled_time"] < done["end_time"]
    assert done["orig_prompt"] == TEXT["prompt"]
    assert done["actual_prompt"] != TEXT["prompt"]
    assert film(web.get(done.video_url).content) == "832x480 5"


def test_speech_has_its_result_under_results(web: httpx.Client, film: Callable[[bytes], str]) -> None:
    """A talking picture is asked for on the other path, and its link is `results.video_url`."""
    pictures = {"image_url": LINK}

    done = VideoSynthesis.call(
        model="wan2.2-s2v", task="image2video", extra_input=pictures, audio_url=VOICE, resolution="480P"
    )

    assert (done.output.task_status, done.output.video_url) == ("SUCCEEDED", "")
    assert film(web.get(done.output["results"]["video_url"]).content) == "832x480 5"
    assert (done.usage["size"], done.usage["fps"], done.usage["SR"]) == ("832*480", 16, 480)


async def test_the_asynchronous_first_client(aio: type[AioVideoSynthesis]) -> None:
    """`AioVideoSynthesis`, whose polls end in a slash, gets its film as well."""
    done = await aio.call(**TEXT)

    assert (done.status_code, done.output.task_status) == (200, "SUCCEEDED"), done
    assert done.output.video_url


@pytest.mark.parametrize("model", ["wan2.5-i2v-preview", "wan2.7-i2v"])
def test_the_second_client_gets_the_film_it_asked_for(
    client: dashscope.Client, web: httpx.Client, film: Callable[[bytes], str], model: str
) -> None:
    """`generate` makes a film of a local picture, in the older models' input and in the newer ones'."""
    job = client.videos.generate(
        model=model, prompt="it runs", image_url="cat.png", resolution="720P", duration=5, poll_interval=0.2
    )

    assert (job.succeeded, bool(job.submitted_at), bool(job.finished_at)) == (True, True, True)
    assert film(web.get(str(job.video_url)).content) == "1168x768 5"


async def test_the_asynchronous_second_client(async_client: dashscope.AsyncClient) -> None:
    """`AsyncClient` gets its film as well."""
    job = await async_client.videos.generate(**TEXT, poll_interval=0.2)

    assert job.succeeded
    assert job.video_url


@pytest.mark.parametrize("wrong", WRONG)
def test_the_first_client_reports_the_vendors_errors(wrong: str) -> None:
    """A refused submit reaches the SDK's user with the vendor's status, code and message, and a request id."""
    asked, status, code, message = WRONG[wrong]

    answer = VideoSynthesis.async_call(**{**TEXT, **asked})

    assert (answer.status_code, answer.code) == (status, code)
    assert answer.message.startswith(message)
    assert answer.request_id


def test_the_second_client_raises_the_vendors_errors(client: dashscope.Client) -> None:
    """A wrong key, an unknown model and a model on another one's path are the SDK's own classes of error."""
    with pytest.raises(AuthenticationError) as stranger:
        client.videos.jobs.create(**TEXT, api_key="sk-wrong")
    assert stranger.value.code == "InvalidApiKey"
    with pytest.raises(BadRequestError, match=r"Model not exist\."):
        client.videos.jobs.create(model="wan9-t2v", prompt="a kitten")
    # This client posts every model to the path of t2v.
    with pytest.raises(BadRequestError, match="url error, please check url！"):
        client.videos.jobs.create(model="wan2.2-kf2v-flash", extra_input={"first_frame_url": LINK})


def test_a_submit_must_say_that_it_is_asynchronous(root: str, web: httpx.Client) -> None:
    """Without `X-DashScope-Async: enable` the answer is the documented 403."""
    body = {"model": TEXT["model"], "input": {"prompt": TEXT["prompt"]}}

    answer = web.post(
        f"{root}/api/v1/services/aigc/video-generation/video-synthesis",
        json=body,
        headers={"authorization": f"Bearer {KEY}"},
    )

    assert (answer.status_code, answer.json()["code"]) == (403, "AccessDenied")
    assert answer.json()["message"] == "current user api does not support synchronous calls."


def test_throttling(root: str, client: dashscope.Client, fault: Callable[..., None]) -> None:
    """Too many requests are 429 `Throttling.RateQuota` to the first client, `RateLimitError` to the second."""
    fault(root, vendor="wanxiang", op="submit", mode="throttle", times=2)

    answer = VideoSynthesis.async_call(**TEXT)

    assert (answer.status_code, answer.code) == (429, "Throttling.RateQuota")
    with pytest.raises(RateLimitError) as raised:
        client.videos.jobs.create(**TEXT)
    assert raised.value.code == "Throttling.RateQuota"


def test_the_documented_rate(patient: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two submits a second are taken for an older model; who sends more meets the same error, with no fault set."""
    monkeypatch.setattr(dashscope, "base_http_api_url", f"{patient}/api/v1")

    answers = [VideoSynthesis.async_call(model="wanx2.1-i2v-plus", img_url=LINK) for _ in range(6)]

    assert [answer.status_code for answer in answers[:2]] == [200, 200]
    assert {answer.code for answer in answers[2:] if answer.status_code != 200} == {"Throttling.RateQuota"}


def test_the_second_client_tries_again(
    root: str, fault: Callable[..., None], accepted: Callable[[str], list[dict[str, Any]]]
) -> None:
    """After a throttled submit it waits as `Retry-After` says, and is accepted once."""
    before = len(accepted(root))
    fault(root, vendor="wanxiang", op="submit", mode="throttle", retry_after=0.1)

    with dashscope.Client(api_key=KEY, base_url=f"{root}/api/v1", max_retries=1) as client:
        job = client.videos.jobs.create(**TEXT)

    assert job.task_id == accepted(root)[-1]["id"]
    assert len(accepted(root)) == before + 1


def test_moderation_and_failure(root: str, client: dashscope.Client, fault: Callable[..., None]) -> None:
    """What is blocked, before or after, is the SDK's `ContentFilterError`; what breaks is its server error."""
    fault(root, vendor="wanxiang", op="submit", mode="moderate_submit")
    with pytest.raises(ContentFilterError, match="Input data may contain inappropriate content"):
        client.videos.jobs.create(**TEXT)
    fault(root, vendor="wanxiang", op="submit", mode="moderate")
    with pytest.raises(ContentFilterError, match="Output data may contain inappropriate content"):
        client.videos.generate(**TEXT, poll_interval=0.2)
    fault(root, vendor="wanxiang", op="poll", mode="error_before")
    with pytest.raises(InternalServerError):
        client.videos.jobs.fetch("any")


def test_an_upload_is_for_one_model(cat: Path) -> None:
    """A file that was uploaded for one model is not found by another: the task is accepted, and fails."""
    url, _ = OssUtils.upload(model="wan2.2-i2v-flash", file_path=str(cat), api_key=KEY)

    mine = VideoSynthesis.async_call(model="wan2.2-i2v-flash", img_url=url)
    other = VideoSynthesis.call(model="wan2.2-i2v-plus", img_url=url)

    assert url.startswith("oss://dashscope-instant/")
    assert mine.status_code == 200
    assert (other.status_code, other.output.task_status) == (200, "FAILED")
    assert (other.output["code"], other.output["message"]) == ("InvalidParameter", "download image failed")


def test_cancelling(
    patient: str, monkeypatch: pytest.MonkeyPatch, accepted: Callable[[str], list[dict[str, Any]]]
) -> None:
    """A task that waits can be cancelled, once; whoever waits for it is told."""
    monkeypatch.setattr(dashscope, "base_http_api_url", f"{patient}/api/v1")
    task = VideoSynthesis.async_call(**TEXT)

    first, second = VideoSynthesis.cancel(task), VideoSynthesis.cancel(task)

    assert (first.status_code, bool(first.request_id)) == (200, True)
    assert (second.status_code, second.code) == (400, "UnsupportedOperation")
    assert VideoSynthesis.wait(task).output.task_status == "CANCELED"
    assert [line["cancelled"] for line in accepted(patient) if line["id"] == task.output.task_id] == [1]
    with dashscope.Client(api_key=KEY, base_url=f"{patient}/api/v1") as client:
        job = client.videos.jobs.create(**TEXT)
        assert client.videos.jobs.cancel(job.task_id).request_id
        with pytest.raises(DashScopeError, match="canceled"):
            client.videos.jobs.wait(job)


def test_what_cannot_be_cancelled(root: str, client: dashscope.Client, fault: Callable[..., None]) -> None:
    """A task that has ended and one that is not there are refused alike; a wrong key cancels nothing."""
    fault(root, vendor="wanxiang", op="submit", mode="wait", delay=600)
    waits, ended = VideoSynthesis.async_call(**TEXT), VideoSynthesis.call(**TEXT)
    unknown = "8f0f4b5e-0000-4000-8000-000000000000"

    answers = [VideoSynthesis.cancel(task) for task in (ended, unknown)]
    stranger = VideoSynthesis.cancel(waits, api_key="sk-wrong")

    too_late = (
        400,
        "UnsupportedOperation",
        "Failed to cancel the task, please confirm if the task is in PENDING status.",
    )
    assert [(answer.status_code, answer.code, answer.message) for answer in answers] == [too_late] * 2
    assert (stranger.status_code, stranger.code) == (401, "InvalidApiKey")
    assert VideoSynthesis.fetch(waits).output.task_status == "PENDING"
    with pytest.raises(BadRequestError, match="PENDING"):
        client.videos.jobs.cancel(unknown)


async def test_cancelling_asynchronously(
    patient: str, aio: type[AioVideoSynthesis], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`AioVideoSynthesis`, which ends this path with a slash too, can cancel."""
    monkeypatch.setattr(dashscope, "base_http_api_url", f"{patient}/api/v1")

    task = await aio.async_call(**TEXT)
    answer = await aio.cancel(task)

    assert answer.status_code == 200
    assert VideoSynthesis.fetch(task.output.task_id).output.task_status == "CANCELED"


def test_listing(patient: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list is newest first, in pages, and can be held to a model and a status."""
    monkeypatch.setattr(dashscope, "base_http_api_url", f"{patient}/api/v1")
    asked = "wan2.6-t2v", "a kitten"
    ids = [VideoSynthesis.async_call(*asked, size="1280*720").output.task_id for _ in range(3)]
    VideoSynthesis.cancel(ids[1])

    first = VideoSynthesis.list(model_name="wan2.6-t2v", page_size=2).output
    last = VideoSynthesis.list(model_name="wan2.6-t2v", page_no=2, page_size=2).output
    cancelled = VideoSynthesis.list(model_name="wan2.6-t2v", status="CANCELED").output

    assert (first["total"], first["total_page"], first["page_no"], first["page_size"]) == (3, 2, 1, 2)
    assert [item["task_id"] for item in first["data"] + last["data"]] == ids[::-1]
    assert [item["task_id"] for item in cancelled["data"]] == [ids[1]]
    assert {item["status"] for item in first["data"]} == {"PENDING", "CANCELED"}
    # The second client's list looks for `tasks`, which the vendor's page does not have; its count is right.
    with dashscope.Client(api_key=KEY, base_url=f"{patient}/api/v1") as client:
        assert client.videos.jobs.list(model_name="wan2.6-t2v").total == 3


def test_a_task_that_is_not_there(client: dashscope.Client) -> None:
    """An unknown id is no error: its status is UNKNOWN, which ends every wait."""
    assert VideoSynthesis.wait("8f0f4b5e-0000-4000-8000-000000000000").output.task_status == "UNKNOWN"
    assert client.videos.jobs.wait("8f0f4b5e-0000-4000-8000-000000000000").status == "UNKNOWN"

"""The simulated Vidu, by its documents: fields, models, pictures, states, errors, lifetimes, callbacks."""

import asyncio
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from threading import Thread
from typing import Any

import av
import httpx
import pytest

from videogate.cli.children import Child
from videogate.cli.demo import picture
from videogate.simulator import Options, create_app, vidu
from videogate.simulator.vidu_callbacks import Callbacks, signature
from videogate.simulator.vidu_models import MODELS, price
from videogate.simulator.world import Job, World

KEY = {"authorization": "Token simulator"}
LINK = "https://example.com/cat.png"
TEXT = {"model": "viduq1", "prompt": "An astronaut in fog"}
ENDED = frozenset({"success", "failed"})
WORDS = ["created", "queueing", "processing"]
Client = httpx.Client
Film = Callable[[bytes], str]


def data_url(width: int, height: int, kind: str = "image/png") -> str:
    """A picture as the API takes it."""
    return f"data:{kind};base64,{b64encode(picture(width, height)).decode()}"


def gif() -> str:
    """A picture of a kind that the API does not take, under a name that it takes."""
    buffer = BytesIO()
    with av.open(buffer, "w", format="gif") as container:
        stream = container.add_stream("gif", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "rgb8"
        container.mux([*stream.encode(av.VideoFrame(64, 64, "rgb8")), *stream.encode()])
    return f"data:image/png;base64,{b64encode(buffer.getvalue()).decode()}"


@contextmanager
def client_of(server: Child) -> Iterator[Client]:
    """A client with the key."""
    with Client(base_url=f"{server.url}/vidu", headers=KEY, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def server(start: Callable[..., Child]) -> Child:
    """A simulator that runs any number of jobs at once."""
    return start("--no-rate-limits", "--queue-seconds", "0.2", "--render-seconds", "0.15")


@pytest.fixture(scope="module")
def api(server: Child) -> Iterator[Client]:
    """A client of it."""
    with client_of(server) as client:
        yield client


@pytest.fixture(scope="module")
def strict(start: Callable[..., Child]) -> Iterator[Client]:
    """A client of one that enforces what the vendor's pages do not agree on."""
    with client_of(start("--no-rate-limits", "--strict")) as client:
        yield client


def create(api: Client, path: str = "text2video", **fields: Any) -> dict[str, Any]:
    """A job that is taken."""
    answer = api.post(f"/ent/v2/{path}", json=fields or TEXT)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def refused(api: Client, path: str, **fields: Any) -> tuple[int, str, str]:
    """How a job is refused: status, reason, message."""
    answer = api.post(f"/ent/v2/{path}", json=fields)
    body = answer.json()
    assert body.keys() == {"code", "reason", "message", "metadata"}, body
    assert body["code"] == answer.status_code
    return answer.status_code, body["reason"], body["message"]


def look(api: Client, task: str) -> dict[str, Any]:
    """One poll."""
    found: dict[str, Any] = api.get(f"/ent/v2/tasks/{task}/creations").raise_for_status().json()
    return found


def ended(api: Client, task: str) -> dict[str, Any]:
    """The last poll."""
    until = time.monotonic() + 15
    while (found := look(api, task))["state"] not in ENDED:
        assert time.monotonic() < until, "it did not end in time"
        time.sleep(0.05)
    return found


def shown(api: Client, film: Film, path: str, **fields: Any) -> str:
    """What the film of a job shows."""
    body = ended(api, create(api, path, **fields)["task_id"])
    return film(httpx.get(body["creations"][0]["url"], timeout=60).raise_for_status().content)


def test_a_text_becomes_a_film_as_documented(api: Client, film: Film) -> None:
    """A job echoes what it uses, goes through the documented states, and ends with a film of its size and length."""
    made = create(api, payload="job-42", style="general", seed=0, duration=5, resolution="1080p", **TEXT)
    states = [look(api, made["task_id"])["state"]]
    while states[-1] not in ENDED:
        time.sleep(0.02)
        states.append(look(api, made["task_id"])["state"])
    body = look(api, made["task_id"])

    task, seed, at = made.pop("task_id"), made.pop("seed"), made.pop("created_at")
    assert (len(task), task.isdigit(), seed > 0, at[-1]) == (18, True, True, "Z")
    assert made == {
        "state": "created",
        "model": "viduq1",
        "style": "general",
        "prompt": "An astronaut in fog",
        "duration": 5,
        "aspect_ratio": "16:9",
        "resolution": "1080p",
        "bgm": False,
        "movement_amplitude": "auto",
        "audio": False,
        "payload": "job-42",
        "off_peak": False,
        "credits": 80,
    }
    assert list(dict.fromkeys(states)) == [*WORDS, "success"]
    creation = body.pop("creations")[0]
    assert body == {
        "id": task,
        "state": "success",
        "err_code": "",
        "credits": 80,
        "payload": "job-42",
        "bgm": False,
        "off_peak": False,
    }
    assert creation.keys() == {"id", "url", "cover_url", "watermarked_url"}
    assert film(httpx.get(creation["url"], timeout=60).content) == "1920x1080 5"
    assert httpx.get(creation["cover_url"], timeout=60).content.startswith(b"\xff\xd8\xff")


def test_every_accepted_job_is_in_the_ledger(
    api: Client, server: Child, accepted: Callable[[str], list[dict[str, Any]]]
) -> None:
    """An accepted job stands in the ledger with the caller's own reference, its payload."""
    task = create(api, payload="job-7", **TEXT)["task_id"]
    line = next(each for each in accepted(server.url) if each["id"] == task)

    assert (line["vendor"], line["model"], line["size"], line["client_ref"]) == (
        "vidu",
        "viduq1",
        "1920x1080",
        "job-7",
    )


@pytest.mark.parametrize(
    ("ratio", "resolution", "size"),
    [
        ("16:9", "540p", "960x540"),
        ("9:16", "720p", "720x1280"),
        ("1:1", "1080p", "1080x1080"),
        ("4:3", "540p", "720x540"),
        ("3:4", "720p", "720x960"),
    ],
)
def test_resolution_is_the_short_side(api: Client, film: Film, ratio: str, resolution: str, size: str) -> None:
    """A film's short side is the resolution, and its shape the aspect ratio."""
    made = shown(
        api, film, "text2video", **TEXT | {"model": "viduq2"}, aspect_ratio=ratio, resolution=resolution, duration=2
    )

    assert made == f"{size} 2"


@pytest.mark.parametrize(
    ("path", "fields", "size"),
    [
        ("img2video", {"model": "viduq2-turbo", "images": [data_url(960, 640)], "duration": 1}, "1080x720 1"),
        ("img2video", {"model": "vidu2.0", "images": [LINK]}, "640x360 4"),
        (
            "start-end2video",
            {"model": "viduq2-pro", "images": [data_url(300, 400), data_url(290, 400)], "duration": 1},
            "720x960 1",
        ),
        ("reference2video", {"model": "vidu2.0", "images": [data_url(200, 800)], "prompt": "it"}, "640x360 4"),
        ("reference2video", {"model": "viduq2-pro", "images": [LINK], "prompt": "it", "duration": 0}, "1280x720 5"),
    ],
)
def test_pictures_give_the_shape_where_they_are_frames(
    api: Client, film: Film, path: str, fields: dict[str, Any], size: str
) -> None:
    """A film has the shape of its first frame, 16:9 for a link; pictures that are referred to give none."""
    assert shown(api, film, path, **fields) == size


def test_a_film_can_be_extended(api: Client, film: Film) -> None:
    """An extension has the shape of its source and is as much longer as was asked for."""
    tall: dict[str, Any] = {**TEXT, "model": "viduq2", "aspect_ratio": "9:16", "duration": 4, "resolution": "540p"}
    body = ended(api, create(api, **tall)["task_id"])
    creation = body["creations"][0]["id"]

    assert shown(api, film, "extend", model="viduq2-pro", video_creation_id=creation, duration=2) == "720x1280 6"
    assert "seed" not in create(api, "extend", model="viduq2-turbo", video_url="https://example.com/a.mp4")
    assert refused(api, "extend", model="viduq2-pro", video_creation_id="1") == (
        404,
        "CreationNotFound",
        "creation not found",
    )


LACKING = "field is missing or empty"
REFUSALS: list[tuple[str, dict[str, Any], str, str]] = [
    ("text2video", {}, "FieldLacking", f"{LACKING}: model, prompt"),
    ("text2video", {"model": "viduq1", "prompt": ""}, "FieldLacking", f"{LACKING}: prompt"),
    ("img2video", {"model": "viduq1", "images": []}, "FieldLacking", f"{LACKING}: images"),
    ("reference2video", {"model": "viduq1", "prompt": "it"}, "FieldLacking", f"{LACKING}: images"),
    ("extend", {"model": "viduq2-pro"}, "FieldLacking", f"{LACKING}: video_creation_id"),
    ("text2video", {**TEXT, "model": "vidu2.0"}, "ModelUnavailable", "model unavailable"),
    ("text2video", {**TEXT, "model": "viduq2-pro"}, "ModelUnavailable", "model unavailable"),
    ("img2video", {"model": "viduq2", "images": [LINK]}, "ModelUnavailable", "model unavailable"),
    ("text2video", {**TEXT, "duration": 4}, "FieldInvalid", "invalid field: duration"),
    ("text2video", {**TEXT, "duration": 5.5}, "FieldInvalid", "invalid field: duration"),
    ("text2video", {**TEXT, "resolution": "720p"}, "FieldInvalid", "invalid field: resolution"),
    ("text2video", {**TEXT, "resolution": "1920x1080"}, "FieldInvalid", "invalid field: resolution"),
    ("text2video", {**TEXT, "aspect_ratio": "4:3"}, "FieldInvalid", "invalid field: aspect_ratio"),
    ("text2video", {**TEXT, "bgm": "yes", "style": "noir"}, "FieldInvalid", "invalid field: bgm, style"),
    ("text2video", {**TEXT, "seed": "1"}, "FieldInvalid", "invalid field: seed"),
    ("text2video", {**TEXT, "prompt": "x" * 5001}, "FieldInvalid", "invalid field: prompt"),
    ("text2video", {**TEXT, "payload": "x" * 1_048_577}, "FieldInvalid", "invalid field: payload"),
    (
        "img2video",
        {"model": "vidu2.0", "images": [LINK], "duration": 8, "resolution": "1080p"},
        "FieldInvalid",
        "invalid field: resolution",
    ),
    (
        "img2video",
        {"model": "viduq3-pro-fast", "images": [LINK], "resolution": "540p"},
        "FieldInvalid",
        "invalid field: resolution",
    ),
    ("img2video", {"model": "viduq1", "images": "no list"}, "FieldInvalid", "invalid field: images"),
    (
        "reference2video",
        {"model": "viduq3-mix", "images": [LINK], "prompt": "it", "off_peak": True},
        "FieldInvalid",
        "invalid field: off_peak",
    ),
    (
        "reference2video",
        {"model": "viduq2", "images": [LINK], "subjects": [{"name": "a", "images": [LINK]}], "prompt": "@a"},
        "FieldInvalid",
        "invalid field: subjects",
    ),
    (
        "reference2video",
        {"model": "viduq2", "subjects": [{"images": [LINK]}], "prompt": "@a"},
        "FieldLacking",
        f"{LACKING}: subjects.name",
    ),
    *(
        (path, {"model": "viduq1", "prompt": "it", "images": [LINK] * count}, "FieldItemCountOutOfRange", wrong)
        for path, count in (("img2video", 2), ("start-end2video", 1), ("start-end2video", 3), ("reference2video", 8))
        for wrong in ("field item count out of range: images",)
    ),
]


@pytest.mark.parametrize(("path", "fields", "reason", "message"), REFUSALS)
def test_a_wrong_field_is_refused_by_reason(
    api: Client, path: str, fields: dict[str, Any], reason: str, message: str
) -> None:
    """A field that lacks or is wrong is refused with the documented reason and its name."""
    assert refused(api, path, **fields) == (400, reason, message)


@pytest.mark.parametrize(
    ("path", "images", "reason"),
    [
        ("img2video", [b64encode(picture(64, 64)).decode()], "FieldInvalid"),
        ("img2video", ["ftp://example.com/a.png"], "FieldInvalid"),
        ("img2video", [data_url(64, 64, "application/octet-stream")], "ImageFormatInvalid"),
        ("img2video", ["data:image/png;base64,QUJD"], "ImageFormatInvalid"),
        ("img2video", ["data:image/png;base64,*"], "ImageFormatInvalid"),
        ("img2video", [gif()], "ImageFormatInvalid"),
        ("img2video", ["https://nowhere.invalid/a.png"], "ImageDownloadFailure"),
        ("img2video", [data_url(50, 202)], "PageSizeOutOfRange"),
        ("start-end2video", [data_url(100, 100), data_url(112, 112)], "PageSizeOutOfRange"),
        ("start-end2video", [data_url(114, 112), data_url(100, 100)], "PageSizeOutOfRange"),
        ("reference2video", [LINK, data_url(200, 126)], "PageSizeOutOfRange"),
    ],
)
def test_a_wrong_picture_is_refused(api: Client, path: str, images: list[str], reason: str) -> None:
    """A picture is refused for its form, its kind, its shape, or for not being like its partner."""
    assert refused(api, path, model="viduq1", prompt="it", images=images)[:2] == (400, reason)


def test_pictures_at_the_limits_are_taken(api: Client) -> None:
    """One picture may be four times as long as wide, and a first frame 1.25 times as large as the last."""
    frames = [data_url(100, 100), data_url(125, 100)]

    assert create(api, "img2video", model="viduq1", images=[data_url(50, 200)])["images"] == [data_url(50, 200)]
    assert create(api, "start-end2video", model="viduq1", images=frames)
    assert create(api, "start-end2video", model="viduq1", images=[frames[1], frames[0]])
    assert create(api, "reference2video", model="viduq1", prompt="it", images=[data_url(128, 128), *[LINK] * 6])


def test_every_model_takes_every_length_at_every_resolution_it_lists(api: Client) -> None:
    """Each path's models take what their rows list, and by themselves the first resolution of 5 seconds, or of 4."""
    images = {"img2video": [LINK], "start-end2video": [LINK, LINK], "reference2video": [LINK]}
    for path, models in MODELS.items():
        for model in models.values():
            usual = {"model": model.name, "prompt": "it", "images": images.get(path)}
            usual |= {"video_url": "https://example.com/a.mp4"} if path == "extend" else {}
            made = create(api, path, **usual)
            assert (made["duration"], made["resolution"]) == (
                5 if 5 in model.lengths else 4,
                "1080p" if "viduq1" in model.name else "720p" if "viduq" in model.name else "360p",
            )
            least, most = min(model.lengths), max(model.lengths)
            for seconds in {least, most}:
                for resolution in model.lengths[seconds]:
                    create(api, path, **usual, duration=seconds, resolution=resolution)
            for seconds in (least - 1, most + 1):
                assert refused(api, path, **usual, duration=seconds)[1:] == ("FieldInvalid", "invalid field: duration")


@pytest.mark.parametrize(
    ("path", "model", "seconds", "resolution", "credits_"),
    [
        ("text2video", "viduq3-pro", 5, "720p", 100),
        ("text2video", "viduq3-turbo", 5, "1080p", 65),
        ("text2video", "viduq2", 5, "540p", 20),
        ("img2video", "vidu2.0", 8, "720p", 100),
        ("reference2video", "vidu2.0", 4, "360p", 80),
    ],
)
def test_prices_are_those_of_the_list(path: str, model: str, seconds: int, resolution: str, credits_: int) -> None:
    """A video costs what the price list says."""
    assert price(path, model, seconds, resolution) == credits_


def test_off_peak_costs_half(api: Client) -> None:
    """A job that may wait costs half."""
    assert create(api, off_peak=True, **TEXT)["credits"] == 40


def test_what_no_page_settles_is_taken_unless_strict(api: Client, strict: Client) -> None:
    """Unknown fields, seconds as text and other open points pass, and are refused under `strict` alone."""
    references = {"model": "vidu2.0", "prompt": "it", "images": [LINK] * 4}
    ends = {"model": "viduq1", "images": [data_url(100, 200), data_url(200, 100)]}

    assert create(api, negative_prompt="", fps=24, images=None, **TEXT)
    assert create(api, **TEXT, duration="5")["duration"] == 5
    assert create(api, **TEXT, seed=-1)["seed"] == -1
    assert create(api, "reference2video", **references)
    assert create(api, "start-end2video", **ends)
    assert create(strict, images=None, **TEXT)
    assert refused(strict, "text2video", negative_prompt="", fps=24, images=None, **TEXT) == (
        400,
        "FieldUnwanted",
        "unwanted field: fps, negative_prompt",
    )
    assert refused(strict, "text2video", **TEXT, duration="5")[1] == "FieldInvalid"
    assert refused(strict, "text2video", **TEXT, seed=-1)[1] == "FieldInvalid"
    assert refused(strict, "reference2video", **references)[1] == "FieldItemCountOutOfRange"
    assert refused(strict, "start-end2video", **ends)[1] == "PageSizeOutOfRange"


def test_subjects_are_counted_one_by_one(api: Client) -> None:
    """Named subjects stand in for pictures, with up to three of them each."""
    subjects = [{"name": "a", "images": [LINK] * 3}, {"name": "b", "images": [LINK]}]
    crowd = [{"name": "a", "images": [LINK] * 4}]

    assert create(api, "reference2video", model="viduq2", prompt="@a @b", subjects=subjects)["subjects"] == subjects
    assert refused(api, "reference2video", model="viduq2", prompt="@a", subjects=crowd)[1:] == (
        "FieldItemCountOutOfRange",
        "field item count out of range: subjects.images",
    )


@pytest.mark.parametrize("given", ["", "Bearer simulator", "Token wrong", "Token  simulator", "simulator"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "text2video"),
        ("POST", "extend"),
        ("GET", "tasks"),
        ("GET", "tasks/1/creations"),
        ("POST", "tasks/1/cancel"),
        ("GET", "credits"),
    ],
)
def test_only_the_token_opens(api: Client, given: str, method: str, path: str) -> None:
    """Every path answers 401 Unauthorized to all but the word Token and the key."""
    answer = api.request(method, f"/ent/v2/{path}", headers={"authorization": given})

    assert (answer.status_code, answer.json()["reason"]) == (401, "Unauthorized")


def test_what_is_not_there_is_not_found(api: Client) -> None:
    """An unknown task, an unknown path, a dead link and a body that is no object each have their own answer."""
    task = api.get("/ent/v2/tasks/1/creations")
    path = api.post("/ent/v2/multiframe", json={})
    link = api.get("/results/00.mp4")
    body = api.post("/ent/v2/text2video", content=b"[]")

    assert (task.status_code, task.json()["reason"]) == (404, "TaskNotFound")
    assert (path.status_code, path.json()["reason"]) == (404, "NotFound")
    assert (link.status_code, "expired" in link.text) == (403, True)
    assert (body.status_code, body.json()["reason"]) == (400, "BadRequest")


def test_a_job_over_the_number_at_once_waits_and_can_be_cancelled(
    start: Callable[..., Child], accepted: Callable[[str], list[dict[str, Any]]]
) -> None:
    """The sixth job queues; it is cancelled while it does, where a running one is not, and both show in the credits."""
    server = start("--queue-seconds", "0", "--render-seconds", "1.5")
    with client_of(server) as api:
        first, *_, last = [create(api)["task_id"] for _ in range(6)]
        states = look(api, first)["state"], look(api, last)["state"]
        remains = api.get("/ent/v2/credits", params={"show_detail": "true"}).json()["remains"][0]
        running = api.post(f"/ent/v2/tasks/{first}/cancel", json={"id": first})
        queueing = api.post(f"/ent/v2/tasks/{last}/cancel", json={"id": last})
        cancelled = look(api, last)

    assert states == ("processing", "queueing")
    assert (remains["concurrency_limit"], remains["current_concurrency"], remains["queue_count"]) == (5, 5, 1)
    assert remains["credit_remain"] == 1_000_000 - 6 * 80
    assert (running.status_code, running.json()["reason"], running.json()["message"]) == (
        400,
        "BadRequest",
        "task state is scheduled, can not cancel",
    )
    assert (queueing.status_code, queueing.json()) == (200, {})
    assert (cancelled["state"], cancelled["err_code"], cancelled["credits"]) == ("failed", "UserCancelled", 0)
    assert [line["cancelled"] for line in accepted(server.url)] == [0, 0, 0, 0, 0, 1]


def test_a_cancel_names_its_task(api: Client, fault: Callable[..., None], server: Child) -> None:
    """Its body must say which task the path means, the task must be known, and one that ended cannot be cancelled."""
    fault(server.url, vendor="vidu", op="submit", mode="wait", delay=600)
    waits, other = create(api)["task_id"], create(api)["task_id"]
    ended(api, other)

    def cancel(task: str, **body: str) -> tuple[int, str, str]:
        answer = api.post(f"/ent/v2/tasks/{task}/cancel", json=body)
        told = answer.json()
        return answer.status_code, told.get("reason", ""), told.get("message", "")

    assert cancel(waits) == (400, "FieldLacking", "field is missing or empty: id")
    assert cancel(waits, id=other) == (400, "FieldInvalid", "invalid field: id")
    assert cancel("1", id="1") == (404, "TaskNotFound", "task not found")
    assert cancel(other, id=other) == (400, "BadRequest", "task state is success, can not cancel")
    assert cancel(waits, id=waits) == (200, "", "")
    assert cancel(waits, id=waits) == (400, "BadRequest", "task state is failed, can not cancel")


async def test_where_crowds_are_refused_the_quota_is_exceeded() -> None:
    """Told to refuse rather than to queue, the sixth job is answered 429."""
    app = create_app(Options(only="vidu", crowded="refuse"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://a", headers=KEY) as api:
        answers = [await api.post("/ent/v2/text2video", json=TEXT) for _ in range(6)]

    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert answers[-1].json()["reason"] == "QuotaExceeded"


def test_the_list_filters_and_pages(api: Client) -> None:
    """Tasks are listed newest first, by page or by token, with filters, and with the film of those that have one."""
    tasks = [create(api, **TEXT)["task_id"] for _ in range(3)]
    image = create(api, "img2video", model="vidu2.0", images=[data_url(64, 64)])["task_id"]
    for task in (*tasks, image):
        ended(api, task)

    def page(**query: Any) -> tuple[list[str], str]:
        query = {"task_ids": ",".join([*tasks, image]), **query}
        body = api.get("/ent/v2/tasks", params=query).raise_for_status().json()
        return [task["id"] for task in body["tasks"]], body["next_page_token"]

    newest, token = page(**{"pager.pagesz": 3})
    item = api.get("/ent/v2/tasks", params={"pager.pagesz": 1}).json()["tasks"][0]
    past_end = api.get("/ent/v2/tasks", params={"pager.pagesz": 101})

    assert (newest, token) == ([image, tasks[2], tasks[1]], tasks[1])
    assert page(**{"pager.page_token": token}) == ([tasks[0]], "")
    assert page(**{"pager.pagesz": 3, "pager.page": 1}) == ([tasks[0]], "")
    assert page(model_versions="2.0") == ([image], "")
    assert page(states="success,failed", resolutions="1080p") == (tasks[::-1], "")
    assert page(states="queueing") == ([], "")
    assert page(**{"created_at.to": "2026-01-01T00:00:00Z"}) == ([], "")
    assert (past_end.status_code, past_end.json()["reason"]) == (400, "PageSizeOutOfRange")
    assert (item["id"], item["images"]) == (image, ["data:image/png;base64"])
    assert item["creations"][0]["video"] == {"duration": 4, "fps": 12, "resolution": {"width": 360, "height": 360}}


@pytest.fixture(scope="module")
def alone(start: Callable[..., Child]) -> Child:
    """A simulator of nothing else, that looks at fields late, and whose links die soon."""
    quick = ["--queue-seconds", "0", "--render-seconds", "0", "--link-seconds", "1"]
    return start("--only", "vidu", "--late-validation", *quick)


def test_served_alone_it_is_at_the_root_and_links_die(alone: Child) -> None:
    """Served alone, paths begin at the root, links of results too; they die, and the task can still be asked for."""
    with Client(base_url=alone.url, headers=KEY) as api:
        task = create(api)["task_id"]
        url = ended(api, task)["creations"][0]["url"]
        living = httpx.get(url)
        time.sleep(1)
        dead = httpx.get(url)

        assert url.startswith(f"{alone.url}/results/")
        assert living.headers["content-type"] == "video/mp4"
        assert (dead.status_code, look(api, task)["state"]) == (403, "success")
        assert vidu.environment(alone.url, "k") == {
            "VIDEOGATE_VIDU_API_KEY": "k",
            "VIDEOGATE_VIDU_BASE_URL": alone.url,
        }


def test_a_late_validation_fails_the_job(alone: Child) -> None:
    """Told to look later, it accepts a wrong field, and the job fails with the reason."""
    with Client(base_url=alone.url, headers=KEY) as api:
        body = ended(api, create(api, **TEXT, resolution="720p")["task_id"])

        assert (body["state"], body["err_code"]) == ("failed", "FieldInvalid")


@pytest.mark.parametrize(
    ("mode", "status", "reason"),
    [
        ("throttle", 429, "TooManyRequests"),
        ("refuse", 401, "Unauthorized"),
        ("moderate_submit", 400, "AuditSubmitIllegal"),
        ("error_before", 500, "InternalServiceFailure"),
    ],
)
def test_faults_speak_its_language(
    api: Client, server: Child, fault: Callable[..., None], mode: str, status: int, reason: str
) -> None:
    """A fault at submit is answered with the vendor's own reason."""
    fault(server.url, vendor="vidu", op="submit", mode=mode)

    assert refused(api, "text2video", **TEXT)[:2] == (status, reason)


@pytest.mark.parametrize(
    ("mode", "code"), [("moderate", "CreationPolicyViolation"), ("fail", "InternalServiceFailure")]
)
def test_a_job_can_be_made_to_fail(
    api: Client, server: Child, fault: Callable[..., None], mode: str, code: str
) -> None:
    """A job that is struck by a fault ends failed with its code, and costs nothing."""
    fault(server.url, vendor="vidu", op="submit", mode=mode)
    body = ended(api, create(api)["task_id"])

    assert (body["state"], body["err_code"], body["credits"], body["creations"]) == ("failed", code, 0, [])


def test_a_poll_can_say_an_unknown_word(api: Client, server: Child, fault: Callable[..., None]) -> None:
    """A fault makes a poll say a state that no page knows."""
    task = create(api)["task_id"]
    fault(server.url, vendor="vidu", op="poll", mode="unknown_word")

    assert look(api, task)["state"] == "somewhere_else"


def test_the_documented_call_has_its_signature() -> None:
    """The call on the vendor's page is signed as an independent computation signs it."""
    date = "Tue, 06 May 2025 12:09:42 GMT"
    signed = {"Date": date, "x-request-nonce": "123e4567-e89b-12d3-a456-426614174000"}
    url = "https://example.com/vidu/callback?name=james&age=36"

    assert signature("vda_example_token_0001", url, date, signed) == "2DgzCoPxf5U5Rdj9Osc79l4CJPNmAqtnsSytR4V+BPE="


class Listener:
    """Takes callbacks; answers 500 to the first `failing` of those that say how a task ended."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.failing = 0
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = httpx.Response(200, content=self.rfile.read(int(self.headers["content-length"]))).json()
                fails = body["state"] in ENDED and listener.failing > 0
                listener.failing -= fails
                listener.calls.append((self.path, dict(self.headers.items()), body))
                self.send_response(500 if fails else 200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/vidu/callback?name=james&age=36"

    def wait(self, count: int) -> list[str]:
        """The states of the calls, when there are so many."""
        until = time.monotonic() + 10
        while len(self.calls) < count:
            assert time.monotonic() < until, "nobody called"
            time.sleep(0.05)
        return [body["state"] for _, _, body in self.calls]


@pytest.fixture
def listener() -> Iterator[Listener]:
    """A listener that runs."""
    found = Listener()
    thread = Thread(target=found.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield found
    found.server.shutdown()
    thread.join()
    found.server.server_close()


def test_changes_are_told_and_signed(api: Client, listener: Listener) -> None:
    """A listener is told of `processing` and of the end, with the body of a poll, signed by the key."""
    task = create(api, **TEXT, callback_url=listener.url)["task_id"]
    states = listener.wait(2)
    path, headers, body = listener.calls[-1]
    signed = {name: headers[name] for name in headers["X-HMAC-SIGNED-HEADERS"].split(";")}

    assert states == ["processing", "success"]
    assert path == "/vidu/callback?name=james&age=36"
    assert body == look(api, task)
    assert (headers["X-HMAC-ALGORITHM"], headers["X-HMAC-ACCESS-KEY"]) == ("hmac-sha256", "vidu")
    assert list(signed) == ["Date", "x-request-nonce"]
    assert headers["X-HMAC-SIGNATURE"] == signature("simulator", listener.url, headers["Date"], signed)


def test_an_end_that_is_not_heard_is_told_again(api: Client, listener: Listener) -> None:
    """What a task ended as is told up to three times more, until it is heard."""
    listener.failing = 2
    create(api, **TEXT, callback_url=listener.url)
    states = listener.wait(4)

    assert states == ["processing", "success", "success", "success"]


def test_nobody_elsewhere_is_called() -> None:
    """Only listeners on this machine are called, and none after the simulator closes."""

    async def followers() -> tuple[int, int, int]:
        world = World(Options(), ["vidu"])
        callbacks = Callbacks(world)
        now = time.time()
        job = Job("vidu", "1", "viduq1", "it", 640, 360, 4, now, now + 60, now + 90, token="t")
        callbacks.follow(job, "http://example.com/hook", dict)
        callbacks.follow(job, "http://[", dict)
        elsewhere = len(callbacks._followers._running)
        callbacks.follow(job, "http://localhost:1/hook", dict)
        here = len(callbacks._followers._running)
        await asyncio.sleep(0.05)
        world.closing.set()
        await asyncio.sleep(0.05)
        world.films.close()
        return elsewhere, here, len(callbacks._followers._running)

    assert asyncio.run(followers()) == (0, 1, 0)

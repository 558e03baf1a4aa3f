"""The simulated Kling, by its documents: tokens, models, pictures, states, errors, lifetimes, callbacks."""

import hmac
import json
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx
import jwt
import pytest
from standardwebhooks import Webhook

from videogate.cli.children import Child
from videogate.cli.demo import picture
from videogate.simulator import kling
from videogate.simulator.kling_callbacks import secret_of, signature
from videogate.simulator.kling_models import MODELS, size
from videogate.simulator.kling_tokens import check

SECRET = "simulator-secret"
LINK = "https://example.com/cat.png"
TEXT = {"prompt": "An astronaut in fog"}
ENDED = frozenset({"succeed", "failed"})
CAMERA = {"type": "simple", "config": {"horizontal": 0, "zoom": 5}}
Client = httpx.Client
Film = Callable[[bytes], str]
Accepted = Callable[[str], list[dict[str, Any]]]
FaultOn = Callable[..., None]


def token(secret: str = SECRET, **claims: Any) -> str:
    """A bearer as the vendor's page makes it; None leaves a claim out."""
    now = int(time.time())
    all_claims = {"iss": "simulator", "exp": now + 1800, "nbf": now - 5} | claims
    kept = {name: value for name, value in all_claims.items() if value is not None}
    return signed(kept, secret)


def signed(claims: dict[str, Any], secret: str, **header: Any) -> str:
    """A token, by hand: PyJWT warns of secrets as short as the simulator's."""

    def part(data: bytes) -> str:
        return urlsafe_b64encode(data).rstrip(b"=").decode()

    head = {"alg": "HS256", "typ": "JWT"} | header
    text = ".".join(part(json.dumps(each, separators=(",", ":")).encode()) for each in (head, claims))
    return f"{text}.{part(hmac.digest(secret.encode(), text.encode(), 'sha256'))}"


def base64(width: int, height: int) -> str:
    """A picture as the API takes it."""
    return b64encode(picture(width, height)).decode()


@contextmanager
def client_of(server: Child) -> Iterator[Client]:
    """A client with a token."""
    headers = {"authorization": f"Bearer {token()}"}
    with Client(base_url=f"{server.url}/kling", headers=headers, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def server(start: Callable[..., Child]) -> Child:
    """A simulator that runs any number of jobs at once."""
    return start("--no-rate-limits", "--queue-seconds", "0.2", "--render-seconds", "0.2")


@pytest.fixture(scope="module")
def api(server: Child) -> Iterator[Client]:
    """A client of it."""
    with client_of(server) as client:
        yield client


@pytest.fixture(scope="module")
def strict(start: Callable[..., Child]) -> Iterator[Client]:
    """A client of one that takes what the pages name and nothing else, and refuses a crowd."""
    with client_of(start("--strict", "--crowded", "refuse", "--render-seconds", "30")) as client:
        yield client


@pytest.fixture(scope="module")
def brief(start: Callable[..., Child]) -> Iterator[Client]:
    """A client of one that validates late, and whose results and records die young."""
    arguments = ("--late-validation", "--link-seconds", "0.5", "--render-seconds", "0.1", "--queue-seconds", "0.1")
    with client_of(start(*arguments)) as client:
        yield client


def create(api: Client, path: str = "text2video", **fields: Any) -> dict[str, Any]:
    """A job that is taken."""
    answer = api.post(f"/v1/videos/{path}", json=fields or TEXT)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["code"], body["message"], len(body["request_id"])) == (0, "SUCCEED", 36)
    found: dict[str, Any] = body["data"]
    return found


def told(answer: httpx.Response) -> tuple[int, int]:
    """An error's status and code."""
    body = answer.json()
    assert body.keys() == {"code", "message", "request_id"}, body
    return answer.status_code, body["code"]


def refused(api: Client, path: str, **fields: Any) -> tuple[int, int]:
    """How a job is refused."""
    return told(api.post(f"/v1/videos/{path}", json=fields))


def look(api: Client, name: str, path: str = "text2video") -> dict[str, Any]:
    """One poll."""
    found: dict[str, Any] = api.get(f"/v1/videos/{path}/{name}").raise_for_status().json()["data"]
    return found


def ended(api: Client, name: str, path: str = "text2video") -> dict[str, Any]:
    """The last poll."""
    until = time.monotonic() + 15
    while (found := look(api, name, path))["task_status"] not in ENDED:
        assert time.monotonic() < until, "it did not end in time"
        time.sleep(0.05)
    return found


def shown(api: Client, film: Film, *jobs: tuple[str, dict[str, Any]]) -> list[str]:
    """What the films of these jobs show, each a path and fields."""
    tasks = [(create(api, path, **fields)["task_id"], path) for path, fields in jobs]
    urls = [ended(api, *task)["task_result"]["videos"][0]["url"] for task in tasks]
    return [film(httpx.get(url, timeout=60).raise_for_status().content) for url in urls]


def test_a_text_becomes_a_film_as_documented(api: Client, server: Child, film: Film, accepted: Accepted) -> None:
    """A job goes through the documented states, and ends with a film of its size and length, fetched without a key."""
    made = create(
        api,
        model_name="kling-v2-master",
        prompt="an astronaut walks on the moon",
        negative_prompt="",
        mode="pro",
        aspect_ratio="16:9",
        duration="5",
        callback_url="",
        external_task_id="video_123",
    )
    task = made["task_id"]
    states = [look(api, task)["task_status"]]
    while states[-1] not in ENDED:
        time.sleep(0.02)
        states.append(look(api, task)["task_status"])
    body, by_name = look(api, task), look(api, "video_123")
    line = next(line for line in accepted(server.url) if line["id"] == task)

    assert made == {
        "task_id": task,
        "task_status": "submitted",
        "task_info": {"external_task_id": "video_123"},
        "created_at": made["created_at"],
        "updated_at": made["created_at"],
    }
    assert (len(task), task.isdigit(), abs(made["created_at"] / 1000 - time.time()) < 60) == (18, True, True)
    assert list(dict.fromkeys(states)) == ["submitted", "processing", "succeed"]
    assert body == by_name
    video = body.pop("task_result")["videos"][0]
    assert body == {
        **made,
        "task_status": "succeed",
        "task_status_msg": "",
        "watermark_info": {"enabled": False},
        "final_unit_deduction": "10",
        "updated_at": body["updated_at"],
    }
    assert body["updated_at"] > body["created_at"]
    assert (video.keys(), video["duration"]) == ({"id", "url", "duration"}, "5.0")
    assert film(httpx.get(video["url"], timeout=60).content) == "1920x1080 5"
    assert (line["model"], line["size"], line["client_ref"]) == ("kling-v2-master", "1920x1080", "video_123")


def test_mode_and_ratio_make_the_size(api: Client, film: Film) -> None:
    """A film's size is its mode's in its ratio; `model` is ignored, masters have one mode, a number is a length."""
    made: dict[str, dict[str, Any]] = {
        "1280x720 5": {"camera_control": CAMERA, "watermark_info": {"enabled": True}},
        "720x1280 10": {"model": "kling-v3", "duration": 10, "aspect_ratio": "9:16"},
        "1440x1440 5": {"model_name": "kling-v1-6", "mode": "pro", "aspect_ratio": "1:1"},
        "1080x1920 5": {"model_name": "kling-v2-1-master", "mode": "std", "cfg_scale": 0.5, "aspect_ratio": "9:16"},
        "3840x2160 3": {"model_name": "kling-v3", "mode": "4k", "duration": "3"},
    }

    assert shown(api, film, *(("text2video", TEXT | fields) for fields in made.values())) == list(made)


def test_a_picture_shapes_its_film(api: Client, film: Film) -> None:
    """A film from a picture has the picture's shape and the mode's pixels; one behind a link counts as 16:9."""
    given = base64(960, 640)
    films = shown(
        api,
        film,
        ("image2video", {"image": given}),
        ("image2video", {"image_tail": given, "image": "", "mode": "std"}),
        ("image2video", {"image": LINK, "aspect_ratio": "1:1", "mode": "pro"}),
        ("omni-video", {"image_list": [{"image_url": given, "type": "first_frame"}]}),
    )

    assert films == ["1176x784 5", "1176x784 5", "1920x1080 5", "1764x1176 5"]
    assert size("std", (300, 750)) == (608, 1518)


def test_other_tasks_make_films(api: Client, film: Film) -> None:
    """Several pictures, and a text in omni-video, make films in the ratio that was asked for."""
    pictures = [{"image": LINK}, {"image": base64(320, 320)}]
    films = shown(
        api,
        film,
        ("multi-image2video", {**TEXT, "image_list": pictures, "aspect_ratio": "1:1"}),
        ("omni-video", {**TEXT, "duration": "3", "aspect_ratio": "9:16"}),
    )

    assert films == ["960x960 5", "1080x1920 3"]
    assert refused(api, "multi-image2video", **TEXT) == (400, 1201)
    assert refused(api, "multi-image2video", image_list=pictures) == (400, 1201)
    assert refused(api, "omni-video", image_list=[{"image_url": LINK, "type": "end_frame"}]) == (400, 1201)
    assert refused(api, "omni-video", duration="3") == (400, 1201)


def test_a_film_is_extended_by_the_video_id(api: Client, film: Film) -> None:
    """An extension names the video, not the task, adds five seconds in the source's size, and tells of its parent."""
    source = ended(api, create(api, aspect_ratio="9:16", watermark_info={"enabled": True}, **TEXT)["task_id"])
    video = source["task_result"]["videos"][0]
    made = create(api, "video-extend", video_id=video["id"], prompt="she turns around")
    body = ended(api, made["task_id"], "video-extend")
    longer = body["task_result"]["videos"][0]

    assert video["watermark_url"].startswith(video["url"])
    assert made["task_info"]["parent_video"] == video
    assert longer["duration"] == "10.0"
    assert film(httpx.get(longer["url"], timeout=60).content) == "720x1280 10"
    assert create(api, "video-extend", video_id=longer["id"])["task_status"] == "submitted"
    assert refused(api, "video-extend", video_id=made["task_id"]) == (400, 1201)
    assert refused(api, "video-extend") == (400, 1201)


def test_the_documented_token_is_right_while_it_is_valid() -> None:
    """The vector of the vendor's recipe passes between `nbf` and `exp`, and is told apart before and after."""
    vector = (
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJBS19URVNUIiwiZXhwIjoxNzAwMDAxODAwLCJuYmYiOjE2OTk5OTk5OTV9"
        ".6L4y5-2k74trk6jmaKXDAvqPATo_9aKYSk-HhIQYesk"
    )
    claims = {"iss": "AK_TEST", "exp": 1700001800, "nbf": 1699999995}

    assert signed(claims, "SK_TEST") == vector
    assert check(f"Bearer {vector}", "AK_TEST", 1_700_000_000) == 1002  # whose secret is another
    ours = f"Bearer {signed(claims, 'AK_TEST-secret')}"
    assert [check(ours, "AK_TEST", now) for now in (1699999994, 1699999995, 1700001799, 1700001800)] == [
        1003,
        None,
        None,
        1004,
    ]


def test_tokens_of_pyjwt_pass() -> None:
    """What PyJWT signs is right, with and without `nbf`; strictly, `nbf` must be there."""
    key = "k" * 64  # PyJWT warns of shorter secrets
    now = time.time()
    full = jwt.encode({"iss": key, "exp": now + 1800, "nbf": now - 5}, f"{key}-secret", "HS256")
    bare = jwt.encode({"iss": key, "exp": int(now) + 1800}, f"{key}-secret", "HS256")
    other = jwt.encode({"iss": key, "exp": int(now) + 1800}, f"{key}-secret", "HS512")

    assert [check(f"Bearer {each}", key, now) for each in (full, bare, other)] == [None, None, 1002]
    assert [check(f"Bearer {each}", key, now, strict=True) for each in (full, bare)] == [None, 1002]


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, 1001),
        ("simulator", 1002),
        ("Token simulator", 1002),
        ("Bearer  simulator", 1002),
        ("Bearer other", 1002),
        ("Bearer a.b.c", 1002),
        (f"Bearer {token('another-secret')}", 1002),
        (f"Bearer {token(iss='somebody')}", 1002),
        (f"Bearer {token(exp=None)}", 1002),
        (f"Bearer {token(exp='1900000000')}", 1002),
        (f"Bearer {token(exp=float('inf'))}", 1002),
        (f"Bearer {signed({'iss': 'simulator', 'exp': 1900000000}, SECRET, alg='none')}", 1002),
        (f"Bearer {token(exp=1700000000)}", 1004),
        (f"Bearer {token(nbf=4000000000)}", 1003),
    ],
)
def test_who_may_not_is_told_why(server: Child, header: str | None, code: int) -> None:
    """A wrong bearer is refused with its own code before anything else is looked at."""
    headers = {"authorization": header} if header else {}
    answers = [
        httpx.post(f"{server.url}/kling/v1/videos/text2video", content=b"{", headers=headers),
        httpx.get(f"{server.url}/kling/v1/videos/text2video", headers=headers),
        httpx.get(f"{server.url}/kling/v1/videos/text2video/1", headers=headers),
    ]

    assert [told(answer) for answer in answers] == [(401, code)] * 3


def test_the_api_key_is_a_bearer_too(server: Child) -> None:
    """An API key stands where a token may."""
    headers = {"authorization": "Bearer simulator"}

    assert httpx.get(f"{server.url}/kling/v1/videos/text2video", headers=headers).json()["code"] == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"model_name": "kling-v2-5"},
        {"model_name": "kling-v2-1"},  # not for texts
        {"model_name": 1},
        {"prompt": ""},
        {"prompt": "x" * 2501},
        {"prompt": 1},
        {"negative_prompt": "x" * 2501},
        {"duration": "4"},
        {"duration": "5.0"},
        {"duration": 5.0},
        {"duration": True},
        {"model_name": "kling-v3", "duration": "16"},
        {"mode": "720P"},
        {"mode": "4k"},
        {"aspect_ratio": "4:3"},
        {"cfg_scale": 1.1},
        {"cfg_scale": "0.5"},
        {"sound": "on"},
        {"sound": "loud"},
        {"model_name": "kling-v2-6", "sound": "on"},  # in `std`
        {"multi_shot": True, "shot_type": "intelligence"},
        {"model_name": "kling-v3", "multi_shot": True},
        {"model_name": "kling-v3", "multi_shot": True, "shot_type": "customize"},
        {"model_name": "kling-v3", "multi_shot": True, "shot_type": "customize", "multi_prompt": [{"index": 1}]},
        {"camera_control": CAMERA, "duration": "10"},
        {"camera_control": CAMERA, "mode": "pro"},
        {"camera_control": CAMERA, "model_name": "kling-v2-master"},
        {"camera_control": {"type": ["simple"]}},
        {"camera_control": {"type": "down_back", "config": {"zoom": 1}}},
        {"camera_control": {"type": "simple", "config": {"zoom": 11}}},
        {"camera_control": {"type": "simple", "config": {"zoom": 1, "pan": 1}}},
        {"camera_control": {"type": "simple", "config": {"zoom": 0}}},
        {"watermark_info": {"enabled": "yes"}},
        {"callback_url": 1},
        {"external_task_id": 1},
        {"external_task_id": "\ud800"},
    ],
)
def test_fields_have_rules(api: Client, fields: dict[str, Any]) -> None:
    """A field against its rule is refused as invalid."""
    content = json.dumps(TEXT | fields)

    assert told(api.post("/v1/videos/text2video", content=content)) == (400, 1201)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"image": ""},
        {"image": f"data:image/png;base64,{base64(400, 400)}"},
        {"image": "ftp://example.com/cat.png"},
        {"image": "https://"},
        {"image": "not base64"},
        {"image": b64encode(b"GIF89a" + bytes(600)).decode()},
        {"image": base64(298, 400)},
        {"image": base64(300, 752)},
        {"image": 1},
        {"image": LINK, "image_tail": "x"},
        {"image": LINK, "image_tail": LINK, "duration": "10"},
        {"image": LINK, "image_tail": LINK, "model_name": "kling-v1-6"},  # in `std`
        {"image": LINK, "image_tail": LINK, "model_name": "kling-v2-master", "mode": "pro"},
        {"image": LINK, "image_tail": LINK, "model_name": "kling-v2-6", "mode": "pro", "sound": "on"},
        {"image": LINK, "image_tail": LINK, "camera_control": CAMERA},
        {"image": LINK, "static_mask": LINK, "camera_control": CAMERA},
        {"image": LINK, "static_mask": LINK, "model_name": "kling-v1-6"},
        {"image": LINK, "dynamic_masks": [{"mask": LINK, "trajectories": [{"x": 1, "y": 2}]}]},
        {"image": LINK, "voice_list": [{"voice_id": "1"}], "model_name": "kling-v2-6", "mode": "pro"},
        {"image": LINK, "element_list": [{"element_id": 1}]},
    ],
)
def test_pictures_have_rules(api: Client, fields: dict[str, Any]) -> None:
    """A picture in the wrong form, of the wrong kind or shape, or where its model takes none is refused as invalid."""
    assert refused(api, "image2video", **fields) == (400, 1201)


@pytest.mark.parametrize(
    "fields",
    [
        {"image_tail": LINK, "model_name": "kling-v1-6", "mode": "pro", "duration": "10", "cfg_scale": 0.5},
        {"static_mask": LINK, "dynamic_masks": [{"mask": LINK, "trajectories": [{"x": 1, "y": 2}, {"x": 3, "y": 4}]}]},
        {"voice_list": [{"voice_id": "1"}], "sound": "on", "model_name": "kling-v2-6", "mode": "pro"},
        {"element_list": [{"element_id": 1}], "sound": "on", "model_name": "kling-v3", "duration": "15"},
        {
            "model_name": "kling-v3",
            "multi_shot": True,
            "shot_type": "customize",
            "multi_prompt": [{"index": 1, "prompt": "fog", "duration": "5"}],
        },
    ],
)
def test_documented_combinations_pass(api: Client, strict: Client, fields: dict[str, Any]) -> None:
    """What the pages allow is taken, strictly too."""
    for client in (api, strict):
        assert create(client, "image2video", image=LINK, **fields)["task_status"] == "submitted"


def test_the_model_is_looked_at_before_the_picture(api: Client) -> None:
    """Of a wrong model and a wrong picture, the model is told; of a picture and a length, the picture."""
    bad = {"image": "data:x", "duration": "4"}
    model = api.post("/v1/videos/image2video", json={**bad, "model_name": "kling-v9"}).json()
    shape = api.post("/v1/videos/image2video", json=bad).json()

    assert model["message"] == "model_name value 'kling-v9' is invalid"
    assert shape["message"].startswith("The image is not")


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("text2video", {"duration": 5}),
        ("text2video", {"model_name": "kling-v2-master", "mode": "std"}),
        ("text2video", {"model_name": "kling-v2-master", "cfg_scale": 0.5}),
        ("text2video", {"seed": 1}),
        ("image2video", {"image": LINK, "aspect_ratio": "16:9"}),
    ],
)
def test_what_the_pages_do_not_say_passes_unless_strict(
    api: Client, strict: Client, path: str, fields: dict[str, Any]
) -> None:
    """What public clients send beyond the pages is taken, and strictly refused."""
    assert create(api, path, **TEXT, **fields)["task_status"] == "submitted"
    assert refused(strict, path, **TEXT, **fields) == (400, 1201)


def test_an_external_id_is_taken_once(api: Client) -> None:
    """A second task of the same external id is refused, on any path; a refused task does not take its id."""
    assert refused(api, "text2video", external_task_id="once", **TEXT, duration="4") == (400, 1201)
    create(api, external_task_id="once", **TEXT)

    assert refused(api, "text2video", external_task_id="once", **TEXT) == (400, 1201)
    assert refused(api, "image2video", external_task_id="once", image=LINK) == (400, 1201)
    assert create(api, external_task_id="", **TEXT)["task_info"] == {}


def test_a_task_is_found_on_its_own_path_only(api: Client) -> None:
    """Another path than the creator's, an unknown id, and an unknown path are nowhere; a wrong method is told apart."""
    task = create(api, external_task_id="here", **TEXT)["task_id"]

    assert look(api, "here")["task_id"] == task
    wrong = ("/v1/videos/image2video/here", f"/v1/videos/image2video/{task}", "/v1/videos/text2video/1", "/v1/videos/x")
    assert [told(api.get(url)) for url in (*wrong, "/v1/else")] == [(404, 1203)] * 5
    assert told(api.post("/v1/videos/lip-sync", json={})) == (404, 1203)
    assert told(api.delete(f"/v1/videos/text2video/{task}")) == (404, 1202)
    assert told(api.put("/v1/videos/text2video", json={})) == (404, 1202)


def test_lists_are_of_one_path_in_pages(api: Client) -> None:
    """A list has its own path's tasks, the newest first, and takes the documented pages only."""
    first, second = (create(api, "omni-video", **TEXT)["task_id"] for _ in range(2))
    url = "/v1/videos/omni-video"
    pages = [api.get(url, params={"pageNum": page, "pageSize": 1}).json()["data"] for page in (1, 2)]
    bad: tuple[dict[str, Any], ...] = ({"pageNum": 0}, {"pageNum": 1001}, {"pageSize": 501}, {"pageSize": "x"})

    assert [page[0]["task_id"] for page in pages] == [second, first]
    assert api.get(url).json()["data"][0].keys() >= {"task_status", "task_status_msg", "updated_at"}
    assert api.get("/v1/videos/omni-video", params={"pageNum": 1000}).json()["data"] == []
    assert [told(api.get(url, params=params)) for params in bad] == [(400, 1201)] * 4


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b""])
def test_a_body_that_is_no_object_is_refused(api: Client, content: bytes) -> None:
    """A body must be a JSON object."""
    assert told(api.post("/v1/videos/text2video", content=content)) == (400, 1200)


def test_a_crowd_is_refused_by_model(strict: Client) -> None:
    """Each model has its own places; a task over their number is told so, with 1303, and takes no id."""
    jobs = {**TEXT, "model_name": "kling-v2-5-turbo"}
    for _ in range(kling.AT_ONCE):
        create(strict, **jobs)

    assert refused(strict, "text2video", external_task_id="over", **jobs) == (429, 1303)
    assert create(strict, external_task_id="over", **TEXT)["task_status"] == "submitted"


@pytest.mark.parametrize(
    ("mode", "status", "code"),
    [
        ("throttle", 429, 1302),
        ("refuse", 401, 1002),
        ("moderate_submit", 400, 1301),
        ("error_before", 500, 5000),
    ],
)
def test_faults_speak_the_vendors_words(
    api: Client, server: Child, fault: FaultOn, mode: str, status: int, code: int
) -> None:
    """A fault at submit is told in the vendor's form."""
    fault(server.url, vendor="kling", op="submit", mode=mode)

    assert refused(api, "text2video", **TEXT) == (status, code)


def test_jobs_fail_and_are_moderated(api: Client, server: Child, fault: FaultOn) -> None:
    """A moderated job fails with the words of the risk control, and has neither a result nor a price."""
    fault(server.url, vendor="kling", op="submit", mode="moderate")
    moderated = ended(api, create(api)["task_id"])
    failing = create(api)["task_id"]
    fault(server.url, vendor="kling", op="poll", mode="fail")
    failed = look(api, failing)
    fault(server.url, vendor="kling", op="poll", mode="unknown_word")

    assert moderated["task_status_msg"] == "Failure to pass the risk control system"
    assert moderated.keys() == {
        "task_id",
        "task_status",
        "task_status_msg",
        "task_info",
        "created_at",
        "updated_at",
    }
    assert (failed["task_status"], bool(failed["task_status_msg"])) == ("failed", True)
    assert look(api, failing)["task_status"] == "somewhere_else"


def test_late_validation_fails_the_job(brief: Client) -> None:
    """Where fields are validated late, a bad picture is taken, and its job fails and says why; a bad model is not."""
    task = create(brief, "image2video", image=base64(100, 100))["task_id"]
    body = ended(brief, task, "image2video")

    assert body["task_status"] == "failed"
    assert body["task_status_msg"].startswith("The resolution or aspect ratio of the input image is invalid.")
    assert refused(brief, "image2video", image=LINK, model_name="kling-v9") == (400, 1201)


def test_results_are_deleted_in_time(brief: Client) -> None:
    """A result's link works until its time has come, and then leads nowhere; its video can no longer be extended."""
    body = ended(brief, create(brief)["task_id"])
    video = body["task_result"]["videos"][0]
    early = httpx.get(video["url"], headers={"range": "bytes=0-3"}).status_code
    time.sleep(0.7)

    assert early == 206
    assert httpx.get(video["url"]).status_code == 404
    assert look(brief, body["task_id"])["task_status"] == "succeed"
    assert refused(brief, "video-extend", video_id=video["id"]) == (400, 1201)


def test_alone_it_is_served_at_the_root(start: Callable[..., Child]) -> None:
    """With no vendor beside it, the paths begin at the root, and so do the links."""
    server = start("--only", "kling", "--key", "other", "--queue-seconds", "0", "--render-seconds", "0")
    headers = {"authorization": f"Bearer {token('other-secret', iss='other')}"}
    with Client(base_url=server.url, headers=headers) as client:
        body = ended(client, create(client)["task_id"])

    assert body["task_result"]["videos"][0]["url"].startswith(f"{server.url}/results/")
    assert kling.environment("http://127.0.0.1:9", "other") == {
        "VIDEOGATE_KLING_ACCESS_KEY": "other",
        "VIDEOGATE_KLING_SECRET_KEY": "other-secret",
        "VIDEOGATE_KLING_BASE_URL": "http://127.0.0.1:9",
    }


def test_every_model_makes_its_usual_length() -> None:
    """Every model has a price, takes the usual length, and its end frames are in modes and lengths that it has."""
    for model in MODELS.values():
        assert (model.price > 0, 5 in model.seconds) == (True, True)
        assert model.tail.keys() <= set(model.modes)
        assert {each for lengths in model.tail.values() for each in lengths} <= set(model.seconds)


def test_the_documented_callback_signature() -> None:
    """The vendor's own vector of a callback's signature."""
    secret = "whsec_dGVzdHNlY3JldHRlc3RzZWNyZXR0ZXN0c2VjcmV0MTI="
    body = (
        b'{"id":"1234567890","status":"succeeded","message":"","create_time":1781080778802,"update_time":1781080794151}'
    )
    expected = "v1,UsKlJP00XoQyOn410NM9xv34sP+Gl0jnOO9Lcpr7NJ4="

    assert signature(secret, "9876543210", "1781080794", body) == expected


class Listener:
    """Takes callbacks."""

    def __init__(self) -> None:
        self.calls: list[tuple[dict[str, str], bytes]] = []
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                listener.calls.append((dict(self.headers.items()), body))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/callback"

    def wait(self, count: int) -> list[dict[str, Any]]:
        """The bodies of the calls, when there are so many, each signed by the key."""
        until = time.monotonic() + 10
        while len(self.calls) < count:
            assert time.monotonic() < until, "nobody called"
            time.sleep(0.05)
        webhook = Webhook(secret_of("simulator"))
        for headers, body in self.calls:
            webhook.verify(body, headers)
        return [json.loads(body) for _, body in self.calls]


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


def test_every_change_is_told_and_signed(api: Client, listener: Listener) -> None:
    """A listener is told of each state once, in a flat body that is signed as Standard Webhooks say."""
    task = create(api, callback_url=listener.url, external_task_id="told", **TEXT)["task_id"]
    bodies = listener.wait(3)
    result = ended(api, task)

    assert [body["task_status"] for body in bodies] == ["submitted", "processing", "succeed"]
    assert bodies[0]["task_result"] == {"images": [], "videos": []}
    result.pop("watermark_info")
    result["task_result"]["images"] = []
    bodies[2].pop("watermark_info", None)
    assert bodies[2] == result
    assert len({headers["webhook-id"] for headers, _ in listener.calls}) == 3


def test_a_failure_is_told(api: Client, server: Child, fault: FaultOn, listener: Listener) -> None:
    """A task that a fault ends while it runs is told of as failed."""
    fault(server.url, vendor="kling", op="submit", mode="moderate")
    create(api, callback_url=listener.url, **TEXT)

    assert listener.wait(3)[2]["task_status_msg"] == "Failure to pass the risk control system"


def test_callbacks_harm_nobody(api: Client, start: Callable[..., Child]) -> None:
    """A listener that is not there, or not on this machine, changes nothing; the simulator's end ends callbacks."""
    urls = (
        "http://127.0.0.1:1/",
        "http://127.0.0.1:99999/",
        "http://example.com/",
        "http://[",
        "x",
        "http://127.0.0.1\\@x/",
    )
    jobs = [create(api, callback_url=url, **TEXT)["task_id"] for url in urls]
    server = start("--queue-seconds", "60")
    with client_of(server) as client:
        create(client, callback_url="http://127.0.0.1:1/", **TEXT)
    server.process.terminate()

    assert {ended(api, job)["task_status"] for job in jobs} == {"succeed"}
    assert server.process.wait(10) == 0
    assert server.log.read_text() == ""

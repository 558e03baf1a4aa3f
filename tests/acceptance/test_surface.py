"""The routes as a caller meets them, over HTTP."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from acceptance.conftest import KEY, OTHER, ended

FIELDS = {
    "id": str,
    "object": str,
    "model": str,
    "status": str,
    "progress": int,
    "created_at": int,
    "completed_at": (int, type(None)),
    "expires_at": (int, type(None)),
    "prompt": str,
    "size": str,
    "seconds": str,
    "quality": str,
    "remixed_from_video_id": (str, type(None)),
    "error": (dict, type(None)),
    "url": (str, type(None)),
}


@pytest.fixture(scope="module")
def finished(gateway: str) -> Iterator[dict[str, Any]]:
    """A finished video."""
    with httpx.Client(base_url=gateway, headers={"authorization": f"Bearer {KEY}"}) as client:
        made = client.post("/v1/videos", json={"model": "sora-2", "prompt": "x", "seconds": 2, "size": "640x360"})
        yield ended(client, made.json()["id"])


def assert_envelope(answer: httpx.Response, status: int) -> dict[str, Any]:
    """Every error has OpenAI's four keys, a type that fits its status, and a request id."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body.keys() == {"error"}
    error: dict[str, Any] = body["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["type"] == ("server_error" if status >= 500 else "invalid_request_error")
    assert error["message"]
    assert answer.headers["x-request-id"]
    return error


@pytest.mark.parametrize(
    "sent",
    [
        {"files": {"model": (None, "sora-2"), "prompt": (None, "x"), "metadata": (None, '{"a": "b"}')}},
        {"json": {"model": "sora-2", "prompt": "x", "metadata": {"a": "b"}}},
        {"data": {"model": "sora-2", "prompt": "x", "metadata[a]": "b"}},
        {"files": {"model": (None, "sora-2"), "prompt": (None, "x"), "metadata[a]": (None, "b")}},
        {
            "content": json.dumps({"model": "sora-2", "prompt": "x", "metadata": {"a": "b"}}),
            "headers": {"content-type": "application/x-www-form-urlencoded"},
        },
    ],
    ids=["multipart", "json", "urlencoded", "brackets", "json called a form"],
)
def test_every_body_means_the_same(api: httpx.Client, sent: dict[str, Any]) -> None:
    """Multipart, JSON, urlencoded and brackets make the same video, with the same remark on the unknown option."""
    answer = api.post("/v1/videos", **sent)

    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert (body["model"], body["prompt"]) == ("sora-2", "x")
    assert [each["field"] for each in body["adjustments"]] == ["metadata.a"]


def test_video_object_is_whole_in_both_dialects(api: httpx.Client, finished: dict[str, Any]) -> None:
    """Both dialects have every field in its type, and differ in the status word alone."""
    path = f"/v1/videos/{finished['id']}"
    gateway, openai = (api.get(path, headers={"x-video-dialect": dialect}).json() for dialect in ("gateway", "openai"))

    for body in (gateway, openai):
        assert body.keys() == FIELDS.keys()
        assert all(isinstance(body[name], kind) for name, kind in FIELDS.items())  # type: ignore[arg-type]
    assert (gateway.pop("status"), openai.pop("status")) == ("succeeded", "completed")
    assert gateway == openai


@pytest.mark.parametrize(
    ("path", "headers", "dialect"),
    [
        ("/v1/videos", {}, "gateway"),
        ("/videos", {}, "gateway"),
        ("/v1/videos/", {}, "gateway"),
        ("/openai/v1/videos", {}, "openai"),
        ("/openai/v1/videos", {"x-video-dialect": "gateway"}, "openai"),
        ("/v1/videos", {"x-video-dialect": "openai"}, "openai"),
        ("/v1/videos", {"x-stainless-lang": "js"}, "openai"),
        ("/v1/videos", {"user-agent": "OpenAI/Python 3.57.0"}, "openai"),
        ("/v1/videos", {"x-stainless-lang": "js", "x-video-dialect": "gateway"}, "gateway"),
    ],
)
def test_dialect_of_a_create(api: httpx.Client, path: str, headers: dict[str, str], dialect: str) -> None:
    """Path, header and client marks choose the dialect in that order; the answer says which, and its code follows."""
    answer = api.post(path, headers=headers, json={"model": "sora-2", "prompt": "x"})

    assert answer.headers["x-video-dialect"] == dialect
    assert (answer.status_code, answer.json()["status"]) == {
        "gateway": (201, "processing"),
        "openai": (200, "queued"),
    }[dialect]
    assert "User-Agent" in answer.headers["vary"]


@pytest.mark.parametrize(
    "query",
    ["", "limit=1", "order=asc&limit=2", "limit=2&after={id}", "limit=0", "limit=101", "order=up", "after=none"],
)
def test_a_list_is_the_same_whatever_else_its_query_says(
    api: httpx.Client, finished: dict[str, Any], query: str
) -> None:
    """A list that is asked plainly is answered as one with a word that means nothing here, also where it is refused."""
    path = f"/v1/videos?{query.format(**finished)}"
    plain, other = api.get(path), api.get(f"{path}&utm=x")

    assert plain.status_code == other.status_code
    assert plain.headers.keys() == other.headers.keys()
    one, two = plain.json(), other.json()
    for body in (one, two):  # a video goes on meanwhile
        body["data"] = [(video["id"], video.keys()) for video in body.get("data", ())]
    assert one == two


def test_content_whole_ranges_head_and_conditions(api: httpx.Client, finished: dict[str, Any]) -> None:
    """Content comes whole or in part, byte for byte, with the headers that players and caches need."""
    path = f"/v1/videos/{finished['id']}/content"
    whole = api.get(path)
    size = len(whole.content)

    assert (whole.status_code, whole.headers["content-type"]) == (200, "video/mp4")
    assert whole.headers["content-length"] == str(size)
    assert whole.headers["accept-ranges"] == "bytes"
    assert whole.content[4:8] == b"ftyp"
    for asked, part in {
        "bytes=0-99": whole.content[:100],
        "bytes=100-": whole.content[100:],
        "bytes=-50": whole.content[-50:],
        f"bytes=10-{size * 2}": whole.content[10:],
    }.items():
        answer = api.get(path, headers={"range": asked})
        assert (answer.status_code, answer.content) == (206, part)
        assert answer.headers["content-range"].endswith(f"/{size}")
    beyond = api.get(path, headers={"range": f"bytes={size}-"})
    assert_envelope(beyond, 416)
    assert beyond.headers["content-range"] == f"bytes */{size}"
    head = api.head(path)
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(size), b"")
    assert api.get(path, headers={"if-none-match": whole.headers["etag"]}).status_code == 304
    stale = api.get(path, headers={"range": "bytes=0-9", "if-range": '"other"'})
    assert (stale.status_code, stale.content) == (200, whole.content)


def test_the_link_works_without_a_key_and_not_for_another_video(
    api: httpx.Client, gateway: str, finished: dict[str, Any]
) -> None:
    """`url` opens the content with no header, with any header, and opens nothing else."""
    url = finished["url"]
    assert httpx.get(url).status_code == 200
    assert httpx.get(url, headers={"authorization": f"Bearer {OTHER}"}).status_code == 200
    other = api.post("/v1/videos", json={"model": "sora-2", "prompt": "other"}).json()["id"]
    assert_envelope(httpx.get(url.replace(finished["id"], other)), 401)
    assert_envelope(httpx.get(url[:-4] + "0000"), 401)
    assert_envelope(httpx.get(f"{gateway}/v1/videos/{finished['id']}/content"), 401)


def test_foreign_and_unknown_ids_answer_alike(gateway: str, finished: dict[str, Any]) -> None:
    """Another key's video, an unknown id and a deleted one give the same answer on every route."""
    with httpx.Client(base_url=gateway, headers={"authorization": f"Bearer {OTHER}"}) as stranger:
        for method, suffix in (("GET", ""), ("DELETE", ""), ("GET", "/content")):
            foreign = stranger.request(method, f"/v1/videos/{finished['id']}{suffix}")
            unknown = stranger.request(method, f"/v1/videos/video_{'0' * 32}{suffix}")
            assert_envelope(foreign, 404)
            assert foreign.text.replace(finished["id"], "ID") == unknown.text.replace(f"video_{'0' * 32}", "ID")
        assert finished["id"] not in stranger.get("/v1/videos?limit=100").text
        assert_envelope(stranger.get("/v1/videos", params={"after": finished["id"]}), 400)


def test_content_before_the_end_is_a_400(api: httpx.Client) -> None:
    """A video that is not finished has no content: 400 with `video_not_ready`, which SDKs do not retry or save."""
    video = api.post("/v1/videos", json={"model": "sora-2", "prompt": "x"}).json()["id"]

    error = assert_envelope(api.get(f"/v1/videos/{video}/content"), 400)

    assert error["code"] == "video_not_ready"


@pytest.mark.parametrize(
    ("sent", "param"),
    [
        ({"json": {"model": "sora-2"}}, "prompt"),
        ({"json": {"prompt": "", "model": "sora-2"}}, "prompt"),
        ({"json": {"prompt": ["x"], "model": "sora-2"}}, "prompt"),
        ({"json": {"prompt": "x", "model": "sora-2", "seconds": "long"}}, "seconds"),
        ({"json": {"prompt": "x", "model": "sora-2", "seconds": True}}, "seconds"),
        ({"json": {"prompt": "x", "model": "sora-2", "size": "big"}}, "size"),
        ({"json": {"prompt": "x", "model": "wan2.5-t2v-preview", "size": "1280P", "fit": "strict"}}, "size"),
        ({"json": {"prompt": "x", "model": "wan2.5-t2v-preview", "seconds": 7, "fit": "strict"}}, "seconds"),
        ({"json": {"prompt": "x", "model": "sora-2", "fit": "loose"}}, "fit"),
        ({"json": {"prompt": "x", "model": "sora-2", "metadata": "text"}}, "metadata"),
        ({"json": {"prompt": "x", "model": "sora-2", "metadata": {"model": "y"}}}, "metadata.model"),
        ({"json": {"prompt": "x", "model": "sora-2", "input_reference": {"file_id": "f"}}}, "input_reference.file_id"),
        ({"json": {"prompt": "x", "model": "sora-2", "input_reference": "nonsense"}}, "input_reference"),
        ({"json": {"prompt": "x", "model": "wan2.5-i2v-preview"}}, "input_reference"),
        (
            {"json": {"prompt": "x", "model": "wan2.5-t2v-preview", "input_reference": "https://example.com/a.png"}},
            "input_reference",
        ),
        ({"data": {"prompt": "x", "model": "sora-2"}, "files": {"input_reference": b"no picture"}}, "input_reference"),
        ({"content": b"{", "headers": {"content-type": "application/json"}}, None),
        ({"content": b'{"prompt": NaN}', "headers": {"content-type": "application/json"}}, None),
        ({"content": b"--x", "headers": {"content-type": "multipart/form-data; boundary=x"}}, None),
        ({"content": b"--x", "headers": {"content-type": "multipart/form-data"}}, None),
        ({"content": b"\xff\xfe", "headers": {"content-type": "text/plain"}}, None),
        ({"json": {"prompt": "a\u0000b", "model": "sora-2"}}, "prompt"),
    ],
)
def test_bad_input_names_its_parameter(api: httpx.Client, sent: dict[str, Any], param: str | None) -> None:
    """What cannot be done is a 400 in the envelope that names the parameter, before anything is stored."""
    before = api.get("/v1/videos?limit=1").json()["first_id"]

    error = assert_envelope(api.post("/v1/videos", **sent), 400)

    assert error["param"] == param
    assert api.get("/v1/videos?limit=1").json()["first_id"] == before


def test_every_other_error_has_the_envelope(api: httpx.Client, gateway: str) -> None:
    """Unknown routes, wrong methods, too large bodies, bad queries and missing keys answer in the envelope."""
    assert_envelope(api.get("/v1/nothing"), 404)
    assert_envelope(api.get("/"), 404)
    assert_envelope(api.patch("/v1/videos"), 405)
    assert_envelope(api.get("/v1/videos?limit=many"), 400)
    assert_envelope(api.get("/v1/videos?order=up"), 400)
    assert_envelope(api.get("/v1/videos", headers={"x-video-dialect": "klingon"}), 400)
    assert_envelope(api.get(f"/v1/videos/{'x' * 200}"), 400)
    assert_envelope(api.post("/v1/videos", content=bytes(33 * 1024 * 1024)), 413)
    assert_envelope(httpx.get(f"{gateway}/v1/videos"), 401)
    wrong = httpx.get(f"{gateway}/v1/models", headers={"authorization": "Bearer wrong"})
    assert_envelope(wrong, 401)
    assert wrong.headers["www-authenticate"] == "Bearer"


def test_models_show_what_they_can(api: httpx.Client) -> None:
    """`/v1/models` is OpenAI's list, with each model's sizes, lengths and inputs; one can be had by name."""
    listed = api.get("/v1/models").json()

    assert listed["object"] == "list"
    by_name = {model["id"]: model for model in listed["data"]}
    assert by_name["wan2.5-t2v-preview"]["video"]["seconds"] == {"kind": "list", "values": [5, 10]}
    assert "1920x1080" in by_name["wan2.5-t2v-preview"]["video"]["sizes"]["values"]
    assert by_name["wan2.2-kf2v-flash"]["video"]["inputs"].keys() == {"first_frame", "last_frame"}
    assert api.get("/v1/models/sora-2").json() == by_name["sora-2"]
    assert_envelope(api.get("/v1/models/none"), 404)


def test_health_asks_no_vendor(api: httpx.Client, shared: Any) -> None:
    """Health is 200 without a key and makes no vendor call."""
    world, server = shared
    assert httpx.get(f"{server.url}/health/live").json() == {"status": "ok"}
    assert httpx.get(f"{server.url}/health/ready").status_code == 200
    assert world.vendors.ended(0) is None


def test_request_id_is_given_or_kept(api: httpx.Client) -> None:
    """Every answer has an x-request-id: the caller's if it is a plain one, else ours."""
    assert api.get("/health/live", headers={"x-request-id": "abc-1"}).headers["x-request-id"] == "abc-1"
    assert api.get("/health/live", headers={"x-request-id": "a b"}).headers["x-request-id"].startswith("req_")

"""Remixes, edits, extensions and characters, end to end: whose source, which id goes up, and one payment each."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from acceptance.conftest import KEY, OTHER, World, ended, wait_until
from acceptance.test_life import client_of, kill
from forked import Server
from videogate.media.probe import probe

# The SDK marks its video methods as deprecated since OpenAI's own service ended.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

ROUTES = ("remix", "edits", "extensions")
LINK = "https://example.com/frame.png"
BOB = {"authorization": f"Bearer {OTHER}"}


def make(api: httpx.Client, prompt: str, **asked: Any) -> dict[str, Any]:
    """A completed video."""
    answer = api.post("/v1/videos", json={"model": "sora-2", "prompt": prompt, "size": "640x480", **asked})
    done = ended(api, answer.raise_for_status().json()["id"])
    assert done["status"] == "succeeded", done
    return done


def ask(api: httpx.Client, route: str, video_id: str, headers: dict[str, str] | None = None, **asked: Any) -> Any:
    """Ask for a video made from another."""
    body = {"prompt": "x", **({"seconds": "4"} if route == "extensions" else {}), **asked}
    if route == "remix":
        return api.post(f"/v1/videos/{video_id}/remix", json=body, headers=headers)
    return api.post(f"/v1/videos/{route}", json={**body, "video": {"id": video_id}}, headers=headers)


def line(world: World, prompt: str) -> dict[str, Any]:
    """The one job with this prompt that a vendor accepted."""
    (found,) = [job for job in world.paid() if job["prompt"] == prompt]
    return found


def error_of(answer: httpx.Response) -> tuple[int, str | None, str]:
    """Status, param and code of a refusal."""
    error = answer.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    return answer.status_code, error["param"], error["code"]


@pytest.fixture
def client(gateway: str) -> Iterator[openai.OpenAI]:
    """The SDK with nothing but its base URL and key set."""
    with openai.OpenAI(api_key=KEY, base_url=f"{gateway}/v1", max_retries=0) as made:
        yield made


@pytest.fixture(scope="module")
def source(shared: tuple[World, Server]) -> dict[str, Any]:
    """A completed video of the upstream that can do everything."""
    with client_of(shared[1]) as api:
        return make(api, "a source", seconds="4")


# By the SDK


def test_remix(shared: tuple[World, Server], client: openai.OpenAI, source: dict[str, Any]) -> None:
    """The SDK's `remix` makes a video of the source's size and length that names it; the upstream gets its own id."""
    world, _ = shared

    video = client.videos.remix(source["id"], prompt="a remix")
    done = client.videos.poll(video.id, poll_interval_ms=100)

    assert (video.remixed_from_video_id, video.size, video.seconds) == (source["id"], "640x480", "4")
    assert (done.status, done.size, done.seconds, done.model) == ("completed", "640x480", "4", "sora-2")
    assert client.videos.retrieve(video.id).remixed_from_video_id == source["id"]
    assert line(world, "a remix")["source"] == line(world, "a source")["id"]


@pytest.mark.parametrize("form", ["form", "json"])
def test_edit_and_extend(
    shared: tuple[World, Server], client: openai.OpenAI, source: dict[str, Any], form: str, tmp_path: Path
) -> None:
    """The SDK's `edit` and `extend` by id: an edit keeps the length, an extension is as long as both parts together."""
    world, _ = shared
    more: dict[str, Any] = {"extra_body": {"video": {"id": source["id"]}}}
    more |= {"extra_headers": {"content-type": "application/json"}} if form == "json" else {}

    edit = client.videos.edit(prompt=f"an edit by {form}", video=openai.omit, **more)  # type: ignore[arg-type]
    longer = client.videos.extend(
        prompt=f"more by {form}",
        seconds="8",
        video=openai.omit,  # type: ignore[arg-type]
        **more,
    )

    assert (edit.seconds, longer.seconds) == ("4", "12")
    assert [video.remixed_from_video_id for video in (edit, longer)] == [None, None]
    assert client.videos.poll(edit.id, poll_interval_ms=100).seconds == "4"
    assert client.videos.poll(longer.id, poll_interval_ms=100).seconds == "12"
    file = tmp_path / "video.mp4"
    client.videos.download_content(longer.id).write_to_file(file)
    assert (str(probe(file).frame), probe(file).seconds_text) == ("640x480", "12")
    for prompt in (f"an edit by {form}", f"more by {form}"):
        assert line(world, prompt)["source"] == line(world, "a source")["id"]


def test_a_file(shared: tuple[World, Server], client: openai.OpenAI, source: dict[str, Any]) -> None:
    """A film goes up as it is, with the default model; nothing of it stays here once it is sent."""
    world, _ = shared
    film = client.videos.download_content(source["id"]).content

    edit = client.videos.edit(prompt="an edit of a file", video=film)
    longer = client.videos.extend(prompt="more of a file", seconds="4", video=("a.mp4", film, "video/mp4"))

    assert str(client.videos.poll(edit.id, poll_interval_ms=100).size) == "640x480"
    assert client.videos.poll(longer.id, poll_interval_ms=100).seconds == "8"
    assert line(world, "an edit of a file")["model"] == "sora-2"
    assert wait_until(lambda: not world.inputs())


# By every vendor that can


@pytest.mark.parametrize(
    ("made_by", "model", "total"),
    [("kling-v1", None, "10"), ("viduq1", "viduq2-pro", "9"), ("viduq2", "viduq2-turbo", "8")],
)
def test_an_extension(
    api: httpx.Client, shared: tuple[World, Server], made_by: str, model: str | None, total: str
) -> None:
    """A vendor's own video goes on, and the longer one again; each time the vendor is told its id of it."""
    world, _ = shared
    first = make(api, f"from {made_by}", model=made_by, size="1280x720")
    asked: dict[str, Any] = {"model": model} if model else {}

    longer = ended(api, ask(api, "extensions", first["id"], prompt=f"on from {made_by}", **asked).json()["id"])
    longest = ended(api, ask(api, "extensions", longer["id"], prompt=f"still {made_by}", **asked).json()["id"])

    assert (longer["status"], longer["seconds"], longer["size"]) == ("succeeded", total, first["size"])
    assert longest["status"] == "succeeded"
    assert float(longest["seconds"]) > float(longer["seconds"])
    jobs = [line(world, prompt) for prompt in (f"from {made_by}", f"on from {made_by}", f"still {made_by}")]
    assert [job["source"] for job in jobs] == [None, jobs[0]["id"], jobs[1]["id"]]


def test_an_edit_by_a_link_of_ours(world: World) -> None:
    """Whoever opens links gets one to any video that we keep: it works without a key, for that video alone."""
    with socket.socket() as probing:
        probing.bind(("127.0.0.1", 0))
        port = probing.getsockname()[1]
    with world.gateway(PORT=str(port), PUBLIC_URL=f"http://127.0.0.1:{port}") as server, client_of(server) as api:
        first = make(api, "a source")
        edit = ask(api, "edits", first["id"], model="wan2.7-videoedit", prompt="snow").json()
        assert ended(api, edit["id"])["status"] == "succeeded"
        link = line(world, "snow")["source"]

        assert httpx.get(link).content == api.get(f"/v1/videos/{first['id']}/content").content
        assert httpx.get(link.replace(first["id"], edit["id"])).status_code == 401


# Who cannot


def test_without_a_public_address_no_link_is_given(api: httpx.Client, source: dict[str, Any]) -> None:
    """A vendor that opens links cannot reach us, and the operator reads which setting is missing."""
    answer = ask(api, "edits", source["id"], model="wan2.7-videoedit")

    assert error_of(answer) == (400, "video", "unsupported_input")
    assert "VIDEOGATE_PUBLIC_URL" in answer.json()["error"]["message"]


def test_who_cannot_names_who_can(api: httpx.Client, shared: tuple[World, Server], source: dict[str, Any]) -> None:
    """A model that makes nothing of a video, or not of this one, is a 400 with those that do; nothing is paid."""
    world, _ = shared
    jimeng = make(api, "cannot", model="jimeng_vgfm_t2v_l20")
    paid = len(world.paid())
    able = {"remix": {"sora-2"}, "edits": {"sora-2", "wan2.7-videoedit"}, "extensions": {"kling-v1", "viduq2-pro"}}
    for route in ROUTES:
        answer = ask(api, route, jimeng["id"])
        assert error_of(answer) == (400, "model", "unsupported_input")
        assert all(f" {name}" in answer.json()["error"]["message"] for name in able[route])
    for model in ("kling-v1", "viduq2-pro", "sora-2-pro"):
        answer = ask(api, "extensions", source["id"], model=model)
        assert error_of(answer) == (400, "model", "unsupported_input")
        assert "can extend only videos that" in answer.json()["error"]["message"]
    assert error_of(ask(api, "remix", source["id"], model="nothing")) == (400, "model", "model_not_found")
    assert len(world.paid()) == paid


def test_a_file_for_who_takes_none(api: httpx.Client, shared: tuple[World, Server], source: dict[str, Any]) -> None:
    """A model that takes ids alone is a 400 that says so; what is no film, or nothing at all, is one, too."""
    world, _ = shared
    film = api.get(f"/v1/videos/{source['id']}/content").content

    def upload(content: bytes, **data: str) -> httpx.Response:
        fields = {"prompt": "x", "seconds": "4", **data}
        return api.post("/v1/videos/extensions", data=fields, files={"video": ("a.mp4", content, "video/mp4")})

    refused = upload(film, model="viduq2-pro")
    assert error_of(refused) == (400, "model", "unsupported_input")
    assert "takes no file" in refused.json()["error"]["message"]
    assert error_of(upload(b"no film at all")) == (400, "video", "unsupported_input")
    nothing = api.post("/v1/videos/edits", json={"prompt": "x"})
    assert error_of(nothing) == (400, "video", "missing_required_parameter")
    assert wait_until(lambda: not world.inputs())


# Whose source


@pytest.mark.parametrize("route", ROUTES)
def test_unknown_foreign_and_deleted_are_alike(api: httpx.Client, route: str) -> None:
    """An id that is not the caller's own is a 404 in the same words, wherever the request names it."""
    mine, gone = make(api, "mine"), make(api, "gone")
    api.delete(f"/v1/videos/{gone['id']}").raise_for_status()
    param = "video_id" if route == "remix" else "video"

    answers = {
        "video_unknown": ask(api, route, "video_unknown"),
        mine["id"]: ask(api, route, mine["id"], headers=BOB),
        gone["id"]: ask(api, route, gone["id"]),
    }

    for video_id, answer in answers.items():
        assert error_of(answer) == (404, param, "video_not_found")
        plain = api.get("/v1/videos/video_unknown").json()["error"]["message"]
        assert answer.json()["error"]["message"] == plain.replace("video_unknown", video_id)


def test_what_is_not_completed_is_no_source(world: World) -> None:
    """A video on its way and one that failed are a 400 that names it and says where it is."""
    world.fault(vendor="sora", op="submit", mode="fail")
    with world.gateway() as server, client_of(server) as api:
        failed = api.post("/v1/videos", json={"model": "sora-2", "prompt": "fails"}).json()["id"]
        assert ended(api, failed)["status"] == "failed"
        world.fault(vendor="sora", op="submit", mode="wait", delay=60)
        queued = api.post("/v1/videos", json={"model": "sora-2", "prompt": "slow"}).json()["id"]
        for route in ROUTES:
            for video_id, word in ((failed, "failed"), (queued, "")):
                answer = ask(api, route, video_id)
                param = "video_id" if route == "remix" else "video"
                assert error_of(answer) == (400, param, "video_not_ready")
                assert f"'{video_id}' is {word}" in answer.json()["error"]["message"]
        assert {job["prompt"] for job in world.paid()} <= {"fails", "slow"}


# Once


def test_a_repeated_request_is_one_video(api: httpx.Client, shared: tuple[World, Server]) -> None:
    """A key, or the SDK's count of tries, makes one video, in whichever form the source is named, gone since or not."""
    world, _ = shared
    first, other = make(api, "once"), make(api, "another")
    key = {"idempotency-key": "rework-1"}
    forms: list[dict[str, Any]] = [
        {"json": {"prompt": "one", "video": {"id": first["id"]}}},
        {"json": {"prompt": "one", "video": first["id"]}},
        {"data": {"prompt": "one", "video": json.dumps({"id": first["id"]})}},
        {"files": {"prompt": (None, "one"), "video[id]": (None, first["id"])}},
    ]
    answers = [api.post("/v1/videos/edits", headers=key, **form) for form in forms]
    assert {answer.status_code for answer in answers} == {201}
    (made,) = {answer.json()["id"] for answer in answers}

    for reused in (
        ask(api, "edits", other["id"], key, prompt="one"),
        ask(api, "remix", first["id"], key, prompt="one"),
    ):
        assert error_of(reused) == (400, "Idempotency-Key", "idempotency_key_reuse")
    tries = [
        ask(api, "remix", first["id"], {"x-stainless-retry-count": f"{number}"}, prompt="again") for number in range(3)
    ]
    (again,) = {answer.json()["id"] for answer in tries}
    for video_id in (made, again):
        ended(api, video_id)
    api.delete(f"/v1/videos/{first['id']}").raise_for_status()
    assert api.post("/v1/videos/edits", headers=key, **forms[0]).json()["id"] == made
    assert ask(api, "remix", first["id"], prompt="again").status_code == 404
    assert [sum(job["prompt"] == prompt for job in world.paid()) for prompt in ("one", "again")] == [1, 1]


@pytest.mark.parametrize(
    ("vendor", "made_by", "route", "asked", "beside"),
    [
        ("sora", "sora-2", "remix", {}, {}),
        ("kling", "kling-v1", "extensions", {}, {}),
        ("vidu", "viduq1", "extensions", {"model": "viduq2-pro"}, {"model": "viduq2-pro", "first_frame": LINK}),
    ],
)
def test_a_lost_answer_is_found_and_is_no_other_video(
    world: World, vendor: str, made_by: str, route: str, asked: dict[str, Any], beside: dict[str, str]
) -> None:
    """A lost answer is looked for, not sent again, and found among equal words: a plain video beside it stays its own.

    So it does after a restart, with what its vendor told of the source before.
    """
    with world.gateway() as server, client_of(server) as api:
        first = make(api, "a source", model=made_by, size="1280x720")
        kill(server)
    world.fault(vendor=vendor, op="submit", mode="drop_after")
    with world.gateway() as server, client_of(server) as api:
        lost = ask(api, route, first["id"], prompt="equal", **asked).json()["id"]
        wait_until(lambda: [job for job in world.paid() if job["prompt"] == "equal"])
        plain = make(api, "equal", **{"model": made_by, **beside})
        found = ended(api, lost, 60)

    assert found["status"] == "succeeded"
    assert found["size"] == first["size"]
    jobs = [job for job in world.paid() if job["prompt"] == "equal"]
    assert [bool(job["source"]) for job in jobs] == [True, False]
    assert jobs[0]["seconds"] == float(found["seconds"])
    assert plain["seconds"] != found["seconds"] or plain["size"] != found["size"]


# Characters


def test_characters(client: openai.OpenAI, gateway: str, api: httpx.Client, source: dict[str, Any]) -> None:
    """The SDK makes one and reads it; it is its owner's alone, and goes up under the upstream's own id."""
    film = client.videos.download_content(source["id"]).content
    made = client.videos.create_character(name="Bob the cat", video=("bob.mp4", film, "video/mp4"))
    assert made.id is not None

    assert client.videos.get_character(made.id) == openai.types.VideoGetCharacterResponse(**made.model_dump())
    assert (made.name, made.id.isascii()) == ("Bob the cat", True)
    for video in ({"characters": [{"id": made.id}]}, {"metadata": {"characters": [{"id": made.id}]}}):
        shown = client.videos.create(prompt="the cat", extra_body=video)
        assert client.videos.poll(shown.id, poll_interval_ms=100).status == "completed"
    with openai.OpenAI(api_key=OTHER, base_url=f"{gateway}/v1", max_retries=0) as stranger:
        with pytest.raises(openai.NotFoundError) as foreign:
            stranger.videos.get_character(made.id)
        assert (foreign.value.code, foreign.value.param) == ("character_not_found", "character_id")
        with pytest.raises(openai.NotFoundError) as named:
            stranger.videos.create(prompt="x", extra_body={"characters": [{"id": made.id}]})
        assert (named.value.code, named.value.param) == ("character_not_found", "characters")
    for unknown in ("char_1", made.id[:-2], made.id + "A", "events", "%00"):
        assert error_of(api.get(f"/v1/videos/characters/{unknown}")) == (404, "character_id", "character_not_found")
    assert error_of(api.post("/v1/videos", json={"prompt": "x", "characters": "Bob"})) == (
        400,
        "characters",
        "invalid_type",
    )


def test_what_makes_no_character(api: httpx.Client) -> None:
    """A name and a film are needed."""
    film = {"video": ("a.mp4", b"\0\0\0\x18ftypisom" + bytes(64), "video/mp4")}

    assert error_of(api.post("/v1/videos/characters", data={"name": "Bob"})) == (
        400,
        "video",
        "missing_required_parameter",
    )
    assert error_of(api.post("/v1/videos/characters", files=film)) == (400, "name", "invalid_value")
    text = {"video": ("a.mp4", b"no film at all", "video/mp4")}
    assert error_of(api.post("/v1/videos/characters", data={"name": "Bob"}, files=text)) == (
        400,
        "video",
        "unsupported_input",
    )
    # A film by its head alone: what it really is the upstream says, and its words come back.
    broken = api.post("/v1/videos/characters", data={"name": "Bob"}, files=film)
    assert (broken.status_code, broken.json()["error"]["param"]) == (400, "video")
    assert "Unsupported file" in broken.json()["error"]["message"]


# GET /v1/models


def test_models_say_what_they_make_of_a_video(api: httpx.Client) -> None:
    """`abilities` has remix, edit and extend, and each such way says whose videos it takes."""
    videos = {model["id"]: model["video"] for model in api.get("/v1/models").json()["data"]}

    able = {name: {"remix", "edit", "extend"} & set(video["abilities"]) for name, video in videos.items()}
    assert able["sora-2"] == {"remix", "edit", "extend"}
    assert (able["kling-v1"], able["viduq2-pro"], able["wan2.7-videoedit"]) == ({"extend"}, {"extend"}, {"edit"})
    assert not able["jimeng_vgfm_t2v_l20"]
    ways = {
        name: {way["way"]: way.get("from_video") for way in videos[name]["ways"]} for name in ("sora-2", "viduq2-pro")
    }
    assert ways["sora-2"]["create"] is None
    assert ways["sora-2"]["edit"] == {"makes": "edit", "made_by": "model", "file": True}
    assert ways["viduq2-pro"]["extend"] == {"makes": "extend", "made_by": "vendor", "file": False}


def test_what_is_off_does_not_show(world: World) -> None:
    """A vendor without credentials has no model in the list, is named by no refusal, and its alias does not show."""
    off = {"SORA_API_KEY": "", "VIDU_API_KEY": ""}
    with world.gateway(**off, MODEL_ALIASES="dead=sora-2,live=kling-v1") as server, client_of(server) as api:
        listed = api.get("/v1/models").json()["data"]
        made = make(api, "a source", model="kling-v2-master")
        refused = ask(api, "extensions", made["id"]).json()["error"]["message"]

    assert {model["owned_by"] for model in listed} == {"wanxiang", "kling", "jimeng"}
    assert "live" in {model["id"] for model in listed}
    assert "dead" not in {model["id"] for model in listed}
    assert refused.endswith("Models that can: kling-v1, kling-v1-5, kling-v1-6.")

"""Waiting without hammering: when to come back, long polls, and a stream of changes."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from acceptance.conftest import KEY, World, ended, wait_until

OPENAI = {"x-video-dialect": "openai"}


def client_of(url: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers={"authorization": f"Bearer {KEY}", **OPENAI}, timeout=90)


def create(api: httpx.Client, **headers: str) -> dict[str, Any]:
    body = {"model": "sora-2", "prompt": "x"}
    found: dict[str, Any] = api.post("/v1/videos", json=body, headers=headers).raise_for_status().json()
    return found


def stream(api: httpx.Client, video_id: str, after: str | None = None) -> Iterator[dict[str, Any]]:
    """The events of a stream, each with its id, name and data; a comment has only a name."""
    headers = {"last-event-id": after} if after is not None else {}
    with api.stream("GET", f"/v1/videos/{video_id}/events", headers=headers) as answer:
        assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, "text/event-stream")
        event: dict[str, Any] = {}
        for line in answer.iter_lines():
            if not line and event:
                yield event
                event = {}
            elif line.startswith(":"):
                yield {"comment": line}
            elif line:
                name, _, value = line.partition(": ")
                event[name] = json.loads(value) if name == "data" else value


def test_running_tasks_say_when_to_come_back(api: httpx.Client) -> None:
    """Both headers are whole numbers, within a minute, on create and get; a finished video has neither."""
    made = api.post("/v1/videos", json={"model": "sora-2", "prompt": "x"})
    for answer in (made, api.get(f"/v1/videos/{made.json()['id']}")):
        assert 1000 <= int(answer.headers["openai-poll-after-ms"]) <= 30_000
        assert 1 <= int(answer.headers["retry-after"]) <= 30
    ended(api, made.json()["id"])
    done = api.get(f"/v1/videos/{made.json()['id']}")
    assert "retry-after" not in done.headers
    assert "openai-poll-after-ms" not in done.headers


def test_a_get_that_waits_answers_at_the_change(world: World) -> None:
    """`Prefer: wait` holds a GET until the status is another one, and no longer than asked."""
    world.fault(vendor="sora", op="submit", mode="wait", delay=2)
    with world.gateway() as server, client_of(server.url) as api:
        video = create(api)
        assert video["status"] == "queued"
        seen = []
        while (status := video["status"]) not in {"completed", "failed"}:
            began = time.monotonic()
            answer = api.get(f"/v1/videos/{video['id']}", headers={"prefer": "wait=30"})
            assert answer.headers["preference-applied"] == "wait=30"
            video = answer.json()
            assert video["status"] != status
            assert time.monotonic() - began < 25
            seen.append(video["status"])
        assert seen in (["in_progress", "completed"], ["completed"])

        began = time.monotonic()
        assert api.get(f"/v1/videos/{video['id']}", headers={"prefer": "wait=30"}).json()["status"] == "completed"
        assert time.monotonic() - began < 10


def test_a_wait_ends_in_time_and_a_post_may_wait_too(world: World) -> None:
    """A wait without news ends when it was asked to; a create that waits answers with what became of it."""
    with world.gateway() as server, client_of(server.url) as api:
        assert create(api, prefer="respond-async, wait=20")["status"] in {"in_progress", "completed"}
        world.fault(vendor="sora", op="submit", mode="wait", delay=60)
        video = create(api)
        began = time.monotonic()
        answer = api.get(f"/v1/videos/{video['id']}", headers={"prefer": "wait=2"})
        assert answer.json()["status"] == "queued"
        assert time.monotonic() - began >= 2


def test_a_stream_shows_every_change_and_can_be_taken_up(world: World) -> None:
    """Each change of status is one event with the video as it then was; a stream begins anew after any of them."""
    with world.gateway() as server, client_of(server.url) as api:
        video_id = create(api)["id"]
        events = list(stream(api, video_id))

        assert [event["event"] for event in events] == ["video.queued", "video.in_progress", "video.completed"]
        assert [event["data"]["status"] for event in events] == ["queued", "in_progress", "completed"]
        assert {event["data"]["id"] for event in events} == {video_id}
        assert events[-1]["data"]["url"]
        assert all(event["data"]["progress"] < 100 for event in events[:-1])
        ids = [int(event["id"]) for event in events]
        assert ids == sorted(set(ids))

        assert [event["event"] for event in stream(api, video_id, str(ids[0]))] == [
            "video.in_progress",
            "video.completed",
        ]
        assert list(stream(api, video_id, str(ids[-1]))) == []
        assert len(list(stream(api, video_id, "nonsense"))) == 3


def test_a_stream_of_what_is_not_ones_own(api: httpx.Client) -> None:
    """An unknown video has no stream, and says so as every route does."""
    answer = api.get("/v1/videos/video_0/events")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "video_not_found")


def test_a_stream_ends_when_its_video_is_deleted_and_when_the_server_stops(world: World) -> None:
    """Nobody hangs on a stream of which nothing can come any more."""
    world.fault(vendor="sora", op="submit", mode="wait", delay=60, times=2)
    with world.gateway() as server, client_of(server.url) as api:
        first, second = create(api)["id"], create(api)["id"]
        with client_of(server.url) as other:
            following = stream(other, first)
            assert next(following)["event"] == "video.queued"
            api.delete(f"/v1/videos/{first}").raise_for_status()
            wait_until(lambda: api.get(f"/v1/videos/{first}").status_code == 404)
            rest = [event for event in following if "event" in event]
            assert rest == []
        with client_of(server.url) as other:
            following = stream(other, second)
            assert next(following)["event"] == "video.queued"
            server.terminate()
            assert [event for event in following if "event" in event] == []


@pytest.mark.parametrize("prefer", ["wait", "wait=", "wait=x", "wait=-1", "return=minimal", "await=5", "wait=0"])
def test_a_preference_that_is_none_is_no_error(api: httpx.Client, prefer: str) -> None:
    """What we do not understand of a preference is ignored, as the standard asks."""
    answer = api.get("/v1/videos/video_0", headers={"prefer": prefer})

    assert answer.status_code == 404

"""Webhooks as a receiver meets them: signed, told again until it has them, and never in anybody's way."""

import json
import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx
import openai
import pytest

from acceptance.conftest import KEY, OTHER, World, ended, make_world, wait_until
from forked import Server, run_videogate

BOTH: list[Any] = ["video.completed", "video.failed"]
TOKEN = "token=secretly-known"  # in a receiver's link


@dataclass(frozen=True)
class Letter:
    """One request that a receiver got."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass
class Receiver:
    """A receiver on this machine. `/hang` hangs, `/elsewhere` redirects, others answer what `answers` has, then 200."""

    port: int
    letters: list[Letter] = field(default_factory=list)
    answers: dict[str, list[int]] = field(default_factory=dict)
    released: Event = field(default_factory=Event)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def at(self, path: str) -> list[Letter]:
        """What came to a path."""
        return [letter for letter in self.letters if letter.path == path]

    def told(self, path: str, video_id: str) -> list[Letter]:
        """What came to a path about a video."""
        return [letter for letter in self.at(path) if letter.event["data"]["id"] == video_id]

    def answer(self, path: str) -> tuple[int, dict[str, str]]:
        if path.startswith("/hang"):
            self.released.wait(60)
        if path.startswith("/elsewhere"):
            return 302, {"location": self.url("/trap")}
        answers = self.answers.get(path)
        return (answers.pop(0) if answers else 200), {}


@contextmanager
def receiving(port: int = 0) -> Iterator[Receiver]:
    """A receiver that listens."""
    receiver: Receiver

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.letters.append(Letter(self.path, headers, body))
            status, more = receiver.answer(self.path)
            self.send_response(status)
            for name, value in {**more, "content-length": "0"}.items():
                self.send_header(name, value)
            self.end_headers()

        def do_GET(self) -> None:
            receiver.letters.append(Letter(self.path, {}, b"{}"))
            self.send_error(404)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            """A visitor that left is no error of this test."""

    with Server(("127.0.0.1", port), Handler) as server:
        receiver = Receiver(server.server_port)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield receiver
        finally:
            receiver.released.set()
            server.shutdown()
            thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A world whose videos are soon done."""
    with make_world(tmp_path, render_seconds=0.3) as made:
        yield made


@contextmanager
def gateway(world: World, **settings: str) -> Iterator[Server]:
    """A gateway that may reach receivers on this machine."""
    with world.gateway(FETCH_ALLOW_PRIVATE="true", **settings) as server:
        yield server


def api_of(server: Server, key: str = KEY) -> httpx.Client:
    return httpx.Client(base_url=server.url, headers={"authorization": f"Bearer {key}"}, timeout=30)


def sdk_of(server: Server, key: str = KEY) -> openai.OpenAI:
    return openai.OpenAI(api_key=key, base_url=f"{server.url}/v1", max_retries=0)


def unwrapped(sdk: openai.OpenAI, letter: Letter, secret: str) -> Any:
    """What the SDK makes of a letter; it raises for a signature that is not good."""
    return sdk.webhooks.unwrap(letter.body, letter.headers, secret=secret)


def create(api: httpx.Client, **fields: Any) -> str:
    body = {"model": "sora-2", "prompt": "a lighthouse", **fields}
    made: str = api.post("/v1/videos", json=body).raise_for_status().json()["id"]
    return made


def endpoint(api: httpx.Client, url: str, **fields: Any) -> dict[str, Any]:
    body = {"url": url, "name": "mine", "event_types": BOTH, **fields}
    made: dict[str, Any] = api.post("/v1/webhook_endpoints", json=body).raise_for_status().json()
    return made


def deliveries(api: httpx.Client, endpoint_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (
        api.get(f"/v1/webhook_endpoints/{endpoint_id}/deliveries").raise_for_status().json()["data"]
    )
    return found


def all_delivered(api: httpx.Client, endpoint_id: str) -> list[dict[str, Any]]:
    """An endpoint's deliveries, once all of them have been delivered."""
    found = deliveries(api, endpoint_id)
    return found if {each["status"] for each in found} == {"delivered"} else []


def command(world: World, *arguments: str, code: int = 0) -> str:
    """`videogate …` beside the running server; all that it says."""
    variables = {
        **world.variables,
        "VIDEOGATE_FETCH_ALLOW_PRIVATE": "true",
        "VIDEOGATE_API_KEYS": f"{KEY},{OTHER}",
    }
    done = run_videogate(*arguments, folder=world.folder, variables=variables)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def assert_told_to_no_log(server: Server, *secrets: str) -> None:
    """No line of the server's log has any of these."""
    text = server.log.read_text("utf-8")
    assert "webhook_delivered" in text
    for secret in secrets:
        assert secret not in text
        assert secret.removeprefix("whsec_") not in text


def test_the_sdk_unwraps_what_completed_and_what_failed(world: World, receiver: Receiver) -> None:
    """Each end of a video is told once, in OpenAI's form, and its SDK accepts the signature; the log has no secret."""
    with gateway(world) as server, api_of(server) as api, sdk_of(server) as sdk:
        made = sdk.webhooks.create(event_types=BOTH, name="mine", url=receiver.url(f"/hook?{TOKEN}"))
        good = create(api)
        assert ended(api, good)["status"] == "succeeded"
        world.fault(vendor="sora", op="submit", mode="fail")
        bad = create(api)
        assert ended(api, bad)["status"] == "failed"
        wait_until(lambda: len(receiver.letters) == 2)

        events = {}
        for letter in receiver.letters:
            event = unwrapped(sdk, letter, made.signing_secret)
            events[event.data.id] = event
            with pytest.raises(openai.InvalidWebhookSignatureError):
                sdk.webhooks.unwrap(letter.body + b" ", letter.headers, secret=made.signing_secret)
        assert {video: event.type for video, event in events.items()} == {
            good: "video.completed",
            bad: "video.failed",
        }
        for event in events.values():
            assert event.object == "event"
            assert event.id.startswith("evt_")
            assert abs(event.created_at - time.time()) < 300
        wait_until(lambda: all_delivered(api, made.id))
        time.sleep(1)
        assert len(receiver.letters) == 2
        assert 'videogate_webhooks_total{result="delivered"} 2' in api.get("/metrics").text
        assert_told_to_no_log(server, made.signing_secret, TOKEN)


def test_a_receiver_that_was_down_is_told_later(world: World, receiver: Receiver) -> None:
    """Every try has the same id and body, and a signature of its own time."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    receiver.answers["/flaky"] = [503]
    with gateway(world) as server, api_of(server) as api, sdk_of(server) as sdk:
        down = endpoint(api, f"http://127.0.0.1:{port}/")
        flaky = endpoint(api, receiver.url("/flaky"))
        video = create(api)
        wait_until(lambda: len(receiver.at("/flaky")) == 1)
        first = wait_until(lambda: next((each for each in deliveries(api, down["id"]) if each["last_error"]), None))
        assert (first["status"], first["tries"], first["video_id"]) == ("pending", 1, video)
        assert first["last_error"] == "its host takes no connection"
        assert first["next_try_at"] >= first["created_at"]

        with receiving(port) as back:
            (letter,) = wait_until(lambda: back.letters)
            assert letter.id == first["id"]
            unwrapped(sdk, letter, down["signing_secret"])
            again = wait_until(lambda: len(receiver.at("/flaky")) == 2 and receiver.at("/flaky"))
            assert len({letter.id for letter in again}) == len({letter.body for letter in again}) == 1
            assert len({letter.headers["webhook-timestamp"] for letter in again}) == 2
            for each in again:
                unwrapped(sdk, each, flaky["signing_secret"])
            for made in (down, flaky):
                (delivery,) = wait_until(lambda: all_delivered(api, made["id"]))  # noqa: B023 (called at once)
                assert (delivery["tries"], delivery["last_status_code"], delivery["last_error"]) == (2, 200, None)


def test_a_receiver_that_hangs_or_redirects_is_in_nobodys_way(world: World, receiver: Receiver) -> None:
    """Videos complete and others are told of each, while one receiver answers nothing; no redirect is followed."""
    with gateway(world) as server, api_of(server) as api:
        hanging, elsewhere = endpoint(api, receiver.url("/hang")), endpoint(api, receiver.url("/elsewhere"))
        endpoint(api, receiver.url("/good"))
        videos = [create(api, prompt=f"film {number}") for number in range(6)]
        for video in videos:
            assert ended(api, video)["status"] == "succeeded"
        wait_until(lambda: {letter.event["data"]["id"] for letter in receiver.at("/good")} == {*videos})

        assert len(receiver.at("/good")) == len(videos)
        wait_until(lambda: receiver.at("/hang"))
        assert "delivered" not in {each["status"] for each in deliveries(api, hanging["id"])}
        found = wait_until(lambda: [each for each in deliveries(api, elsewhere["id"]) if each["last_status_code"]])
        assert {each["status"] for each in found} == {"pending"}
        assert "redirects" in found[0]["last_error"]
        assert receiver.at("/trap") == []


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_restart_delivers_what_was_under_way(world: World, receiver: Receiver, end: signal.Signals) -> None:
    """However the process ended while it was telling: the next one tells it, under the same id."""
    with gateway(world) as server, api_of(server) as api:
        made = endpoint(api, receiver.url("/hang"))
        video = create(api)
        (first,) = wait_until(lambda: receiver.told("/hang", video))
        server.send(end)
        server.ended(30)
    receiver.released.set()
    with gateway(world) as server, api_of(server) as api:
        wait_until(lambda: len(receiver.at("/hang")) == 2)
        assert {letter.id for letter in receiver.at("/hang")} == {first.id}
        wait_until(lambda: all_delivered(api, made["id"]))


def test_what_ended_while_nobody_could_tell_is_told(world: World, receiver: Receiver) -> None:
    """A video that was finished in the moment before a kill is told of by the next process, once."""
    with gateway(world) as server, api_of(server) as api:
        endpoint(api, receiver.url("/hook"))
        videos = [create(api, prompt=f"film {number}") for number in range(3)]
        ended(api, videos[0])
        server.kill()
    with gateway(world) as server, api_of(server) as api:
        for video in videos:
            ended(api, video)
        wait_until(lambda: {letter.event["data"]["id"] for letter in receiver.at("/hook")} == {*videos})
        assert len({letter.id for letter in receiver.at("/hook")}) == len(videos)


def test_a_request_may_name_its_own_receiver(world: World, receiver: Receiver) -> None:
    """Where its key may: signed with the key's own secret, hidden from the vendor, the log and other keys' requests."""
    with gateway(world) as server, sdk_of(server) as sdk:
        made = command(world, "keys", "create", "agency", "--callbacks").split()
        with api_of(server, made[1]) as api:
            link = receiver.url(f"/mine?{TOKEN}")
            answer = api.post("/v1/videos", json={"model": "kling-v1", "prompt": "x", "callback_url": link})
            assert answer.is_success
            assert "callback" not in answer.text
            video = answer.json()["id"]
            (letter,) = wait_until(lambda: receiver.told(f"/mine?{TOKEN}", video))
            secret = command(world, "webhooks", "secret", made[0]).strip()
            event = unwrapped(sdk, letter, secret)
            assert (event.type, event.data.id) == ("video.completed", video)
        line = wait_until(lambda: next(iter(command(world, "webhooks", "log").splitlines()), None))
        assert letter.id in line
        assert "callback at 127.0.0.1" in line
        assert TOKEN not in world.ledger.read_text("utf-8")
        wait_until(lambda: "webhook_delivered" in server.log.read_text("utf-8"))
        assert_told_to_no_log(server, secret, TOKEN, made[1])

        with api_of(server) as api:
            refused = api.post("/v1/videos", json={"model": "sora-2", "prompt": "x", "callback_url": link})
            assert refused.status_code == 400
            error = refused.json()["error"]
            assert (error["param"], error["code"]) == ("callback_url", "callback_url_not_allowed")
            assert "--callbacks" in error["message"]
        assert len(world.paid()) == 1


def test_equal_requests_with_other_receivers_are_not_equal(world: World, receiver: Receiver) -> None:
    """The receiver is part of what was asked: the same one repeats a request, another one contradicts its key."""
    with gateway(world, CALLBACK_URLS="true") as server, api_of(server) as api:
        headers = {"idempotency-key": "order-1"}
        body = {"model": "sora-2", "prompt": "x", "callback_url": receiver.url("/a")}
        first, again = (api.post("/v1/videos", json=body, headers=headers) for _ in range(2))
        other = api.post("/v1/videos", json={**body, "callback_url": receiver.url("/b")}, headers=headers)

        assert first.json()["id"] == again.json()["id"]
        assert other.json()["error"]["code"] == "idempotency_key_reuse"
        wait_until(lambda: receiver.at("/a"))
        assert receiver.at("/b") == []


def test_an_unsafe_link_is_refused_at_once(world: World) -> None:
    """As an endpoint and as a request's own receiver, naming the field, before anything is made."""
    with world.gateway(CALLBACK_URLS="true") as server, api_of(server) as api:
        for url in (
            "http://127.0.0.1/",
            "http://[::1]:80/",
            "http://x.test:22/",
            "ftp://x.test/",
            "http://a@b.test/",
            "x",
        ):
            made = api.post("/v1/webhook_endpoints", json={"name": "x", "url": url, "event_types": BOTH})
            asked = api.post("/v1/videos", json={"model": "sora-2", "prompt": "x", "callback_url": url})
            for answer, param in ((made, "url"), (asked, "callback_url")):
                error = answer.json()["error"]
                assert (answer.status_code, error["param"], error["code"]) == (400, param, "unsafe_url")
        for odd in (5, ["http://x.test/"], {"url": "http://x.test/"}, "http://x.test/" + "a" * 3000):
            asked = api.post("/v1/videos", json={"model": "sora-2", "prompt": "x", "callback_url": odd})
            assert (asked.status_code, asked.json()["error"]["param"]) == (400, "callback_url")
        assert api.get("/v1/webhook_endpoints").json()["data"] == api.get("/v1/videos").json()["data"] == []


def test_the_sdk_manages_endpoints(world: World, receiver: Receiver) -> None:
    """OpenAI's SDK makes, lists, changes, rotates, tests and deletes them; a secret is in no other answer."""
    with gateway(world) as server, sdk_of(server) as sdk, api_of(server) as api:
        assert sdk.webhooks.event_types.list().data == BOTH
        first = sdk.webhooks.create(event_types=["video.failed"], name="one", url=receiver.url("/one"))
        second = sdk.webhooks.create(event_types=BOTH, name="two", url=receiver.url("/two"))
        assert [each.id for each in sdk.webhooks.list(limit=1)] == [second.id, first.id]
        found = sdk.webhooks.retrieve(first.id)
        assert (found.name, found.url, found.event_types) == ("one", receiver.url("/one"), ["video.failed"])
        assert found.object == "webhook_endpoint"
        assert (found.signing_secret_hint or "")[1:] == first.signing_secret[-4:]

        changed = sdk.webhooks.update(first.id, event_types=BOTH, name="uno")
        assert (changed.name, changed.url, changed.event_types) == ("uno", receiver.url("/one"), BOTH)
        rotated = sdk.webhooks.rotate_secret(first.id, keep_old_secret_active_for_24_hours=True)
        assert rotated.signing_secret != first.signing_secret
        tested = sdk.webhooks.test(first.id, event_type="video.failed")
        assert (tested.status_code, tested.success, tested.webhook_endpoint_id) == (200, True, first.id)
        (letter,) = receiver.at("/one")
        for secret in (first.signing_secret, rotated.signing_secret):
            assert unwrapped(sdk, letter, secret).type == "video.failed"
        at_once = sdk.webhooks.rotate_secret(first.id)
        sdk.webhooks.test(first.id, event_type="video.completed")
        newest = receiver.at("/one")[-1]
        unwrapped(sdk, newest, at_once.signing_secret)
        with pytest.raises(openai.InvalidWebhookSignatureError):
            unwrapped(sdk, newest, rotated.signing_secret)

        for path in ("", f"/{first.id}"):
            assert at_once.signing_secret not in api.get(f"/v1/webhook_endpoints{path}").text
        deleted = sdk.webhooks.delete(first.id)
        assert (deleted.deleted, deleted.object) == (True, "webhook_endpoint.deleted")
        with pytest.raises(openai.NotFoundError):
            sdk.webhooks.retrieve(first.id)
        with pytest.raises(openai.BadRequestError, match=r"video\.completed and video\.failed"):
            sdk.webhooks.create(event_types=["batch.failed"], name="x", url=receiver.url("/x"))
        down = sdk.webhooks.create(event_types=BOTH, name="down", url="http://127.0.0.1:1/")
        with pytest.raises(openai.BadRequestError, match="takes no connection"):
            sdk.webhooks.test(down.id, event_type="video.failed")


def test_others_see_nothing_of_an_endpoint(world: World, receiver: Receiver) -> None:
    """Another key is told of none of its videos, and every route answers it as for an endpoint that does not exist."""
    with gateway(world) as server, api_of(server) as mine, api_of(server, OTHER) as theirs:
        made = endpoint(mine, receiver.url("/mine"))
        endpoint(theirs, receiver.url("/theirs"))
        video = create(mine)
        wait_until(lambda: receiver.at("/mine"))
        (delivery,) = deliveries(mine, made["id"])
        assert receiver.at("/theirs") == []

        asked = [
            ("GET", "", None),
            ("POST", "", {"name": "x"}),
            ("DELETE", "", None),
            ("POST", "/rotate_secret", {}),
            ("POST", "/test", {"event_type": "video.failed"}),
            ("GET", "/deliveries", None),
            ("POST", f"/deliveries/{delivery['id']}/resend", {}),
        ]
        for method, path, body in asked:
            for endpoint_id in (made["id"], "we_none"):
                answer = theirs.request(method, f"/v1/webhook_endpoints/{endpoint_id}{path}", json=body)
                assert (answer.status_code, answer.json()["error"]["type"]) == (404, "invalid_request_error")
                assert video not in answer.text
        own = theirs.get("/v1/webhook_endpoints").json()["data"]
        assert [each["url"] for each in own] == [receiver.url("/theirs")]
        assert mine.get(f"/v1/webhook_endpoints/{made['id']}").json()["name"] == "mine"
        assert len(receiver.at("/mine")) == 1


def test_a_delivery_is_sent_again_on_demand(world: World, receiver: Receiver) -> None:
    """By the API and by the command, under the same id, whatever became of it before."""
    with gateway(world) as server, api_of(server) as api:
        made = endpoint(api, receiver.url("/hook"))
        create(api)
        (delivery,) = wait_until(lambda: all_delivered(api, made["id"]))
        path = f"/v1/webhook_endpoints/{made['id']}/deliveries/{delivery['id']}/resend"
        assert api.post(path).raise_for_status().json()["status"] == "pending"
        wait_until(lambda: len(receiver.letters) == 2)
        command(world, "webhooks", "resend", delivery["id"])
        wait_until(lambda: len(receiver.letters) == 3)

        assert {letter.id for letter in receiver.letters} == {delivery["id"]}
        assert len({letter.body for letter in receiver.letters}) == 1


def test_a_receiver_that_is_gone_is_left_alone(world: World, receiver: Receiver) -> None:
    """410 disables an endpoint, with the reason shown; enabled again it is told of what comes, not of what was."""
    receiver.answers["/hook"] = [410]
    with gateway(world) as server, api_of(server) as api:
        made = endpoint(api, receiver.url("/hook"))
        first = create(api)
        path = f"/v1/webhook_endpoints/{made['id']}"
        wait_until(lambda: not api.get(path).json()["enabled"])
        assert "410" in api.get(path).json()["disabled_reason"]
        (delivery,) = deliveries(api, made["id"])
        assert (delivery["status"], delivery["last_status_code"]) == ("given_up", 410)
        refused = api.post(f"{path}/deliveries/{delivery['id']}/resend")
        assert refused.json()["error"]["code"] == "endpoint_disabled"
        ended(api, create(api))
        wait_until(lambda: not world.rows("SELECT event_id FROM event_untold"))  # its end has been dealt with
        assert "disabled" in command(world, "webhooks", "list")

        assert api.post(path, json={"enabled": True}).json()["enabled"]
        last = create(api)
        wait_until(lambda: receiver.told("/hook", last))
        assert [letter.event["data"]["id"] for letter in receiver.letters] == [first, last]


def test_the_operators_commands(world: World, receiver: Receiver) -> None:
    """An endpoint for every key or for one, its log, a test that says how it went, its removal."""
    with gateway(world) as server, api_of(server) as api, api_of(server, OTHER) as other, sdk_of(server) as sdk:
        all_id, secret = command(world, "webhooks", "add", receiver.url("/all")).split()
        ids = re.findall(r"env_\w+", command(world, "webhooks", "secret", "key_none", code=1))
        only = ("--key", ids[1], "--events", "video.completed")
        one_id, _ = command(world, "webhooks", "add", receiver.url("/one"), *only).split()
        listed = command(world, "webhooks", "list")
        assert len(ids) == 2
        assert all(word in listed for word in (all_id, one_id, "every key", ids[1], "enabled"))
        assert "whsec_" not in listed
        assert "200" in command(world, "webhooks", "test", all_id)
        (letter,) = receiver.at("/all")
        assert unwrapped(sdk, letter, secret).type == "video.completed"
        receiver.answers["/one"] = [500]
        assert "it answered 500" in command(world, "webhooks", "test", one_id, code=1)

        mine, theirs = create(api), create(other)
        wait_until(lambda: receiver.told("/all", mine) and receiver.told("/all", theirs))
        (told,) = wait_until(lambda: receiver.at("/one")[1:])
        assert told.event["data"]["id"] == theirs
        assert api.get(f"/v1/webhook_endpoints/{all_id}").status_code == 404
        assert api.get("/v1/webhook_endpoints").json()["data"] == []
        (line,) = command(world, "webhooks", "log", "--endpoint", one_id).splitlines()
        assert all(word in line for word in (told.id, theirs, one_id, "video.completed"))

        command(world, "webhooks", "remove", all_id)
        assert all_id not in command(world, "webhooks", "list")
        assert "No webhook endpoint" in command(world, "webhooks", "remove", all_id, code=1)
        assert "must begin with http" in command(world, "webhooks", "add", "ftp://x.test/", code=1)


def test_a_revoked_key_is_told_nothing_more(world: World, receiver: Receiver) -> None:
    """Neither its endpoints nor the links of its requests; the operator's endpoint is told of its videos."""
    world.fault(vendor="sora", op="submit", mode="wait", delay=8)
    with gateway(world) as server:
        key_id, key = command(world, "keys", "create", "somebody", "--callbacks").split()
        command(world, "webhooks", "add", receiver.url("/operator"))
        with api_of(server, key) as api:
            endpoint(api, receiver.url("/hook"))
            video = create(api, callback_url=receiver.url("/mine"))
        command(world, "keys", "revoke", key_id)

        wait_until(lambda: receiver.told("/operator", video))
        log = wait_until(lambda: _lines(world, video, "revoked", 2))
        assert all("given_up" in line for line in log)
        assert receiver.at("/hook") == receiver.at("/mine") == []


def _lines(world: World, video: str, word: str, count: int) -> list[str] | None:
    found = [line for line in command(world, "webhooks", "log").splitlines() if video in line and word in line]
    return found if len(found) == count else None

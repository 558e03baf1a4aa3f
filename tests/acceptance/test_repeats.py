"""Repeating a request costs nothing: by the caller's own key, and as OpenAI's SDK does it by itself."""

import asyncio
import re
import signal
import socket
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import openai
import pytest

from acceptance.conftest import KEY, OTHER, World, ended, wait_until
from acceptance.test_life import client_of, log_of
from forked import Server
from videogate.cli.demo import picture

BOB = {"authorization": f"Bearer {OTHER}"}
ASKED = {"model": "sora-2", "seconds": 4}


def keyed(key: str, prompt: str, **more: Any) -> dict[str, Any]:
    """A request with an idempotency key, as httpx takes it."""
    return {"headers": {"idempotency-key": key, **more}, "json": {**ASKED, "prompt": prompt}}


def paid_for(world: World, prompt: str) -> int:
    """How many jobs with this prompt a vendor accepted."""
    return sum(job["prompt"] == prompt for job in world.paid())


def error_of(answer: httpx.Response) -> tuple[int, str, str]:
    """Status, param and code of a refusal."""
    error = answer.json()["error"]
    return answer.status_code, error["param"], error["code"]


# By key


async def test_fifty_at_once_are_one_video(shared: tuple[World, Server]) -> None:
    """Equal requests with one key at the same moment get equal answers, and one job is paid for."""
    world, server = shared
    async with httpx.AsyncClient(base_url=server.url, headers={"authorization": f"Bearer {KEY}"}, timeout=60) as many:
        answers = await asyncio.gather(*(many.post("/v1/videos", **keyed("fifty", "fifty")) for _ in range(50)))

    assert {answer.status_code for answer in answers} == {201}
    (made,) = {answer.json()["id"] for answer in answers}
    with client_of(server) as api:
        ended(api, made)
        assert [each["prompt"] for each in api.get("/v1/videos?limit=100").json()["data"]].count("fifty") == 1
    assert paid_for(world, "fifty") == 1


def test_a_repeated_request_is_answered_as_the_first_was(api: httpx.Client) -> None:
    """The status is a create's, the body the video as it is by now; the form in which it is asked does not matter."""
    first = api.post("/v1/videos", **keyed("again", "again"))
    done = ended(api, first.json()["id"])

    again = api.post("/v1/videos", **keyed("again", "again"))
    fields = {name: (None, str(value)) for name, value in {**ASKED, "prompt": "again"}.items()}
    form = api.post("/v1/videos", headers={"idempotency-key": "again"}, files=fields)

    assert [answer.status_code for answer in (first, again, form)] == [201] * 3
    for answer in (again, form):
        assert {**answer.json(), "url": None} == {**done, "url": None}
        assert httpx.get(answer.json()["url"]).status_code == 200


def test_a_key_takes_one_request(api: httpx.Client) -> None:
    """Another body under a used key is refused; nothing is made of it."""
    first = api.post("/v1/videos", **keyed("one", "one")).json()["id"]

    assert error_of(api.post("/v1/videos", **keyed("one", "two"))) == (400, "Idempotency-Key", "idempotency_key_reuse")

    assert api.post("/v1/videos", **keyed("one", "one")).json()["id"] == first
    assert "two" not in [each["prompt"] for each in api.get("/v1/videos?limit=100").json()["data"]]


def test_another_callers_key_is_another(api: httpx.Client) -> None:
    """Callers do not see each other through their keys."""
    mine = api.post("/v1/videos", **keyed("shared", "shared"))
    theirs = api.post("/v1/videos", **keyed("shared", "shared", **BOB))

    assert (mine.status_code, theirs.status_code) == (201, 201)
    assert mine.json()["id"] != theirs.json()["id"]


@pytest.mark.parametrize("key", ["k" * 256, ""], ids=["too long", "empty"])
def test_what_is_no_key_is_refused(api: httpx.Client, key: str) -> None:
    """A key that cannot be kept is a 400 that names the header."""
    assert error_of(api.post("/v1/videos", **keyed(key, "x"))) == (400, "Idempotency-Key", "invalid_value")


# By the client's count of tries


def test_equal_requests_without_a_key_are_two(api: httpx.Client) -> None:
    """Who asks twice wants two."""
    ids = {api.post("/v1/videos", json=ASKED | {"prompt": "twice"}).json()["id"] for _ in range(2)}

    assert len(ids) == 2


def test_a_retried_upload_is_the_first_one(world: World) -> None:
    """Another boundary and another copy of the picture are the same request; the copy leaves no file."""
    cat = picture(960, 640)

    def ask(client: httpx.Client, tries: str, content: bytes) -> str:
        answer = client.post(
            "/v1/videos",
            headers={"x-stainless-retry-count": tries},
            data={"model": "wan2.5-i2v-preview", "prompt": "the cat stretches"},
            files={"input_reference": ("cat.png", content, "image/png")},
        )
        video: str = answer.raise_for_status().json()["id"]
        return video

    world.fault(vendor="wanxiang", op="submit", mode="throttle", times=None, retry_after=5)
    with world.gateway() as server, client_of(server) as client:
        first = ask(client, "0", cat)
        kept = [path.name for path in world.inputs()]

        assert ask(client, "1", cat) == first
        assert ask(client, "2", cat) == first
        assert len(kept) == 1
        assert [path.name for path in world.inputs()] == kept
        assert ask(client, "1", picture(640, 960)) != first


class Loss(StrEnum):
    """How the answer to a request is lost."""

    AFTER = "the answer came and got lost"
    BEFORE = "the client's side broke, the gateway saw nothing of it"
    BOTH = "the whole connection broke as soon as the request was through"


@dataclass
class Line:
    """A proxy before a gateway that loses the answer to the first POST and carries everything else."""

    to: str
    loss: Loss
    posts: list[bytes] = field(default_factory=list)

    async def carry(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Carry one connection."""
        there = urlsplit(self.to)
        answers, asks = await asyncio.open_connection(there.hostname, there.port)
        try:
            while request := await _request(reader):
                first = request.startswith(b"POST") and not self.posts
                if request.startswith(b"POST"):
                    self.posts.append(request)
                asks.write(request)
                await asks.drain()
                if first:
                    if self.loss is Loss.AFTER:
                        await answers.read(1)
                    writer.transport.abort()
                    if self.loss is Loss.BEFORE:
                        await answers.read(1)
                    return
                writer.write(await _answer(answers))
                await writer.drain()
        finally:
            asks.transport.abort()
            writer.transport.abort()


async def _request(reader: StreamReader) -> bytes:
    """One whole message with a length, or nothing at the connection's end."""
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        return head + await reader.readexactly(int(length[1]) if length else 0)
    return b""


_answer = _request  # the gateway's answers have a length too


@asynccontextmanager
async def lossy(to: str, loss: Loss) -> AsyncIterator[tuple[str, Line]]:
    """Such a proxy, and the URL to reach it at."""
    line = Line(to, loss)
    server = await asyncio.start_server(line.carry, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", line
        server.close()


# The SDK marks its video methods as deprecated since OpenAI's own service ended.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("loss", Loss)
@pytest.mark.parametrize("upload", [False, True], ids=["json", "picture"])
async def test_the_sdk_tries_again_and_one_video_is_paid(
    shared: tuple[World, Server], cat: Path, loss: Loss, upload: bool
) -> None:
    """An unmodified SDK whose first answer is lost tries again by itself: it gets the one video that is paid for."""
    world, server = shared
    prompt = f"{loss} {upload}"
    more: Any = {"model": "wan2.5-i2v-preview", "input_reference": cat} if upload else ASKED | {"seconds": "4"}
    async with (
        lossy(server.url, loss) as (url, line),
        openai.AsyncOpenAI(api_key=KEY, base_url=f"{url}/v1") as client,
    ):
        video = await client.videos.create(prompt=prompt, **more)
        done = await client.videos.poll(video.id, poll_interval_ms=100)
        listed = [each.id async for each in client.videos.list(limit=100) if each.prompt == prompt]

    assert done.status == "completed"
    assert [re.findall(rb"(?i)x-stainless-retry-count: (\d)", post) for post in line.posts] == [[b"0"], [b"1"]]
    assert listed == [video.id]
    assert paid_for(world, prompt) == 1


@pytest.mark.parametrize("form", ["json", "multipart"])
@pytest.mark.parametrize("missing", [0, 40], ids=["whole", "broken off"])
def test_nothing_is_made_for_who_has_left(world: World, form: str, missing: int) -> None:
    """A request whose caller hung up before the gateway came to it makes nothing, and makes no noise in the log."""
    given = {**ASKED, "prompt": "left"}
    body: dict[str, Any] = (
        {"json": given}
        if form == "json"
        else {"data": given, "files": {"input_reference": ("cat.png", picture(1280, 720), "image/png")}}
    )
    with world.gateway() as server, client_of(server) as client:
        request = client.build_request("POST", "/v1/videos", **body)
        lines = ["POST /v1/videos HTTP/1.1", *(f"{name}: {value}" for name, value in request.headers.items())]
        there = urlsplit(server.url)
        server.send(signal.SIGSTOP)
        try:
            with socket.create_connection((there.hostname, there.port or 0)) as line:
                sent = "\r\n".join([*lines, "", ""]).encode() + request.read()
                line.sendall(sent[: len(sent) - missing])
        finally:
            server.send(signal.SIGCONT)
        seen = wait_until(lambda: [each for each in log_of(server) if each["event"] == "request"])

        assert [each["status"] for each in seen] == [499]
        assert client.get("/v1/videos").json()["data"] == []
        assert world.inputs() == []
    assert not [each for each in log_of(server) if each["level"] in {"warning", "error", "critical"}]
    assert world.paid() == []

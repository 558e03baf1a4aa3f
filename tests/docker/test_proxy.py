"""The shipped proxy configuration in a real HAProxy, before raw servers and before two real gateways."""

import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from acceptance.conftest import KEY, World, ended, make_world
from conftest import Bucket
from forked import Server
from proxied import Upstream, free_port, haproxy, names, proxy, shipped, until
from videogate.cli.demo import picture

ADDRESSES = ("127.0.0.2", "127.0.0.3")
MIB = 1024 * 1024
SAMPLE = 64 * MIB
HELD = 16 * MIB  # more than all sockets between two ends hold, far less than the sample

pytestmark = pytest.mark.skipif(
    haproxy() is None and "VIDEOGATE_TEST_PROXY" not in os.environ, reason="there is no haproxy"
)


@dataclass(frozen=True)
class Pair:
    """Two gateways that share a database and a bucket, and the proxy before them."""

    url: str
    gateways: tuple[Server, Server]

    def client(self) -> httpx.Client:
        """A caller of the proxy."""
        return httpx.Client(base_url=self.url, headers={"authorization": f"Bearer {KEY}"}, timeout=30)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A simulator, whose videos take a moment."""
    with make_world(tmp_path, render_seconds=2.0) as made:
        yield made


@pytest.fixture
def pair(world: World, database_url: str, bucket: Bucket) -> Iterator[Pair]:
    """The set-up of docker/compose.scale.yaml."""
    port = free_port(ADDRESSES[0])
    with ExitStack() as stack:
        gateways = [
            stack.enter_context(
                world.gateway(DATABASE_URL=database_url, MEDIA_URL=bucket.url, HOST=address, PORT=str(port))
            )
            for address in ADDRESSES
        ]
        url = stack.enter_context(proxy(world.folder, ADDRESSES, port))
        until(lambda: httpx.get(f"{url}/health/ready").status_code == 200)
        yield Pair(url, (gateways[0], gateways[1]))


@pytest.fixture
def port() -> int:
    """A port that is free on both addresses."""
    return free_port(ADDRESSES[0])


def test_the_program_itself_finds_no_fault(tmp_path: Path) -> None:
    """HAProxy takes the configuration without a warning."""
    program = haproxy()
    assert program is not None, "VIDEOGATE_TEST_PROXY is set, and there is no haproxy"
    config = tmp_path / "haproxy.cfg"
    with names(()) as nameserver:
        config.write_text(shipped(8000, nameserver, 8000), "utf-8")
        done = subprocess.run([program, "-c", "-f", str(config)], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout + done.stderr


def test_content_streams_and_is_kept_nowhere(tmp_path: Path, port: int) -> None:
    """The first bytes arrive while the rest is not yet sent, and who stops reading stops the sender."""
    read_some, passed = threading.Event(), 0

    def video(connection: socket.socket) -> None:
        nonlocal passed
        connection.sendall(f"HTTP/1.1 200 OK\r\ncontent-length: {SAMPLE}\r\n\r\nfirst".encode())
        assert read_some.wait(20)
        try:
            for _ in range(SAMPLE // MIB):
                connection.sendall(bytes(MIB))
                passed += MIB
        except OSError:
            return

    upstream = Upstream(ADDRESSES[0], port, video)
    try:
        with proxy(tmp_path, ADDRESSES[:1], port) as url, httpx.Client(base_url=url, timeout=20) as client:
            until(lambda: client.get("/health/ready").status_code == 200)
            with client.stream("GET", "/v1/videos/video_1/content") as answer:
                first = next(answer.iter_raw())
                read_some.set()
                in_between = steady(lambda: passed)
    finally:
        upstream.close()

    assert first == b"first"
    assert in_between < HELD


def test_a_create_that_broke_off_is_not_repeated(tmp_path: Path, port: int) -> None:
    """A gateway that dies after it got a request has it alone: the caller is told, the other gateway is not asked."""

    def die(connection: socket.socket) -> None:
        connection.recv(MIB)

    upstreams = [Upstream(address, port, die) for address in ADDRESSES]
    try:
        with proxy(tmp_path, ADDRESSES, port) as url:
            until(lambda: httpx.get(f"{url}/health/ready").status_code == 200)
            status, answer = post_at_once(url, b'{"prompt": "A cat"}')
    finally:
        for upstream in upstreams:
            upstream.close()

    assert [head for each in upstreams for head in each.heads] == ["POST /v1/videos HTTP/1.1"]
    assert status == 502
    assert answer["error"]["type"] == "server_error"
    assert "Idempotency-Key" in answer["error"]["message"]


def test_no_gateway_is_said_as_the_gateway_would(tmp_path: Path, port: int) -> None:
    """Without a gateway callers get an error in the API's own form, and when to come back."""
    with proxy(tmp_path, ADDRESSES, port) as url:
        until(lambda: httpx.get(url).status_code == 503)
        answer = httpx.get(f"{url}/v1/videos")

    assert answer.json()["error"].keys() == {"message", "type", "param", "code"}
    assert answer.headers["retry-after"] == "5"


def test_two_gateways_are_one_to_their_callers(pair: Pair, world: World) -> None:
    """Requests are spread over both; a large upload, events and content pass; when one is killed, the other goes on."""
    with pair.client() as client:
        until(lambda: all(_requests(gateway, client) > 0 for gateway in pair.gateways))

        film = picture(2400, 2000) + bytes(2 * MIB)  # what follows a picture's end is nobody's
        files = {"input_reference": ("large.png", film, "image/png")}
        form = {"model": "kling-v1", "prompt": "A cat", "seconds": "5"}
        made = client.post("/v1/videos", data=form, files=files).raise_for_status().json()
        events = _events(client, made["id"])

        assert events[0] in {"video.queued", "video.in_progress"}
        assert events[-1] == "video.completed"
        content = client.get(f"/v1/videos/{made['id']}/content").raise_for_status()
        assert int(content.headers["content-length"]) == len(content.content)

        pair.gateways[0].kill()
        after = [client.get("/v1/models").status_code for _ in range(10)]
        other = client.post("/v1/videos", json=form).raise_for_status().json()

        assert after == [200] * 10
        assert ended(client, other["id"], 60)["status"] in {"succeeded", "completed"}
    assert len(world.paid()) == 2


def post_at_once(url: str, body: bytes) -> tuple[int, Any]:
    """A create in one packet, head and body: what a proxy could repeat if it were told to. Returns status and JSON."""
    host, _, port = url.removeprefix("http://").partition(":")
    head = f"POST /v1/videos HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(head.encode() + body)
        with connection.makefile("rb") as stream:
            answer = stream.read()
    top, _, content = answer.partition(b"\r\n\r\n")
    return int(top.split()[1]), json.loads(content)


def steady(figure: Callable[[], int]) -> int:
    """Wait until a figure above 0 has not changed for a second, and return it."""
    seen = [-1]
    while seen[-1] == 0 or seen[-1] != seen[0] or len(seen) < 10:
        seen = [*seen[-9:], figure()]
        time.sleep(0.1)
    return seen[-1]


def _requests(gateway: Server, through: httpx.Client) -> int:
    """How many requests of callers a gateway has had; asks for one more through the proxy."""
    through.get("/v1/models").raise_for_status()
    return gateway.log.read_text("utf-8").count('"path": "/v1/models"')


def _events(client: httpx.Client, video_id: str) -> list[str]:
    """The names of a video's events, as they come; the first comes while the video is under way."""
    found = []
    with client.stream("GET", f"/v1/videos/{video_id}/events") as stream:
        for line in stream.iter_lines():
            if line.startswith("event: "):
                found.append(line.removeprefix("event: "))
            elif line.startswith("data: ") and len(found) == 1:
                assert json.loads(line.removeprefix("data: "))["status"] not in {"succeeded", "completed", "failed"}
                assert client.get(f"/v1/videos/{video_id}").json()["completed_at"] is None
    return found

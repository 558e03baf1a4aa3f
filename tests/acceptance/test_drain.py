"""The end of a server: whoever has been let in is served, nothing is half sent, and it does not take long."""

import re
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from urllib.parse import urlsplit

import httpx

from acceptance.conftest import KEY, World, ended, wait_until
from forked import Server

AUTHORIZED = {"authorization": f"Bearer {KEY}"}
LIMIT = 20.0  # seconds from the signal to the end, with vendors that answer
CLIENTS = 6


def create(url: str, name: str) -> str:
    """Ask for a video over a connection of its own."""
    body = {"model": "kling-v1", "prompt": f"a film called {name}"}
    answer = httpx.post(f"{url}/v1/videos", json=body, headers=AUTHORIZED, timeout=30)
    video: str = answer.raise_for_status().json()["id"]
    return video


def ready(url: str) -> int:
    """The status of the readiness probe; 0 if nobody listens."""
    try:
        return httpx.get(f"{url}/health/ready", timeout=30).status_code
    except httpx.ConnectError:
        return 0


def ends_well(world: World, server: Server) -> None:
    """It ends with 0 within the limit and leaves no lease and nothing that is half sent."""
    assert server.ended(LIMIT) == 0
    assert world.rows("SELECT id FROM attempt WHERE state = 'sending'") == []
    assert world.rows("SELECT id FROM task WHERE lease_until > 0 OR lease_by IS NOT NULL") == []


def goes_on(world: World, videos: list[str]) -> None:
    """The next server completes every video, and each was paid for once."""
    with world.gateway() as server, httpx.Client(base_url=server.url, headers=AUTHORIZED, timeout=30) as client:
        assert {ended(client, video, 60)["status"] for video in videos} <= {"succeeded"}
    prompts = [job["prompt"] for job in world.paid()]
    assert len(prompts) == len(set(prompts)) == len(videos)


@contextmanager
def load(url: str, stop: Event) -> Iterator[list[str]]:
    """Clients that create and read until told to stop, as behind a load balancer: none sends when it is not ready."""
    made: list[str] = []

    def work(number: int) -> None:
        count = 0
        while not stop.is_set():
            video = create(url, f"{number}-{count}")
            made.append(video)
            count += 1
            httpx.get(f"{url}/v1/videos/{video}", headers=AUTHORIZED, timeout=30).raise_for_status()

    with ThreadPoolExecutor(CLIENTS) as pool:
        working = [pool.submit(work, number) for number in range(CLIENTS)]
        yield made
        stop.set()
    for each in working:
        each.result()  # raises what failed


def test_behind_a_load_balancer_no_request_fails(world: World) -> None:
    """With a delay, readiness says 503 while everything is still answered; who turns away then has lost nothing."""
    with world.gateway(DRAIN_DELAY="6") as server:
        stop = Event()
        with load(server.url, stop) as made:
            wait_until(lambda: len(made) >= CLIENTS)
            assert ready(server.url) == 200
            server.terminate()
            wait_until(lambda: ready(server.url) == 503)
            before = len(made)
            wait_until(lambda: len(made) > before)  # it goes on all the same
            stop.set()
        ends_well(world, server)
    goes_on(world, made)


def test_whoever_was_let_in_is_answered(world: World) -> None:
    """A create that is half sent, a caller that waits and a download that is half read all end well after SIGTERM."""
    world.fault(vendor="kling", op="submit", mode="slow", delay=2, times=1)
    with world.gateway() as server, ThreadPoolExecutor() as pool:
        with httpx.Client(base_url=server.url, headers=AUTHORIZED, timeout=30) as client:
            done = create(server.url, "done")
            ended(client, done)
        host = (urlsplit(server.url).hostname, urlsplit(server.url).port)
        body = b'{"model": "kling-v1", "prompt": "half sent"}'
        with (
            socket.create_connection(host) as half,
            httpx.stream("GET", f"{server.url}/v1/videos/{done}/content", headers=AUTHORIZED) as download,
        ):
            head = f"POST /v1/videos HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
            half.sendall(f"{head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode())
            half.sendall(body[:10])
            pieces = download.iter_raw(1000)
            film = next(pieces)
            prefer = {**AUTHORIZED, "prefer": "wait=30"}
            world.fault(vendor="kling", op="poll", mode="slow", delay=1, times=None)
            sent = create(server.url, "waits")
            waits = pool.submit(httpx.get, f"{server.url}/v1/videos/{sent}", headers=prefer, timeout=60)
            time.sleep(0.5)

            server.terminate()
            time.sleep(0.5)
            half.sendall(body[10:])
            half.settimeout(30)
            answer = b"".join(iter(lambda: half.recv(65536), b""))
            film += b"".join(pieces)

            assert answer.startswith(b"HTTP/1.1 201 ")
            assert len(film) == int(download.headers["content-length"])
            assert waits.result().status_code == 200
        ends_well(world, server)
    world.no_faults()
    found = re.search(rb"video_[0-9a-f]+", answer)
    assert found
    goes_on(world, [done, sent, found[0].decode()])


def test_a_second_signal_ends_it_at_once(world: World) -> None:
    """While a vendor hangs, the first signal waits for it and the second does not; the next server goes on."""
    world.fault(vendor="kling", op="submit", mode="hang", times=1)
    with world.gateway() as server:
        video = create(server.url, "hangs")
        wait_until(lambda: world.rows("SELECT id FROM attempt WHERE state = 'sending'"))
        server.terminate()
        time.sleep(1.5)
        assert server.ended(0) is None
        began = time.monotonic()
        server.terminate()
        assert server.ended(10) == -signal.SIGTERM
        assert time.monotonic() - began < 2
    world.no_faults()
    with (
        world.gateway(UNKNOWN_WINDOW="1") as server,
        httpx.Client(base_url=server.url, headers=AUTHORIZED, timeout=30) as client,
    ):
        assert ended(client, video, 60)["status"] in {"succeeded", "failed"}
    assert len(world.paid()) <= 1

"""Hostile links at the gateway's own door: callers' pictures and vendors' results, with a canary inside."""

import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from threading import Thread

import httpx
import pytest

from acceptance.conftest import World, ended, wait_until
from acceptance.test_life import MODELS, assert_paid_once, client_of, create
from acceptance.test_trouble import details

MODEL = "sora-2"  # its vendor opens no links, so that the gateway reads them
PICTURES = """
    http://127.0.0.1:{port}/cat.png http://127.0.0.1/cat.png https://127.0.0.1/cat.png http://localhost:{port}/cat.png
    http://localhost/cat.png https://localhost/cat.png http://LOCALHOST/cat.png http://[::]/cat.png
    http://[::1]/cat.png http://[::ffff:127.0.0.1]/cat.png http://[64:ff9b::7f00:1]/cat.png http://127.1/cat.png
    http://0/cat.png http://0x7f.1/cat.png http://0x7f000001/cat.png http://2130706433/cat.png http://0177.0.0.1/cat.png
    http://169.254.169.254/latest/meta-data/ http://100.100.100.200/latest/meta-data/ http://168.63.129.16/
    http://example.com@127.0.0.1/cat.png http://127.0.0.1\\@example.com/cat.png http://localhost%00.example.com/cat.png
    file:///etc/passwd gopher://127.0.0.1:{port}/_x oss://127.0.0.1:{port}/x data:image/png;base64,AAAA http:127.0.0.1/x
"""
LOCATIONS = """
    http://127.0.0.1:{port}/ http://localhost/ //[::1]/ http://169.254.169.254/latest/meta-data/ file:///etc/passwd
"""


def links(table: str, port: int) -> list[str]:
    """The links of a table."""
    return table.replace("{port}", str(port)).split()


@dataclass
class Canary:
    """Servers inside that count who connects."""

    port: int
    visitors: list[object] = field(default_factory=list)

    def listen(self, server: socket.socket) -> None:
        """Count until the server is shut."""
        while True:
            try:
                visit, address = server.accept()
            except OSError:
                return
            self.visitors.append(address)
            visit.close()


@pytest.fixture
def canary() -> Iterator[Canary]:
    """A canary at a free port, and at those of HTTP where this machine allows it."""
    with ExitStack() as stack:
        first = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        made = Canary(first.getsockname()[1])
        servers = [first]
        for host, port in (("127.0.0.1", 80), ("127.0.0.1", 443), ("::1", 80), ("::1", 443), ("::1", made.port)):
            try:
                family = socket.AF_INET6 if ":" in host else socket.AF_INET
                servers.append(stack.enter_context(socket.create_server((host, port), family=family)))
            except OSError:
                continue
        watches = [Thread(target=made.listen, args=[server]) for server in servers]
        for watch in watches:
            watch.start()
        yield made
        for server, watch in zip(servers, watches, strict=True):
            server.shutdown(socket.SHUT_RDWR)
            watch.join()


def test_the_canary_sings(world: World, canary: Canary) -> None:
    """A gateway whose operator allows private addresses does visit the canary, and the visit is counted."""
    url = links(PICTURES, canary.port)[0]
    with world.gateway(FETCH_ALLOW_PRIVATE="true") as server, client_of(server) as client:
        client.post("/v1/videos", json={"model": MODEL, "prompt": "a cat", "input_reference": url}).raise_for_status()
        wait_until(lambda: canary.visitors)


def why(client: httpx.Client, answer: httpx.Response) -> str:
    """Why a request came to nothing: at once, or when its video failed."""
    error = answer.json()["error"]
    if answer.status_code == httpx.codes.CREATED:
        video = ended(client, answer.json()["id"])
        assert video["status"] == "failed", video
        error = video["error"]
        assert error["code"] == "invalid_request", error
    else:
        assert answer.status_code == httpx.codes.BAD_REQUEST, answer.text
    message: str = error["message"]
    return message


def test_hostile_pictures_lead_nowhere(world: World, canary: Canary) -> None:
    """Callers read in a sentence what is wrong with their link; the canary has no visitor and nothing is paid."""
    urls = links(PICTURES, canary.port)
    with world.gateway() as server, client_of(server) as client:
        asked = {
            url: client.post("/v1/videos", json={"model": MODEL, "prompt": "a cat", "input_reference": url})
            for url in urls
        }
        reasons = {url: why(client, answer) for url, answer in asked.items()}

    assert canary.visitors == []
    assert not world.paid()
    assert {
        url: said for url, said in reasons.items() if not re.fullmatch(r"[A-Z]?.*(link|URL|picture).*\.", said)
    } == {}
    assert {url: said for url, said in reasons.items() if re.search(r"Error|Exception|Traceback", said)} == {}


def test_hostile_results_lead_nowhere(world: World, canary: Canary) -> None:
    """A vendor whose results redirect inside is not followed; its callers read so, and get the video when it is right.

    The vendors' own servers are inside too, and outside every list of result hosts: those the operator configured.
    """
    for vendor, location in zip(MODELS, links(LOCATIONS, canary.port), strict=True):
        world.fault(vendor=vendor, op="result", mode="redirect", times=None, location=location)
    hosts = {f"{vendor.upper()}_RESULT_HOSTS": "example.com" for vendor in MODELS}
    with world.gateway(**hosts) as server, client_of(server) as client:
        made = [create(client, model, 1) for model in MODELS.values()]
        wait_until(lambda: all("could not be copied" in said for said in details(client, made)))
        told = details(client, made)
        world.no_faults()
        videos = [ended(client, video, 60) for video in made]

    assert canary.visitors == []
    assert {video["status"] for video in videos} == {"succeeded"}
    assert all("the link " in said for said in told), told
    assert_paid_once(world)

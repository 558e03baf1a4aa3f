"""Pages of other sites: who may call, what they may send and read, and that nobody may unless it is set."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from acceptance.conftest import KEY, World, ended, make_world
from acceptance.test_surface import assert_envelope
from forked import DiedAtStart
from videogate.web.cors import sharing
from videogate.web.middleware import Edge

pytestmark = pytest.mark.databases("sqlite")

APP = "https://app.example.com"
LOCAL = "http://localhost:3000"
OTHER = "https://other.example.com"
ALLOWED = "access-control-allow-origin"
CREATE = {"access-control-request-method": "POST", "access-control-request-headers": "authorization, content-type"}


@pytest.fixture(scope="module")
def open_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a gateway whose callers may be pages of two sites."""
    with (
        make_world(tmp_path_factory.mktemp("cors"), render_seconds=0.2) as world,
        world.gateway(CORS_ORIGINS=f"{APP}, {LOCAL}", MAX_BODY="100000") as server,
    ):
        yield server.url


@pytest.fixture
def page(open_world: str) -> Iterator[httpx.Client]:
    """What a page of a site that may call sends."""
    headers = {"authorization": f"Bearer {KEY}", "origin": APP}
    with httpx.Client(base_url=open_world, headers=headers, timeout=30) as client:
        yield client


def listed(answer: httpx.Response, header: str) -> set[str]:
    """The items of a header, in small letters."""
    return {item.strip().lower() for item in answer.headers.get(header, "").split(",")}


def test_nobody_may_call_unless_it_is_set(api: httpx.Client) -> None:
    """By default no answer has a header for other sites' pages, and a browser that asks is told of no such method."""
    assert_envelope(api.options("/v1/videos", headers={"origin": APP, **CREATE}), 405)
    answer = api.get("/v1/videos", headers={"origin": APP})

    assert answer.status_code == 200
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert "origin" not in listed(answer, "vary")


@pytest.mark.parametrize("origin", [APP, LOCAL])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_browser_that_asks_first_is_told_yes(open_world: str, origin: str, method: str) -> None:
    """A site on the list may use every method of ours, send any header, and need not ask again for ten minutes."""
    wanted = "authorization, api-key, content-type, idempotency-key, last-event-id, prefer, range, x-stainless-lang"
    asked = {"access-control-request-method": method, "access-control-request-headers": wanted}

    answer = httpx.options(f"{open_world}/v1/videos/video_0", headers={"origin": origin, **asked})

    assert (answer.status_code, answer.headers[ALLOWED]) == (200, origin)
    assert method.lower() in listed(answer, "access-control-allow-methods")
    assert listed(answer, "access-control-allow-headers") == {name.strip() for name in wanted.split(",")}
    assert answer.headers["access-control-max-age"] == "600"
    assert "access-control-allow-credentials" not in answer.headers
    assert "origin" in listed(answer, "vary")
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("origin", "method"), [(OTHER, "POST"), (f"{APP}.evil.example", "GET"), ("null", "GET"), (APP, "PATCH")]
)
def test_a_browser_that_asks_first_is_told_no(open_world: str, origin: str, method: str) -> None:
    """Another site, a name that only begins like one on the list, and another method are refused in the envelope."""
    asked = {**CREATE, "origin": origin, "access-control-request-method": method}

    answer = httpx.options(f"{open_world}/v1/videos", headers=asked)

    assert assert_envelope(answer, 400)["code"] == "cors_not_allowed"
    assert ALLOWED not in answer.headers


def test_a_page_reads_answers_and_their_headers(page: httpx.Client) -> None:
    """Create, content, a part of it and the link: each says that the page may read it, and which headers too."""
    made = page.post("/v1/videos", json={"model": "sora-2", "prompt": "x", "seconds": 2, "size": "640x360"})
    video = ended(page, made.json()["id"])
    path = f"/v1/videos/{video['id']}/content"
    part = page.get(path, headers={"range": "bytes=0-9"})
    link = httpx.get(video["url"], headers={"origin": APP})

    assert (part.status_code, link.status_code) == (206, 200)
    for answer in (made, page.get(path), part, link):
        assert answer.headers[ALLOWED] == APP
        assert "origin" in listed(answer, "vary")
        readable = listed(answer, "access-control-expose-headers")
        assert {"x-request-id", "openai-poll-after-ms", "content-range", "content-disposition"} <= readable
    assert "user-agent" in listed(made, "vary")


def test_a_page_reads_errors_too(page: httpx.Client) -> None:
    """A missing key, an unknown video, a wrong method, too large a body: a page sees the envelope, not a dead call."""
    for answer, status in (
        (page.get("/v1/videos", headers={"authorization": "Bearer wrong"}), 401),
        (page.get("/v1/videos/video_0"), 404),
        (page.get("/v1/nothing"), 404),
        (page.post("/v1/videos", json={"model": "none", "prompt": "x"}), 400),
        (page.patch("/v1/videos"), 405),
        (page.post("/v1/videos", content=bytes(200_000)), 413),
        (page.post("/v1/videos", content=iter([bytes(200_000)])), 413),
    ):
        assert_envelope(answer, status)
        assert answer.headers[ALLOWED] == APP


async def test_a_page_reads_that_we_failed() -> None:
    """Even an error that nobody foresaw can be read by a page, with its request id."""

    async def broken(*_: Any) -> None:
        raise RuntimeError("a bug")

    transport = httpx.ASGITransport(Edge(broken, max_body=100, around=sharing((APP,))))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        answer = await client.get("/v1/videos", headers={"origin": APP})

    assert_envelope(answer, 500)
    assert answer.headers[ALLOWED] == APP


def test_another_sites_page_reads_nothing(page: httpx.Client) -> None:
    """It is answered as anybody is, but without the word by which its browser would show it the answer."""
    answer = page.get("/v1/videos", headers={"origin": OTHER})

    assert answer.status_code == 200
    assert ALLOWED not in answer.headers
    assert "origin" in listed(answer, "vary")


def test_a_star_is_every_site(world: World) -> None:
    """With `*` any page may call, one from a file included; never with cookies."""
    with world.gateway(CORS_ORIGINS="*") as server:
        for origin in (OTHER, "null"):
            asked = httpx.options(f"{server.url}/v1/videos", headers={"origin": origin, **CREATE})
            answer = httpx.get(f"{server.url}/v1/videos", headers={"origin": origin})
            assert (asked.status_code, asked.headers[ALLOWED]) == (200, "*")
            assert (answer.status_code, answer.headers[ALLOWED]) == (401, "*")
            assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("origins", ["app.example.com", f"{APP}/", "https://*.example.com", f"{APP} {LOCAL}"])
def test_what_is_no_origin_is_refused_at_the_start(world: World, origins: str) -> None:
    """A name without its scheme, a path, a pattern: the server says which setting is wrong, and does not start."""
    with (
        pytest.raises(DiedAtStart, match=r"VIDEOGATE_CORS_ORIGINS.*must be an origin"),
        world.gateway(CORS_ORIGINS=origins),
    ):
        pass

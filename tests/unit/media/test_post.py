"""Posting to a link that somebody else chose, against real servers on this machine."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from unit.media.support import listening
from videogate.media import fetch, links
from videogate.media.fetch import SafeFetcher
from videogate.media.links import UnsafeLink
from videogate.task.errors import Unavailable

HEADERS = {"content-type": "application/json", "webhook-id": "wh_1"}
BODY = b'{"a":1}'

Reply = Callable[[asyncio.StreamWriter], Awaitable[None]]


def says(text: str) -> Reply:
    """Write an answer and hang up."""

    async def reply(writer: asyncio.StreamWriter) -> None:
        writer.write(text.replace("\n", "\r\n").encode())
        await writer.drain()

    return reply


@dataclass
class Receiver:
    """A server that notes every request, body and all, and answers what the test says."""

    reply: Reply = field(default_factory=lambda: says("HTTP/1.1 204 OK\n\n"))
    requests: list[bytes] = field(default_factory=list)
    left: int = 0  # visitors that hung up before their answer was whole
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?token=%41"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.requests.append(head + await reader.readexactly(len(BODY)))
            await self.reply(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.left += 1
        finally:
            writer.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    async with listening(made.serve) as made.port:
        yield made


@pytest.fixture
async def fetcher() -> AsyncIterator[SafeFetcher]:
    """One that may reach this machine."""
    made = SafeFetcher(allow_private=True)
    yield made
    await made.close()


@pytest.mark.parametrize("status", [200, 204, 400, 410, 500])
async def test_a_post_tells_the_status(status: int, receiver: Receiver, fetcher: SafeFetcher) -> None:
    """Whatever it is; what arrives is the body with our headers, at the link as it is written, without a stay."""
    receiver.reply = says(f"HTTP/1.1 {status} X\n" + ("\n" if status == 204 else "content-length: 2\n\nok"))
    assert await fetcher.post(receiver.url, BODY, HEADERS) == status

    (request,) = receiver.requests
    head = request.decode().lower()
    assert request.startswith(b"POST /hook?token=%41 HTTP/1.1\r\n")
    assert request.endswith(BODY)
    assert "content-type: application/json\r\n" in head
    assert "webhook-id: wh_1\r\n" in head
    assert "connection: close\r\n" in head


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(status: int, receiver: Receiver, fetcher: SafeFetcher) -> None:
    """It is an answer like others."""
    receiver.reply = says(
        f"HTTP/1.1 {status} X\nlocation: http://127.0.0.1:{receiver.port}/else\ncontent-length: 0\n\n"
    )

    assert await fetcher.post(receiver.url, BODY, HEADERS) == status
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("", "its host broke the connection off"),
        ("220 mail.test ESMTP\n", "its host's answer is not HTTP"),
        ("HTTP/1.1 200", "its host's answer is not HTTP|its host broke the connection off"),
    ],
)
async def test_what_is_no_answer_is_said_in_words(
    answer: str, words: str, receiver: Receiver, fetcher: SafeFetcher
) -> None:
    """A connection that breaks off, and what is not HTTP."""
    receiver.reply = says(answer)

    with pytest.raises(Unavailable, match=words):
        await fetcher.post(receiver.url, BODY, HEADERS)


async def test_a_receiver_that_is_down(fetcher: SafeFetcher, receiver: Receiver) -> None:
    """Nobody listens there, or nobody has that name."""
    with pytest.raises(Unavailable, match="its host takes no connection"):
        await fetcher.post("http://127.0.0.1:1/", BODY, HEADERS)
    with pytest.raises(Unavailable, match="its host was not found"):
        await fetcher.post("http://nowhere.invalid/", BODY, HEADERS)


async def test_a_receiver_that_hangs(receiver: Receiver, fetcher: SafeFetcher, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is left when its time is over."""
    monkeypatch.setattr(fetch, "POST_SECONDS", 0.2)
    hung = asyncio.Event()

    async def hang(writer: asyncio.StreamWriter) -> None:
        await hung.wait()

    receiver.reply = hang
    with pytest.raises(Unavailable, match="did not answer in time"):
        await fetcher.post(receiver.url, BODY, HEADERS)
    hung.set()


async def test_an_answer_that_never_ends_is_an_answer(
    receiver: Receiver, fetcher: SafeFetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its status counts; the rest is heard for as long as a post may take."""
    monkeypatch.setattr(fetch, "POST_SECONDS", 0.5)

    async def drip(writer: asyncio.StreamWriter) -> None:
        await says("HTTP/1.1 200 OK\ncontent-length: 1000000000\n\n")(writer)
        while not writer.is_closing():
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    receiver.reply = drip
    assert await fetcher.post(receiver.url, BODY, HEADERS) == 200


async def test_a_long_answer_is_not_heard_out(receiver: Receiver, fetcher: SafeFetcher) -> None:
    """Its status counts, and its server is left in the middle of it; a short one is heard to its end."""
    sent: list[int] = []

    async def flood(writer: asyncio.StreamWriter) -> None:
        await says("HTTP/1.1 200 OK\ncontent-length: 268435456\n\n")(writer)
        for _ in range(256):
            writer.write(b"x" * 1024**2)
            await writer.drain()
        sent.append(256)

    receiver.reply = flood
    assert await fetcher.post(receiver.url, BODY, HEADERS) == 200
    while not receiver.left | len(sent):  # noqa: ASYNC110 (the receiver counts)
        await asyncio.sleep(0.01)
    assert sent == []
    receiver.reply = says("HTTP/1.1 200 OK\ncontent-length: 1000\n\n" + "x" * 1000)
    assert await fetcher.post(receiver.url, BODY, HEADERS) == 200
    assert receiver.left == 1


async def test_posts_that_hang_take_nothing_from_downloads(receiver: Receiver, fetcher: SafeFetcher) -> None:
    """However many of them there are, a result is read meanwhile."""
    hung = asyncio.Event()

    async def hang(writer: asyncio.StreamWriter) -> None:
        await hung.wait()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await says("HTTP/1.1 200 OK\ncontent-length: 4\n\nfilm")(writer)
        writer.close()

    receiver.reply = hang
    site = await asyncio.start_server(serve, "127.0.0.1", 0)
    posts = [asyncio.create_task(fetcher.post(receiver.url, BODY, HEADERS)) for _ in range(100)]
    while len(receiver.requests) < len(posts):  # noqa: ASYNC110 (the receiver counts)
        await asyncio.sleep(0.01)

    assert await fetcher.read(f"http://127.0.0.1:{site.sockets[0].getsockname()[1]}/", 10) == b"film"
    for post in posts:
        post.cancel()
    await asyncio.gather(*posts, return_exceptions=True)
    hung.set()
    site.close()
    await site.wait_closed()


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/", "http://[::1]/", "http://localhost/", "http://10.0.0.1/", "ftp://x/"]
)
async def test_nothing_is_posted_inside(url: str) -> None:
    """A strict fetcher refuses what leads inside, by its text or by its address."""
    strict = SafeFetcher()
    try:
        with pytest.raises(UnsafeLink):
            await strict.post(url, BODY, HEADERS)
    finally:
        await strict.close()


async def test_an_address_is_judged_once_more_where_the_connection_is_made(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look-up that let an address inside pass would not be enough to reach it."""
    monkeypatch.setattr(fetch.ApartResolver, "_may_be_opened", lambda *_: True)
    monkeypatch.setattr(links, "_PORTS", links._PORTS | {receiver.port})
    strict = SafeFetcher()
    try:
        with pytest.raises(UnsafeLink):
            await strict.post(f"http://localhost:{receiver.port}/", BODY, HEADERS)
    finally:
        await strict.close()
    assert receiver.requests == []

"""The client: every network error has one meaning, and no secret leaves in a text."""

import asyncio
import gzip
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from videogate.task.errors import NotDelivered, NotUnderstood, OutcomeUnknown, Unavailable
from videogate.vendorkit import client as module
from videogate.vendorkit.client import Call, FilePart, Prepared, Reply, VendorClient, origin
from videogate.vendorkit.lines import PlainLine
from videogate.vendorkit.outcome import NEVER_SENT
from videogate.vendorkit.polls import Polls

SECRET = "sk-canary-5d1f"
GET = Call("GET", "/jobs/1")
POST = Call("POST", "/jobs", json={"prompt": "x"})
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def authorize(_: Prepared) -> dict[str, str]:
    return {"authorization": f"Bearer {SECRET}"}


def mocked(handler: Callable[[httpx.Request], httpx.Response], base: str = "https://api.test/v1") -> VendorClient:
    line = PlainLine(httpx.AsyncClient(transport=httpx.MockTransport(handler)))
    return VendorClient("v", base, secrets=[SECRET, ""], submits=line, polls=line, opener=SimpleNamespace())


def failing(error: Exception) -> VendorClient:
    def handler(_: httpx.Request) -> httpx.Response:
        raise error

    return mocked(handler)


def answering(*args: Any, **kwargs: Any) -> VendorClient:
    return mocked(lambda _: httpx.Response(*args, **kwargs))


# The map of errors


def descendants(kind: type[Exception]) -> Iterator[type[Exception]]:
    yield kind
    for each in kind.__subclasses__():
        yield from descendants(each)


# Every transport error of httpx, and whether the request may have left. A new one fails the test below.
MAY_HAVE_LEFT = {
    "TransportError": True,
    "TimeoutException": True,
    "ConnectTimeout": False,
    "ReadTimeout": True,
    "WriteTimeout": True,
    "PoolTimeout": False,
    "NetworkError": True,
    "ConnectError": False,
    "ReadError": True,
    "WriteError": True,
    "CloseError": True,
    "ProxyError": False,
    "UnsupportedProtocol": False,
    "ProtocolError": True,
    "LocalProtocolError": False,
    "RemoteProtocolError": True,
}
TRANSPORT_ERRORS = [each for each in descendants(httpx.TransportError) if each.__module__ == "httpx"]
OTHERS: list[Exception] = [
    httpx.DecodingError("x"),
    httpx.TooManyRedirects("x"),
    httpx.InvalidURL("x"),
    httpx.StreamClosed(),
    httpx.ResponseNotRead(),
    TimeoutError(),
    ConnectionResetError(),
    OSError(),
]


def test_every_transport_error_of_httpx_is_classified() -> None:
    """A class that a new httpx brings has to be thought about here."""
    assert {each.__name__ for each in TRANSPORT_ERRORS} == MAY_HAVE_LEFT.keys()
    assert {each.__name__ for each in NEVER_SENT} == {name for name, left in MAY_HAVE_LEFT.items() if not left}


@pytest.mark.parametrize("kind", TRANSPORT_ERRORS)
async def test_a_transport_error_on_a_submit(kind: type[Exception]) -> None:
    """Only what surely came before the first byte lets the request be sent again."""
    expected = OutcomeUnknown if MAY_HAVE_LEFT[kind.__name__] else NotDelivered
    client = failing(kind("x"))

    with pytest.raises(expected, match=kind.__name__):
        await client.submit(client.prepare(POST), authorize)


@pytest.mark.parametrize("error", OTHERS, ids=lambda error: type(error).__name__)
async def test_any_other_error_on_a_submit_is_an_unknown_outcome(error: Exception) -> None:
    """What is not surely harmless is not."""
    client = failing(error)

    with pytest.raises(OutcomeUnknown):
        await client.submit(client.prepare(POST), authorize)


@pytest.mark.parametrize(
    "error", [*(kind("x") for kind in TRANSPORT_ERRORS), *OTHERS], ids=lambda error: type(error).__name__
)
async def test_every_error_on_a_poll_is_unavailable(error: Exception) -> None:
    """A poll may be repeated, whatever happened to it."""
    with pytest.raises(Unavailable):
        await failing(error).call(GET, authorize)


async def test_a_path_that_makes_no_url_is_unavailable() -> None:
    """An id out of which no URL can be made ends in our own error."""
    with pytest.raises(Unavailable):
        await answering(200).call(Call("GET", "/jobs/\x00"), authorize)


# Real sockets


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[str]:
    """A TCP server on a free port of this machine; its base URL."""

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(once, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    try:
        yield f"http://{host}:{port}/v1"
    finally:
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def real(base: str) -> AsyncIterator[VendorClient]:
    """A client with the transports that the server uses."""
    submits = httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(trust_env=False))
    polls = Polls(connect=5, silence=5)
    async with submits, polls:
        yield VendorClient(
            "v", base, secrets=[SECRET], submits=PlainLine(submits), polls=polls, opener=SimpleNamespace()
        )


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next((line[16:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b"0")
    return head + await reader.readexactly(int(length))


def _says(*pieces: bytes, reset: bool = False) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _request(reader)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        if reset:
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")

    return serve


async def _hangs(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


async def _drips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await _request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    while not reader.at_eof():
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


_JUNK_GZIP = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 5\r\n\r\njunk!"
_BOMB = gzip.compress(b" " * (module.BODY_LIMIT + 1))
BROKEN: dict[str, Serve] = {
    "closes without a byte": _says(),
    "resets without a byte": _says(reset=True),
    "half a head": _says(b"HTTP/1.1 200 OK\r\ncontent-"),
    "half a body": _says(b'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"id": '),
    "resets in the body": _says(b'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"id": ', reset=True),
    "half a chunk": _says(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n64\r\n{"),
    "no HTTP": _says(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
    "junk for gzip": _says(_JUNK_GZIP),
    "far too much": _says(b"HTTP/1.1 200 OK\r\n\r\n", *[b" " * 2**20] * 5),
    "far too much once unpacked": _says(
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(_BOMB), _BOMB
    ),
    "never answers": _hangs,
    "answers for ever": _drips,
}


@pytest.mark.parametrize("serve", BROKEN.values(), ids=BROKEN.keys())
async def test_a_server_that_breaks_down(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """It took the request: a submit's outcome is unknown; a poll may be repeated."""
    monkeypatch.setattr(module, "SUBMIT_SECONDS", 0.3)
    async with serving(serve) as base, real(base) as client:
        with pytest.raises(OutcomeUnknown):
            await client.submit(client.prepare(POST), authorize)
        with pytest.raises(Unavailable):
            await client.call(GET, authorize, 0.3)


async def test_nobody_is_there() -> None:
    """A refused connection and a host without an address got nothing."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{held.getsockname()[1]}/v1"
        for base in (closed, "http://nowhere.invalid/v1"):
            async with real(base) as client:
                with pytest.raises(NotDelivered):
                    await client.submit(client.prepare(POST), authorize)
                with pytest.raises(Unavailable):
                    await client.call(GET, authorize)


async def test_a_server_that_speaks_no_tls_got_nothing() -> None:
    """The request is sent only after the handshake."""

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with serving(serve) as base, real(base.replace("http:", "https:")) as client:
        with pytest.raises(NotDelivered):
            await client.submit(client.prepare(POST), authorize)


async def test_any_answer_is_given_back_whole() -> None:
    """Status, headers and body are the vendor's; whether they mean anything is for others to say."""
    page = b"<html>busy</html>"
    head = b"HTTP/1.1 503 Busy\r\nretry-after: 9\r\ncontent-length: %d\r\n\r\n" % len(page)
    async with serving(_says(head, page)) as base, real(base) as client:
        for reply in (await client.submit(client.prepare(POST), authorize), await client.call(GET, authorize)):
            assert (reply.status, reply.content, reply.retry_after) == (503, page, 9.0)


async def test_a_redirect_is_not_followed() -> None:
    """A request goes to the host of the settings, and the credential with it."""
    head = b"HTTP/1.1 307 Elsewhere\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n"
    async with serving(_says(head)) as base, real(base) as client:
        assert (await client.submit(client.prepare(POST), authorize)).status == 307
        assert (await client.call(GET, authorize)).status == 307


async def test_what_is_sent_is_what_was_prepared() -> None:
    """Path, headers and bytes arrive as prepared, once, with the credential added on the way."""
    got = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await _request(reader))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        await writer.drain()

    async with serving(serve) as base, real(base) as client:
        prepared = client.prepare(POST)
        await client.submit(prepared, authorize)

    (request,) = got
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/jobs HTTP/1.1\r\n")
    assert body == prepared.content
    assert head.lower().count(b"authorization: bearer " + SECRET.encode()) == 1
    assert SECRET not in repr(prepared)


async def _sent_by(call: Call, base: str = "") -> bytes:
    """What reaches the server of a call that may be repeated."""
    got = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await _request(reader))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        await writer.drain()

    async with serving(serve) as place, real(place + base) as client:
        await client.call(call, authorize)
    (request,) = got
    return request


async def test_a_poll_is_sent_as_it_was_signed() -> None:
    """A signer saw the link letter by letter, and the bytes of the body: nothing is written otherwise on the way."""
    link = "/jobs/a%2Fb%7e?Action=x%20y&Version=%E7%8C%AB+1&empty="

    request = await _sent_by(Call("POST", link, json={"id": "猫"}))

    head, _, body = request.partition(b"\r\n\r\n")
    prepared = mocked(lambda _: httpx.Response(200)).prepare(Call("POST", link, json={"id": "猫"}))
    assert head.split(b"\r\n")[0] == b"POST /v1" + prepared.url.partition("/v1")[2].encode() + b" HTTP/1.1"
    assert link in prepared.url
    assert body == prepared.content
    assert head.lower().count(b"\r\ncontent-type: application/json") == 1
    assert head.lower().count(b"\r\nauthorization: bearer " + SECRET.encode()) == 1


async def test_a_poll_without_a_body_says_nothing_of_one() -> None:
    """A GET has neither a length nor a type, and asks for JSON."""
    head = (await _sent_by(GET)).lower()

    assert b"\r\naccept: application/json\r\n" in head
    assert b"content-" not in head


async def test_polls_share_a_connection_and_no_cookie() -> None:
    """The accounts of two vendors, or of one, are nobody's session."""
    got, lines = [], 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal lines
        lines += 1
        for _ in range(2):
            got.append(await _request(reader))
            writer.write(b"HTTP/1.1 200 OK\r\nset-cookie: who=a; Path=/\r\ncontent-length: 2\r\n\r\n{}")
            await writer.drain()

    async with serving(serve) as base, real(base.replace("127.0.0.1", "localhost")) as client:
        for _ in range(2):
            await client.call(GET, authorize)

    assert (len(got), lines) == (2, 1)
    assert b"cookie" not in got[1].lower()


async def test_a_packed_answer_to_a_poll_is_unpacked() -> None:
    """It is asked for in a form that can be read."""
    packed = gzip.compress(b'{"id": "1"}')
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nX-Twice: a\r\nX-Twice: b\r\ncontent-length: %d\r\n\r\n"
    async with serving(_says(head % len(packed), packed)) as base, real(base) as client:
        reply = await client.call(GET, authorize)

    assert reply.json() == {"id": "1"}
    assert reply.headers["x-twice"] == "a, b"


async def test_every_poll_is_heard_of_with_its_status() -> None:
    """Also one whose answer breaks off, and one that gets none."""
    heard: list[tuple[str, ...]] = []
    async with Polls(connect=5, silence=5) as polls, httpx.AsyncClient() as submits:
        for serve in (BROKEN["half a body"], BROKEN["closes without a byte"]):
            async with serving(serve) as base:
                client = VendorClient(
                    "v",
                    base,
                    secrets=[],
                    submits=PlainLine(submits),
                    polls=polls,
                    opener=SimpleNamespace(),
                    heard=lambda *told: heard.append(told[:3]),
                )
                with pytest.raises(Unavailable):
                    await client.call(GET, authorize, op="look")

    assert heard == [("v", "look", "200"), ("v", "look", "none")]


# Requests


@pytest.mark.parametrize("files", [(), [("picture", FilePart("a.png", b"\x89PNG", "image/png"))]])
def test_a_form_is_multipart_with_a_file_or_without(files: Any) -> None:
    """There is one form on the wire; texts in it have no type and no file name of their own."""
    prepared = answering(200).prepare(Call("POST", "/jobs", form={"prompt": '猫 & \r\n"x"'}, files=files))

    assert prepared.headers["content-type"].startswith("multipart/form-data; boundary=")
    text = 'Content-Disposition: form-data; name="prompt"\r\n\r\n猫 & \r\n"x"\r\n'
    assert text.encode() in prepared.content
    file = b'name="picture"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n\x89PNG\r\n'
    assert (file in prepared.content) is bool(files)


def test_a_call_goes_below_the_base_url() -> None:
    """With a slash at its end or without."""
    for base in ("https://api.test/v1", "https://api.test/v1/"):
        prepared = mocked(lambda _: httpx.Response(200), base).prepare(POST)

        assert prepared.url == "https://api.test/v1/jobs"
        assert json.loads(prepared.content) == {"prompt": "x"}


BASES = st.sampled_from(
    ["https://api.test/v1/", "http://API.test:80/a b/%7e", "http://[::1]:8080", "https://ä.test/v1"]
)
ALPHABET = "aZ09/._-~%? =&+:@#猫"


@given(BASES, st.text(ALPHABET, max_size=12).map("/".__add__))
def test_a_look_is_what_httpx_would_make_of_it(base: str, path: str) -> None:
    """Whatever its path: the short way to a request leads to the same bytes."""
    client = mocked(lambda _: httpx.Response(200), base)

    assert client.prepare(Call("GET", path)) == client._request(Call("GET", path))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://A.test/x", "https://a.test:443"),
        ("http://a.test", "http://a.test:80"),
        ("https://a.test:443/", "https://a.test:443"),
        ("http://a.test:8080/x?y", "http://a.test:8080"),
        ("https://a.test@b.test/", "https://b.test:443"),
    ],
)
def test_origin(url: str, expected: str) -> None:
    """Scheme, host and port, however they are written."""
    assert origin(url) == expected


# Replies


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b"null", b'{"a"', b"\xff", b"[" * 100_000, b'"x"', b"5"])
def test_what_is_no_object_is_not_understood(content: bytes) -> None:
    """No caller of `json` meets anything but an object."""
    reply = Reply(200, {}, content, "")

    with pytest.raises(NotUnderstood):
        reply.json()
    assert reply.json_or_empty() == {}


@given(st.binary(max_size=200))
def test_json_gives_an_object_or_our_own_error(content: bytes) -> None:
    """Whatever the bytes."""
    try:
        value = Reply(200, {}, content, "").json()
    except NotUnderstood:
        return
    assert isinstance(value, dict)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7.0), ("0.5", 0.5), ("-3", 0.0), ("", None), ("soon", None), ("nan", 0.0), ("Mon, 99 Foo 2026", None)],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    """A number of seconds, or nothing."""
    assert Reply(429, {"retry-after": value}, b"", "").retry_after == seconds


def test_retry_after_as_a_date() -> None:
    """An HTTP date means the time until then; one that is past means now."""
    now = datetime.now(UTC)
    for moment, least, most in ((now + timedelta(seconds=60), 50, 61), (now - timedelta(days=1), 0, 0)):
        value = Reply(429, {"retry-after": format_datetime(moment, usegmt=True)}, b"", "").retry_after

        assert value is not None
        assert least <= value <= most
    assert Reply(429, {}, b"", "").retry_after is None


@given(st.text(max_size=40))
def test_no_retry_after_breaks_anything(value: str) -> None:
    """It is a server's text like any other."""
    seconds = Reply(429, {"retry-after": value}, b"", "").retry_after

    assert seconds is None or seconds >= 0


# Redaction


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        (f"the key {SECRET} is wrong", "the key [secret] is wrong"),
        ("see https://a.test/v.mp4?Expires=1&Signature=s.", "see https://a.test/v.mp4?[…]"),
        ('{"url": "https:\\/\\/a.test\\/v.mp4?Signature=s"}', '{"url": "https:\\/\\/a.test\\/v.mp4?[…]"}'),
        ("http://a.test/?x https://b.test/?y", "http://a.test/?[…] https://b.test/?[…]"),
        ("bearer eyJhbGci.eyJpc3M.c2lnbg", "bearer [secret]"),
        ("what? nothing", "what? nothing"),
        ("https://a.test/plain", "https://a.test/plain"),
    ],
)
def test_redact(text: str, safe: str) -> None:
    """Secrets go, signatures of links go, everything else stays."""
    assert answering(200).redact(text) == safe


@pytest.mark.parametrize("padding", [0, 1_990, 1_995, 3_990, 3_995, 15_990, 20_000])
async def test_an_excerpt_holds_no_piece_of_a_secret(padding: int) -> None:
    """Not where it is cut, either."""
    client = answering(500, text="猫" * (padding // 3) + " " * (padding % 3) + SECRET + "?" * 100)

    excerpt = (await client.submit(client.prepare(POST), authorize)).excerpt

    assert len(excerpt) <= module.EXCERPT
    assert SECRET[:6] not in excerpt


async def test_the_evidence_of_a_lost_answer_is_redacted() -> None:
    """It is kept for people to read."""
    client = failing(httpx.ReadError(f"lost after {SECRET} at https://a.test/x?Signature=s"))

    with pytest.raises(OutcomeUnknown) as caught:
        await client.submit(client.prepare(POST), authorize)

    assert "ReadError" in caught.value.evidence
    assert SECRET not in caught.value.evidence
    assert "Signature" not in caught.value.evidence

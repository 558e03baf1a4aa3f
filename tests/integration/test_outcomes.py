"""The table of outcomes against real sockets: what each way of failing means for the money, and that nothing is resent.

The vendor is put together as the server does it; the far end is a bare socket, so that it can fail in every way.
"""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from json import dumps
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from videogate import app, vendors
from videogate.task.errors import NotDelivered, OutcomeUnknown, Refused, Throttled, VendorError
from videogate.task.model import Fitted
from videogate.vendorkit import client as module
from videogate.vendorkit.client import Prepared, VendorClient
from videogate.vendorkit.contract import Vendor
from videogate.vendorkit.lines import PlainLine
from videogate.vendorkit.order import Order

SECRET = "sk-canary-77aa"
START = b"POST /v1/videos HTTP/1.1\r\n"
JOB = {"id": "job-1", "object": "video", "status": "queued"}
PAGE = b"<html><body><h1>Bad gateway</h1></body></html>"
FOREIGN = {"message": "no route matched those values"}  # a gateway in between speaks so


def documented(message: str = "no", code: str = "invalid_value") -> dict[str, Any]:
    """An error as OpenAI's format writes it."""
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}


# The far end


@dataclass
class Line:
    """One accepted connection, and what was heard on it. Nothing is read that nobody asks for."""

    sock: socket.socket
    heard: bytearray = field(default_factory=bytearray)

    async def request(self) -> None:
        """Read a whole request."""
        while not self._whole():
            if not await self._read():
                return

    async def rest(self) -> None:
        """Read until the other side hangs up."""
        while await self._read():
            pass

    async def say(self, *pieces: bytes) -> None:
        for piece in pieces:
            await asyncio.get_running_loop().sock_sendall(self.sock, piece)

    def reset(self) -> None:
        """Make the close to come a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async def _read(self) -> bytes:
        data = await asyncio.get_running_loop().sock_recv(self.sock, 65536)
        self.heard += data
        return data

    def _whole(self) -> bool:
        head, found, body = bytes(self.heard).partition(b"\r\n\r\n")
        lengths = [line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        return bool(found) and len(body) >= int(lengths[0])


Serve = Callable[[Line], Awaitable[None]]


@dataclass
class Peer:
    """A server whose every move is the test's."""

    port: int
    lines: list[Line] = field(default_factory=list)

    @property
    def requests(self) -> int:
        return sum(bytes(line.heard).count(START) for line in self.lines)


@asynccontextmanager
async def peer(serve: Serve) -> AsyncIterator[Peer]:
    """Serve on a free port of this machine, one connection after the other."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        made = Peer(listening.getsockname()[1])

        async def accept() -> None:
            while True:
                sock, _ = await asyncio.get_running_loop().sock_accept(listening)
                made.lines.append(Line(sock))
                with sock, suppress(ConnectionError):
                    await serve(made.lines[-1])

        work = asyncio.create_task(accept())
        try:
            yield made
        finally:
            work.cancel()
            with suppress(asyncio.CancelledError):
                await work


def says(*pieces: bytes, reset: bool = False) -> Serve:
    """Take the request, send these bytes, and hang up."""

    async def serve(line: Line) -> None:
        await line.request()
        await line.say(*pieces)
        if reset:
            line.reset()

    return serve


def answers(status: int, body: Any = b"", *headers: str) -> Serve:
    """Take the request and answer it; a body that is not bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else dumps(body).encode()
    head = "\r\n".join([f"HTTP/1.1 {status} X", f"content-length: {len(content)}", *headers, "", ""])
    return says(head.encode(), content)


async def resets_unread(line: Line) -> None:
    line.reset()


async def resets_midway(line: Line) -> None:
    await line._read()
    line.reset()


async def hangs(line: Line) -> None:
    await line.rest()


async def trickles(line: Line) -> None:
    await line.request()
    await line.say(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    while True:
        await line.say(b" ")
        await asyncio.sleep(0.02)


async def answers_slowly(line: Line) -> None:
    await line.request()
    content = dumps(JOB).encode()
    await line.say(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(content))
    for byte in content:
        await line.say(bytes([byte]))
        await asyncio.sleep(0.002)


# Our end


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[bytearray]:
    """Every byte that this process hands to a socket."""
    said = bytearray()
    really = socket.socket.send

    def send(sock: socket.socket, data: Any, *flags: int) -> int:
        count = really(sock, data, *flags)
        said.extend(bytes(data)[:count])
        return count

    monkeypatch.setattr(socket.socket, "send", send)
    yield said
    assert said.count(START) <= 1


@asynccontextmanager
async def vendor_at(base: str) -> AsyncIterator[Vendor]:
    """Sora with the settings, the HTTP client and the timeouts of a server."""
    kinds = vendors.discover()
    configs = app.read_vendors(kinds, {"VIDEOGATE_SORA_API_KEY": SECRET, "VIDEOGATE_SORA_BASE_URL": f"{base}/v1"})
    config = configs["sora"]
    async with app.submit_client() as submits, app.poll_client() as polls:
        client = VendorClient(
            "sora",
            config.base_url,
            secrets=config.secrets,
            submits=PlainLine(submits),
            polls=polls,
            opener=SimpleNamespace(),
        )
        yield kinds["sora"](config, client)


def prepared(vendor: Vendor, prompt: str = "a lighthouse") -> Prepared:
    """A request down to its bytes."""
    return vendor.prepare(Order("vg1", vendor.models["sora-2"], prompt, Fitted("720x1280", "4")))


async def outcome_of(base: str, **changes: str) -> type[VendorError] | str:
    """The class of the error that a submit ends in, or the id of the job."""
    async with vendor_at(base) as vendor:
        try:
            receipt = await vendor.submit(prepared(vendor, **changes))
        except VendorError as error:
            assert SECRET not in str(error)
            assert SECRET not in getattr(error, "evidence", "")
            return type(error)
    return receipt.vendor_task_id


# What never arrives


@contextmanager
def held_port(backlog: int | None = None) -> Iterator[tuple[socket.socket, str]]:
    """A port that is ours; with a backlog it listens, but nobody accepts."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        if backlog is not None:
            held.listen(backlog)
        yield held, f"http://127.0.0.1:{held.getsockname()[1]}"


async def test_a_refused_connection_delivers_nothing(sent: bytearray) -> None:
    """No byte of the request is handed to a socket, and nobody knocks a second time."""
    with held_port() as (held, base):
        assert await outcome_of(base) is NotDelivered
        held.listen()
        held.setblocking(False)
        with pytest.raises(BlockingIOError):
            held.accept()
    assert b"POST" not in sent


async def test_a_host_without_an_address_gets_nothing(sent: bytearray) -> None:
    """A name that DNS does not know leaves nobody to send to."""
    assert await outcome_of("http://vendor.invalid") is NotDelivered
    assert b"POST" not in sent


async def test_a_connection_that_is_never_made_delivers_nothing(
    sent: bytearray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server too busy to accept ends in the bound on connecting."""
    monkeypatch.setattr(app, "CONNECT_SECONDS", 0.3)
    with held_port(backlog=0) as (held, base):
        crowd = [socket.socket() for _ in range(4)]
        for each in crowd:
            each.setblocking(False)
            each.connect_ex(held.getsockname())
        try:
            assert await outcome_of(base) is NotDelivered
        finally:
            for each in crowd:
                each.close()
    assert b"POST" not in sent


HANDSHAKES: dict[str, Serve] = {
    "speaks plain HTTP": says(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "hangs up": says(),
    "resets": resets_unread,
    "stalls": hangs,
}


async def _hello(line: Line) -> None:
    """Read what opens a handshake; it is no request."""
    await line._read()


@pytest.mark.parametrize("serve", HANDSHAKES.values(), ids=HANDSHAKES.keys())
async def test_a_failed_handshake_delivers_nothing(
    serve: Serve, sent: bytearray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for TLS, the server never gets past the greeting, and sees one."""
    monkeypatch.setattr(app, "CONNECT_SECONDS", 0.3)
    monkeypatch.setattr(Line, "request", _hello)
    async with peer(serve) as far:
        assert await outcome_of(f"https://127.0.0.1:{far.port}") is NotDelivered
    assert len(far.lines) == 1
    assert not far.requests
    assert b"POST" not in sent


def self_signed(folder: Path) -> ssl.SSLContext:
    """The server's side of TLS for 127.0.0.1, with a certificate that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(1))
    pem = serialization.Encoding.PEM
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / "server.pem"
    path.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(pem) + key.private_bytes(pem, *plain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


async def test_a_certificate_that_nobody_vouches_for_gets_nothing(sent: bytearray, tmp_path: Path) -> None:
    """The request waits for a handshake that ends in a refusal of ours."""
    met = []
    server = await asyncio.start_server(lambda *streams: met.append(streams), "127.0.0.1", 0, ssl=self_signed(tmp_path))
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert await outcome_of(f"https://127.0.0.1:{port}") is NotDelivered
    assert not met
    assert b"POST" not in sent


# What may have arrived

LOST: dict[str, Serve] = {
    "resets before it reads the request": resets_unread,
    "resets after it read the request": says(reset=True),
    "hangs up without an answer": says(),
    "half a head": says(b"HTTP/1.1 200 OK\r\ncontent-"),
    "half a body": says(b'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"id": "job-1"}'),
    "resets within the body": says(b'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"id": "job-1"}', reset=True),
    "half a chunk": says(b'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nff\r\n{"id": "job-1"}'),
    "no HTTP": says(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
    "only an interim answer": says(b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "a proxy's page that says 200": answers(200, PAGE, "content-type: text/html"),
    "a proxy's page that says 403": answers(403, PAGE, "content-type: text/html"),
    "a proxy's page that says 429": answers(429, PAGE, "content-type: text/html"),
    "a proxy's page that says 502": answers(502, PAGE, "content-type: text/html"),
    "accepted without an id": answers(200, {"object": "video", "status": "queued"}),
    "accepted with an empty id": answers(200, {"id": "", "status": "queued"}),
    "accepted in broken JSON": answers(200, b'{"id": "job-1", "status": '),
    "accepted in a list": answers(201, [JOB]),
    "accepted without a body": answers(204),
    "an error that says 200": answers(200, documented()),
    "a redirect": answers(307, b"", "location: http://127.0.0.1:9/v1/videos"),
    "400 in a foreign form": answers(400, FOREIGN),
    "400 without a body": answers(400),
    "401 in a foreign form": answers(401, b"Unauthorized"),
    "404 in a foreign form": answers(404, FOREIGN),
    "408": answers(408, documented("timed out")),
    "409": answers(409, documented("exists")),
    "425": answers(425, documented("too early")),
    "429 in a foreign form": answers(429, FOREIGN, "retry-after: 7"),
    "500": answers(500, documented("broken", "server_error")),
    "500 that calls itself throttling": answers(500, documented("later", "rate_limit_exceeded"), "retry-after: 7"),
    "503": answers(503, documented("busy", "server_error"), "retry-after: 7"),
}


@pytest.mark.parametrize("serve", LOST.values(), ids=LOST.keys())
async def test_what_leaves_the_outcome_open(serve: Serve, sent: bytearray) -> None:
    """Without the vendor's documented word a request that left may have been paid for, and is sent once."""
    async with peer(serve) as far:
        assert await outcome_of(f"http://127.0.0.1:{far.port}") is OutcomeUnknown
        await asyncio.sleep(0.05)
    assert len(far.lines) == 1
    assert far.requests == (serve is not resets_unread)  # whether it was written before that reset came is a race


async def test_a_reset_in_the_midst_of_the_request_leaves_the_outcome_open(sent: bytearray) -> None:
    """How much of it a server needs to begin is not ours to guess."""
    async with peer(resets_midway) as far:
        assert await outcome_of(f"http://127.0.0.1:{far.port}", prompt="a lighthouse " * 2**20) is OutcomeUnknown
        await asyncio.sleep(0.05)
    assert (len(far.lines), far.requests) == (1, 1)


@pytest.mark.parametrize("bound", ["whole", "read"])
@pytest.mark.parametrize("serve", [hangs, trickles])
async def test_an_answer_that_does_not_come_to_an_end(
    serve: Serve, bound: str, sent: bytearray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever bound strikes, on silence or on the whole, the request left and its outcome is not known."""
    monkeypatch.setattr(module, "SUBMIT_SECONDS", 0.4 if bound == "whole" else 1.0)
    if bound == "read":
        monkeypatch.setattr(app, "SUBMIT_SECONDS", 0.2)
    async with peer(serve) as far:
        assert await outcome_of(f"http://127.0.0.1:{far.port}") is OutcomeUnknown
        await asyncio.sleep(0.05)
    assert (len(far.lines), far.requests) == (1, 1)


# What the vendor says itself

TOLD: dict[str, tuple[Serve, type[VendorError] | str]] = {
    "accepted": (answers(200, JOB), "job-1"),
    "accepted with 201": (answers(201, JOB), "job-1"),
    "accepted slowly": (answers_slowly, "job-1"),
    "accepted after an interim answer": (
        says(b"HTTP/1.1 103 Early Hints\r\n\r\n", b'HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n{"id": "job-1"}'),
        "job-1",
    ),
    "400": (answers(400, documented()), Refused),
    "401": (answers(401, documented("wrong key", "invalid_api_key")), Refused),
    "402": (answers(402, documented("pay", "billing_hard_limit_reached")), Refused),
    "403": (answers(403, documented("not you")), Refused),
    "404": (answers(404, documented("no such model", "model_not_found")), Refused),
    "413": (answers(413, documented("too large")), Refused),
    "422": (answers(422, {"detail": [{"loc": ["body", "size"], "msg": "bad"}]}), Refused),
    "429": (answers(429, documented("slow down", "rate_limit_exceeded"), "retry-after: 7"), Throttled),
    "429 for an empty purse": (answers(429, documented("pay", "insufficient_quota")), Refused),
}


@pytest.mark.parametrize(("serve", "means"), TOLD.values(), ids=TOLD.keys())
async def test_what_the_vendor_says_itself(serve: Serve, means: type[VendorError] | str, sent: bytearray) -> None:
    """An id is a receipt, a documented error a refusal, a documented throttle a wait; each was asked for once."""
    async with peer(serve) as far:
        assert await outcome_of(f"http://127.0.0.1:{far.port}") == means
        await asyncio.sleep(0.05)
    assert (len(far.lines), far.requests) == (1, 1)
    assert sent.count(START) == 1


async def test_a_throttle_says_for_how_long() -> None:
    """The vendor's own wish reaches whoever waits."""
    async with peer(TOLD["429"][0]) as far, vendor_at(f"http://127.0.0.1:{far.port}") as vendor:
        with pytest.raises(Throttled) as caught:
            await vendor.submit(prepared(vendor))
    assert caught.value.retry_after == 7.0


async def test_every_submit_has_a_connection_of_its_own() -> None:
    """One that is kept could be closed by the server as the next request leaves, and leave that one unknown."""
    serve = answers(200, JOB, "connection: keep-alive")
    async with peer(serve) as far, vendor_at(f"http://127.0.0.1:{far.port}") as vendor:
        for _ in range(3):
            await vendor.submit(prepared(vendor))
    assert [bytes(line.heard).count(START) for line in far.lines] == [1, 1, 1]

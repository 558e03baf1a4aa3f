"""Opening links, against real servers on this machine."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from unit.media.support import listening
from videogate.media import fetch, links
from videogate.media.fetch import PublicResolver, SafeFetcher
from videogate.task.errors import InvalidRequest, LinkExpired, Throttled, Unavailable


def answer(status: str, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    if not {"content_length", "transfer_encoding"} & headers.keys():
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "connection: close", "", ""]).encode() + body


@dataclass
class Site:
    """A server that notes every request and answers what the test says."""

    pages: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    contacts: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.contacts += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            path = head.split(" ", 2)[1]
            self.asked.append(path)
            self.heads.append(head.lower())
            writer.write(self.pages.get(path, answer("404 Not Found")))
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    made = Site()
    async with listening(made.serve) as made.port:
        yield made


@pytest.fixture
async def canary() -> AsyncIterator[Site]:
    """A service inside, which nothing may reach."""
    made = Site()
    async with listening(made.serve) as made.port:
        yield made


@pytest.fixture
async def strict() -> AsyncIterator[SafeFetcher]:
    made = SafeFetcher()
    yield made
    await made.close()


@pytest.fixture
async def lenient() -> AsyncIterator[SafeFetcher]:
    made = SafeFetcher(allow_private=True)
    yield made
    await made.close()


async def content(fetcher: SafeFetcher, url: str, home: str = "", **headers: str) -> bytes:
    async with fetcher.open(url, headers=headers, home=home) as download:
        return b"".join([chunk async for chunk in download.chunks()])


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Make names resolve to these addresses, one list a look-up, the last one for ever; returns the names asked for."""
    asked: list[str] = []

    async def getaddrinfo(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        asked.append(host)
        found = answers[min(len(asked), len(answers)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo, raising=False)
    return asked


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "127.1", "0", "0x7f.1"])
async def test_loopback_is_not_reached(strict: SafeFetcher, canary: Site, host: str) -> None:
    """No spelling of this machine leads to a service on it."""
    with pytest.raises(Unavailable):
        await content(strict, f"http://{host}:{canary.port}/")
    with pytest.raises(InvalidRequest):
        await strict.read(f"http://{host}:{canary.port}/", 100)

    assert canary.contacts == 0


@pytest.mark.parametrize("host", ["localhost", "0x7f.1", "127.0.0.1.nip.test"])
async def test_a_name_that_leads_inside_is_not_followed(
    strict: SafeFetcher, canary: Site, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link with an ordinary text is judged by the address that its name has."""
    monkeypatch.setattr(links, "_PORTS", {canary.port})
    if host.endswith(".test"):
        resolving(monkeypatch, ["127.0.0.1"])
    with pytest.raises(Unavailable):
        await content(strict, f"http://{host}:{canary.port}/")

    assert canary.contacts == 0


async def test_one_bad_address_spoils_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with a public and a private address is refused as a whole."""
    resolving(monkeypatch, ["93.184.216.34", "10.0.0.1"])
    with pytest.raises(OSError, match="public"):
        await PublicResolver().resolve("mixed.test", 80)
    resolving(monkeypatch, [])
    with pytest.raises(OSError, match="public"):
        await PublicResolver().resolve("empty.test", 80)


async def test_a_name_that_changes_is_asked_once(
    strict: SafeFetcher, canary: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is public when judged and private a moment later is connected where it was judged, never inside."""
    monkeypatch.setattr(links, "_PORTS", {canary.port})
    asked = resolving(monkeypatch, ["192.0.2.99"], ["127.0.0.1"])
    for module in (fetch, links):
        monkeypatch.setattr(module, "is_public", lambda address: address == "192.0.2.99")
    connected: list[Any] = []

    async def connect(_sock: socket.socket, address: Any) -> None:
        connected.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", connect, raising=False)
    with pytest.raises(Unavailable):
        await content(strict, f"http://turncoat.test:{canary.port}/")

    assert asked == ["turncoat.test"]
    assert {address[0] for address in connected} == {"192.0.2.99"}
    assert canary.contacts == 0


async def test_each_opening_judges_anew(strict: SafeFetcher, canary: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that was good once is not remembered for a name."""
    monkeypatch.setattr(links, "_PORTS", {canary.port})
    asked = resolving(monkeypatch, ["127.0.0.1"])
    for _ in range(2):
        with pytest.raises(Unavailable):
            await content(strict, f"http://turncoat.test:{canary.port}/")

    assert asked == ["turncoat.test"] * 2
    assert canary.contacts == 0


async def test_a_literal_is_judged_at_its_socket_too(
    strict: SafeFetcher, canary: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A literal, which no resolver sees, is not connected to even where its text was let through."""
    monkeypatch.setattr(links, "_PORTS", {canary.port})
    monkeypatch.setattr(links, "_is_literal", lambda _: False)
    with pytest.raises(Unavailable, match="not public"):
        await content(strict, f"{canary.url}/")

    assert canary.contacts == 0


async def test_allowed_addresses_are_read(lenient: SafeFetcher, site: Site) -> None:
    """Where the operator allows it, a private address is opened, and asked for plain bytes."""
    site.pages["/v.mp4"] = answer("200 OK", b"film", content_type="video/mp4")
    async with lenient.open(f"{site.url}/v.mp4", headers={}, home="") as download:
        assert (download.length, download.mime) == (4, "video/mp4")
        assert [chunk async for chunk in download.chunks()] == [b"film"]

    assert "accept-encoding: identity" in site.heads[0]
    assert await lenient.read(f"{site.url}/v.mp4", 4) == b"film"


@pytest.mark.parametrize(
    "target", ["/a/../v?X-Credential=A%2F2026%2Fs3&sig=a%27b%21", "/%7Ev?b=1&a=%C3%A9", "/v?x=a+b"]
)
async def test_a_signed_link_is_sent_as_it_is_written(lenient: SafeFetcher, site: Site, target: str) -> None:
    """A signature is over a link's very characters: none is escaped, unescaped or tidied on the way."""
    site.pages[target] = answer("200 OK", b"film")

    assert await content(lenient, f"{site.url}{target}") == b"film"
    assert site.asked == [target]


async def test_the_vendors_own_origin_is_always_open(strict: SafeFetcher, site: Site) -> None:
    """The base URL that the operator configured may be private, and only it gets the credentials."""
    site.pages["/v"] = answer("200 OK", b"film")

    assert await content(strict, f"{site.url}/v", home=site.url, authorization="Bearer k") == b"film"
    assert "authorization: bearer k" in site.heads[0]


@pytest.mark.parametrize("status", ["301 M", "302 F", "303 S", "307 T", "308 P"])
async def test_a_redirect_inside_is_refused(strict: SafeFetcher, site: Site, canary: Site, status: str) -> None:
    """Also a link that the vendor's own host redirects is judged before it is opened."""
    site.pages["/v"] = answer(status, location=f"{canary.url}/secret")
    with pytest.raises(Unavailable):
        await content(strict, f"{site.url}/v", home=site.url)

    assert site.asked == ["/v"]
    assert canary.contacts == 0


@pytest.mark.parametrize(
    "location",
    ["file:///etc/passwd", "http://[::1", "gopher://a.test/", "http://a@b.test/", "//127.0.0.1:1/", "http://\x01"],
)
async def test_a_redirect_to_nonsense_is_refused(strict: SafeFetcher, site: Site, location: str) -> None:
    """A redirect that is no safe link ends the opening like any other trouble."""
    site.pages["/v"] = answer("302 Found", location=location)

    with pytest.raises(Unavailable):
        await content(strict, f"{site.url}/v", home=site.url)


@pytest.mark.parametrize(("hops", "good"), [(1, True), (3, True), (4, False)])
async def test_redirects_are_counted(lenient: SafeFetcher, site: Site, hops: int, good: bool) -> None:
    """Three redirects are followed, relative ones too; a fourth is not."""
    for number in range(hops):
        site.pages[f"/{number}"] = answer("302 Found", location=f"/{number + 1}")
    site.pages[f"/{hops}"] = answer("200 OK", b"film")
    if good:
        assert await content(lenient, f"{site.url}/0") == b"film"
    else:
        with pytest.raises(Unavailable, match="3 times"):
            await content(lenient, f"{site.url}/0")

    assert len(site.asked) == min(hops, 3) + 1


async def test_credentials_stay_at_home(lenient: SafeFetcher, site: Site, canary: Site) -> None:
    """A redirect to another origin, if only another port, goes without the vendor's credentials."""
    site.pages["/v"] = answer("302 Found", location=f"{canary.url}/v", set_cookie="session=1")
    canary.pages["/v"] = answer("200 OK", b"film")

    assert await content(lenient, f"{site.url}/v", home=site.url, authorization="Bearer k", cookie="a=b") == b"film"
    assert "authorization" in site.heads[0]
    assert "authorization" not in canary.heads[0]
    assert "cookie" not in canary.heads[0]


async def test_no_proxy_of_the_environment_is_used(
    strict: SafeFetcher, site: Site, canary: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy variable does not lead a download elsewhere."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, canary.url)
    site.pages["/v"] = answer("200 OK", b"film")

    assert await content(strict, f"{site.url}/v", home=site.url) == b"film"
    assert canary.contacts == 0


@pytest.mark.parametrize("status", ["401 U", "403 F", "404 N", "410 G"])
async def test_a_dead_link_is_told_from_trouble(lenient: SafeFetcher, site: Site, status: str) -> None:
    """A link that is refused or gone asks for a new one."""
    site.pages["/v"] = answer(status, b"<html>")
    with pytest.raises(LinkExpired):
        await content(lenient, f"{site.url}/v")
    with pytest.raises(InvalidRequest):
        await lenient.read(f"{site.url}/v", 100)


async def test_a_download_that_is_throttled_says_for_how_long(lenient: SafeFetcher, site: Site) -> None:
    """The wish of a result's server is kept; for a caller's picture it is trouble like any other."""
    site.pages["/v"] = answer("429 T", retry_after="7")
    with pytest.raises(Throttled) as caught:
        await content(lenient, f"{site.url}/v")
    with pytest.raises(Unavailable):
        await lenient.read(f"{site.url}/v", 100)

    assert caught.value.retry_after == 7


async def test_a_result_that_trickles_has_an_end(lenient: SafeFetcher, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that never falls silent does not hold a download beyond the bound on the whole of it."""
    monkeypatch.setattr(fetch, "TOTAL_SECONDS", 0.3)
    over = asyncio.Event()

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer("200 OK", transfer_encoding="chunked"))
        while not writer.is_closing():
            writer.write(b"1\r\nx\r\n")
            await asyncio.sleep(0.02)
        over.set()

    server = await asyncio.start_server(trickle, "127.0.0.1", 0)
    began = asyncio.get_running_loop().time()
    with pytest.raises(Unavailable):
        await content(lenient, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v")
    assert asyncio.get_running_loop().time() - began < 3
    await asyncio.wait_for(over.wait(), 5)
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("status", ["204 N", "206 P", "301 no location", "304 N", "400 B", "500 I", "503 U"])
async def test_other_answers_are_trouble(lenient: SafeFetcher, site: Site, status: str) -> None:
    """Only a 200 is a result."""
    site.pages["/v"] = answer(status)
    with pytest.raises(Unavailable):
        await content(lenient, f"{site.url}/v")


@pytest.mark.parametrize(
    "page",
    [
        answer("200 OK", b"half", content_length="1000"),
        answer("200 OK", b"4\r\nhalf\r\n", transfer_encoding="chunked"),
        answer("200 OK", b"zz\r\nno size\r\n", transfer_encoding="chunked"),
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-le",
    ],
    ids=["short", "chunk missing", "chunk broken", "silence", "garbage", "half a head"],
)
async def test_a_broken_answer_is_trouble(lenient: SafeFetcher, site: Site, page: bytes) -> None:
    """A body that breaks off is never taken for a whole one."""
    site.pages["/v"] = page
    with pytest.raises(Unavailable):
        await content(lenient, f"{site.url}/v")


async def test_nobody_there_is_trouble(lenient: SafeFetcher, site: Site) -> None:
    """A refused connection says nothing about the link."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(Unavailable):
        await content(lenient, f"http://127.0.0.1:{port}/v")


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (None, "its host takes no connection"),
        (b"", "its host broke the connection off"),
        (b"garbage\r\n\r\n", "its host's answer is not HTTP"),
        (answer("200 OK", b"half", content_length="1000"), "its body is not whole"),
    ],
    ids=["nobody", "silence", "garbage", "half"],
)
async def test_trouble_is_told_in_words(lenient: SafeFetcher, site: Site, page: bytes | None, words: str) -> None:
    """Callers read what happened to their link, and no name of an error class."""
    site.pages["/p"] = page or b""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"{site.url}/p" if page is not None else f"http://127.0.0.1:{free.getsockname()[1]}/p"
        with pytest.raises(Unavailable, match=words) as caught:
            await lenient.read(url, 100)

    assert "Error" not in caught.value.message


async def test_a_name_that_is_not_found_is_told_in_words(strict: SafeFetcher, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slip in a name reads as one."""

    async def getaddrinfo(*_: Any, **__: Any) -> list[tuple[Any, ...]]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo, raising=False)
    with pytest.raises(Unavailable, match="its host was not found"):
        await strict.read("http://slip.test/p", 100)


@pytest.mark.parametrize(
    ("host", "hosts", "good"),
    [
        ("example.com", ["example.com"], True),
        ("cdn.eu.example.com", ["example.com"], True),
        ("CDN.Example.COM.", ["example.com"], True),
        ("other.test", ["example.com", "other.test"], True),
        ("other.test", [], True),
        ("other.test", ["example.com"], False),
        ("notexample.com", ["example.com"], False),
        ("example.com", ["cdn.example.com"], False),
        ("example.com.other.test", ["example.com"], False),
        ("127.0.0.1", ["example.com"], False),
    ],
)
async def test_results_come_from_the_operators_hosts(
    lenient: SafeFetcher, site: Site, host: str, hosts: list[str], good: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a list of hosts a result is read there or below; elsewhere nobody is asked, and the host is named."""
    resolving(monkeypatch, ["127.0.0.1"])
    site.pages["/v"] = answer("200 OK", b"film")
    download = lenient.open(f"http://{host}:{site.port}/v", headers={}, home="", hosts=hosts)
    if good:
        async with download as opened:
            assert [chunk async for chunk in opened.chunks()] == [b"film"]
    else:
        with pytest.raises(Unavailable, match=rf"leads to {host}, .*RESULT_HOSTS"):
            await download.__aenter__()

    assert site.asked == ["/v"] * good


async def test_hosts_are_judged_at_each_redirect(
    lenient: SafeFetcher, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A redirect to a host that is not on the list ends there; one that stays within it is followed."""
    resolving(monkeypatch, ["127.0.0.1"])
    site.pages["/in"] = answer("302 Found", location=f"http://b.example.com:{site.port}/v")
    site.pages["/out"] = answer("302 Found", location=f"http://other.test:{site.port}/v")
    site.pages["/v"] = answer("200 OK", b"film")
    links = [f"http://a.example.com:{site.port}/{place}" for place in ("in", "out")]
    async with lenient.open(links[0], headers={}, home="", hosts=["example.com"]) as opened:
        assert [chunk async for chunk in opened.chunks()] == [b"film"]
    with pytest.raises(Unavailable, match=r"leads to other\.test"):
        await lenient.open(links[1], headers={}, home="", hosts=["example.com"]).__aenter__()

    assert site.asked == ["/in", "/v", "/out"]


async def test_the_vendors_own_origin_needs_no_list(strict: SafeFetcher, site: Site) -> None:
    """Also where the operator lists other hosts, a vendor's own server is read."""
    site.pages["/v"] = answer("200 OK", b"film")
    async with strict.open(f"{site.url}/v", headers={}, home=site.url, hosts=["example.com"]) as opened:
        assert [chunk async for chunk in opened.chunks()] == [b"film"]


@pytest.mark.parametrize("announced", [True, False])
async def test_a_huge_result_is_given_up(site: Site, announced: bool) -> None:
    """What is larger than allowed is refused at its announcement, or where it passes the limit without one."""
    body = b"x" * 3000
    chunked = b"bb8\r\n" + body + b"\r\n0\r\n\r\n"
    site.pages["/v"] = answer("200 OK", body) if announced else answer("200 OK", chunked, transfer_encoding="chunked")
    fetcher = SafeFetcher(allow_private=True, longest_result=2999)
    try:
        with pytest.raises(Unavailable, match="larger than 2999"):
            await content(fetcher, f"{site.url}/v")
    finally:
        await fetcher.close()


async def test_a_huge_picture_is_given_up(lenient: SafeFetcher, site: Site) -> None:
    """A small file may have as many bytes as allowed, and not one more."""
    site.pages["/p"] = answer("200 OK", b"x" * 101)

    assert len(await lenient.read(f"{site.url}/p", 101)) == 101
    with pytest.raises(InvalidRequest, match="larger than 100"):
        await lenient.read(f"{site.url}/p", 100)

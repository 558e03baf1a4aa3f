"""Hostile links at every door of the fetcher, with a canary inside that must never be touched.

Outside is a real server on 127.0.0.2, the one address that these tests declare public; inside are real servers on
127.0.0.1 and ::1, at the same port and at 80 and 443 where this machine allows it. Names come from a table. Everything
else is the fetcher as it runs.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from itertools import chain
from typing import Any

import pytest

from videogate.media import addresses, fetch, links
from videogate.media.fetch import SafeFetcher
from videogate.media.links import LONGEST
from videogate.task.errors import InvalidRequest, Unavailable

OUTSIDE = "127.0.0.2"
INSIDE = ("127.0.0.1", "::1")
REDIRECTS = (301, 302, 303, 307, 308)
FILM = b"film"
SECRET = {"authorization": "Bearer canary"}


def words(text: str) -> tuple[str, ...]:
    """The words of a table."""
    return tuple(text.split())


# Addresses inside

TARGETS = words("127.0.0.1 169.254.169.254 10.0.0.1")  # what the spellings and forms are made of
PRIVATE = words("""
    127.0.0.53 127.255.255.254 0.0.0.0 0.1.2.3 10.255.255.255 172.16.0.1 172.31.255.255 192.168.0.1
    100.64.0.1 100.127.255.255 169.254.0.1 192.0.0.1 192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1
    224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255
""")
PRIVATE_6 = words("""
    :: ::1 0:0:0:0:0:0:0:1 0000:0000:0000:0000:0000:0000:0000:0001 fc00::1 fd12:3456:789a::1 fe80::1 febf::1
    fec0::1 feff::1 ff01::1 ff02::1 ff05::2 ff0e::1 100::1 2001:db8::1 3fff::1 5f00::1
    ::ffff:0.0.0.0 ::FFFF:127.0.0.1 0:0:0:0:0:ffff:127.0.0.1
""")
ZONED = words("::1%25lo ::1%lo ::1%251 fe80::1%25eth0 ::ffff:127.0.0.1%25lo 2606:4700:4700::1111%251")
CLOUDS = {
    "AWS": words("169.254.169.254 fd00:ec2::254 169.254.169.253 169.254.170.2 169.254.170.23 fd00:ec2::23"),
    "Google": words("169.254.169.254 fd20:ce::254"),
    "Azure": words("169.254.169.254 168.63.129.16 ::ffff:168.63.129.16 64:ff9b::168.63.129.16"),
    "Oracle": words("192.0.0.192 fd00:c1::a9fe:a9fe"),
    "Alibaba": words("100.100.100.200 ::ffff:100.100.100.200"),
    "Volcengine": words("100.96.0.96"),
    "Tencent": words("169.254.0.23"),
    "OpenStack": words("fe80::a9fe:a9fe"),
    "Scaleway": words("169.254.42.42 fd00:42::42"),
}
METADATA = tuple(dict.fromkeys(chain.from_iterable(CLOUDS.values())))


def spellings(address: str) -> tuple[str, ...]:
    """An IPv4 address as resolvers, browsers and careless parsers have ever read one."""
    a, b, c, d = IPv4Address(address).packed
    whole = int(IPv4Address(address))
    digits = "0123456789"
    return (
        *words(f"{address} {address}. {address}.. {a}.{b}.{c << 8 | d} {a}.{b << 16 | c << 8 | d} {whole} {whole}."),
        *words(f"{whole:#x} {whole:#X} {whole:#x}. 0{whole:o} {whole + 2**32} {a + 256}.{b}.{c}.{d}"),
        *words(f"{a:#x}.{b:#x}.{c:#x}.{d:#x} {a:#x}.{b}.{c}.{d} {a:#x}.{b << 16 | c << 8 | d}"),
        *words(f"0{a:o}.0{b:o}.0{c:o}.0{d:o} 000{a:o}.{b}.{c}.{d} {a:03}.{b:03}.{c:03}.{d:03}"),
        *words(f"{''.join(f'%{ord(each):02x}' for each in address)} {address}%00 {address}%20"),
        *(address.replace(".", dot) for dot in ("%2e", "\u3002", "\uff0e", "\uff61")),
        *(address.translate(str.maketrans(digits, others)) for others in ("０１２３４５６７８９", "٠١٢٣٤٥٦٧٨٩")),
        address.replace("1", "①"),
    )


def forms(address: str) -> tuple[str, ...]:
    """An IPv4 address in the forms of IPv6 that carry one."""
    inner = int(IPv4Address(address))
    high, low = inner >> 16, inner & 0xFFFF
    teredo = IPv6Address((0x2001_0000_4136_E378_8000_63BF << 32) | (inner ^ 0xFFFF_FFFF))  # which stores it inverted
    return words(f"""
        ::ffff:{address} ::ffff:{high:x}:{low:x} ::ffff:0:{address} ::{address} ::{high:x}:{low:x}
        64:ff9b::{address} 64:ff9b:1::{address} 64:ff9b:1:{high:x}:{low >> 8:x}:{(low & 255) << 8:x}::
        2002:{high:x}:{low:x}:: 2002:{high:x}:{low:x}::1 {teredo}
    """)


SIX = (*PRIVATE_6, *chain.from_iterable(forms(each) for each in TARGETS))

# Names, and what each look-up answers, the last for ever

Answers = tuple[tuple[str, ...], ...]
GOOD: Mapping[str, Answers] = {"outside.test": ((OUTSIDE,),), "two.test": ((OUTSIDE, OUTSIDE),)}
BAD: Mapping[str, Answers] = {
    **{f"n{number}.test": ((address,),) for number, address in enumerate((*TARGETS, *PRIVATE, *METADATA, *SIX))},
    **dict.fromkeys(words("localhost localhost.localdomain ip6-localhost host.docker.internal"), (INSIDE,)),
    **dict.fromkeys(words("metadata metadata.google.internal instance-data"), (("169.254.169.254",),)),
    **dict.fromkeys(words("127.0.0.1.test 8.8.8.8.test xn--exmple-cua.test under_score.test"), (("127.0.0.1",),)),
    "metadata.tencentyun.com": (("169.254.0.23",),),
    "kubernetes.default.svc": (("10.0.0.1",),),
    "first.test": ((OUTSIDE, "127.0.0.1"),),
    "last.test": (("127.0.0.1", OUTSIDE),),
    "six.test": ((OUTSIDE, "::1"),),
    "mapped.test": ((OUTSIDE, "::ffff:127.0.0.1"),),
    "zone.test": (("2606:4700:4700::1111%1",),),
    "empty.test": ((),),
}
# Outside when they are judged first, inside a moment later.
TURNCOATS: Mapping[str, Answers] = {
    f"turncoat{number}.test": ((OUTSIDE,), (address,)) for number, address in enumerate((*INSIDE, "10.0.0.1"))
}
NAMES = {**GOOD, **BAD, **TURNCOATS}
ALIAS = "service.inside.test"  # the canonical name that every look-up tells

# Links: one function for each kind, given the port at which all servers are


def via(target: str, port: int, hops: int = 1, status: int = 302, host: str = OUTSIDE) -> str:
    """A link to the site outside, which redirects `hops` times, the last time to `target`."""
    return f"http://{host}:{port}/hops/{status}/{hops}/{target.encode().hex()}"


def bare(address: str) -> str:
    """An address as a URL holds it."""
    return f"[{address}]" if ":" in address else address


def literals(port: int) -> Iterator[str]:
    for address in TARGETS:
        yield from (f"http://{text}:{port}/" for text in spellings(address))
    yield from (f"http://{address}:{port}/" for address in PRIVATE)
    for text in words("127.0.0.1 localhost 127.1 0 0x7f.1 [::1] [::ffff:127.0.0.1]"):
        yield from (f"{scheme}://{text}/" for scheme in ("http", "https"))


def literals_6(port: int) -> Iterator[str]:
    yield from (f"http://[{address}]:{port}/" for address in (*SIX, *ZONED))


def metadata(port: int) -> Iterator[str]:
    for address in METADATA:
        yield from (f"http://{bare(address)}/latest/meta-data/", f"http://{bare(address)}:{port}/")


def names(port: int) -> Iterator[str]:
    yield from (f"http://{name}:{port}/" for name in BAD)
    yield from (f"http://{name}:{port}/" for name in words("LOCALHOST localhost. N0.Test. nowhere.test a..b.test"))
    yield from words("http://localhost/ https://localhost/ http://first.test/ https://last.test/")
    yield f"http://{'a' * 64}.test:{port}/"


def turncoats(port: int) -> Iterator[str]:
    for name in TURNCOATS:
        for target in (f"http://{name}:{port}/", f"http://{name.upper()}:{port}/", "/", "?again"):
            yield via(target, port, host=name)


def redirects(port: int) -> Iterator[str]:
    bad = f"127.0.0.1:{port}"
    for status in REDIRECTS:
        yield from (via(f"http://{bad}/", port, hops, status) for hops in (1, 2, 3, 4))
    yield from (via(f"http://{bare(address)}:{port}/", port, hops=3) for address in (*TARGETS, *METADATA, *SIX))
    yield from (via(f"http://{text}:{port}/", port) for text in spellings("127.0.0.1"))
    for name in words("localhost first.test last.test metadata.google.internal n0.test"):
        yield via(f"//{name}:{port}/", port, host="outside.test")
    yield from (via(f"http://{OUTSIDE}:{port}/film", port, hops) for hops in (4, 5, 50))  # beyond the limit
    yield from (via(location, port) for location in ("", ".", "#x"))  # for ever
    yield from (via(f"http://{bad}/", port, status=status) for status in (300, 304, 305, 306))  # no redirects to us


SCHEMES = words("file ftp gopher dict ldap ws wss jar:http http+unix unix oss s3 telnet x")
FOREIGN = words("""
    file:///etc/passwd file://localhost/etc/passwd data:video/mp4;base64,AAAA javascript:alert(1) about:blank
    blob:http://127.0.0.1/x unix:///var/run/docker.sock mailto:a@b.test
""")


def redirects_elsewhere(port: int) -> Iterator[str]:
    bad, good = f"127.0.0.1:{port}", f"{OUTSIDE}:{port}"
    for location in (
        *words(f"//{bad}/ ///{bad}/ ////{bad}/ https://{bad}/ HTTP://{bad}/ //127.0.0.1/ https://localhost/"),
        *words(f"http:{bad}/ http:/{bad}/ http:///{bad}/ https:{bad}/ https:/{bad}/ http://{OUTSIDE}:22/ http://"),
        *words(rf"\\{bad}\ /\{bad}/ http:\\{bad}\ http://{good}\@{bad}/ http://{bad}\@{good}/ http://[::1 //[::1]x/"),
        *words(f"http://{good}@{bad}/ //x@{bad}/ http://{bad}#@{good}/ http://{bad}?@{good}/ http://a@{good}/film"),
        *(f"\thttp://{bad}/", f"ht\ttp://{bad}/", f" http://{bad}/", f"//127.0.0.1\t:{port}/", f"//{bad}/\u202e"),
        *(f"{scheme}://{bad}/" for scheme in SCHEMES),
        *FOREIGN,
    ):
        yield via(location, port)


def tricks(port: int) -> Iterator[str]:
    bad, good = f"127.0.0.1:{port}", f"{OUTSIDE}:{port}"
    for between in (*words(r"@ :80@ \@ %00@ %2f@ %5c@ %09@ #@ ?@ ;@ /@"), " @", "\t@", "\n@", "\r@", "\0@"):
        yield from (f"http://{good}{between}{bad}/", f"http://{bad}{between}{good}/")
    for inserted in "\t\n\r\0\x0b\x1f\x7f \u00ad\u200b\ufeff\u2060":
        yield from (f"http://127.0.0{inserted}.1:{port}/", f"http{inserted}://{bad}/", f"{inserted}http://{bad}/")
    yield from (f"http:{between}{bad}/" for between in ("", *words(r"/ /// //// \\ /\ \/ //\ ")))
    yield from (f"http://{host}:{port}/" for host in ("", *words(". .. - * % %% @ [] [:] [::1 ::1] ::1 ⓛocalhost")))
    yield from (f"http://{host}:{port}/" for host in words("[::1]x x[::1] [::1].test [::1][::1] [[::1]] [127.0.0.1]"))
    yield from (
        f"http://{host}:{port}/" for host in words("[v1.x] [localhost] localhost%00.test localhost／test ſ.test")
    )
    for text in words("0 1 22 25 6379 8080 11211 65535 65536 -1 99999999999 x 8_0 +80 ٨٠"):
        yield from (f"http://{OUTSIDE}:{text}/film", f"http://outside.test:{text}/film")
    yield from (f"http://{bad}{end}" for end in words(r": :80 :80@ %20 \ \.test/"))
    yield from words(
        f"HTTP://{bad}/ hTtP://{bad}/ //{bad}/ {bad} /{bad} http: http:// http://? http://# url:http://{bad}/"
    )
    yield from words(f"http://127.0.0.1:0{port}/ http://u:p@{good}/film http://@{good}/film http://:@{good}/film")
    yield from ("", f"http://{bad}/{'a' * LONGEST}", f"http://{'a.' * LONGEST}127.0.0.1:{port}/")
    yield from (*FOREIGN, *(f"{scheme}://{bad}/" for scheme in SCHEMES))


KINDS: Mapping[str, Callable[[int], Iterator[str]]] = {
    "literals": literals,
    "IPv6 literals": literals_6,
    "metadata": metadata,
    "names": names,
    "names that turn": turncoats,
    "redirects": redirects,
    "redirects elsewhere": redirects_elsewhere,
    "tricks": tricks,
}


def allowed(port: int) -> Iterator[str]:
    """Links that stay outside."""
    good = f"http://{OUTSIDE}:{port}/film"
    yield from (good, good.replace("http", "HTTP"), f"{good}?a=%2F&b=1", f"{good}#@127.0.0.1/")
    yield from (f"http://{name}:{port}/film" for name in words("outside.test OUTSIDE.test outside.test. two.test"))
    for status in REDIRECTS:
        yield from (via(good, port, hops, status) for hops in (1, 2, 3))
        yield via(f"//outside.test:{port}/film", port, 3, status, host="two.test")
        yield via("/film?x=1#@127.0.0.1/", port, 1, status)
    yield from (via(good, port, host=name) for name in TURNCOATS)  # left before they turn


# The web


@dataclass
class Web:
    """The whole web, as far as these tests go. All its servers are at one port, so that no port tells them apart."""

    port: int = 0
    inside: list[Any] = field(default_factory=list)  # the canary's visitors
    heads: list[str] = field(default_factory=list)  # of the requests outside
    questions: list[str] = field(default_factory=list)  # names that were looked up
    connected: set[Any] = field(default_factory=set)  # where a connection was tried

    def forget(self) -> None:
        """Begin the tables of answers anew."""
        self.questions.clear()

    async def serve_inside(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.inside.append(writer.get_extra_info("sockname"))
        writer.write(_answer(200, FILM))
        writer.close()

    async def serve_outside(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        self.heads.append(head.lower())
        writer.write(self._page(*head.split(" ")[1].partition("?")[0].split("/")[1:]))
        writer.close()

    def _page(self, place: str = "", status: str = "", hops: str = "", target: str = "") -> bytes:
        if place != "hops":
            return _answer(200, FILM) if place == "film" else _answer(500)
        if hops == "1":
            return _answer(int(status), location=bytes.fromhex(target))
        path = f"/hops/{status}/{int(hops) - 1}/{target}"
        whole = int(hops) % 2  # one hop says the whole link, one its path alone
        return _answer(int(status), location=(f"http://{OUTSIDE}:{self.port}{path}" if whole else path).encode())

    def look_up(self, host: str, port: int, *_: Any, **__: Any) -> list[tuple[Any, ...]]:
        """`socket.getaddrinfo`, which asks nobody: names are in the table, spellings are the machine's own to read."""
        name = host.lower().rstrip(".")
        self.questions.append(name)
        if name not in NAMES:
            return list(MACHINE_LOOK_UP(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST))
        answers = NAMES[name]
        found = answers[min(self.questions.count(name), len(answers)) - 1]
        return [(_family(each), socket.SOCK_STREAM, socket.IPPROTO_TCP, ALIAS, (each, port)) for each in found]


MACHINE_LOOK_UP = socket.getaddrinfo


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _answer(status: int, body: bytes = b"", location: bytes | None = None) -> bytes:
    head = f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\nconnection: close\r\n".encode()
    return head + (b"" if location is None else b"location: " + location + b"\r\n") + b"\r\n" + body


def listening(address: str, port: int) -> socket.socket | None:
    """A listening socket, if this machine allows one there."""
    try:
        return socket.create_server((address, port), family=_family(address))
    except OSError:
        return None


def a_port(stack: ExitStack) -> tuple[socket.socket, socket.socket]:
    """Listening sockets outside and inside at one free port."""
    for _ in range(20):
        outside = listening(OUTSIDE, 0)
        if outside is None:
            pytest.skip(f"this machine has no address {OUTSIDE}")
        stack.callback(outside.close)
        if inside := listening(INSIDE[0], outside.getsockname()[1]):
            return outside, inside
    pytest.skip("no port is free on both addresses")


@pytest.fixture
async def web(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Web]:
    """The web up, watched and closed in: a connection to anywhere else is noted and refused."""
    made = Web()
    with ExitStack() as stack:
        outside, inside = a_port(stack)
        made.port = outside.getsockname()[1]
        canary = [inside, *(listening(address, port) for address in INSIDE for port in (made.port, 80, 443))]
        servers = [await asyncio.start_server(made.serve_outside, sock=outside)]
        servers += [await asyncio.start_server(made.serve_inside, sock=sock) for sock in canary if sock is not None]

        def connect(sock: socket.socket, address: Any) -> None:
            made.connected.add(address[:2])
            if address[0] not in {OUTSIDE, *INSIDE}:
                raise ConnectionRefusedError
            super(socket.socket, sock).connect(address)

        monkeypatch.setattr(socket.socket, "connect", connect)
        monkeypatch.setattr(socket, "getaddrinfo", made.look_up)
        for module in (fetch, links):
            monkeypatch.setattr(module, "is_public", lambda text: text == OUTSIDE or addresses.is_public(text))
        monkeypatch.setattr(links, "_PORTS", links._PORTS | {made.port})
        for name in words("http_proxy https_proxy all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{made.port}")
        yield made
        for server in servers:
            server.close()
            await server.wait_closed()


@pytest.fixture
async def fetcher() -> AsyncIterator[SafeFetcher]:
    """A fetcher as the gateway makes it."""
    made = SafeFetcher()
    yield made
    await made.close()


# The doors: how the rest of the gateway opens links


async def as_result(fetcher: SafeFetcher, web: Web, url: str) -> bytes:
    """The link of a result, of a vendor that is elsewhere."""
    return await _opened(fetcher, url, "https://api.vendor.test:443")


async def as_own_result(fetcher: SafeFetcher, web: Web, url: str) -> bytes:
    """The link of a result, of a vendor whose own site is the one outside."""
    return await _opened(fetcher, url, f"http://{OUTSIDE}:{web.port}")


async def as_input(fetcher: SafeFetcher, web: Web, url: str) -> bytes:
    """The link of a caller's picture."""
    return await fetcher.read(url, len(FILM))


async def _opened(fetcher: SafeFetcher, url: str, home: str) -> bytes:
    async with fetcher.open(url, headers=SECRET, home=home) as download:
        return b"".join([chunk async for chunk in download.chunks()])


Door = Callable[[SafeFetcher, Web, str], Awaitable[bytes]]
# Each with what it may raise: a result is tried again whatever is wrong, an input may be the caller's to mend.
DOORS: Mapping[str, tuple[Door, tuple[type[Exception], ...]]] = {
    "result": (as_result, (Unavailable,)),
    "own result": (as_own_result, (Unavailable,)),
    "input": (as_input, (Unavailable, InvalidRequest)),
}


async def outcomes(fetcher: SafeFetcher, web: Web, urls: Iterable[str]) -> dict[tuple[str, str], str]:
    """What became of each link at each door: `refused`, or what else. Returns when every visit has been counted."""
    found = {}
    for url in urls:
        for name, (door, refusals) in DOORS.items():
            web.forget()
            try:
                found[name, url] = f"opened: {(await door(fetcher, web, url)).decode()}"
            except refusals:
                found[name, url] = "refused"
            except Exception as error:  # noqa: BLE001 (whatever it is, it is named with its link)
                found[name, url] = repr(error)
    await asyncio.sleep(0.05)  # what was connected is accepted by now
    return found


@pytest.mark.parametrize("kind", KINDS)
async def test_no_hostile_link_leads_inside(kind: str, fetcher: SafeFetcher, web: Web) -> None:
    """Every link is refused at every door, the canary has no visitor, and nothing but the site outside is tried."""
    found = await outcomes(fetcher, web, KINDS[kind](web.port))

    assert {case: what for case, what in found.items() if what != "refused"} == {}
    assert web.inside == []
    assert web.connected <= {(OUTSIDE, web.port)}


def test_there_are_hundreds_of_them() -> None:
    """The tables hold hundreds of different links, and at least a dozen of each kind."""
    counts = {kind: len(set(make(8000))) for kind, make in KINDS.items()}

    assert min(counts.values()) >= 12
    assert sum(counts.values()) >= 600


async def test_links_that_stay_outside_are_opened(fetcher: SafeFetcher, web: Web) -> None:
    """The same fetcher opens every link that leads outside by number, by name and by up to three redirects."""
    found = await outcomes(fetcher, web, allowed(web.port))

    assert {case: what for case, what in found.items() if what != "opened: film"} == {}
    assert len(found) >= 100
    assert web.inside == []


async def test_the_canary_sings(web: Web) -> None:
    """Where the operator allows private addresses such links do reach the canary, which counts each visit."""
    lenient = SafeFetcher(allow_private=True)
    bad = f"127.0.0.1:{web.port}"
    urls = [f"http://{bad}/", f"http://n0.test:{web.port}/", via(f"http://{bad}/", web.port)]
    found = await outcomes(lenient, web, urls)
    await lenient.close()

    assert set(found.values()) == {"opened: film"}
    assert len(web.inside) == len(found) == len(urls) * len(DOORS)


@pytest.mark.parametrize("door", [as_result, as_own_result, as_input])
async def test_credentials_go_to_their_own_site_only(door: Door, fetcher: SafeFetcher, web: Web) -> None:
    """The site outside gets the key if it is the vendor's own, and then only under the name that the operator wrote."""
    for url in allowed(web.port):
        web.forget()
        await door(fetcher, web, url)

    own = f"{OUTSIDE}:{web.port}"
    asked = {(head.partition("host: ")[2].partition("\r")[0], "canary" in head) for head in web.heads}
    assert {keyed for host, keyed in asked if host == own} == {door is as_own_result}
    assert {keyed for host, keyed in asked if host != own} == {False}


@pytest.mark.parametrize("way", ["number", "name", "redirect"])
async def test_an_input_that_leads_inside_is_wrong_for_good(way: str, fetcher: SafeFetcher, web: Web) -> None:
    """However it leads there, its caller is told so at once; the link of a result may be mended by its vendor."""
    inside = f"http://127.0.0.1:{web.port}/"
    url = {"number": inside, "name": f"http://last.test:{web.port}/", "redirect": via(inside, web.port)}[way]

    with pytest.raises(InvalidRequest, match=r"^The link leads to an address that is not public\.$") as caught:
        await as_input(fetcher, web, url)
    with pytest.raises(Unavailable, match=r"^the link leads to an address that is not public$"):
        await as_result(fetcher, web, url)
    assert caught.value.code == "unsafe_url"


@pytest.mark.parametrize("name", TURNCOATS)
async def test_a_name_is_asked_once_for_each_opening(name: str, fetcher: SafeFetcher, web: Web) -> None:
    """A name that turns inside after one look-up is read where it was judged; opened again it is judged again."""
    url = f"http://{name}:{web.port}/film"
    for door, refusals in DOORS.values():
        web.forget()
        assert await door(fetcher, web, url) == FILM
        assert web.questions == [name]
        with pytest.raises(refusals):
            await door(fetcher, web, url)
        assert web.questions == [name] * 2

    assert web.inside == []
    assert web.connected == {(OUTSIDE, web.port)}

"""Opening links safely: the one place where a URL that somebody else chose is opened.

A link's text is judged, its host is resolved once, every address is judged, and the connection goes to an address that
was judged. Redirects are followed by hand, each judged anew; where something is posted, none is followed.
"""

import socket
from asyncio import get_running_loop
from collections.abc import AsyncIterator, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any
from urllib.parse import urljoin

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from videogate.media.addresses import is_public
from videogate.media.links import UnsafeLink, check_link, is_at
from videogate.task.errors import InvalidRequest, LinkExpired, Throttled, Unavailable
from videogate.vendorkit.client import Download, wish

REDIRECTS = 3
CONNECT_SECONDS = 5.0
SILENCE_SECONDS = 30.0  # between two pieces
TOTAL_SECONDS = 600.0
RESULT_BYTES = 2 * 1024**3
CHUNK = 256 * 1024
POST_SECONDS = 10.0  # for all of a post, its answer included
POST_LOOK_UPS = 16  # of hosts, at once
ANSWER_BYTES = 64 * 1024  # of the answer to a post; the rest is not heard

_REDIRECT = frozenset({301, 302, 303, 307, 308})
_DEAD = frozenset({401, 403, 404, 410})
_TOO_MANY = 429
_HEADERS = {"accept-encoding": "identity", "user-agent": "videogate"}
# What callers read of trouble on the way; the first that fits.
_TROUBLES: tuple[tuple[type[Exception], str], ...] = (
    (aiohttp.ClientConnectorDNSError, "its host was not found"),
    (aiohttp.ClientSSLError, "its host cannot be trusted: its TLS certificate is not good"),
    (aiohttp.ClientConnectorError, "its host takes no connection"),
    (TimeoutError, "its host did not answer in time"),
    (aiohttp.ClientConnectionError, "its host broke the connection off"),
    (aiohttp.ClientResponseError, "its host's answer is not HTTP"),
    (aiohttp.ClientPayloadError, "its body is not whole"),
)


class NotPublic(OSError):
    """A host or address that is not on the public internet."""


class SafeFetcher:
    """Opens links. With `allow_private`, addresses on loopback and private networks too."""

    def __init__(self, *, allow_private: bool = False, longest_result: int = RESULT_BYTES) -> None:
        self._allow_private = allow_private
        self._longest = longest_result
        self._session: aiohttp.ClientSession | None = None
        self._home_session: aiohttp.ClientSession | None = None
        self._post_session: aiohttp.ClientSession | None = None
        self._post_resolver = ApartResolver(allow_private=allow_private)

    async def close(self) -> None:
        """Close every connection."""
        for session in (self._session, self._home_session, self._post_session):
            if session is not None:
                await session.close()
        await self._post_resolver.close()

    def check(self, url: str) -> None:
        """Judge a link by its text, as it is judged when it is opened. Raises UnsafeLink."""
        check_link(url, allow_private=self._allow_private)

    @asynccontextmanager
    async def open(
        self, url: str, *, headers: Mapping[str, str], home: str, hosts: Collection[str] = ()
    ) -> AsyncIterator[Download]:
        """Open a result.

        `home` is the vendor's own origin, which the operator configured: it may be a private address, and only it
        gets `headers`. With `hosts`, the result must be there or at one of these hosts or below them. Raises
        LinkExpired for a dead link, Throttled where its server asks to come back later, Unavailable for trouble on the
        way and for a link that is not safe to open.
        """
        try:
            async with self._open(url, headers, home, hosts) as download:
                yield download
        except UnsafeLink as error:
            raise Unavailable(f"the link {error.problem}") from error

    async def read(self, url: str, limit: int) -> bytes:
        """Read a small file, such as a picture, whole.

        Raises InvalidRequest for a link that is not safe, is dead or holds more than `limit` bytes; Unavailable for
        what may pass.
        """
        content = bytearray()
        try:
            async with self._open(url, {}, "", ()) as download:
                async for chunk in download.chunks():
                    content += chunk
                    if len(content) > limit:
                        raise InvalidRequest(f"The file behind the link is larger than {limit} bytes.")
        except LinkExpired as error:
            raise InvalidRequest(f"The link cannot be opened: {error.message}.") from error
        except Throttled as error:
            raise Unavailable(error.message) from error
        return bytes(content)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Send a body. Returns the status of the answer, of which nothing else is kept and no redirect followed.

        Raises UnsafeLink for a link that is not safe, Unavailable for trouble on the way.
        """
        self.check(url)
        session = self._get_post_session()
        try:
            response = await session.post(URL(url, encoded=True), data=body, headers=headers, allow_redirects=False)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            if _leads_inside(error):
                raise UnsafeLink("leads to an address that is not public") from error
            raise Unavailable(_in_words(error)) from error
        try:
            await _hear_out(response)
        finally:
            response.close()
        return response.status

    @asynccontextmanager
    async def _open(
        self, url: str, headers: Mapping[str, str], home: str, hosts: Collection[str]
    ) -> AsyncIterator[Download]:
        response = await self._follow(url, headers, home, hosts)
        try:
            yield _accept(response, self._longest)
        finally:
            response.close()

    async def _follow(
        self, url: str, headers: Mapping[str, str], home: str, hosts: Collection[str]
    ) -> aiohttp.ClientResponse:
        for _ in range(REDIRECTS + 1):
            response = await self._get(url, headers, home, hosts)
            if response.status not in _REDIRECT or "location" not in response.headers:
                return response
            response.close()
            try:
                url = urljoin(url, response.headers["location"])
            except ValueError as error:
                raise Unavailable("the link redirects to what is not a URL") from error
        raise Unavailable(f"the link redirects more than {REDIRECTS} times")

    async def _get(
        self, url: str, headers: Mapping[str, str], home: str, hosts: Collection[str]
    ) -> aiohttp.ClientResponse:
        at_home = is_at(home, url)
        if not at_home:
            check_link(url, allow_private=self._allow_private, hosts=hosts)
        session = self._get_session(at_home=at_home)
        try:
            # A link whose text was judged is sent as it is written: a signature is over its very characters.
            where = URL(url, encoded=not at_home)
            return await session.get(where, headers=dict(headers) if at_home else {}, allow_redirects=False)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            if _leads_inside(error):
                raise UnsafeLink("leads to an address that is not public") from error
            raise Unavailable(f"the link could not be read: {_in_words(error)}") from error

    def _get_session(self, *, at_home: bool) -> aiohttp.ClientSession:
        if at_home or self._allow_private:
            self._home_session = self._home_session or _session()
            return self._home_session
        self._session = self._session or _session(PublicResolver(), public_socket)
        return self._session

    def _get_post_session(self) -> aiohttp.ClientSession:
        make_socket = None if self._allow_private else public_socket
        self._post_session = self._post_session or _post_session(self._post_resolver, make_socket)
        return self._post_session


class PublicResolver(AbstractResolver):
    """Resolves a host once and refuses it if any of its addresses is not public.

    The connector connects to exactly the addresses returned here, so a name cannot change between check and use.
    """

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Look a host up. Raises OSError for a host that does not resolve or is not public."""
        found = await self._look_up(host, port, family)
        addresses = [(kind, str(address[0])) for kind, _, _, _, address in found]
        if not addresses or not all(self._may_be_opened(address) for _, address in addresses):
            raise NotPublic(f"{host} is not on the public internet")
        return [
            ResolveResult(hostname=host, host=address, port=port, family=kind, proto=0, flags=socket.AI_NUMERICHOST)
            for kind, address in addresses
        ]

    async def close(self) -> None:
        """Hold nothing."""

    async def _look_up(self, host: str, port: int, family: socket.AddressFamily) -> list[Any]:
        return await get_running_loop().getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)

    def _may_be_opened(self, address: str) -> bool:
        return is_public(address)


class ApartResolver(PublicResolver):
    """Resolves in threads of its own: a receiver whose name server hangs takes none from results and vendors."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._threads = ThreadPoolExecutor(POST_LOOK_UPS, thread_name_prefix="post-resolver")

    async def close(self) -> None:
        """Begin no further look-up."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _look_up(self, host: str, port: int, family: socket.AddressFamily) -> list[Any]:
        ask = partial(socket.getaddrinfo, host, port, family=family, type=socket.SOCK_STREAM)
        return await get_running_loop().run_in_executor(self._threads, ask)

    def _may_be_opened(self, address: str) -> bool:
        return self._allow_private or is_public(address)


def public_socket(info: aiohttp.AddrInfoType) -> socket.socket:
    """A socket for this address, judged once more: literals pass no resolver. Raises OSError if it is not public."""
    kind, how, protocol, _, address = info
    if not is_public(str(address[0])):
        raise NotPublic(f"{address[0]} is not on the public internet")
    return socket.socket(kind, how, protocol)


class _Response:
    """A result being read."""

    def __init__(self, response: aiohttp.ClientResponse, longest: int) -> None:
        self._response = response
        self._longest = longest
        self.length = response.content_length
        self.mime = response.content_type

    async def chunks(self) -> AsyncIterator[bytes]:
        count = 0
        try:
            async for chunk in self._response.content.iter_chunked(CHUNK):
                count += len(chunk)
                if count > self._longest:
                    raise Unavailable(f"the result is larger than {self._longest} bytes")
                yield chunk
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unavailable(f"the result broke off: {_in_words(error)}") from error
        if self.length is not None and count != self.length:
            raise Unavailable(f"the result broke off after {count} of {self.length} bytes")


def _leads_inside(error: Exception) -> bool:
    return isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, NotPublic)


def _in_words(error: Exception) -> str:
    return next((words for kind, words in _TROUBLES if isinstance(error, kind)), type(error).__name__)


def _accept(response: aiohttp.ClientResponse, longest: int) -> Download:
    if response.status in _DEAD:
        raise LinkExpired(f"the link answered {response.status}")
    if response.status == _TOO_MANY:
        wished = wish(response.headers.get("retry-after", ""))
        raise Throttled(f"the link answered {response.status}", retry_after=wished)
    if response.status != 200:  # noqa: PLR2004 (OK: a partial or empty answer is no result)
        raise Unavailable(f"the link answered {response.status}")
    if response.content_length is not None and response.content_length > longest:
        raise Unavailable(f"the result is larger than {longest} bytes")
    return _Response(response, longest)


async def _hear_out(response: aiohttp.ClientResponse) -> None:
    """Let a short answer come to its end, so that its server does not take its work for lost."""
    heard = 0
    with suppress(aiohttp.ClientError, TimeoutError):  # its status is there already
        async for chunk in response.content.iter_chunked(CHUNK):
            heard += len(chunk)
            if heard > ANSWER_BYTES:
                return


def _post_session(resolver: AbstractResolver, make_socket: aiohttp.SocketFactoryType | None) -> aiohttp.ClientSession:
    """Connections of its own, each for one post: receivers that hang take none from results."""
    connector: Any = aiohttp.TCPConnector(
        resolver=resolver,
        socket_factory=make_socket,
        use_dns_cache=False,
        force_close=True,
        limit=0,  # who posts minds how many there are
    )
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=POST_SECONDS, sock_connect=CONNECT_SECONDS),
        headers=_HEADERS,
        auto_decompress=False,
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
    )


def _session(
    resolver: AbstractResolver | None = None, make_socket: aiohttp.SocketFactoryType | None = None
) -> aiohttp.ClientSession:
    connector: Any = aiohttp.TCPConnector(resolver=resolver, socket_factory=make_socket, use_dns_cache=False, limit=64)
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=TOTAL_SECONDS, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS),
        headers=_HEADERS,
        auto_decompress=False,
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
    )

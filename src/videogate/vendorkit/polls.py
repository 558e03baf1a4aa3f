"""The way of requests that may be repeated: keep-alive connections, shared by all vendors, and aiohttp alone.

Under thousands of jobs it is the looks at them that a processor is busy with, and httpx over aiohttp takes several
times as long for one. What httpx would see to is seen to here: nothing is followed, no cookie is kept, a link is sent
as it was signed.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

import aiohttp
import httpx
from yarl import URL

from videogate.vendorkit.lines import Answer

CONNECTIONS = 256
IDLE_SECONDS = 5.0  # that a connection is kept
_AGENT = f"python-httpx/{httpx.__version__}"  # as a submit says it: an account has one client


class Polls:
    """The connections. To be closed; a proxy that the environment names is not used.

    Args:
        connect: seconds until a connection must stand.
        silence: seconds to wait for a free connection, and for each piece of an answer.
    """

    def __init__(self, *, connect: float, silence: float) -> None:
        self._timeout = aiohttp.ClientTimeout(connect=silence, sock_connect=connect, sock_read=silence)
        self._trust = httpx.create_ssl_context(trust_env=False)  # the authorities that submits trust
        self._session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def send(self, method: str, url: str, headers: Mapping[str, str], content: bytes) -> AsyncIterator[Answer]:
        """Send a request; its answer, to be read within. Raises aiohttp's errors."""
        if self._session is None:
            self._session = self._open()
        async with self._session.request(
            method,
            URL(url, encoded=True),
            headers=headers,
            data=content or None,
            allow_redirects=False,
            timeout=self._timeout,
        ) as answer:
            yield Answer(answer.status, _by_name(answer.headers), answer.content.iter_any())

    async def aclose(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _open(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=CONNECTIONS, ssl=self._trust, keepalive_timeout=IDLE_SECONDS)
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"user-agent": _AGENT},
            trust_env=False,
        )


def _by_name(headers: Mapping[str, str]) -> dict[str, str]:
    """An answer's headers by their names in small letters; what comes more than once stands in one line."""
    found: dict[str, str] = {}
    for name, value in headers.items():
        key = name.lower()
        found[key] = f"{found[key]}, {value}" if key in found else value
    return found

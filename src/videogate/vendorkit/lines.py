"""How a request gets to a vendor: what a line is, and the plain one, on which submits go."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import httpx

from videogate.faultpoints import armed, faultpoint


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer whose body is still to be read. The names of `headers` are in small letters, `chunks` are unpacked."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]


class Line(Protocol):
    """Sends requests exactly as they are written."""

    def send(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes
    ) -> AbstractAsyncContextManager[Answer]:
        """Send a request; its answer, to be read within. Raises the errors of the client that does it."""


class PlainLine:
    """A line over httpx. With `watched` the places within a submit are passed, where a fault is armed."""

    def __init__(self, client: httpx.AsyncClient, *, watched: bool = False) -> None:
        self._client = client
        self._watched = watched

    @asynccontextmanager
    async def send(self, method: str, url: str, headers: Mapping[str, str], content: bytes) -> AsyncIterator[Answer]:
        """Send a request; its answer, to be read within. Raises httpx's errors."""
        watch = {"trace": _pass_points} if self._watched and armed() else None
        request = self._client.build_request(method, url, headers=headers, content=content, extensions=watch)
        response = await self._client.send(request, stream=True)
        try:
            yield Answer(response.status_code, dict(response.headers), response.aiter_bytes())
        finally:
            await response.aclose()


async def _pass_points(event: str, _info: Mapping[str, Any]) -> None:
    """Pass the places within httpx; it names its own steps."""
    if event == "connection.connect_tcp.complete":
        faultpoint("submit.connected")
    elif event == "http11.send_request_body.complete":
        faultpoint("submit.sent")

"""A network between a client and a PostgreSQL server that a test can break."""

import asyncio
from asyncio import StreamReader, StreamWriter
from pathlib import Path
from typing import Self

from sqlalchemy import make_url


class Network:
    """Carries bytes from a port on this machine to the server's socket.

    `cut` are words of a client at whose coming the connection breaks, once: before they reach the server, or, with
    `heard`, after the server has answered them and before the answer reaches the client.
    """

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._socket = Path(str(self._url.query["host"])) / ".s.PGSQL.5432"
        self._flows = asyncio.Event()
        self._ways: set[asyncio.Task[None]] = set()
        self.cut: bytes | None = None
        self.heard = False

    async def __aenter__(self) -> Self:
        self._flows.set()
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        while self._ways:
            for each in self._ways:
                each.cancel()
            await asyncio.sleep(0.01)

    def url(self, password: str = "") -> str:
        """Where clients find the server."""
        port = self._server.sockets[0].getsockname()[1]
        return f"postgresql://postgres:{password}@127.0.0.1:{port}/{self._url.database}"

    def hang(self) -> None:
        """Carry nothing; what is sent stays on the way."""
        self._flows.clear()

    def resume(self) -> None:
        """Carry again, and what is on the way first."""
        self._flows.set()

    async def _carry(self, reader: StreamReader, writer: StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection(self._socket)
        broken = asyncio.Event()
        ways = {
            asyncio.create_task(each)
            for each in (self._forth(reader, far_writer, broken), self._back(far_reader, writer, broken))
        }
        self._ways |= ways
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        for each in (writer, far_writer):
            each.transport.abort()
        self._ways -= ways

    async def _forth(self, reader: StreamReader, writer: StreamWriter, broken: asyncio.Event) -> None:
        while words := await reader.read(65_536):
            await self._flows.wait()
            if self.cut and self.cut in words:
                self.cut = None
                if not self.heard:
                    return
                broken.set()
            writer.write(words)

    async def _back(self, reader: StreamReader, writer: StreamWriter, broken: asyncio.Event) -> None:
        while words := await reader.read(65_536):
            await self._flows.wait()
            if broken.is_set():
                return
            writer.write(words)

"""Answers that are none: connections that break off, as networks do."""

import asyncio
from typing import Any

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send


class Dropped(Response):
    """Close the connection without a byte of an answer."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        await _close(receive, flush=False)


class Hung(Response):
    """Say nothing until the client leaves, or until `over`."""

    def __init__(self, over: asyncio.Event) -> None:
        super().__init__()
        self._over = over

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        waits = {asyncio.create_task(_gone(receive)), asyncio.create_task(self._over.wait())}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        await _close(receive, flush=False)


class BrokenOff(Response):
    """Send the head and half the body of `answer`, then close the connection."""

    def __init__(self, answer: Response) -> None:
        super().__init__()
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        left = 0

        async def send_half(message: Message) -> None:
            nonlocal left
            if message["type"] == "http.response.start":
                left = int(dict(message["headers"])[b"content-length"]) // 2
                await send(message)
                return
            body = message.get("body", b"")[:left]
            left -= len(body)
            await send({"type": "http.response.body", "body": body, "more_body": True})

        await self._answer(scope, receive, send_half)
        await _close(receive, flush=True)


async def _close(receive: Receive, *, flush: bool) -> None:
    # `receive` is a method of uvicorn's cycle of one request, which holds the connection.
    transport: Any = getattr(getattr(receive, "__self__", None), "transport", None)
    if transport is None:
        raise RuntimeError("only a connection of uvicorn can be broken off")
    if flush:
        transport.close()
    else:
        transport.abort()
    await _gone(receive)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

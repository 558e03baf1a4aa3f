"""A server that does next to nothing, to see what the load generator can take.

`python bench/trivial.py PORT BYTES`. It reads a request to the end of its body and gives the same answer to all.
"""

import asyncio
import sys

import uvloop

HEAD = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n"


class Constant(asyncio.Protocol):
    """One connection."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.waiting = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.waiting += data
        while (whole := _whole(self.waiting)) is not None and whole <= len(self.waiting):
            self.waiting = self.waiting[whole:]
            self.transport.write(self.answer)  # type: ignore[attr-defined]


def _whole(data: bytes) -> int | None:
    """The bytes of the first request, once its head is there."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = data[:end].lower()
    at = head.find(b"content-length:")
    return end + 4 + (int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0)


async def serve(port: int, size: int) -> None:
    """Answer until the process is ended."""
    answer = HEAD.format(size).encode() + b" " * size
    server = await asyncio.get_running_loop().create_server(lambda: Constant(answer), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), int(sys.argv[2])))

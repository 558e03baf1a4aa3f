"""A load generator as a process of its own: raw HTTP/1.1 on kept connections, so that the server is what is measured.

Reads a plan as JSON from stdin (`host port connections seconds requests calls`, the requests as base64, sent in turn;
`calls` is how many at most, or null), writes what came of it as JSON. It parses no more than a status and a length:
about four times as fast as a client library.
"""

import asyncio
import json
import sys
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle, islice
from time import perf_counter, time

import uvloop


@dataclass
class Tally:
    """What came of the calls: seconds of each, how many of each status, bytes of bodies."""

    times: list[float] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)
    size: int = 0


class Line(asyncio.Protocol):
    """One connection that asks, waits for the whole answer, and asks again until time or requests are over."""

    def __init__(self, requests: Iterator[bytes], tally: Tally, until: float) -> None:
        self.requests = requests
        self.tally = tally
        self.until = until
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.head = b""
        self.left = -1  # bytes of the body to come; -1: the head is not whole
        self.status = ""
        self.began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            if self.began and perf_counter() < self.until:
                self.tally.statuses["lost"] = self.tally.statuses.get("lost", 0) + 1
            self.done.set_result(None)

    def ask(self) -> None:
        self.began = perf_counter()
        request = next(self.requests, None) if self.began < self.until else None
        if request is None:
            self.done.set_result(None)
            self.transport.close()
            return
        self.head, self.left = b"", -1
        self.transport.write(request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        if self.left < 0:
            self.head += data
            end = self.head.find(b"\r\n\r\n")
            if end < 0:
                return
            head, data = self.head[:end].lower(), self.head[end + 4 :]
            self.status = head[9:12].decode()
            at = head.find(b"content-length:")
            assert at >= 0, head
            self.left = int(head[at + 15 :].split(b"\r\n", 1)[0])
            self.tally.size += self.left
        self.left -= len(data)
        if self.left <= 0:
            self.tally.times.append(perf_counter() - self.began)
            self.tally.statuses[self.status] = self.tally.statuses.get(self.status, 0) + 1
            self.ask()


async def run(plan: dict[str, object]) -> dict[str, object]:
    """Carry a plan out."""
    tally, loop = Tally(), asyncio.get_running_loop()
    turns = cycle([b64decode(each) for each in plan["requests"]])  # type: ignore[attr-defined]
    requests = islice(turns, plan["calls"])  # type: ignore[call-overload]
    at, began = time(), perf_counter()
    until = began + float(plan["seconds"])  # type: ignore[arg-type]
    lines = [
        (await loop.create_connection(lambda: Line(requests, tally, until), str(plan["host"]), int(str(plan["port"]))))[
            1
        ]
        for _ in range(int(str(plan["connections"])))
    ]
    await asyncio.gather(*(line.done for line in lines))
    took, times = perf_counter() - began, sorted(tally.times)
    return {
        "began": at,
        "rate": len(times) / took,
        "p50": 1000 * times[len(times) // 2] if times else None,
        "p99": 1000 * times[int(len(times) * 0.99)] if times else None,
        "statuses": tally.statuses,
        "mib": tally.size / took / 2**20,
    }


if __name__ == "__main__":
    json.dump(uvloop.run(run(json.load(sys.stdin))), sys.stdout)

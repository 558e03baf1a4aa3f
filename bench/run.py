"""Measures a gateway against simulated vendors on this machine: `make bench`.

Creates (durable before the answer), reads of one video, and reads of a constant answer of the same server as the floor:
the ratios of one run are what to quote, since absolute figures move with the machine.
"""

import argparse
import asyncio
import statistics
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import perf_counter

import aiohttp

from videogate import simulator
from videogate.cli.children import child

KEY = {"authorization": "Bearer bench"}


async def measure(name: str, count: int, readers: int, call: Callable[[int], Awaitable[int]]) -> float:
    """Make `count` calls by `readers` at once; print and return calls a second."""
    times: list[float] = []
    bad = 0
    numbers = iter(range(count))

    async def work() -> None:
        nonlocal bad
        for number in numbers:
            began = perf_counter()
            status = await call(number)
            times.append(perf_counter() - began)
            bad += status >= 300  # noqa: PLR2004 (not a success)

    began = perf_counter()
    await asyncio.gather(*(work() for _ in range(readers)))
    rate = count / (perf_counter() - began)
    times.sort()
    middle, slow = statistics.median(times) * 1000, times[int(len(times) * 0.99)] * 1000
    print(f"{name:<24} {rate:>8.0f} a second   p50 {middle:>6.1f} ms   p99 {slow:>7.1f} ms   failed {bad}")
    return rate


async def run(gateway: str, count: int, readers: int) -> None:
    """The whole bench against one gateway."""
    connector = aiohttp.TCPConnector(limit=readers)
    async with aiohttp.ClientSession(gateway, headers=KEY, connector=connector) as web:

        async def get(path: str) -> int:
            async with web.get(path) as answer:
                await answer.read()
                return answer.status

        async def create(number: int) -> int:
            form = aiohttp.FormData({"model": "sora-2", "prompt": f"bench {number}", "seconds": "4"})
            form.add_field("metadata", "{}", content_type="text/plain")
            async with web.post("/v1/videos", data=form) as answer:
                await answer.read()
                return answer.status

        floor = await measure("GET /health/live (floor)", count, readers, lambda _: get("/health/live"))
        creates = await measure("POST /v1/videos", count, readers, create)
        async with web.get("/v1/videos?limit=1") as answer:
            video = (await answer.json())["data"][0]["id"]
        reads = await measure("GET /v1/videos/{id}", count, readers, lambda _: get(f"/v1/videos/{video}"))
    print(f"ratios to the floor: create {creates / floor:.2f}, read {reads / floor:.2f}")


def main() -> None:
    """Start both servers and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2_000, help="calls of each kind")
    parser.add_argument("--readers", type=int, default=64, help="calls at once")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with child(["videogate.simulator", "--port", "0"], folder=folder, variables={}) as vendors:
            variables = {**simulator.environment(vendors.url), "VIDEOGATE_API_KEYS": "bench", "VIDEOGATE_PORT": "0"}
            with child(["videogate", "serve"], folder=folder, variables=variables) as gateway:
                asyncio.run(run(gateway.url, given.count, given.readers))


if __name__ == "__main__":
    main()

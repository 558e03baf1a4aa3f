"""Measures the poller with thousands of videos in flight, and how cost grows with them: `make bench-flight`.

All five simulated vendors hold their share of the jobs, which do not end while they are measured. How late a look is
(when it was claimed, less when it was due) is written down by a trigger in the database; meanwhile a client retrieves
videos at a steady pace. The rates that vendors document would bound the looks, so they are lifted: what is measured is
the gateway. Ends with an error if an aim is missed at 5,000.
"""

import argparse
import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random

import aiohttp
import programs
import tables
from programs import Program

from videogate import simulator
from videogate.cli.children import child

MODELS = ("sora-2", "wan2.5-t2v-preview", "kling-v1", "jimeng_vgfm_t2v_l20", "viduq1")
PACE = 200  # retrieves a second
AIM_SIZE = 5_000
AIMS = {"late, p50": 5.0, "late, p99": 15.0, "retrieve, p99": 50.0}  # seconds, seconds, milliseconds
OPEN = "state IN ('submitted', 'running')"
LOOKS = f"""
CREATE TABLE bench_look (late REAL);
CREATE TRIGGER bench_looked AFTER UPDATE OF fence ON task
WHEN NEW.lease_by IS NOT NULL AND OLD.lease_by IS NULL AND OLD.{OPEN}
BEGIN INSERT INTO bench_look VALUES ((julianday('now') - 2440587.5) * 86400.0 - OLD.due_at / 1e6); END;
"""


def settings() -> dict[str, str]:
    """No bounds but our own."""
    vendors = ("SORA", "WANXIANG", "KLING", "JIMENG", "VIDU")
    wished = {"POLLS_PER_SECOND": "400", "SUBMITS_PER_SECOND": "100", "MAX_JOBS": "0"}
    return {f"VIDEOGATE_{vendor}_{name}": value for vendor in vendors for name, value in wished.items()}


@contextmanager
def scene(folder: Path) -> Iterator[tuple[Program, int]]:
    """A gateway and the simulator's process id."""
    endless = ["--port", "0", "--render-seconds", "36000", "--queue-seconds", "0", "--no-rate-limits"]
    with child(["videogate.simulator", *endless], folder=folder, variables={}) as vendors:
        own = {**simulator.environment(vendors.url), **settings()}
        with programs.gateway("us", folder, own) as gateway:
            yield gateway, vendors.process.pid


async def fill(web: aiohttp.ClientSession, count: int, database: sqlite3.Connection) -> list[str]:
    """Create videos, and wait until every vendor has its share. Their ids."""
    ids: list[str] = []
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            asked = {"model": MODELS[number % len(MODELS)], "prompt": f"bench {number}"}
            async with web.post("/v1/videos", json=asked) as answer:
                answer.raise_for_status()
                ids.append((await answer.json())["id"])

    await asyncio.gather(*(work() for _ in range(16)))
    there = 0
    while there < count:
        await asyncio.sleep(1)
        ((there,),) = database.execute(f"SELECT count(*) FROM task WHERE {OPEN}").fetchall()
    return ids


async def retrieve(web: aiohttp.ClientSession, ids: list[str], seconds: float) -> list[float]:
    """Retrieve at a steady pace; the milliseconds of each, counted from when it should have begun."""
    times: list[float] = []
    random, began = Random(1), time.perf_counter()

    async def one(at: float) -> None:
        async with web.get(f"/v1/videos/{random.choice(ids)}") as answer:
            await answer.read()
            assert answer.status == 200, answer.status  # noqa: PLR2004 (found)
        times.append((time.perf_counter() - at) * 1000)

    async with asyncio.TaskGroup() as group:
        for number in range(int(seconds * PACE)):
            at = began + number / PACE
            await asyncio.sleep(max(0.0, at - time.perf_counter()))
            group.create_task(one(at))
    return sorted(times)


async def measure(count: int, seconds: float, settle: float) -> dict[str, float]:
    """One row of the table."""
    with tempfile.TemporaryDirectory() as name, scene(Path(name)) as (gateway, vendors):
        key = {"authorization": "Bearer bench"}
        connector = aiohttp.TCPConnector(limit=64)
        path = Path(name) / "data" / "gateway.db"
        async with aiohttp.ClientSession(f"http://127.0.0.1:{gateway.port}", headers=key, connector=connector) as web:
            with closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as database:
                ids = await fill(web, count, database)
                database.executescript(LOOKS)
                await asyncio.sleep(settle)
                database.execute("DELETE FROM bench_look")
                used, theirs = gateway.cpu, programs.cpu(vendors)
                times = await retrieve(web, ids, seconds)
                late = sorted(row[0] for row in database.execute("SELECT late FROM bench_look"))
                used, theirs = gateway.cpu - used, programs.cpu(vendors) - theirs
        return {
            "in flight": count,
            "looks a second": len(late) / seconds,
            "late, p50": late[len(late) // 2],
            "late, p99": late[int(len(late) * 0.99)],
            "retrieve, p50": times[len(times) // 2],
            "retrieve, p99": times[int(len(times) * 0.99)],
            "our CPU, %": 100 * used / seconds,
            "the vendors' CPU, %": 100 * theirs / seconds,
            "memory, MiB": gateway.memory,
        }


def main() -> None:
    """Measure each size in turn, in a gateway of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1_000, 5_000, 20_000])
    parser.add_argument("--seconds", type=float, default=60.0, help="of each measurement")
    parser.add_argument("--settle", type=float, default=100.0, help="seconds before it, for the first looks")
    given = parser.parse_args()
    tables.heading(f"{given.seconds:g} s each, {PACE} retrieves a second")
    missed: list[str] = []
    for number, size in enumerate(given.sizes):
        row = asyncio.run(measure(size, given.seconds, given.settle))
        tables.row(row, first=not number)
        if size == AIM_SIZE:
            missed = [f"{what} is {row[what]:.1f}, not {aim:g}" for what, aim in AIMS.items() if row[what] > aim]
    print("".join(f"\nMISSED: {each}" for each in missed))
    raise SystemExit(bool(missed))


if __name__ == "__main__":
    main()

"""Measures the poller with thousands of videos in flight, and how cost grows with them: `make bench-flight`.

All five simulated vendors hold their share of the jobs, which do not end while they are measured. In the first half of
the time nobody asks for anything, so that the processor time is that of the looks; in the second a client retrieves
videos at a steady pace, and a few more jobs end. How late a look is (when it was claimed, less when it was due) is
written down by a trigger in the database. The rates that vendors document would bound the looks, so they are lifted:
what is measured is the gateway. Ends with an error if an aim is missed at 5,000.
"""

import argparse
import asyncio
import math
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
from videogate.cli.children import Child, child

VENDORS = ("sora", "wanxiang", "kling", "jimeng", "vidu")
MODELS = ("sora-2", "wan2.5-t2v-preview", "kling-v1", "jimeng_vgfm_t2v_l20", "viduq1")
PACE = 200  # retrieves a second
AIM_SIZE = 5_000
AIMS = {"late, p50": 5.0, "late, p99": 15.0, "retrieve, p99": 50.0}  # seconds, seconds, milliseconds
INTERVAL, SETTLE = 2.0, 100.0  # seconds, as it is usual; nearly every first look comes within the second
ENDING = 40  # jobs that end
RENDER = 36_000.0  # seconds that the others take
PATIENCE = 300.0  # seconds for the last that ended to be completed
OPEN = "state IN ('submitted', 'running')"
COMPLETED = """SELECT task.vendor, attempt.vendor_task_id, task.completed_at FROM task
JOIN attempt ON attempt.task_id = task.id AND attempt.state = 'accepted' WHERE task.state = 'succeeded'"""
LOOKS = f"""
CREATE TABLE bench_look (late REAL);
CREATE TRIGGER bench_looked AFTER UPDATE OF fence ON task
WHEN NEW.lease_by IS NOT NULL AND OLD.lease_by IS NULL AND OLD.{OPEN}
BEGIN INSERT INTO bench_look VALUES ((julianday('now') - 2440587.5) * 86400.0 - OLD.due_at / 1e6); END;
"""


def interval(settle: float) -> float:
    """The shortest time from look to look, which the whole schedule grows with: a short trial sees looks too."""
    return INTERVAL * min(1.0, settle / SETTLE)


def settings(settle: float) -> dict[str, str]:
    """No bounds but our own."""
    wished = {
        "POLL_INTERVAL": f"{interval(settle):g}",
        "POLLS_PER_SECOND": "400",
        "SUBMITS_PER_SECOND": "100",
        "MAX_JOBS": "0",
    }
    return {f"VIDEOGATE_{vendor.upper()}_{name}": value for vendor in VENDORS for name, value in wished.items()}


@contextmanager
def scene(folder: Path, settle: float) -> Iterator[tuple[Program, Child]]:
    """A gateway and the simulator."""
    endless = ["--port", "0", "--render-seconds", f"{RENDER:g}", "--queue-seconds", "0", "--no-rate-limits"]
    with child(["videogate.simulator", *endless], folder=folder, variables={}) as vendors:
        own = {**simulator.environment(vendors.url), **settings(settle)}
        with programs.gateway("us", folder, own) as gateway:
            yield gateway, vendors


async def create(web: aiohttp.ClientSession, number: int, prompt: str) -> str:
    """Create a video with one of the vendors; its id."""
    asked = {"model": MODELS[number % len(MODELS)], "prompt": prompt}
    async with web.post("/v1/videos", json=asked) as answer:
        answer.raise_for_status()
        return str((await answer.json())["id"])


async def fill(web: aiohttp.ClientSession, count: int, database: sqlite3.Connection) -> list[str]:
    """Create videos, and wait until every vendor has its share. Their ids."""
    ids: list[str] = []
    numbers = iter(range(count))

    async def work() -> None:
        ids.extend([await create(web, number, f"bench {number}") for number in numbers])

    await asyncio.gather(*(work() for _ in range(16)))
    there = 0
    while there < count:
        await asyncio.sleep(1)
        ((there,),) = database.execute(f"SELECT count(*) FROM task WHERE {OPEN}").fetchall()
    return ids


async def make_ending(web: aiohttp.ClientSession, vendors: str, life: float, seconds: float) -> None:
    """Create jobs, spread over some seconds, that end `life` seconds after the vendor took them."""
    for vendor in VENDORS:
        # The only fault that moves a job's end: it waits less than no time.
        fault = {"vendor": vendor, "op": "submit", "mode": "wait", "times": None, "delay": life - RENDER}
        async with web.post(f"{vendors}/_simulator/faults", json=fault) as answer:
            answer.raise_for_status()
    for number in range(ENDING):
        await create(web, number, "it ends")
        await asyncio.sleep(seconds / ENDING)


async def completed(web: aiohttp.ClientSession, vendors: str, life: float, database: sqlite3.Connection) -> list[float]:
    """Wait until all is completed that ends. The seconds of each from its end at the vendor until then."""
    until = time.monotonic() + PATIENCE
    while len(rows := database.execute(COMPLETED).fetchall()) < ENDING:
        if time.monotonic() > until:
            raise SystemExit(f"only {len(rows)} of {ENDING} jobs that ended were completed")
        await asyncio.sleep(1)
    async with web.get(f"{vendors}/_simulator/ledger") as answer:
        accepted = {(job["vendor"], job["id"]): job["at"] for job in await answer.json()}
    return sorted(at / 1e6 - (accepted[vendor, job] + life) for vendor, job, at in rows)


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
    with tempfile.TemporaryDirectory() as name, scene(Path(name), settle) as (gateway, vendors):
        key = {"authorization": "Bearer bench"}
        connector = aiohttp.TCPConnector(limit=64)
        path = Path(name) / "data" / "gateway.db"
        half, life = seconds / 2, settle + seconds / 2
        async with aiohttp.ClientSession(f"http://127.0.0.1:{gateway.port}", headers=key, connector=connector) as web:
            with closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as database:
                ids = await fill(web, count, database)
                database.executescript(LOOKS)
                began = time.monotonic()
                await make_ending(web, vendors.url, life, min(settle, half / 2))
                await asyncio.sleep(began + settle - time.monotonic())
                alone = await spent(gateway, database, half)
                used, theirs = gateway.cpu, programs.cpu(vendors.process.pid)
                database.execute("DELETE FROM bench_look")
                times = await retrieve(web, ids, half)
                late = sorted(row[0] for row in database.execute("SELECT late FROM bench_look"))
                used, theirs = gateway.cpu - used, programs.cpu(vendors.process.pid) - theirs
                lags = await completed(web, vendors.url, life, database)
        return {
            "in flight": count,
            "looks a second": len(late) / half,
            "CPU, ms a look": alone,
            "late, p50": middle(late),
            "late, p99": slow(late),
            "end to completed, p50": middle(lags),
            "end to completed, p99": slow(lags),
            "retrieve, p50": middle(times),
            "retrieve, p99": slow(times),
            "our CPU, %": 100 * used / half,
            "the vendors' CPU, %": 100 * theirs / half,
            "memory, MiB": gateway.memory,
        }


async def spent(gateway: Program, database: sqlite3.Connection, seconds: float) -> float:
    """The milliseconds of processor time that a look takes while nobody asks the gateway for anything."""
    used = gateway.cpu
    database.execute("DELETE FROM bench_look")
    await asyncio.sleep(seconds)
    ((looks,),) = database.execute("SELECT count(*) FROM bench_look").fetchall()
    return 1000 * (gateway.cpu - used) / max(int(looks), 1)


def middle(ordered: list[float]) -> float:
    """The 50th of a hundred; nan if there is nothing."""
    return ordered[len(ordered) // 2] if ordered else math.nan


def slow(ordered: list[float]) -> float:
    """The 99th of a hundred; nan if there is nothing."""
    return ordered[int(len(ordered) * 0.99)] if ordered else math.nan


def main() -> None:
    """Measure each size in turn, in a gateway of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1_000, 5_000, 20_000])
    parser.add_argument("--seconds", type=float, default=60.0, help="of each measurement, half of them with reads")
    parser.add_argument("--settle", type=float, default=SETTLE, help="seconds before it, for the first looks")
    given = parser.parse_args()
    how = f"{given.seconds:g} s each, {PACE} retrieves a second in the second half, jobs of"
    how = (
        f"{how} {given.settle + given.seconds / 2:g} s end there, looks are at least {interval(given.settle):g} s apart"
    )
    tables.heading(f"{how}; times in s, of retrieves in ms")
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

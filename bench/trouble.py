"""Measures what one hanging vendor costs the others: `make bench-trouble`.

The lag is the time from a job's end at its vendor to our `completed`. Four vendors are measured twice in one run, with
the fifth well and with the fifth hanging on every call; the ratio is what to quote.
"""

import argparse
import asyncio
import json
import sqlite3
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path

import aiohttp

from videogate import simulator
from videogate.cli.children import child

KEY = {"authorization": "Bearer bench"}
MODELS = {
    "sora": "sora-2",
    "wanxiang": "wan2.5-t2v-preview",
    "kling": "kling-v1",
    "jimeng": "jimeng_vgfm_t2v_l20",
    "vidu": "viduq1",
}
QUEUE, RENDER = 0.3, 3.0  # seconds of a simulated job
FLOOR = 0.1  # seconds between looks: the vendors' usual minutes become seconds
FIRST = 8  # jobs that the fifth runs when it begins to hang, so that its looks and downloads hang too
GATE = 1.2  # the ratio that must not be passed


def measure(fifth: str, count: int, pause: float, *, hanging: bool) -> list[float]:
    """The lags of the four, in seconds, from servers of their own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        times = ["--queue-seconds", str(QUEUE), "--render-seconds", str(RENDER), "--no-rate-limits"]
        ledger = folder / "ledger.jsonl"
        arguments = ["videogate.simulator", "--port", "0", "--ledger", str(ledger), *times]
        with child(arguments, folder=folder, variables={}) as vendors:
            found = simulator.environment(vendors.url)
            quick = {f"VIDEOGATE_{vendor.upper()}_POLL_INTERVAL": str(FLOOR) for vendor in MODELS}
            free = {f"VIDEOGATE_{vendor.upper()}_MAX_JOBS": "0" for vendor in MODELS}
            own = {"VIDEOGATE_API_KEYS": "bench", "VIDEOGATE_PORT": "0", "VIDEOGATE_DATA_DIR": str(folder / "data")}
            variables = {**found, **quick, **free, **own}
            with child(["videogate", "serve"], folder=folder, variables=variables) as gateway:
                asyncio.run(load(gateway.url, vendors.url, fifth, count, pause, hanging=hanging))
                database = folder / "data" / "gateway.db"
                until = time.monotonic() + 120
                while len(completed(database, fifth)) < count * (len(MODELS) - 1):
                    if time.monotonic() > until:
                        raise SystemExit("not every video of the four vendors was completed in time")
                    time.sleep(0.2)
                done = completed(database, fifth)
        began = {(job["vendor"], job["id"]): job["at"] for job in map(json.loads, ledger.read_text().splitlines())}
        return [at - (began[job] + QUEUE + RENDER) for job, at in done.items()]


async def load(gateway: str, vendors: str, fifth: str, count: int, pause: float, *, hanging: bool) -> None:
    """Ask for `count` videos of each vendor, one of each every `pause` seconds."""
    async with aiohttp.ClientSession(headers=KEY) as web:

        async def create(vendor: str, number: int) -> None:
            body = {"model": MODELS[vendor], "prompt": f"{vendor} {number}", "seconds": 5}
            async with web.post(f"{gateway}/v1/videos", json=body) as answer:
                answer.raise_for_status()

        await asyncio.gather(*(create(fifth, -number - 1) for number in range(FIRST)))
        await asyncio.sleep(3)
        for op in ("submit", "poll", "result", "list") if hanging else ():
            fault = {"vendor": fifth, "op": op, "mode": "hang", "times": None}
            async with web.post(f"{vendors}/_simulator/faults", json=fault) as answer:
                answer.raise_for_status()
        for number in range(count):
            await asyncio.gather(*(create(vendor, number) for vendor in MODELS), asyncio.sleep(pause))


def completed(database: Path, fifth: str) -> dict[tuple[str, str], float]:
    """The finished jobs of the four, and when each was completed here."""
    query = """SELECT task.vendor, attempt.vendor_task_id, task.completed_at FROM task
               JOIN attempt ON attempt.task_id = task.id AND attempt.state = 'accepted'
               WHERE task.state = 'succeeded' AND task.vendor != ?"""
    with closing(sqlite3.connect(database, timeout=10)) as connection:
        return {(vendor, job): at / 1e6 for vendor, job, at in connection.execute(query, (fifth,))}


def middle_and_slow(name: str, lags: list[float]) -> tuple[float, float]:
    """Print and return p50 and p99."""
    lags = sorted(lags)
    middle, slow = statistics.median(lags), lags[int(len(lags) * 0.99)]
    print(f"{name:<24} p50 {middle * 1000:>6.0f} ms   p99 {slow * 1000:>6.0f} ms   of {len(lags)} videos")
    return middle, slow


def main() -> None:
    """Measure both ways; exit with 1 if the hanging vendor costs the others too much."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=40, help="videos of each vendor")
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between two videos of a vendor")
    parser.add_argument("--fifth", choices=MODELS, default="sora", help="the vendor that hangs")
    given = parser.parse_args()
    well = measure(given.fifth, given.count, given.pause, hanging=False)
    hung = measure(given.fifth, given.count, given.pause, hanging=True)
    middle, slow = middle_and_slow(f"lag, {given.fifth} well", well)
    hung_middle, hung_slow = middle_and_slow(f"lag, {given.fifth} hanging", hung)
    print(f"ratios of hanging to well: p50 {hung_middle / middle:.2f}, p99 {hung_slow / slow:.2f}, at most {GATE}")
    raise SystemExit(max(hung_middle / middle, hung_slow / slow) > GATE)


if __name__ == "__main__":
    main()

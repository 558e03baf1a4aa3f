"""Several gateway processes on one PostgreSQL database and one bucket, each with a data directory of its own."""

import json
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import httpx

from acceptance.conftest import KEY, OTHER
from conftest import Bucket
from crash import armed
from crash.armed import Strike
from crash.cell import Vendors
from forked import Server
from videogate import simulator

POLL_INTERVAL = 0.04


@dataclass(frozen=True)
class Site:
    """What the processes share: a database, a bucket, the vendors."""

    folder: Path
    url: str
    bucket: Bucket
    vendors: Vendors

    def replica(self, name: str, strike: Strike | None = None, /, **settings: str) -> AbstractContextManager[Server]:
        """A process of that name; settings are VIDEOGATE_* variables without the prefix."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return armed.gateway(folder, self.variables(folder, **settings), strike or Strike(patient=True))

    def variables(self, folder: Path, **settings: str) -> dict[str, str]:
        """The settings of a process whose own files are in `folder`."""
        found = simulator.environment(self.vendors.url)
        floors = [name.replace("_BASE_URL", "_POLL_INTERVAL") for name in found if name.endswith("_BASE_URL")]
        own = {
            "API_KEYS": f"{KEY},{OTHER}",
            "PORT": "0",
            "DATA_DIR": str(folder / "data"),
            "DATABASE_URL": self.url,
            "MEDIA_URL": self.bucket.url,
            **settings,
        }
        ours = {f"VIDEOGATE_{name}": value for name, value in own.items()}
        return {**self.bucket.variables, **found, **dict.fromkeys(floors, f"{POLL_INTERVAL}"), **ours}

    def paid(self) -> list[dict[str, Any]]:
        """Every job that a vendor accepted, in order."""
        return [json.loads(line) for line in self.vendors.ledger.read_text("utf-8").splitlines()]

    def paid_for(self, prompt: str) -> int:
        """How many jobs with this prompt a vendor accepted."""
        return sum(job["prompt"] == prompt for job in self.paid())

    def calls(self) -> Mapping[str, int]:
        """How often the vendors were called, by vendor and operation."""
        found: Mapping[str, int] = httpx.get(f"{self.vendors.url}/_simulator/stats").raise_for_status().json()
        return found


@contextmanager
def make_site(folder: Path, url: str, bucket: Bucket, render_seconds: float) -> Iterator[Site]:
    """A site with a simulator of its own, whose jobs take so many seconds."""
    ledger = folder / "ledger.jsonl"
    times = ("--queue-seconds", "0.1", "--render-seconds", str(render_seconds), "--no-rate-limits")
    with armed.simulator(folder, "--port", "0", "--ledger", str(ledger), *times) as vendors:
        yield Site(folder, url, bucket, Vendors(vendors.url, ledger))


def client_of(server: Server, **headers: str) -> httpx.Client:
    """A client with a key."""
    return httpx.Client(base_url=server.url, headers={"authorization": f"Bearer {KEY}", **headers}, timeout=60)


def events_of(server: Server) -> list[dict[str, Any]]:
    """The lines of a process' log that are JSON."""
    lines = server.log.read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def most_at_once(jobs: list[dict[str, Any]], seconds: float) -> int:
    """How many of these lines of the ledger ran at once, at most, where each job takes so many seconds."""
    steps = sorted([(job["at"], 1) for job in jobs] + [(job["at"] + seconds, -1) for job in jobs])
    return max(accumulate(step for _, step in steps), default=0)


def most_within(jobs: list[dict[str, Any]], seconds: float) -> int:
    """How many of these lines were accepted within so many seconds, at most."""
    moments = sorted(job["at"] for job in jobs)
    return max((bisect_left(moments, moment + seconds) - number for number, moment in enumerate(moments)), default=0)

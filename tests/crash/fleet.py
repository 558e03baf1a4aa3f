"""Several gateway processes on one PostgreSQL, one folder of videos and one simulator, to be killed and replaced."""

import json
import random
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

import httpx
import psycopg
from psycopg.rows import dict_row

from crash import armed
from crash.armed import Strike
from crash.cell import KEY
from crash.judge import Books, bind, paid
from forked import Server
from postgres import PostgresServer
from videogate import simulator

# Every rise of a task's fence, in the words of the database itself.
AUDIT = """
CREATE TABLE claimed (task_id text NOT NULL, fence bigint NOT NULL, lease_by text);
CREATE FUNCTION note_claim() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO claimed VALUES (NEW.id, NEW.fence, NEW.lease_by); RETURN NULL; END $$;
CREATE TRIGGER audit AFTER UPDATE OF fence ON task FOR EACH ROW EXECUTE FUNCTION note_claim();
"""
TWICE = "SELECT task_id, fence, count(*) FROM claimed GROUP BY task_id, fence HAVING count(*) > 1"


@dataclass(frozen=True)
class Ground:
    """What the processes share.

    Attributes:
        folder: where all files are.
        server, url: the PostgreSQL, and the database in it.
        vendors, ledger: the simulator's address, and its ledger.
        poll_interval: the floor of the schedule of looks, in seconds.
    """

    folder: Path
    server: PostgresServer
    url: str
    vendors: str
    ledger: Path
    poll_interval: float

    @property
    def media(self) -> Path:
        """The folder of videos."""
        return self.folder / "media"

    def variables(self, folder: Path, **settings: str) -> dict[str, str]:
        """The settings of a process whose own files are in `folder`."""
        found = simulator.environment(self.vendors)
        floors = [name.replace("_BASE_URL", "_POLL_INTERVAL") for name in found if name.endswith("_BASE_URL")]
        own = {
            "API_KEYS": KEY,
            "PORT": "0",
            "DATA_DIR": str(folder / "data"),
            "DATABASE_URL": self.url,
            "MEDIA_URL": self.media.as_uri(),
            "JIMENG_MAX_JOBS": "0",  # the simulator bounds nothing here
            **settings,
        }
        return {
            **found,
            **dict.fromkeys(floors, f"{self.poll_interval}"),
            **{f"VIDEOGATE_{name}": value for name, value in own.items()},
        }

    def rows(self, table: str) -> list[dict[str, Any]]:
        """A table."""
        with psycopg.connect(self.url, row_factory=dict_row) as connection:
            return connection.execute(f"SELECT * FROM {table} ORDER BY id".encode()).fetchall()

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """The answer to a query."""
        with psycopg.connect(self.url) as connection:
            return connection.execute(query.encode()).fetchall()

    def moving(self) -> int:
        """How many tasks have not ended."""
        ended = "('succeeded', 'failed', 'cancelled')"
        return int(self.ask(f"SELECT count(*) FROM task WHERE state NOT IN {ended}")[0][0])

    def books(self, prefix: str) -> Books:
        """All there is to judge by, of the tasks whose prompts begin with `prefix`."""
        tasks = [row for row in self.rows("task") if row["prompt"].startswith(prefix)]
        tasks = [{**row, "failure": row["failure"] and json.dumps(row["failure"])} for row in tasks]
        ids = {row["id"] for row in tasks}
        attempts = [row for row in self.rows("attempt") if row["task_id"] in ids]
        return bind(paid(self.ledger, prefix), tasks, attempts, self.media)

    def claims(self, prefix: str) -> int:
        """How often tasks whose prompts begin with `prefix` were claimed."""
        query = "SELECT count(*) FROM claimed JOIN task ON id = task_id WHERE claimed.lease_by IS NOT NULL"
        return int(self.ask(f"{query} AND starts_with(prompt, '{prefix}')")[0][0])

    def looks(self) -> Mapping[tuple[str, str], int]:
        """How often each job was looked at, by vendor and id, as the simulator counted."""
        lines = httpx.get(f"{self.vendors}/_simulator/looks", timeout=60).raise_for_status().json()
        return {(line["vendor"], line["id"]): line["looks"] for line in lines}


@contextmanager
def ground(folder: Path, *, render: float, poll_interval: float) -> Iterator[Ground]:
    """Start a PostgreSQL and a simulator whose jobs take `render` seconds."""
    folder.mkdir(exist_ok=True)
    ledger = folder / "ledger.jsonl"
    server = PostgresServer()
    try:
        url = server.database()
        with psycopg.connect(url) as connection:
            connection.execute(AUDIT)
        times = ("--queue-seconds", "0.1", "--render-seconds", str(render), "--no-rate-limits")
        with armed.simulator(folder, "--port", "0", "--ledger", str(ledger), *times) as vendors:
            yield Ground(folder, server, url, vendors.url, ledger, poll_interval)
    finally:
        server.close()


class Fleet:
    """The processes: every other one answers callers too. One that is killed is replaced by a new one."""

    def __init__(self, place: Ground, many: int, **settings: str) -> None:
        self._place = place
        self._settings = settings
        self._running: dict[int, tuple[ExitStack, Server]] = {}
        self._lock = Lock()
        with ThreadPoolExecutor(many) as pool:
            list(pool.map(self.start, range(many)))

    def start(self, number: int) -> None:
        """Start a process in this place of the fleet."""
        folder = self._place.folder / f"process-{number}"
        folder.mkdir(exist_ok=True)
        role = "worker" if number % 2 else "all"
        variables = self._place.variables(folder, ROLE=role, **self._settings)
        with ExitStack() as stack:
            server = stack.enter_context(armed.gateway(folder, variables, Strike(patient=True)))
            with self._lock:
                self._running[number] = stack.pop_all(), server

    def kill(self, number: int) -> None:
        """End a process the hard way."""
        with self._lock:
            stack, server = self._running.pop(number)
        server.kill()
        stack.close()

    def urls(self) -> list[str]:
        """Where callers are answered just now."""
        with self._lock:
            return [server.url for number, (_, server) in sorted(self._running.items()) if not number % 2]

    def numbers(self) -> list[int]:
        """The places in which a process runs."""
        return sorted(self._running)

    def close(self) -> None:
        """End all of them as an operator does."""
        stacks = [stack for stack, _ in self._running.values()]
        enders = [Thread(target=stack.close) for stack in stacks]
        for each in enders:
            each.start()
        for each in enders:
            each.join()
        self._running.clear()


@contextmanager
def fleet(place: Ground, many: int, **settings: str) -> Iterator[Fleet]:
    """Run a fleet until the context ends."""
    made = Fleet(place, many, **settings)
    try:
        yield made
    finally:
        made.close()


@dataclass
class Killer:
    """Kills a process at random every few seconds, and starts another in its place."""

    ships: Fleet
    every: float
    dice: random.Random
    kills: int = 0
    over: Event = field(default_factory=Event)

    def run(self) -> None:
        """Kill until it is over."""
        due = time.monotonic() + self.every
        while not self.over.wait(max(0.0, due - time.monotonic())):
            due = max(due + self.every, time.monotonic())
            number = self.dice.choice(self.ships.numbers())
            self.ships.kill(number)
            self.kills += 1
            self.ships.start(number)


@contextmanager
def killing(ships: Fleet, every: float, seed: str) -> Iterator[Killer]:
    """Kill until the context ends."""
    killer = Killer(ships, every, random.Random(seed))
    thread = Thread(target=killer.run, name="killer")
    thread.start()
    try:
        yield killer
    finally:
        killer.over.set()
        thread.join()


def looks_per_job(books: Books, looks: Mapping[tuple[str, str], int]) -> dict[str, tuple[int, int]]:
    """Jobs and looks by vendor."""
    counted: dict[str, tuple[int, int]] = {}
    for line in books.paid:
        jobs, so_far = counted.get(line["vendor"], (0, 0))
        counted[line["vendor"]] = jobs + 1, so_far + looks.get((line["vendor"], line["id"]), 0)
    return counted


def ideal(reference: Mapping[str, tuple[int, int]], jobs: Mapping[str, tuple[int, int]]) -> float:
    """The looks that these jobs would have had at the reference's looks per job."""
    return sum(many * reference[vendor][1] / reference[vendor][0] for vendor, (many, _) in jobs.items())

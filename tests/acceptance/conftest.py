"""Real servers: a simulator process and a gateway process, real files, real HTTP."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from forked import Server, module
from postgres import PostgresServer
from videogate import simulator
from videogate.cli.demo import picture

KEY = "sk-xxxx"  # as the interface document writes it
OTHER = "sk-other"


DATABASES = ("sqlite", "postgresql")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What needs a gateway runs on each database, unless its mark names one."""
    if "database" in metafunc.fixturenames:
        named = metafunc.definition.get_closest_marker("databases")
        kinds = named.args if named else DATABASES
        metafunc.parametrize("database", kinds, indirect=True, scope="session")


@pytest.fixture(scope="session")
def database(request: pytest.FixtureRequest) -> Callable[[], str]:
    """Makes new databases: the URL of each, as a setting; empty for SQLite in the gateway's own folder."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return lambda: ""
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.empty


@dataclass(frozen=True)
class World:
    """A simulator with its ledger, and what it takes to start gateways against it."""

    folder: Path
    vendors: Server
    ledger: Path
    database_url: str

    @contextmanager
    def gateway(self, **settings: str) -> Iterator[Server]:
        """A gateway process on this world's data; settings are VIDEOGATE_* variables without the prefix."""
        found = simulator.environment(self.vendors.url)
        quick = {name.replace("_BASE_URL", "_POLL_INTERVAL"): "0.04" for name in found if name.endswith("_BASE_URL")}
        own = {"API_KEYS": f"{KEY},{OTHER}", "PORT": "0", "DATA_DIR": str(self.folder / "data"), **settings}
        own = {"DATABASE_URL": self.database_url, **own}
        variables = {**found, **quick, **{f"VIDEOGATE_{name}": value for name, value in own.items()}}
        with module(["videogate", "serve"], folder=self.folder, variables=variables) as server:
            yield server

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What the gateway's database answers to a query that both kinds understand."""
        if self.database_url:
            with psycopg.connect(self.database_url) as postgres:
                return postgres.execute(query.encode()).fetchall()
        with closing(sqlite3.connect(self.folder / "data" / "gateway.db")) as sqlite:
            return sqlite.execute(query).fetchall()

    @property
    def variables(self) -> dict[str, str]:
        """The settings of a command that works beside this world's gateway."""
        return {"VIDEOGATE_DATA_DIR": str(self.folder / "data"), "VIDEOGATE_DATABASE_URL": self.database_url}

    def inputs(self) -> list[Path]:
        """Input files that wait for their vendor: where a database is shared, its processes share them too."""
        data = self.folder / "data"
        folder = data / "media" / "inputs" if self.database_url else data / "inputs"
        return list(folder.glob("*"))

    def spooled(self) -> list[Path]:
        """Files on their way to an object store."""
        found = [path for folder in (self.folder / "data").glob("spool*") for path in folder.iterdir()]
        return [path for path in found if path.name != "lock"]

    def paid(self) -> list[dict[str, Any]]:
        """Every job that a vendor accepted, in order."""
        if not self.ledger.exists():
            return []
        return [json.loads(line) for line in self.ledger.read_text("utf-8").splitlines()]

    def fault(self, **fault: Any) -> None:
        """Switch a fault on."""
        httpx.post(f"{self.vendors.url}/_simulator/faults", json=fault).raise_for_status()

    def no_faults(self) -> None:
        """Switch all faults off."""
        httpx.delete(f"{self.vendors.url}/_simulator/faults").raise_for_status()


@contextmanager
def make_world(folder: Path, *, render_seconds: float, database_url: str = "") -> Iterator[World]:
    """Start a simulator in `folder`."""
    ledger = folder / "ledger.jsonl"
    arguments = ["videogate.simulator", "--port", "0", "--ledger", str(ledger), "--render-seconds", str(render_seconds)]
    with module(arguments, folder=folder, variables={}) as vendors:
        yield World(folder, vendors, ledger, database_url)


@pytest.fixture
def world(tmp_path: Path, database: Callable[[], str]) -> Iterator[World]:
    """A world of one test's own."""
    with make_world(tmp_path, render_seconds=1.0, database_url=database()) as made:
        yield made


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, database: Callable[[], str]) -> Iterator[tuple[World, Server]]:
    """One world and one gateway for all tests that leave no trace in each other's way."""
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("shared")
        made = stack.enter_context(make_world(folder, render_seconds=0.5, database_url=database()))
        yield made, stack.enter_context(made.gateway())


@pytest.fixture(scope="session")
def gateway(shared: tuple[World, Server]) -> str:
    """The shared gateway's URL."""
    return shared[1].url


@pytest.fixture
def api(gateway: str) -> Iterator[httpx.Client]:
    """An HTTP client of the shared gateway, with a key."""
    with httpx.Client(base_url=gateway, headers={"authorization": f"Bearer {KEY}"}, timeout=30) as client:
        yield client


@pytest.fixture(scope="session")
def cat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture file."""
    path = tmp_path_factory.mktemp("pictures") / "cat.png"
    path.write_bytes(picture(960, 640))
    return path


def wait_until(found: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Wait for a truthy value and return it; fail the test after `seconds`."""
    until = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.05)
    return value


def ended(client: httpx.Client, video_id: str, seconds: float = 30.0) -> dict[str, Any]:
    """Wait for a video to end, and return it."""

    def look() -> dict[str, Any] | None:
        body: dict[str, Any] = client.get(f"/v1/videos/{video_id}").raise_for_status().json()
        return body if body["status"] in {"succeeded", "completed", "failed"} else None

    found: dict[str, Any] = wait_until(look, seconds)
    return found

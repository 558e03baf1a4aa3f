"""What tests of every kind may need: an object store that speaks S3 over real HTTP, and a PostgreSQL."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

import httpx
import pytest

from postgres import PostgresServer

START_SECONDS = 120.0


class Failures:
    """Says what failed at once: a run that is broken off has no summary."""

    def __init__(self, terminal: pytest.TerminalReporter) -> None:
        self._terminal = terminal

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Called by pytest for each phase of each test."""
        if report.failed:
            self._terminal.write_line(f"\nFAILED {report.nodeid} ({report.when})\n{report.longreprtext[-1000:]}")


@pytest.hookimpl(trylast=True)  # after the terminal is there
def pytest_configure(config: pytest.Config) -> None:
    """Called by pytest, and by each of its workers, which have no terminal."""
    if terminal := config.pluginmanager.get_plugin("terminalreporter"):
        config.pluginmanager.register(Failures(terminal))


@dataclass(frozen=True)
class Bucket:
    """An empty bucket: its URL as a setting, and the variables with which the store's library finds and opens it."""

    url: str
    variables: Mapping[str, str]


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running S3 server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with serving(port, tmp_path_factory.mktemp("s3") / "s3.log") as address:
        yield address


@contextmanager
def serving(port: int, log: Path) -> Iterator[str]:
    """An S3 server on a port, in a process of its own."""
    address = f"http://127.0.0.1:{port}"
    with log.open("ab") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdout=output, stderr=output
        )
    try:
        _wait(address, log)
        yield address
    finally:
        server.terminate()
        server.wait()


def _wait(address: str, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            httpx.get(address)
        except httpx.TransportError:
            assert time.monotonic() < until, f"the S3 server did not start:\n{log.read_text('utf-8')[-2000:]}"
            time.sleep(0.1)
        else:
            return


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A running PostgreSQL."""
    server = PostgresServer(synced=False)
    yield server
    server.close()


@pytest.fixture
def database_url(postgres: PostgresServer) -> Iterator[str]:
    """A new PostgreSQL database with the newest schema."""
    url = postgres.database()
    yield url
    postgres.drop(url)


@pytest.fixture
def bucket(object_store: str, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A new bucket, whose variables are set for this process and its children."""
    name = f"videos-{token_hex(4)}"
    httpx.put(f"{object_store}/{name}").raise_for_status()
    variables = {
        "AWS_ENDPOINT_URL": object_store,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    return Bucket(f"s3://{name}/kept", variables)

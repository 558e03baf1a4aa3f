"""A store of its own for every test."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from postgres import PostgresServer
from unit.store.support import Desk, opened


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str | None:
    """Where the store is: a new PostgreSQL database, or none for a SQLite file."""
    return request.getfixturevalue("database_url") if request.param == "postgresql" else None


@pytest.fixture
async def desk(tmp_path: Path, url: str | None) -> AsyncIterator[Desk]:
    """An empty store, on each database."""
    async with opened(tmp_path, url) as made:
        yield made


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL server of the test's own, to be stopped and killed."""
    made = PostgresServer()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Logs are kept, not printed."""
    with capture_logs():
        yield

"""A shop of its own for every test."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from unit.engine.support import Scene, scene_in


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    """A shop with one vendor and nothing to do."""
    async with scene_in(tmp_path) as made:
        yield made


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Logs are kept, not printed."""
    with capture_logs():
        yield

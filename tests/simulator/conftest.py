"""Simulator processes, and what tests of them share."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from videogate.cli.children import Child, child
from videogate.cli.demo import picture
from videogate.media.probe import probe


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Child]]:
    """Starts a simulator with these arguments besides the usual ones; all end with the session."""
    with ExitStack() as stack:

        def begin(*arguments: str) -> Child:
            usual = ["videogate.simulator", "--port", "0", "--render-seconds", "0.3"]
            folder = tmp_path_factory.mktemp("simulator")
            return stack.enter_context(child([*usual, *arguments], folder=folder, variables={}))

        yield begin


@pytest.fixture(scope="session")
def web() -> Iterator[httpx.Client]:
    """A plain HTTP client; one for all, because to make one is slow."""
    # It forgets connections sooner than the simulator closes them.
    with httpx.Client(timeout=20, limits=httpx.Limits(keepalive_expiry=1.0)) as client:
        yield client


@pytest.fixture
def fault(web: httpx.Client) -> Iterator[Callable[..., None]]:
    """Switches a fault on at a simulator's URL; all are switched off when the test ends."""
    urls: set[str] = set()

    def switch_on(url: str, **fields: Any) -> None:
        urls.add(url)
        web.post(f"{url}/_simulator/faults", json=fields).raise_for_status()

    yield switch_on
    for url in urls:
        web.delete(f"{url}/_simulator/faults").raise_for_status()


@pytest.fixture
def accepted(web: httpx.Client) -> Callable[[str], list[dict[str, Any]]]:
    """Reads a simulator's ledger: what it accepted so far."""

    def read(url: str) -> list[dict[str, Any]]:
        lines: list[dict[str, Any]] = web.get(f"{url}/_simulator/ledger").raise_for_status().json()
        return lines

    return read


@pytest.fixture
def film(tmp_path: Path) -> Callable[[bytes], str]:
    """Says what a video's bytes show: its size and its length in seconds, as in `832x480 5`."""

    def look(data: bytes) -> str:
        path = tmp_path / "video.mp4"
        path.write_bytes(data)
        found = probe(path)
        return f"{found.frame} {found.seconds_text}"

    return look


@pytest.fixture(scope="session")
def cat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture file, `cat.png`, of 960x640."""
    path = tmp_path_factory.mktemp("pictures") / "cat.png"
    path.write_bytes(picture(960, 640))
    return path

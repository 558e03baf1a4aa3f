"""What the Compose files start, started here: the same commands, without the containers."""

import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from acceptance.conftest import KEY, World, make_world
from composefile import PLAIN, load
from videogate.cli.children import child
from videogate.media.probe import probe

SERVICES: dict[str, Any] = load(PLAIN)["services"]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A simulator with a ledger."""
    with make_world(tmp_path, render_seconds=0.5) as made:
        yield made


def run(command: list[str], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command of ours in a folder, with nothing on its standard input."""
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_gateway_without_a_key_can_be_given_one(tmp_path: Path) -> None:
    """As in a new container: it starts, is ready, lets nobody in, and does once a key is made beside it."""
    variables = {"VIDEOGATE_PORT": "0", "VIDEOGATE_DATA_DIR": str(tmp_path / "data")}
    with child(SERVICES["gateway"]["command"], folder=tmp_path, variables=variables) as gateway:
        assert httpx.get(f"{gateway.url}/health/ready").status_code == 200
        assert httpx.get(f"{gateway.url}/v1/models").status_code == 401

        made = run(["videogate", "keys", "create", "me"], tmp_path, **variables)

        key = made.stdout.split()[1]
        headers = {"authorization": f"Bearer {key}"}
        assert httpx.get(f"{gateway.url}/v1/models", headers=headers).status_code == 200
        assert "videogate keys create" in gateway.log.read_text("utf-8")


def test_without_the_option_a_key_is_wanted(tmp_path: Path) -> None:
    """Outside of containers a server that nobody could use ends at once and says why."""
    done = run(["videogate", "serve"], tmp_path, VIDEOGATE_PORT="0")

    assert done.returncode > 0
    assert "VIDEOGATE_API_KEYS" in done.stderr


def test_the_demo_service_makes_a_video_with_every_vendor(world: World) -> None:
    """Its command, at a gateway that runs already: ten videos are saved, and each status is a line of the log."""
    with world.gateway() as gateway:
        command = shlex.join(SERVICES["demo"]["command"])
        for given, here in {"http://demo-gateway:8000": gateway.url, "--key demo": f"--key {KEY}"}.items():
            assert given in command
            command = command.replace(given, here)
        done = run(shlex.split(command.replace("/data/", f"{world.folder}/")), world.folder)

    assert done.returncode == 0, done.stdout + done.stderr
    saved = sorted((world.folder / "demo-videos").glob("*.mp4"))
    assert len(saved) == 10
    assert all(float(probe(file).seconds_text) >= 4 for file in saved)
    assert "kling kling-v1: queued" in done.stdout
    assert "kling kling-v1: completed" in done.stdout


def test_the_demo_asks_before_it_spends(world: World) -> None:
    """At somebody else's gateway nothing is made without a yes."""
    with world.gateway() as gateway:
        done = run(["videogate", "demo", "--url", gateway.url, "--key", KEY], world.folder)

    assert done.returncode == 1
    assert "may bill" in done.stdout + done.stderr
    assert world.paid() == []


def test_the_demo_says_when_there_is_no_gateway(tmp_path: Path) -> None:
    """A wrong address is one sentence, not a traceback."""
    done = run(["videogate", "demo", "--url", "http://127.0.0.1:1", "--yes"], tmp_path)

    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stdout.strip()

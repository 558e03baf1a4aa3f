"""A gateway moved from SQLite to PostgreSQL and an object store, with videos in flight."""

import os
import subprocess
import sys
from contextlib import suppress

import httpx
import pytest

from acceptance.conftest import KEY, World, ended, wait_until
from acceptance.test_life import MODELS, assert_paid_once, client_of, create, log_of
from conftest import Bucket
from videogate.cli.children import ChildFailed
from videogate.cli.demo import picture
from videogate.settings import PREFIX

pytestmark = pytest.mark.databases("sqlite")

WAITS = "viduq1"  # its vendor throttles: what is asked of it waits to be sent


def db(world: World, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """`videogate db …` on this world's data."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    own = world.variables | {f"{PREFIX}{name}": value for name, value in settings.items()}
    command = [sys.executable, "-m", "videogate", "db", *arguments]
    return subprocess.run(command, cwd=world.folder, env={**kept, **own}, capture_output=True, text=True, check=False)


def test_a_gateway_moves_with_videos_in_flight(world: World, database_url: str, bucket: Bucket) -> None:
    """Stopped with videos waiting, running and finished, and moved: each completes under its id, none is paid twice.

    Links, keys and idempotency keys from before stay good, waiting pictures and finished videos come along, and the old
    database is served no more.
    """
    there = {"DATABASE_URL": database_url, "MEDIA_URL": bucket.url}
    keyed = {"idempotency-key": "order-1"}
    world.fault(vendor="vidu", op="submit", mode="throttle", times=None, retry_after=1)
    with world.gateway() as server, client_of(server) as client:
        done = ended(client, create(client, "sora-2", 0))
        film = client.get(f"/v1/videos/{done['id']}/content").content
        waiting = [create(client, WAITS, number) for number in range(5)]
        pictured = client.post(
            "/v1/videos",
            data={"model": WAITS, "prompt": "the cat stretches"},
            files={"input_reference": ("cat.png", picture(960, 640), "image/png")},
            headers=keyed,
        ).json()["id"]
        running = [create(client, model, number) for number in range(11, 19) for model in MODELS.values()]
        wait_until(lambda: len([line for line in log_of(server) if line.get("event") == "accepted"]) >= 8)

    moved = db(world, "copy", **there)
    assert moved.returncode == 0, moved.stderr
    assert f"{len(waiting) + len(running) + 2} videos" in moved.stdout
    assert "1 waiting pictures" in moved.stdout
    assert db(world, "copy", **there).returncode == 1
    with pytest.raises(ChildFailed, match="was moved to PostgreSQL"), world.gateway():
        pass

    world.no_faults()
    with world.gateway(**there) as server, client_of(server) as client:
        old = done["url"].partition("/v1/")[2]
        assert httpx.get(f"{server.url}/v1/{old}").content == film
        again = client.post(
            "/v1/videos",
            data={"model": WAITS, "prompt": "the cat stretches"},
            files={"input_reference": ("cat.png", picture(960, 640), "image/png")},
            headers=keyed,
        )
        assert again.json()["id"] == pictured
        ends = {each: ended(client, each, 90) for each in [*waiting, pictured, *running]}
        assert {video["status"] for video in ends.values()} == {"succeeded"}
        listed = {video["id"] for video in client.get("/v1/videos?limit=100").json()["data"]}
        assert listed == {done["id"], *ends}
    assert_paid_once(world)


def test_commands_of_the_other_database_say_so(world: World, database_url: str) -> None:
    """A backup of PostgreSQL and a copy to SQLite are refused in one line."""
    for arguments, settings in ((("backup", "x"), {"DATABASE_URL": database_url}), (("copy",), {})):
        refused = db(world, *arguments, **settings)
        assert refused.returncode == 2
        assert len(refused.stderr.splitlines()) == 1
        assert KEY not in refused.stderr
    with suppress(FileNotFoundError):
        assert not list((world.folder / "data").iterdir())

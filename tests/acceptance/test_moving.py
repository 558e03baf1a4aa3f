"""A gateway moved from SQLite to PostgreSQL and an object store, with videos in flight."""

from collections import Counter
from contextlib import suppress
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import httpx
import pytest

from acceptance.conftest import KEY, World, ended, wait_until
from acceptance.test_life import MODELS, assert_paid_once, client_of, create, kill, log_of
from acceptance.test_webhooks import receiving
from conftest import Bucket
from forked import DiedAtStart, Server, run_videogate
from videogate.cli.demo import picture
from videogate.settings import PREFIX

pytestmark = pytest.mark.databases("sqlite")

WAITS = "viduq1"  # its vendor throttles: what is asked of it waits to be sent
FETCHES = "sora-2"  # its vendor's results come slowly
LOST = {"wanxiang": "drop_after", "kling": "hang"}  # what becomes of the answer to one submit to each
STATES = {"intent", "submitting", "submitted", "fetching", "succeeded"}
ORDER = {"idempotency-key": "order-1"}


def command(world: World, *arguments: str, **settings: str) -> CompletedProcess[str]:
    """`videogate …` on this world's data."""
    own = world.variables | {f"{PREFIX}{name}": value for name, value in settings.items()}
    return run_videogate(*arguments, folder=world.folder, variables=own)


def order(client: httpx.Client) -> str:
    """Ask for a video with a picture, under a key: the same request gets the same video."""
    files = {"input_reference": ("cat.png", picture(960, 640), "image/png")}
    data = {"model": WAITS, "prompt": "the cat stretches"}
    answer = client.post("/v1/videos", data=data, files=files, headers=ORDER)
    video: str = answer.raise_for_status().json()["id"]
    return video


def came_to(server: Server, event: str) -> set[str]:
    """The tasks of which the log has an event."""
    return {line["task"] for line in log_of(server) if line["event"] == event}


def test_a_gateway_moves_with_videos_in_flight(world: World, database_url: str, bucket: Bucket) -> None:
    """Killed with videos in every state, and moved: each completes under its id, none is paid twice.

    Links, keys, webhooks and idempotency keys from before stay good, waiting pictures and finished videos come along,
    and the old database is served no more.
    """
    there = {"DATABASE_URL": database_url, "MEDIA_URL": bucket.url, "FETCH_ALLOW_PRIVATE": "true"}
    key = command(world, "keys", "create", "laptop").stdout.split("vg-")[1].split()[0]
    mine = {"authorization": f"Bearer vg-{key}"}
    with receiving() as receiver:
        with world.gateway(FETCH_ALLOW_PRIVATE="true") as server, client_of(server) as client:
            hook = {"name": "mine", "url": receiver.url("/hook"), "event_types": ["video.completed"]}
            client.post("/v1/webhook_endpoints", json=hook).raise_for_status()
            done = ended(client, create(client, FETCHES, 0))
            film = client.get(f"/v1/videos/{done['id']}/content").content
            own = {"model": "wan2.5-t2v-preview", "prompt": "of a key that was made"}
            theirs = client.post("/v1/videos", json=own, headers=mine).raise_for_status().json()["id"]

            world.fault(vendor="vidu", op="submit", mode="throttle", times=None, retry_after=1)
            world.fault(vendor="sora", op="result", mode="slow", delay=20, times=None)
            for vendor, mode in LOST.items():
                world.fault(vendor=vendor, op="submit", mode=mode, times=1)
            waiting = [create(client, WAITS, number) for number in range(5)]
            pictured = order(client)
            flying = [create(client, model, number) for number in range(11, 19) for model in MODELS.values()]
            wait_until(lambda: states_of(world).keys() >= STATES and came_to(server, "outcome_unknown"))
            kill(server)
            states = states_of(world)
        assert states.keys() >= STATES, states

        moves(world, there, states)
        world.no_faults()
        with world.gateway(**there) as server, client_of(server) as client:
            link = done["url"].partition("/v1/")[2]
            assert httpx.get(f"{server.url}/v1/{link}").content == film
            assert order(client) == pictured
            assert client.get(f"/v1/videos/{theirs}").status_code == 404
            assert client.get(f"/v1/videos/{theirs}", headers=mine).json()["id"] == theirs
            ends = {each: ended(client, each, 90) for each in [*waiting, pictured, *flying]}
            assert {video["status"] for video in ends.values()} == {"succeeded"}
            listed = {video["id"] for video in client.get("/v1/videos?limit=100").json()["data"]}
            assert listed == {done["id"], *ends}
            for each in ends:
                assert client.get(f"/v1/videos/{each}/content").content[4:8] == b"ftyp"
            wait_until(lambda: {letter.event["data"]["id"] for letter in receiver.at("/hook")} >= listed)
    assert_paid_once(world)
    assert len(world.paid()) == len(ends) + 2


def states_of(world: World) -> Counter[str]:
    """How many tasks are in each state."""
    return Counter(state for (state,) in world.rows("SELECT state FROM task"))


def moves(world: World, there: dict[str, str], states: Counter[str]) -> None:
    """Rehearse and move, and find that nobody can start on the old database."""
    data = world.folder / "data"
    tried = command(world, "db", "copy", "--dry-run", **there)
    assert tried.returncode == 0, tried.stderr
    assert "Nothing was changed." in tried.stdout
    assert (data / "gateway.db").is_file()

    moved = command(world, "db", "copy", **there)
    assert moved.returncode == 0, moved.stderr
    done = states["succeeded"] + states["failed"]
    total = states.total()
    assert f"{total} videos, {total - done} of them under way, 1 keys, 1 webhook endpoints" in moved.stdout
    assert "1 waiting pictures" in moved.stdout
    (old,) = data.glob("gateway.db.copied-to-postgresql-*")
    assert old.name in moved.stdout
    again = command(world, "db", "copy", **there)
    assert (again.returncode, again.stderr.splitlines()) == (1, [again.stderr.rstrip()])
    assert "it was moved" in again.stderr
    with pytest.raises(DiedAtStart, match="was moved to PostgreSQL"), world.gateway():
        pass
    assert not (data / "gateway.db").exists()


def test_commands_of_the_other_database_say_so(world: World, database_url: str) -> None:
    """A backup of PostgreSQL, and a copy or a distrust of SQLite, are refused in one line."""
    on_postgresql = {"DATABASE_URL": database_url}
    cases: list[tuple[tuple[str, ...], dict[str, Any]]] = [
        (("backup", "x"), on_postgresql),
        (("restore", "x"), on_postgresql),
        (("copy",), {}),
        (("distrust",), {}),
    ]
    for arguments, settings in cases:
        refused = command(world, "db", *arguments, **settings)
        assert refused.returncode == 2
        assert len(refused.stderr.splitlines()) == 1
        assert KEY not in refused.stderr
    with suppress(FileNotFoundError):
        assert not list((world.folder / "data").iterdir())


def test_what_cannot_be_moved_is_said_in_one_line(world: World, database_url: str, tmp_path: Path) -> None:
    """No SQLite file, a file that is none, a PostgreSQL that is not there or has a bad address: nothing is changed."""
    junk = tmp_path / "junk.db"
    junk.write_bytes(b"this is no database" * 100)
    nobody = database_url.replace("/test_", "/nobody_")
    with world.gateway():
        pass
    cases = [
        (str(tmp_path / "nothing.db"), database_url, 1, "there is no database at"),
        (str(junk), database_url, 1, "not a database"),
        ("data/gateway.db", "postgresql://127.0.0.1:port/x", 2, "VIDEOGATE_DATABASE_URL"),
        ("data/gateway.db", nobody, 2, "does not exist"),
    ]
    for file, url, code, words in cases:
        refused = command(world, "db", "copy", file, DATABASE_URL=url)
        assert refused.returncode == code, refused.stderr
        assert words in refused.stderr
        assert len(refused.stderr.splitlines()) == 1, refused.stderr
    with world.gateway():
        pass


def test_a_restored_postgresql_is_distrusted(world: World, database_url: str) -> None:
    """`db distrust` says what it took for sent, on a PostgreSQL without a gateway."""
    with world.gateway(DATABASE_URL=database_url):
        refused = command(world, "db", "distrust", DATABASE_URL=database_url)
        assert refused.returncode == 1
        assert "a gateway works on this database" in refused.stderr
    answer = command(world, "db", "distrust", DATABASE_URL=database_url)
    assert answer.returncode == 0, answer.stderr
    assert "0 videos were waiting to be sent" in answer.stdout

"""A backup of a running gateway, restored: the videos are there, and nothing is paid for twice."""

import shutil
import sqlite3
import stat
from contextlib import closing
from itertools import count
from pathlib import Path
from subprocess import CompletedProcess
from threading import Event, Thread

import pytest

from acceptance.conftest import World, ended, wait_until
from acceptance.test_life import MODELS, assert_paid_once, client_of, create, kill, log_of
from forked import run_videogate

pytestmark = pytest.mark.databases("sqlite")  # A backup is of a SQLite file.


def db(world: World, *arguments: str) -> CompletedProcess[str]:
    """`videogate db …` on this world's data."""
    own = {"VIDEOGATE_DATA_DIR": str(world.folder / "data")}
    return run_videogate("db", *arguments, folder=world.folder, variables=own)


def tasks_of(path: Path) -> set[str]:
    """The ids of the tasks in a database file."""
    with closing(sqlite3.connect(path)) as raw:
        return {row[0] for row in raw.execute("SELECT id FROM task")}


def test_a_backup_under_load_restored_pays_for_nothing_twice(world: World) -> None:
    """Taken while videos are asked for and restored later, it brings what it holds to an end.

    Each video that it calls unsent was sent since, and is found instead of being sent again.
    """
    backup = world.folder / "backup.db"
    over = Event()
    # One job at a time: the others wait, prepared, while the backup is made, and leave after it.
    slow = {f"{vendor.upper()}_MAX_JOBS": "1" for vendor in MODELS if vendor != "sora"}
    with world.gateway(**slow) as server, client_of(server) as client:
        first = create(client, MODELS["vidu"], 0)
        ended(client, first)
        waiting = [create(client, model, number) for number in (1, 2, 3, 4) for model in MODELS.values()]

        def load() -> None:
            with client_of(server) as own:
                for number in count(100):
                    if over.wait(0.05):
                        return
                    create(own, MODELS["sora"], number)

        busy = Thread(target=load)
        busy.start()
        try:
            made = db(world, "backup", str(backup))
        finally:
            over.set()
            busy.join()
        assert made.returncode == 0, made.stderr
        later = [create(client, MODELS["vidu"], number) for number in (1000, 1001)]
        assert {ended(client, video, 60)["status"] for video in [*waiting, *later]} == {"succeeded"}

        refused = db(world, "restore", str(backup))
        assert refused.returncode == 2, refused.stdout
        kill(server)

    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    held = tasks_of(backup)
    assert {first, *waiting} <= held
    assert not held & set(later)
    paid = len(world.paid())

    restored = db(world, "restore", str(backup))
    assert restored.returncode == 0, restored.stderr
    assert all(word in restored.stdout for word in ("foreign_job", "looked for, not sent again", "Idempotency-Key"))
    assert int(restored.stdout.split(" videos were waiting to be sent")[0].split()[-1]) >= len(MODELS)
    (before,) = (world.folder / "data").glob("gateway.db.before-restore-*")
    assert set(later) <= tasks_of(before)

    with world.gateway() as server, client_of(server) as client:
        videos = [ended(client, video, 60) for video in held]
        assert {client.get(f"/v1/videos/{video}").status_code for video in later} == {404}

    assert len(world.paid()) == paid, "something was sent again"
    assert_paid_once(world)
    failed = [video for video in videos if video["status"] != "succeeded"]
    # The one vendor that cannot be asked leaves those to a person.
    assert {(video["model"], video["error"]["code"]) for video in failed} == {
        (MODELS["jimeng"], "submission_outcome_unknown")
    }


@pytest.fixture
def stopped(world: World) -> World:
    """A world whose gateway ran once."""
    with world.gateway():
        pass
    return world


def test_what_was_never_sent_is_sent_where_the_operator_says_so(world: World) -> None:
    """With `--nothing-was-sent-since` the videos that waited in the backup are made."""
    backup = world.folder / "backup.db"
    world.fault(vendor="kling", op="submit", mode="throttle", times=None)
    with world.gateway() as server, client_of(server) as client:
        video = create(client, MODELS["kling"], 1)
        wait_until(lambda: any(line["event"] == "not_sent" for line in log_of(server)))
        kill(server)
    world.no_faults()
    assert db(world, "backup", str(backup)).returncode == 0
    shutil.rmtree(world.folder / "data")

    answer = db(world, "restore", str(backup), "--nothing-was-sent-since")

    assert answer.returncode == 0, answer.stderr
    with world.gateway() as server, client_of(server) as client:
        assert ended(client, video)["status"] == "succeeded"
    assert len(world.paid()) == 1


def test_a_backup_is_not_overwritten_by_accident(stopped: World) -> None:
    """A file that is there stays as it is, unless --force says otherwise; the database itself is never a target."""
    target = stopped.folder / "backup.db"
    target.write_bytes(b"mine")
    assert db(stopped, "backup", str(target)).returncode == 1
    assert target.read_bytes() == b"mine"
    assert db(stopped, "backup", str(target), "--force").returncode == 0
    assert tasks_of(target) == set()
    assert db(stopped, "backup", str(stopped.folder / "data" / "gateway.db"), "--force").returncode == 1


def test_what_is_no_backup_changes_nothing(stopped: World) -> None:
    """A damaged file, another program's database and one of a later version are refused; the database stays."""
    before = (stopped.folder / "data" / "gateway.db").read_bytes()
    files = {name: stopped.folder / f"{name}.db" for name in ("junk", "other", "later")}
    files["junk"].write_bytes(b"this is no database" * 100)
    with closing(sqlite3.connect(files["other"])) as raw:
        raw.execute("CREATE TABLE task (id TEXT)")
        raw.commit()
    assert db(stopped, "backup", str(files["later"])).returncode == 0
    with closing(sqlite3.connect(files["later"])) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
        raw.commit()

    for name, file in files.items():
        answer = db(stopped, "restore", str(file))
        assert answer.returncode == 1, name
        assert answer.stderr.startswith("Nothing was changed: "), answer.stderr

    assert (stopped.folder / "data" / "gateway.db").read_bytes() == before
    assert not list((stopped.folder / "data").glob("*before-restore*"))
    assert not list((stopped.folder / "data").glob(".*.part*"))

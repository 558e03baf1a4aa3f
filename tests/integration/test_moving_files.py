"""A gateway moved to PostgreSQL: its files go first, and whoever is killed on the way does it again."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from crash.cell import OF_A_MOVE
from postgres import ask
from unit.store.stocked import CAT, FILM, KEY, TASKS, stocked
from unit.store.support import opened
from videogate import moving
from videogate.media.storage import StorageAway
from videogate.moving import Files, Wish
from videogate.settings import Settings
from videogate.store.database import AlreadyRunning
from videogate.store.sqlite import mark_of
from videogate.store.target import CopyError, Moved

# Moves a gateway, and dies at a place on the way.
DYING = """
import os, signal, sys
from pathlib import Path
from videogate.faultpoints import arm
from videogate.moving import Wish, move
from videogate.settings import Settings

folder, url, where = sys.argv[1:]
arm(lambda name: name == where and os.kill(os.getpid(), signal.SIGKILL))
move(Settings(data_dir=folder, database_url=url, media_url=f"file://{folder}/new"), Path(folder) / "gateway.db", Wish())
"""


@pytest.fixture
async def old(tmp_path: Path) -> Path:
    """A stopped gateway with tasks in every state, a kept video and a picture that waits."""
    return await stocked(tmp_path / "old")


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """The folder to which its files go."""
    return tmp_path / "new"


def move(old: Path, url: str, new: Path, wish: Wish | None = None, **changes: Any) -> tuple[Moved, Files]:
    values = {"data_dir": old.parent, "database_url": url, "media_url": new.as_uri(), **changes}
    return moving.move(Settings(**values), old, wish or Wish())


def test_files_are_where_rows_say(old: Path, database_url: str, new: Path) -> None:
    """A picture that waits and a kept video lie in the new storage, whole, and those of before stay."""
    _, files = move(old, database_url, new)

    assert (new / "inputs" / "cat").read_bytes() == CAT
    assert (new / KEY).read_bytes() == FILM
    assert files == Files(inputs=1, videos=1)
    assert (old.parent / "inputs" / "cat").is_file()
    assert (old.parent / "media" / KEY).is_file()
    assert not list(old.parent.glob("spool*"))


def test_a_data_directory_apart_from_the_database_is_looked_into(
    old: Path, database_url: str, new: Path, tmp_path: Path
) -> None:
    """Where VIDEOGATE_DATABASE_URL had named a file elsewhere, pictures and videos are in the data directory."""
    apart = tmp_path / "apart" / "my.db"
    apart.parent.mkdir()
    old.rename(apart)

    _, files = move(apart, database_url, new, data_dir=old.parent)

    assert files == Files(inputs=1, videos=1)


def test_videos_of_a_folder_of_their_own_are_found_by_its_name(
    old: Path, database_url: str, new: Path, tmp_path: Path
) -> None:
    """A gateway that kept them elsewhere is not moved without them, unless they are left behind on purpose."""
    (old.parent / "media").rename(tmp_path / "films")
    with pytest.raises(CopyError, match=f"1 files, such as {KEY}, are neither .* --media"):
        move(old, database_url, new)
    assert ask(database_url, "SELECT count(*) FROM task") == [(0,)]
    assert not mark_of(old).exists()

    _, files = move(old, database_url, new, Wish(media=tmp_path / "films"))

    assert files == Files(videos=1, there=1)
    assert (new / KEY).read_bytes() == FILM


async def served(folder: Path) -> set[str]:
    """What a server finds that starts on the SQLite file."""
    async with opened(folder) as desk:
        return {row[0] for row in desk.sql("SELECT id FROM task")}


@pytest.mark.parametrize("content", [b"short", FILM[::-1], None], ids=["short", "other", "none"])
def test_a_damaged_file_is_not_taken_for_the_video(
    old: Path, database_url: str, new: Path, content: bytes | None
) -> None:
    """Of another length or with other bytes it is as good as gone: the operator is told, and may go without."""
    file = old.parent / "media" / KEY
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(CopyError, match="neither in the storage nor whole"):
        move(old, database_url, new)
    assert not (new / KEY).exists()

    moved, files = move(old, database_url, new, Wish(leave_missing=True))

    assert files.missing == [KEY]
    assert moved.rows["task"] == len(TASKS)


def test_a_shared_folder_that_stays_is_not_copied(old: Path, database_url: str) -> None:
    """Where the videos' folder is the new storage too, they stay in place and only the picture moves into it."""
    _, files = move(old, database_url, old.parent / "media")

    assert files == Files(inputs=1, there=1)
    assert (old.parent / "media" / KEY).read_bytes() == FILM


def test_a_postgresql_in_use_is_noticed_before_files(old: Path, database_url: str, new: Path) -> None:
    """Nobody waits for hours of uploads to be refused then."""
    ask(database_url, "INSERT INTO api_key (id, name, digest, created_at) VALUES ('key_1', 'mine', 'ab', 1)")
    with pytest.raises(CopyError, match="has rows in api_key"):
        move(old, database_url, new)
    assert not new.exists()


def test_a_rehearsal_puts_no_file_anywhere(old: Path, database_url: str, new: Path) -> None:
    """It says what would be put there."""
    moved, files = move(old, database_url, new, Wish(rehearse=True))

    assert files == Files(inputs=1, videos=1)
    assert moved.rows["task"] == len(TASKS)
    assert [path for path in new.rglob("*") if path.is_file()] == []
    assert old.is_file()
    assert not mark_of(old).exists()


def test_a_storage_that_is_away_moves_nothing(old: Path, database_url: str, new: Path) -> None:
    """The old gateway goes on."""
    new.mkdir()
    (new / "videos").write_bytes(b"a file where a folder must be")
    with pytest.raises(StorageAway):
        move(old, database_url, new)
    assert old.is_file()
    assert not mark_of(old).exists()


@pytest.mark.parametrize("place", OF_A_MOVE)
def test_who_is_killed_on_the_way_does_it_again(old: Path, database_url: str, place: str) -> None:
    """At no place could both gateways start with the tasks in them, and the same command brings it to its end."""
    folder = old.parent
    run = subprocess.run([sys.executable, "-c", DYING, folder, database_url, place], check=False)
    assert run.returncode == -signal.SIGKILL
    there = ask(database_url, "SELECT count(*) FROM task") == [(len(TASKS),)]
    assert there == (place == "copy.committed")
    if place in {"copy.files", "copy.rows"}:
        assert asyncio.run(served(folder)) == TASKS  # the old one goes on
    else:
        with pytest.raises(AlreadyRunning, match="moved to PostgreSQL"):
            asyncio.run(served(folder))

    moved, files = move(old, database_url, folder / "new")

    assert (moved.rows["task"], moved.in_flight) == (len(TASKS), len(TASKS) - 1)
    assert files == Files(there=2)
    assert {row[0] for row in ask(database_url, "SELECT id FROM task")} == TASKS
    assert moved.old is not None
    assert moved.old.is_file()
    assert not old.exists()
    assert not list(folder.glob(".copying-*"))
    assert mark_of(old).read_text().endswith(f"{moved.old.name}\n")

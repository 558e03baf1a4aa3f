"""A SQLite gateway that was stopped with tasks in every state, for those who move it."""

from hashlib import sha256
from pathlib import Path

from unit.store.support import NOW, opened
from videogate.store.keys import KeyStore
from videogate.store.migrate import migrate
from videogate.store.sqlite import sqlite_engine
from videogate.task.model import Artifact, Content, Fitted, Picture, Role, TaskSpec
from videogate.task.state import TaskState

FILM = b"a film that is kept"
CAT = b"a cat"
KEY = "videos/ne/video_done.mp4"
TASKS = {"video_done", "video_fetching", "video_running", "video_lost", "video_sending", "video_waiting"}
WORDS = 'Лес, 森, \U0001f98a, \u202e, "quoted", \\u0000 and a \t tab'


async def stocked(folder: Path) -> Path:
    """Make it in `folder`, with the files of a video and a picture. The path of the database."""
    folder.mkdir(exist_ok=True)
    engine = sqlite_engine(folder / "gateway.db")
    migrate(engine)
    engine.dispose()
    async with opened(folder) as desk:
        keys = KeyStore(desk.database)
        await keys.create("laptop", "openai", NOW, callbacks=True)
        await keys.create("phone", None, NOW)
        done = await desk.submitted("video_done")
        assert await desk.ledger.fetching(done, Artifact("https://vendor.test/1.mp4"), due_at=NOW)
        done = await desk.claim(TaskState.FETCHING)
        content = Content(KEY, len(FILM), sha256(FILM).hexdigest(), "video/mp4")
        assert await desk.ledger.succeeded(done, content, size="1x1", seconds="1", now=NOW)
        fetching = await desk.submitted("video_fetching")
        assert await desk.ledger.fetching(fetching, Artifact("https://vendor.test/2.mp4"), due_at=NOW + 9)
        running = await desk.submitted("video_running")
        assert await desk.ledger.observed(running, TaskState.RUNNING, 7, due_at=NOW + 9)
        lost = await desk.sending("video_lost")
        assert await desk.ledger.unknown(lost, "no answer", look_at=NOW + 999)
        await desk.sending("video_sending")
        picture = Picture(
            Role.FIRST_FRAME, key="cat", mime="image/png", length=len(CAT), sha256=sha256(CAT).hexdigest()
        )
        await desk.add("video_waiting", spec=TaskSpec("film-1", WORDS, pictures=(picture,)), fitted=Fitted("1x1", "4"))
    _write(folder / "inputs" / "cat", CAT)
    _write(folder / "media" / KEY, FILM)
    return desk.path


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)

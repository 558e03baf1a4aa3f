"""What a vendor answered is recorded, however long the database is away: it can be learned only once."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from unit.engine.support import LINK, Result, Scene, film
from videogate.engine import deliver, send
from videogate.store.database import DatabaseAway
from videogate.task.errors import Busy
from videogate.task.state import TaskState


@contextmanager
def away(scene: Scene, monkeypatch: pytest.MonkeyPatch, times: int) -> Iterator[list[int]]:
    """From the vendor's answer on, the next `times` writes find the database away; counts what is left of them."""
    left = [times]
    write = scene.desk.database.write

    async def failing(work: object) -> object:
        if left[0] and scene.sent:
            left[0] -= 1
            raise DatabaseAway
        return await write(work)  # type: ignore[arg-type]

    monkeypatch.setattr(send, "AWAY_PAUSE", 0.001)
    monkeypatch.setattr(scene.desk.database, "write", failing)
    yield left


@pytest.mark.parametrize(
    ("status", "body", "state", "line"),
    [
        (200, {"id": "job-1"}, TaskState.SUBMITTED, "accepted"),
        (400, {"error": {"message": "not like this"}}, TaskState.FAILED, "rejected"),
        (500, "oops", TaskState.SUBMITTING, "unknown"),
        (429, {"error": {"message": "too many", "later": True}}, TaskState.INTENT, "not_sent"),
    ],
)
async def test_an_outcome_outlasts_the_trouble(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, status: int, body: object, state: TaskState, line: str
) -> None:
    """Whatever the vendor said is written as soon as the database is back, and nothing is sent again meanwhile."""
    await scene.create()
    scene.answer(status, body)
    claim = await scene.claim()

    with away(scene, monkeypatch, 3) as left:
        await send.send(scene.shop, claim)

    assert left == [0]
    assert (scene.state, scene.lines[0]) == (state, line)
    assert len(scene.sent) == 1


async def test_nothing_leaves_while_sending_cannot_be_recorded(scene: Scene) -> None:
    """With the database away before the send, the request stays here: it is no outcome that could be lost."""
    await scene.create()
    claim = await scene.claim()
    with closing(sqlite3.connect(scene.desk.path, isolation_level=None)) as other:
        await scene.desk.database.write(
            lambda connection: connection.exec_driver_sql("PRAGMA busy_timeout=50") and None
        )
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Busy):
            await send.send(scene.shop, claim)
        other.execute("ROLLBACK")

    assert scene.sent == []
    assert scene.lines == ["prepared"]


async def test_a_download_outlasts_the_trouble(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lease that cannot be renewed while the database is away is kept on: the download is not begun again."""
    monkeypatch.setattr(deliver, "RENEW", 0.01)
    claim = await scene.fetching()
    tried = 0

    async def extend(*_: object) -> bool:
        nonlocal tried
        tried += 1
        raise DatabaseAway

    class Slow(Result):
        async def chunks(self) -> object:  # type: ignore[override]
            await asyncio.sleep(0.1)
            yield self.content

    monkeypatch.setattr(type(scene.shop.ledger), "extend", extend)
    scene.results.append(Slow(film()))
    await deliver.fetch(scene.shop, claim)

    assert tried > 1
    assert scene.state is TaskState.SUCCEEDED
    assert scene.opened == [LINK]

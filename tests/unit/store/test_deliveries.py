"""Who has to be told of what: once for each event and receiver, wherever a process dies."""

import shutil
import signal
import subprocess
import sys
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from postgres import PostgresServer
from unit.store.support import NOW, Desk, opened
from videogate.store.deliveries import DeliveryStore
from videogate.store.endpoints import EndpointStore
from videogate.task.model import TaskSpec
from videogate.task.webhook import Delivery, DeliveryState, Endpoint, Letter, Outcome

LINK = "https://caller.test/hook?token=1"
BOTH = ("video.completed", "video.failed")

# Deals with the log as a server does, and is killed before one of the statements of that, or at its end.
DYING = """
import asyncio, os, signal, sys
from pathlib import Path
from sqlalchemy import event
from videogate.store.deliveries import DeliveryStore
from videogate.store.postgres import PostgresDatabase
from videogate.store.sqlite import SqliteDatabase

where, left = sys.argv[1], int(sys.argv[2])

def count(*_):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1

async def main():
    database = PostgresDatabase(where) if "://" in where else SqliteDatabase(Path(where))
    event.listen(database.engine, "before_cursor_execute", count)
    event.listen(database.engine, "commit", count)
    await DeliveryStore(database).dispatch(1_800_000_000.0)
    count()

asyncio.run(main())
"""


def endpoint(name: str, **changes: Any) -> Endpoint:
    """An endpoint for both events of every key."""
    made = Endpoint(
        id=f"we_{name}",
        owner=None,
        name=name,
        url=f"https://{name}.test/",
        events=BOTH,
        secret="whsec_" + b64encode(name.encode()).decode(),
        created_at=NOW,
        updated_at=NOW,
    )
    return replace(made, **changes)


@dataclass(frozen=True)
class Office:
    """The stores, and what the tests do with them."""

    desk: Desk
    endpoints: EndpointStore
    deliveries: DeliveryStore

    async def add(self, name: str, **changes: Any) -> Endpoint:
        made = endpoint(name, **changes)
        assert await self.endpoints.add(made, 100)
        return made

    async def end(self, task_id: str, state: str = "succeeded", **changes: Any) -> None:
        """A task that has ended."""
        await self.desk.add(task_id, **changes)
        self.desk.sql("UPDATE task SET state = ? WHERE id = ?", state, task_id)

    async def dispatch(self, now: float = NOW) -> int:
        """Deal with the whole log."""
        made = 0
        while await self.deliveries.behind():
            made += await self.deliveries.dispatch(now)
        return made

    async def all(self, whose: str | None = None) -> list[Delivery]:
        page = await self.deliveries.page(whose, limit=1_000)
        assert page is not None
        return page[0]

    async def claim(self, now: float = NOW, room: int = 9) -> list[Letter]:
        """Take whatever is due."""
        due = await self.deliveries.due(now, lambda _: room)
        return await self.deliveries.claim([each.id for each in due], now=now, until=now + 60)

    async def told(self) -> set[tuple[str | None, str, str]]:
        """Who is told of what: endpoint, task and type of every delivery, none of which comes twice."""
        found = [(each.endpoint_id, each.task_id, each.type) for each in await self.all()]
        assert len(found) == len(set(found))
        return set(found)


@asynccontextmanager
async def office_in(folder: Path, url: str | None = None) -> AsyncIterator[Office]:
    """The stores in a folder, or in a PostgreSQL database."""
    async with opened(folder, url) as desk:
        yield Office(desk, EndpointStore(desk.database), DeliveryStore(desk.database))


@pytest.fixture
async def office(tmp_path: Path, url: str | None) -> AsyncIterator[Office]:
    """Stores without an endpoint, on each database."""
    async with office_in(tmp_path, url) as made:
        yield made


async def test_each_event_makes_one_delivery_for_each_who_wants_it(office: Office) -> None:
    """By type and by key; the operator's own endpoint hears of all; nobody hears of what is under way or cancelled."""
    await office.add("all")
    await office.add("alice", owner="alice")
    await office.add("bob", owner="bob")
    await office.add("failures", owner="alice", events=("video.failed",))
    await office.add("off", disabled_at=NOW, disabled_why="gone")
    await office.end("good")
    await office.end("bad", "failed")
    await office.end("cancelled", "cancelled")
    await office.desk.add("open")

    assert await office.dispatch() == 5
    assert await office.told() == {
        ("we_all", "good", "video.completed"),
        ("we_all", "bad", "video.failed"),
        ("we_alice", "good", "video.completed"),
        ("we_alice", "bad", "video.failed"),
        ("we_failures", "bad", "video.failed"),
    }
    assert not await office.deliveries.behind()
    assert await office.dispatch() == 0


async def test_a_link_of_a_request_is_told_too(office: Office) -> None:
    """In the name of the task's key, and beside the endpoints."""
    await office.add("all")
    await office.end("video_1", spec=TaskSpec("film-1", "x", callback_url=LINK))

    assert await office.dispatch() == 2
    (linked,) = [each for each in await office.all() if each.endpoint_id is None]
    assert (linked.url, linked.owner, linked.task_id) == (LINK, "alice", "video_1")


async def test_deleted_videos_are_not_told(office: Office) -> None:
    """Neither one that was deleted before its end was noticed, nor one that was deleted before it could be sent."""
    await office.add("all")
    await office.end("early")
    assert await office.desk.tasks.delete("alice", "early", NOW)
    await office.end("late")
    assert await office.dispatch() == 1
    assert await office.desk.tasks.delete("alice", "late", NOW)

    assert await office.claim() == []
    (delivery,) = await office.all()
    assert (delivery.state, delivery.tries) == (DeliveryState.GIVEN_UP, 0)
    assert delivery.last_error == "the video was deleted"


async def test_an_endpoint_does_not_hear_of_what_was_before_it(office: Office) -> None:
    """What was dealt with is not dealt with again for who comes later."""
    await office.end("before")
    assert await office.dispatch() == 0
    await office.add("all")
    await office.end("after")

    assert await office.dispatch() == 1
    assert await office.told() == {("we_all", "after", "video.completed")}


async def test_a_video_that_comes_back_from_failure_is_told_twice(office: Office) -> None:
    """Late evidence completes it: two events, each with an id of its own."""
    await office.add("all")
    await office.end("video_1", "failed")
    await office.dispatch()
    for state in ("submitted", "succeeded"):
        office.desk.sql("UPDATE task SET state = ?", state)
    await office.dispatch()

    found = await office.all()
    assert {each.type for each in found} == {"video.completed", "video.failed"}
    assert len({each.event_id for each in found}) == len({each.id for each in found}) == 2


async def test_an_event_has_one_id_for_all_who_are_told(office: Office) -> None:
    """The event's id is one, the delivery's id everybody's own."""
    await office.add("one")
    await office.add("two")
    await office.end("video_1")
    await office.dispatch()

    found = await office.all()
    assert len(found) == len({each.id for each in found}) == 2
    assert len({each.event_id for each in found}) == 1


async def test_a_long_log_is_dealt_with_in_shares(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """More events than one transaction takes make one delivery each, and moves that nobody is told of make none."""
    monkeypatch.setattr("videogate.store.deliveries._SHARE", 20)
    await office.add("all")
    for number in range(50):
        await office.desk.add(f"video_{number}")
    for state in ("submitted", "succeeded"):
        office.desk.sql("UPDATE task SET state = ?", state)

    made = []
    while await office.deliveries.behind():
        made.append(await office.deliveries.dispatch(NOW))

    assert made == [20, 20, 10]
    assert len(await office.told()) == 50


async def test_the_list_and_the_deliveries_stand_or_fall_together(office: Office) -> None:
    """If events cannot be taken off the list there are no deliveries either, and the next attempt makes them all."""
    await office.add("all")
    await office.end("video_1")
    engine = office.desk.database.engine

    def broken(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("DELETE"):
            raise ZeroDivisionError

    event.listen(engine, "before_cursor_execute", broken)
    with pytest.raises(ZeroDivisionError):
        await office.deliveries.dispatch(NOW)
    event.remove(engine, "before_cursor_execute", broken)

    assert await office.all() == []
    assert await office.dispatch() == 1


class Copies:
    """Copies of a store: of its folder, or of its PostgreSQL database."""

    def __init__(self, folder: Path, server: PostgresServer | None) -> None:
        self.folder, self.server = folder, server
        (folder / "whole").mkdir()
        self.url = server.database() if server else None

    def copy(self, name: str) -> tuple[Path, str | None]:
        """A new copy. Nobody uses the original meanwhile."""
        if self.server and self.url:
            return self.folder, self.server.copy(self.url)
        return Path(shutil.copytree(self.folder / "whole", self.folder / name)), None


def killed(folder: Path, url: str | None, left: int) -> int:
    """Deal with the log in a process that is killed after so many statements. Returns how it ended."""
    where = url or str(folder / "gateway.db")
    return subprocess.run([sys.executable, "-c", DYING, where, str(left)], check=False).returncode


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_a_kill_at_any_statement_loses_and_doubles_nothing(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    """A process that is killed while it deals with the log leaves all of it or none to the next one."""
    copies = Copies(tmp_path, request.getfixturevalue("postgres") if kind == "postgresql" else None)
    async with office_in(tmp_path / "whole", copies.url) as office:
        for name in ("one", "two"):
            await office.add(name)
        await office.end("good")
        await office.end("bad", "failed")
    wanted = {(f"we_{name}", *told) for name in ("one", "two") for told in zip(("good", "bad"), BOTH, strict=True)}

    found, left = [], 0
    folder, url = copies.copy("0")
    while killed(folder, url, left) == -signal.SIGKILL:
        async with office_in(folder, url) as office:
            found.append(len(await office.all()))
            await office.dispatch()
            assert await office.told() == wanted, f"killed at statement {left}"
        left += 1
        folder, url = copies.copy(str(left))

    assert set(found) == {0, 4}
    assert len(found) > 5


async def test_a_delivery_is_handed_out_once(office: Office) -> None:
    """Nobody gets what another is sending, until that one's time is over; then it is a further try."""
    await office.add("all")
    await office.end("video_1")
    await office.dispatch()
    (letter,) = await office.claim()
    assert (letter.url, letter.delivery.tries) == ("https://all.test/", 1)
    assert letter.endpoint is not None

    assert await office.claim(NOW + 59) == []
    assert await office.deliveries.claim([letter.delivery.id], now=NOW + 59, until=NOW + 99) == []
    (again,) = await office.claim(NOW + 61)
    assert (again.delivery.id, again.delivery.tries) == (letter.delivery.id, 2)


async def test_what_a_dead_process_was_sending_is_free_at_once(office: Office) -> None:
    """`release` gives back what was taken and not settled, and nothing else."""
    await office.add("all")
    for name in ("one", "two"):
        await office.end(name)
    await office.dispatch()
    first, second = await office.claim()
    await office.deliveries.settle(first.delivery, Outcome(DeliveryState.DELIVERED, 0, 200, None, NOW), NOW)

    assert await office.deliveries.release() == 1
    (letter,) = await office.claim()
    assert letter.delivery.id == second.delivery.id


async def test_who_was_overtaken_keeps_nothing(office: Office) -> None:
    """A sender that was paused for longer than its time cannot undo what the next one found."""
    await office.add("all")
    await office.end("video_1")
    await office.dispatch()
    (slow,) = await office.claim()
    (quick,) = await office.claim(NOW + 61)

    failed = Outcome(DeliveryState.PENDING, 1, 500, "it answered 500", NOW + 99)
    assert not await office.deliveries.settle(slow.delivery, failed, NOW + 62)
    assert await office.deliveries.settle(quick.delivery, Outcome(DeliveryState.DELIVERED, 0, 204, None, NOW), NOW + 62)
    assert not await office.deliveries.settle(slow.delivery, failed, NOW + 63)
    (delivery,) = await office.all()
    assert (delivery.state, delivery.last_status, delivery.delivered_at) == (DeliveryState.DELIVERED, 204, NOW + 62)


async def test_a_failed_try_waits_for_its_time(office: Office) -> None:
    """Before that it is not due; then it is."""
    await office.add("all")
    await office.end("video_1")
    await office.dispatch()
    (letter,) = await office.claim()
    await office.deliveries.settle(letter.delivery, Outcome(DeliveryState.PENDING, 1, 503, "x", NOW + 5), NOW)

    assert await office.claim(NOW + 4) == []
    (again,) = await office.claim(NOW + 5)
    assert (again.delivery.failures, again.delivery.last_status, again.delivery.last_error) == (1, 503, "x")


async def test_a_crowd_before_one_receiver_hides_nobody(office: Office) -> None:
    """Of each receiver as many as there is room for, however many wait for another; a full one gives none."""
    await office.add("crowded")
    await office.add("calm", owner="bob")
    for number in range(40):
        await office.end(f"video_{number}")
    await office.dispatch(NOW)
    await office.end("bobs", owner="bob")
    await office.dispatch(NOW + 1)
    room = {"we_crowded": 2, "we_calm": 2}

    targets = [each.target for each in await office.deliveries.due(NOW + 1, lambda target: room[target])]
    assert targets == ["we_crowded", "we_crowded", "we_calm"]
    room["we_crowded"] = 0
    assert [each.target for each in await office.deliveries.due(NOW + 1, lambda target: room[target])] == ["we_calm"]


async def test_links_of_one_host_share_their_lines(office: Office) -> None:
    """A key's receivers at different hosts are apart from each other, and from those of other keys."""
    links = ("https://a.test/1", "https://a.test/2", "https://b.test/")
    for number, link in enumerate(links):
        await office.end(f"video_{number}", spec=TaskSpec("film-1", "x", callback_url=link))
    await office.end("bobs", owner="bob", spec=TaskSpec("film-1", "x", callback_url=links[0]))
    await office.dispatch()

    assert len(await office.deliveries.due(NOW, lambda _: 1)) == 3
    assert len(await office.deliveries.due(NOW, lambda _: 2)) == 4


async def test_an_endpoint_that_is_gone_is_disabled_with_all_that_waits(office: Office) -> None:
    """Nothing is sent to it any more, and what it still had to be told is given up."""
    await office.add("all")
    for name in ("one", "two"):
        await office.end(name)
    await office.dispatch()
    first, _ = await office.claim()
    gone = Outcome(DeliveryState.GIVEN_UP, 1, 410, "it answered 410", NOW, disable="gone")
    await office.deliveries.settle(first.delivery, gone, NOW + 1)

    found = await office.endpoints.get("we_all", None)
    assert found is not None
    assert (found.disabled_at, found.disabled_why) == (NOW + 1, "gone")
    assert {each.state for each in await office.all()} == {DeliveryState.GIVEN_UP}
    await office.end("three")
    assert await office.dispatch() == 0


async def test_a_delivery_can_be_begun_anew(office: Office) -> None:
    """Whatever became of it, under the same id, with the whole schedule before it; a stranger's cannot."""
    await office.add("alice", owner="alice")
    await office.end("video_1")
    await office.dispatch()
    (letter,) = await office.claim()
    await office.deliveries.settle(letter.delivery, Outcome(DeliveryState.GIVEN_UP, 10, 500, "x", NOW), NOW)

    assert await office.deliveries.again(letter.delivery.id, "bob", now=NOW + 9) is None
    assert await office.deliveries.again(letter.delivery.id, None, endpoint_id="we_other", now=NOW + 9) is None
    assert await office.deliveries.again("wh_none", None, now=NOW + 9) is None
    assert await office.claim(NOW + 9) == []
    begun = await office.deliveries.again(letter.delivery.id, "alice", endpoint_id="we_alice", now=NOW + 9)
    assert begun is not None
    assert (begun.state, begun.failures, begun.due_at) == (DeliveryState.PENDING, 0, NOW + 9)
    (again,) = await office.claim(NOW + 9)
    assert (again.delivery.id, again.delivery.tries) == (letter.delivery.id, 2)


async def test_everybody_sees_their_own_log(office: Office) -> None:
    """In pages, the newest first; a page after what is not one's own does not exist."""
    await office.add("alice", owner="alice")
    await office.add("all")
    for number in range(5):
        await office.end(f"video_{number}")
        await office.dispatch(NOW + number)

    first = await office.deliveries.page("alice", limit=2)
    assert first is not None
    found, more = first
    assert ([each.task_id for each in found], more) == (["video_4", "video_3"], True)
    rest = await office.deliveries.page("alice", after=found[-1].id, limit=5)
    assert rest is not None
    assert ([each.task_id for each in rest[0]], rest[1]) == (["video_2", "video_1", "video_0"], False)
    assert await office.deliveries.page("bob", after=found[-1].id, limit=5) is None
    assert await office.deliveries.page("bob", limit=5) == ([], False)
    assert len(await office.all(None)) == 10


async def test_old_deliveries_are_forgotten(office: Office) -> None:
    """Those that have ended; one that waits stays, and none of them is made again."""
    await office.add("all")
    for name in ("done", "waits"):
        await office.end(name)
    await office.dispatch()
    letters = {letter.delivery.task_id: letter.delivery for letter in await office.claim()}
    await office.deliveries.settle(letters["done"], Outcome(DeliveryState.DELIVERED, 0, 200, None, NOW), NOW)

    assert await office.deliveries.forget(NOW) == 0
    assert await office.deliveries.forget(NOW + 1) == 1
    assert [each.task_id for each in await office.all()] == ["waits"]
    assert await office.dispatch() == 0


async def test_endpoints_are_their_owners(office: Office) -> None:
    """Others neither see, change nor remove them; the operator does; an owner has so many and no more."""
    made = await office.add("alice", owner="alice")
    assert not await office.endpoints.add(endpoint("second", owner="alice"), 1)
    assert await office.endpoints.add(endpoint("second", owner="bob"), 1)

    assert await office.endpoints.get(made.id, "bob") is None
    assert await office.endpoints.change(made.id, "bob", lambda found: replace(found, name="x")) is None
    assert not await office.endpoints.remove(made.id, "bob")
    assert await office.endpoints.page("bob", after=made.id, limit=5) is None
    assert await office.endpoints.get(made.id, "alice") == await office.endpoints.get(made.id, None) == made
    changed = await office.endpoints.change(made.id, "alice", lambda found: replace(found, name="x"))
    assert changed == await office.endpoints.get(made.id, None) == replace(made, name="x")


async def test_a_removed_endpoint_takes_its_deliveries_along(office: Office) -> None:
    """It is forgotten with its log, and the other endpoints stay."""
    await office.add("one")
    await office.add("two")
    await office.end("video_1")
    await office.dispatch()

    assert await office.endpoints.remove("we_one", None)
    assert {each.endpoint_id for each in await office.all()} == {"we_two"}
    assert not await office.endpoints.remove("we_one", None)
    assert [letter.delivery.endpoint_id for letter in await office.claim()] == ["we_two"]

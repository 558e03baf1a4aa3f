"""Telling, with receivers whose every answer the test chooses."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from unit.store.support import NOW
from unit.store.test_deliveries import Office, office_in
from videogate.engine import tell
from videogate.engine.letters import key_secret
from videogate.engine.tell import Teller
from videogate.media.fetch import SafeFetcher
from videogate.task.errors import Unavailable
from videogate.task.model import TaskSpec
from videogate.task.webhook import Delivery, DeliveryState

SERVER = b"secret"


@dataclass
class Post:
    """A post under way: the test answers it."""

    url: str
    body: bytes
    headers: Mapping[str, str]
    answer: asyncio.Future[int]


@dataclass
class Web:
    """Every receiver there is, in a fetcher's place."""

    posts: list[Post] = field(default_factory=list)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        made = Post(url, body, headers, asyncio.get_running_loop().create_future())
        self.posts.append(made)
        return await made.answer


@dataclass
class Scene:
    office: Office
    web: Web
    revoked: set[str] = field(default_factory=set)
    now: float = NOW
    teller: Teller = field(init=False)

    def __post_init__(self) -> None:
        async def live(key_id: str) -> bool:
            return key_id not in self.revoked

        fetcher = cast("SafeFetcher", self.web)
        self.teller = Teller(self.office.deliveries, fetcher, SERVER, live, lambda: self.now, lambda: 0.0)

    async def until(self, found: Callable[[], bool]) -> None:
        """Go round until something is so."""
        for _ in range(200):
            if found():
                return
            await self.teller.round()
        pytest.fail("it did not happen")

    async def settled(self) -> list[Delivery]:
        """Every delivery, once nothing is under way."""
        await self.until(lambda: not self.teller._sending)
        return await self.office.all()


@pytest.fixture
async def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    """Receivers that do not answer yet, and nothing to tell."""
    monkeypatch.setattr(tell, "TICK", 0.01)
    monkeypatch.setattr(tell, "DRAIN", 0.01)
    async with office_in(tmp_path) as office:
        made = Scene(office, Web())
        yield made
        await made.teller.drain()


async def test_a_receiver_that_hangs_holds_its_own_lines_only(scene: Scene) -> None:
    """Of its ten letters two are under way; the other receiver has all of its ten."""
    await scene.office.add("slow")
    await scene.office.add("quick")
    for number in range(10):
        await scene.office.end(f"video_{number}")

    def all_quick() -> bool:
        for post in scene.web.posts:
            if "quick" in post.url and not post.answer.done():
                post.answer.set_result(200)
        return sum("quick" in post.url for post in scene.web.posts) == 10

    await scene.until(all_quick)
    assert Counter(post.url for post in scene.web.posts) == {"https://slow.test/": 2, "https://quick.test/": 10}


async def test_one_key_does_not_take_all_lines(scene: Scene) -> None:
    """However many receivers it names that hang; others are told meanwhile."""
    for number in range(40):
        spec = TaskSpec("film-1", "x", callback_url=f"https://r{number}.test/")
        await scene.office.end(f"video_{number}", spec=spec)
    await scene.office.end("bobs", owner="bob", spec=TaskSpec("film-1", "x", callback_url="https://bob.test/"))

    await scene.until(lambda: any("bob" in post.url for post in scene.web.posts))
    for _ in range(5):
        await scene.teller.round()
    assert len(scene.web.posts) == tell.LINES_OF_OWNER + 1


async def test_there_are_so_many_lines_and_no_more(scene: Scene) -> None:
    """Whatever is due, and whoever it belongs to."""
    for number in range(tell.LINES + 20):
        spec = TaskSpec("film-1", "x", callback_url="https://r.test/")
        await scene.office.end(f"video_{number}", owner=f"key_{number}", spec=spec)
    for _ in range(10):
        await scene.teller.round()

    assert len(scene.web.posts) == tell.LINES


async def test_every_try_says_the_same_under_one_id(scene: Scene) -> None:
    """A try that failed is made again when its time has come; id and body stay, the time of signing does not."""
    await scene.office.add("all")
    await scene.office.end("video_1")
    await scene.until(lambda: len(scene.web.posts) == 1)
    scene.web.posts[0].answer.set_exception(Unavailable("its host takes no connection"))
    (failed,) = await scene.settled()
    assert (failed.state, failed.last_status) == (DeliveryState.PENDING, None)
    assert failed.last_error == "its host takes no connection"
    scene.now += 5
    await scene.until(lambda: len(scene.web.posts) == 2)
    scene.web.posts[1].answer.set_result(204)
    (told,) = await scene.settled()

    first, second = scene.web.posts
    assert (told.state, told.tries, told.last_status) == (DeliveryState.DELIVERED, 2, 204)
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == told.id
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 5
    assert json.loads(first.body)["data"] == {"id": "video_1"}


async def test_it_is_tried_for_three_days_and_then_given_up(scene: Scene) -> None:
    """Ten tries in vain, each of them when its time has come."""
    await scene.office.add("all")
    await scene.office.end("video_1")
    for tries in range(1, 11):
        await scene.until(lambda tries=tries: len(scene.web.posts) == tries)  # type: ignore[misc]
        scene.web.posts[-1].answer.set_result(500)
        (delivery,) = await scene.settled()
        scene.now = max(scene.now, delivery.due_at)

    assert (delivery.state, delivery.tries, delivery.last_error) == (DeliveryState.GIVEN_UP, 10, "it answered 500")
    assert 71 * 3600 < scene.now - NOW <= 72 * 3600


async def test_nobody_is_told_in_the_name_of_a_revoked_key(scene: Scene) -> None:
    """Its own endpoints are not, the operator's are."""
    await scene.office.add("alices", owner="alice")
    await scene.office.add("operators")
    scene.revoked.add("alice")
    await scene.office.end("video_1")
    await scene.until(lambda: len(scene.web.posts) == 1)
    scene.web.posts[0].answer.set_result(200)
    found = {each.endpoint_id: each for each in await scene.settled()}

    assert scene.web.posts[0].url == "https://operators.test/"
    assert found["we_operators"].state is DeliveryState.DELIVERED
    assert found["we_alices"].state is DeliveryState.GIVEN_UP
    assert found["we_alices"].last_error == "its API key was revoked"


async def test_what_was_not_recorded_is_told_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that is away when a try ends loses nothing: after its lease the letter goes out once more."""
    await scene.office.add("all")
    await scene.office.end("video_1")
    await scene.until(lambda: len(scene.web.posts) == 1)

    async def away(*_: object) -> bool:
        raise OSError("away")

    with monkeypatch.context() as patch:
        patch.setattr(scene.office.deliveries.__class__, "settle", away)
        scene.web.posts[0].answer.set_result(200)
        await scene.until(lambda: not scene.teller._sending)
    scene.now += tell.LEASE
    await scene.until(lambda: len(scene.web.posts) == 2)

    assert scene.web.posts[0].headers["webhook-id"] == scene.web.posts[1].headers["webhook-id"]


async def test_an_end_gives_back_what_is_under_way(scene: Scene) -> None:
    """The next process tells it at once, under the same id."""
    await scene.office.add("all")
    await scene.office.end("video_1")
    await scene.until(lambda: len(scene.web.posts) == 1)
    await scene.teller.drain()

    following = Scene(scene.office, Web())
    await following.until(lambda: len(following.web.posts) == 1)
    assert following.web.posts[0].headers["webhook-id"] == scene.web.posts[0].headers["webhook-id"]
    await following.teller.drain()


async def test_a_process_that_died_is_succeeded_at_once(scene: Scene) -> None:
    """What it was sending is taken over without a wait for its lease."""
    await scene.office.add("all")
    await scene.office.end("video_1")
    await scene.office.dispatch()
    await scene.office.claim()
    await scene.teller.round()
    assert scene.web.posts == []

    await scene.teller.recover()
    await scene.until(lambda: len(scene.web.posts) == 1)


async def test_the_links_of_requests_have_their_keys_signature(scene: Scene) -> None:
    """It changes with the key and with nothing else."""
    for owner in ("alice", "bob"):
        spec = TaskSpec("film-1", "x", callback_url="https://r.test/")
        await scene.office.end(f"of_{owner}", owner=owner, spec=spec)
    await scene.until(lambda: len(scene.web.posts) == 2)

    assert len({post.headers["webhook-signature"] for post in scene.web.posts}) == 2
    assert key_secret(SERVER, "alice") != key_secret(SERVER, "bob")

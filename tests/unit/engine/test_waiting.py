"""What a task waits for: an account that is throttled or full, a vendor that is gone, and the end of waiting."""

import asyncio
from typing import Any

import httpx
import pytest

from unit.engine.support import AWAY, MakerConfig, Result, Scene, film
from videogate.engine import deliver, poll, send
from videogate.engine.gates import WELL, How, Went
from videogate.engine.poller import Poller
from videogate.media.inputs import InputSpool
from videogate.task.errors import FailureCode
from videogate.task.model import Picture, Role
from videogate.task.state import TaskState

LATER: dict[str, Any] = {"error": {"message": "too many", "later": True}}
WORDS = "maker asks to come back later: 429"


async def rounds(poller: Poller, count: int = 1) -> None:
    """Look at the agenda and let everything that was begun end."""
    for _ in range(count):
        await poller._round()
        await asyncio.gather(*(work for track in poller._tracks for work in track.running))


def states(scene: Scene) -> dict[str, int]:
    return dict(scene.desk.sql("SELECT state, count(*) FROM task GROUP BY state"))


def waiting(scene: Scene) -> list[str | None]:
    return [words for (words,) in scene.desk.sql("SELECT waiting FROM task ORDER BY created_at, id")]


def only(scene: Scene, **config: Any) -> None:
    scene.shop.vendors["maker"].config = MakerConfig(**config)


# What the verbs say of their calls.


@pytest.mark.parametrize(
    ("status", "body", "seen"),
    [
        (200, {"id": "job-1"}, WELL),
        (429, LATER, Went(How.THROTTLED, WORDS, 7)),
        (400, {"error": {"message": "not like this"}}, WELL),
        (500, "oops", Went(How.BADLY, "maker answered 500 in an unknown form")),
    ],
)
async def test_a_send_says_how_its_call_went(scene: Scene, status: int, body: Any, seen: Went) -> None:
    """Accepted and refused are well, throttled is throttled, an unknown outcome is bad."""
    await scene.create()
    scene.answer(status, body, **{"retry-after": "7"})

    assert await send.send(scene.shop, await scene.claim()) == seen


async def test_a_send_without_a_call_says_nothing(scene: Scene) -> None:
    """A task that came too late says nothing about its vendor."""
    task = await scene.create()
    scene.now = task.deadline_at

    assert await send.send(scene.shop, await scene.claim()) is None


@pytest.mark.parametrize(
    ("status", "body", "how"),
    [
        (200, {"state": "working"}, How.WELL),
        (200, {"state": "broken"}, How.WELL),
        (200, {"state": "what?"}, How.WELL),
        (429, LATER, How.THROTTLED),
        (502, "<html>", How.BADLY),
    ],
)
async def test_a_look_says_how_its_call_went(scene: Scene, status: int, body: Any, how: How) -> None:
    """A job's end is no failure of the way to its vendor."""
    claim = await scene.submitted()
    scene.answer(status, body)

    assert (await poll.observe(scene.shop, claim)).how is how


async def test_a_fetch_says_how_its_download_went(scene: Scene) -> None:
    """A link that cannot be read is bad, a good file is well, what was deleted was not called for."""
    claim = await scene.fetching()
    scene.results = [AWAY, Result(film())]
    failed = await deliver.fetch(scene.shop, claim)
    assert failed is not None
    assert failed.how is How.BADLY
    assert await deliver.fetch(scene.shop, await scene.claim()) == WELL


# Words for the caller.


async def test_a_throttled_task_says_what_its_vendor_said(scene: Scene) -> None:
    """While it waits the caller reads the vendor's own words; once it is sent again they are gone."""
    await scene.create()
    scene.answer(429, LATER)
    await send.send(scene.shop, await scene.claim())
    assert (await scene.task()).waiting == WORDS

    scene.answer(200, {"id": "job-1"})
    await send.send(scene.shop, await scene.claim())
    assert (await scene.task()).waiting is None


async def test_a_look_that_told_nothing_says_so(scene: Scene) -> None:
    """Trouble while looking is told until a look tells something."""
    claim = await scene.submitted()
    scene.answer(500, "oops")
    await poll.observe(scene.shop, claim)
    assert (await scene.task()).waiting == "maker answered 500"

    scene.answer(200, {"state": "working"})
    await poll.observe(scene.shop, await scene.claim())
    assert (await scene.task()).waiting is None


async def test_a_failed_download_says_so_and_names_no_path(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller learns that the video is made; an error of our disk is not told in its own words."""
    claim = await scene.fetching()
    scene.results = [OSError("[Errno 28] No space left: '/data/x'"), Result(film())]
    await deliver.fetch(scene.shop, claim)
    assert "storage failed" in str((await scene.task()).waiting)

    await deliver.fetch(scene.shop, await scene.claim())
    assert (await scene.task()).waiting is None


async def test_an_input_that_trickles_is_given_up_in_time(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading the inputs has an end of its own: a slow link keeps a place of its vendor's for seconds, not minutes."""

    async def hang(self: InputSpool, picture: Picture, *, as_link: bool) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(InputSpool, "ready", hang)
    monkeypatch.setattr(send, "INPUT_SECONDS", 0.05)
    await scene.create(model="picture-1", pictures=(Picture(Role.FIRST_FRAME, url="https://a.test/x.png"),))
    await send.send(scene.shop, await scene.claim())

    assert (scene.state, scene.sent) == (TaskState.INTENT, [])
    assert "more than 0.05 seconds" in str((await scene.task()).waiting)


# The poller: a throttled account.


async def test_a_throttled_account_is_left_alone(scene: Scene) -> None:
    """A hundred tasks at a throttled account cost as many calls as it takes at once; every caller reads why."""
    for _ in range(100):
        await scene.create()
    scene.answers = [httpx.Response(429, json=LATER, headers={"retry-after": "60"}) for _ in range(100)]
    poller = Poller(scene.shop)
    await rounds(poller, 4)
    scene.now += 30
    poller._next_sweep = 0
    await rounds(poller, 4)

    assert len(scene.sent) <= scene.shop.vendors["maker"].limits.submits_at_once
    assert states(scene) == {"intent": 100}
    assert set(waiting(scene)) == {WORDS}


async def test_the_gate_is_told_of_once(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls at once that are throttled together make one line in the log, with the vendor's words and the moment."""
    told: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr("videogate.engine.poller.log.warning", lambda event, **facts: told.append((event, facts)))
    for _ in range(4):
        await scene.create()
    scene.answers = [httpx.Response(429, json=LATER, headers={"retry-after": "60"}) for _ in range(4)]
    await rounds(Poller(scene.shop), 2)

    ((event, facts),) = told
    assert (event, facts["vendor"], facts["verb"], facts["why"]) == ("gate_closed", "maker", "send", WORDS)
    assert facts["seconds"] == 60


async def test_a_bug_in_a_verb_says_nothing_of_its_vendor(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash leaves the gate as it is, and the task is tried again."""
    await scene.create()
    scene.answers.append(ZeroDivisionError("a bug"))
    poller = Poller(scene.shop)
    await rounds(poller)

    assert [track.gate.shut for track in poller._tracks] == [None] * 4


# The poller: jobs at once.


async def test_a_full_account_sends_no_more(scene: Scene) -> None:
    """With two jobs at once the third waits, queued, until one of them has ended at the vendor."""
    only(scene, max_jobs=2)
    for number in range(3):
        await scene.create()
        scene.answer(200, {"id": f"job-{number}"})
    poller = Poller(scene.shop)
    await rounds(poller, 3)
    poller._next_sweep = 0
    await rounds(poller)
    assert states(scene) == {"submitted": 2, "intent": 1}
    assert [words for words in waiting(scene) if words] == ["maker runs 2 jobs at once here; this one waits its turn."]

    scene.desk.sql("UPDATE task SET state = 'fetching' WHERE id = (SELECT id FROM task WHERE state = 'submitted')")
    scene.desk.sql("UPDATE task SET due_at = due_at + 1000000000 WHERE state != 'intent'")
    await rounds(poller)
    assert states(scene) == {"submitted": 2, "fetching": 1}


@pytest.mark.parametrize("state", ["sending", "unknown"])
async def test_a_job_that_may_exist_takes_a_place(scene: Scene, state: str) -> None:
    """A submit whose outcome is not known counts: the vendor may be working on it."""
    only(scene, max_jobs=1)
    await scene.create()
    claim = await scene.claim()
    await scene.shop.ledger.begin_send(claim, now=scene.now, deadline=scene.now + 40)
    if state == "unknown":
        await scene.shop.ledger.unknown(claim, "lost", look_at=scene.now)
    await scene.create()
    await rounds(Poller(scene.shop), 2)

    assert scene.sent == []


async def test_no_limit_is_counted_for_nobody(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a bound the ledger is not asked."""

    async def jobs(*_: Any) -> int:
        raise AssertionError

    monkeypatch.setattr(scene.shop.ledger, "jobs", jobs)
    await scene.create()
    scene.answer(200, {"id": "job-1"})
    await rounds(Poller(scene.shop))

    assert scene.state is TaskState.SUBMITTED


# The sweep.


@pytest.mark.parametrize("obstacle", ["gate", "slots", "vendor"])
async def test_a_deadline_comes_whatever_a_task_waits_for(scene: Scene, obstacle: str) -> None:
    """Past its deadline a task that was never sent fails with the clear code, and its files go."""
    task = await scene.create()
    poller = Poller(scene.shop)
    sender = next(track for track in poller._tracks if track.verb is send.send)
    if obstacle == "gate":
        sender.gate.ended(Went(How.THROTTLED, retry_after=600), began=0, now=1e9, jitter=0)
    elif obstacle == "slots":
        sender._slots = 0
    else:
        scene.desk.sql("UPDATE task SET vendor = 'gone', account = 'gone@x'")
    scene.now = task.deadline_at - 1
    await rounds(poller)
    assert scene.state is TaskState.INTENT
    scene.now = task.deadline_at
    poller._next_sweep = 0
    await rounds(poller)

    assert (scene.state, scene.lines, scene.sent) == (TaskState.FAILED, ["not_sent"], [])
    failure = (await scene.task()).failure
    assert failure is not None
    assert failure.code is FailureCode.DEADLINE
    assert waiting(scene) == [None]


# A vendor that is not configured.


async def test_tasks_of_a_vendor_that_is_gone_wait(scene: Scene) -> None:
    """They say what they wait for, can be deleted, cost nobody anything, and go on when the vendor is back."""
    await scene.submitted()
    await scene.create()
    scene.answer(200, {"id": "job-2"})
    assert await scene.shop.ledger.unserved(["other"], "not just now") == {"maker": 2}
    assert waiting(scene) == ["not just now"] * 2

    assert await scene.shop.ledger.unserved(["maker", "other"], "not just now") == {}
    assert waiting(scene) == [None] * 2


async def test_what_is_told_of_a_gone_vendor_ends_no_other_words(scene: Scene) -> None:
    """A served vendor's tasks keep their own words."""
    await scene.create()
    scene.answer(429, LATER)
    await send.send(scene.shop, await scene.claim())
    await scene.shop.ledger.unserved(["maker"], "not just now")

    assert waiting(scene) == [WORDS]


async def test_a_task_of_a_gone_vendor_can_be_deleted(scene: Scene) -> None:
    """Nothing asks for the vendor to let a task go."""
    task = await scene.create()
    scene.desk.sql("UPDATE task SET vendor = 'gone', account = 'gone@x'")
    await rounds(Poller(scene.shop), 2)
    await scene.submissions.delete("alice", task.id)

    assert scene.state is TaskState.CANCELLED

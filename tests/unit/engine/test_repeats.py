"""Requests that are repeated, as the engine sees them: what makes two equal, and what a repeated one leaves behind."""

import asyncio
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from unit.engine.support import Scene
from unit.media.support import png
from videogate.engine import repeats, rounds
from videogate.engine.repeats import fingerprint
from videogate.store.tasks import KEY_KEPT
from videogate.task.errors import CallerGone, InvalidRequest
from videogate.task.frames import Frame
from videogate.task.model import Fit, Picture, Repeat, Role, Task, TaskSpec

FILE = Picture(Role.REFERENCE, key="k1", mime="image/png", frame=Frame(64, 48), length=9, sha256="ab")
LINK = Picture(Role.REFERENCE, url="https://a.test/cat.png")
SPEC = TaskSpec(
    model="text-1",
    prompt="一只猫 🐈",
    size="1280x720",
    seconds="4",
    pictures=(FILE, LINK),
    options={"seed": 7, "deep": {"a": 1, "b": [1, 2]}},
)


@pytest.mark.parametrize(
    "changes",
    [
        {"pictures": (replace(FILE, key="k2"), LINK)},
        {"options": {"deep": {"b": [1, 2], "a": 1}, "seed": 7}},
        {"resolution": None, "aspect_ratio": None},
    ],
    ids=["another file of ours", "another order of keys", "not given"],
)
def test_equal_requests_have_equal_fingerprints(changes: dict[str, Any]) -> None:
    """What differs between two tries of one request does not count."""
    assert fingerprint(replace(SPEC, **changes)) == fingerprint(SPEC)


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "text-2"},
        {"prompt": "一只猫"},
        {"size": "720x1280"},
        {"size": None},
        {"seconds": "8"},
        {"resolution": "4"},
        {"aspect_ratio": "4"},
        {"fit": Fit.STRICT},
        {"pictures": (LINK, FILE)},
        {"pictures": (FILE,)},
        {"pictures": (replace(FILE, sha256="cd"), LINK)},
        {"pictures": (replace(FILE, role=Role.LAST_FRAME), LINK)},
        {"pictures": (FILE, replace(LINK, url="https://a.test/dog.png"))},
        {"options": {"seed": 8, "deep": {"a": 1, "b": [1, 2]}}},
        {"options": {"seed": "7", "deep": {"a": 1, "b": [1, 2]}}},
        {"options": {"seed": 7, "deep": {"a": 1, "b": [2, 1]}}},
        {"options": {}},
    ],
    ids=str,
)
def test_other_requests_have_others(changes: dict[str, Any]) -> None:
    """Every part of what was asked counts."""
    assert fingerprint(replace(SPEC, **changes)) != fingerprint(SPEC)


def test_a_fingerprint_stays_what_it_is() -> None:
    """Keys are kept over an upgrade: the same request must not look like another one afterwards."""
    assert fingerprint(TaskSpec("m", "p", options={"a": None})) == (
        "2aaab4225995bd5ee11313639fceaa70266d96865af6b2c6375019e37455758f"
    )


async def ask(scene: Scene, repeat: Repeat, **changes: Any) -> Task:
    """Ask for a video of a picture, which is stored anew as for every request."""
    picture = await scene.shop.inputs.store(Role.FIRST_FRAME, png(64, 48), "input_reference")
    spec = TaskSpec(**{"model": "picture-1", "prompt": "a lighthouse", "pictures": (picture,), **changes})
    return await scene.submissions.create("alice", spec, "req_2", repeat)


@pytest.mark.parametrize("repeat", [Repeat("key"), Repeat(None, 1), Repeat("key", 1)])
async def test_a_repeated_request_is_its_first_task(scene: Scene, tmp_path: Path, repeat: Repeat) -> None:
    """It gets that task, its pictures leave no file, and the log says so; the first's file stays."""
    first = await ask(scene, replace(repeat, tries=0))
    kept = {path.name for path in (tmp_path / "inputs").iterdir()}

    with capture_logs() as logged:
        again = await ask(scene, repeat)

    assert again == first
    assert [line["event"] for line in logged] == ["task_repeated"]
    assert {path.name for path in (tmp_path / "inputs").iterdir()} == kept
    assert len(kept) == 1


async def test_a_key_of_another_request_leaves_no_file(scene: Scene, tmp_path: Path) -> None:
    """A refused reuse drops its pictures."""
    await ask(scene, Repeat("key"))

    with pytest.raises(InvalidRequest, match="another request"):
        await ask(scene, Repeat("key"), prompt="a harbour")

    assert len(list((tmp_path / "inputs").iterdir())) == 1


async def test_the_key_itself_is_not_kept(scene: Scene) -> None:
    """The database has a digest of it."""
    await ask(scene, Repeat("my-own-key"))

    ((digest,),) = scene.desk.sql("SELECT digest FROM idempotency_key")
    assert digest == repeats.key_digest("my-own-key")
    assert "my-own-key" not in digest


@pytest.mark.parametrize("repeat", [Repeat(), Repeat("key")])
async def test_nothing_is_made_for_who_has_left(scene: Scene, tmp_path: Path, repeat: Repeat) -> None:
    """A caller that hung up before its request was durable leaves no task, no key and no file."""

    async def gone() -> bool:
        return True

    picture = await scene.shop.inputs.store(Role.FIRST_FRAME, png(64, 48), "input_reference")
    spec = TaskSpec(model="picture-1", prompt="a lighthouse", pictures=(picture,))
    with pytest.raises(CallerGone):
        await scene.submissions.create("alice", spec, "req_1", repeat, gone)

    assert scene.desk.everything() == ([], [])
    assert scene.desk.sql("SELECT * FROM idempotency_key") == []
    assert list((tmp_path / "inputs").iterdir()) == []


async def test_old_keys_are_forgotten_at_the_start_and_then_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first round comes at once and the next in time; a round that fails does not end them."""
    monkeypatch.setattr(repeats, "FORGET_EVERY", 0.01)
    monkeypatch.setattr(rounds, "AFTER_TROUBLE", 0.01)
    forgetter = rounds.Rounds("forget keys", partial(repeats.forget_keys, scene.shop))
    await ask(scene, Repeat("old"))
    scene.desk.sql("ALTER TABLE idempotency_key RENAME TO away")
    running = asyncio.create_task(forgetter.run())
    await asyncio.sleep(0.05)
    scene.desk.sql("ALTER TABLE away RENAME TO idempotency_key")
    await asyncio.sleep(0.05)
    assert len(scene.desk.sql("SELECT * FROM idempotency_key")) == 1

    scene.now += KEY_KEPT + 1
    for _ in range(1000):
        if not scene.desk.sql("SELECT * FROM idempotency_key"):
            break
        await asyncio.sleep(0.01)

    assert scene.desk.sql("SELECT * FROM idempotency_key") == []
    forgetter.stop()
    await running

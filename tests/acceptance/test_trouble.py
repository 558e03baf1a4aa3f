"""A vendor that throttles, is full or is gone: tasks wait in our queue, say why, and none is lost or paid twice."""

import time
from itertools import pairwise

import httpx
import pytest

from acceptance.conftest import World, ended, wait_until
from acceptance.test_life import MODELS, assert_paid_once, client_of, create, kill, log_of

EACH = 6  # tasks of a vendor
AT_ONCE = 4  # submits of one vendor, at most
RETRY_AFTER = 2.0  # seconds
WAITING = {"queued", "processing"}


def calls(world: World, vendor: str) -> int:
    """How many submits have come to a vendor."""
    counts: dict[str, int] = httpx.get(f"{world.vendors.url}/_simulator/stats").raise_for_status().json()
    return counts.get(f"{vendor}.submit", 0)


def details(client: httpx.Client, videos: list[str]) -> list[str]:
    """What the callers of these videos read about their waiting."""
    bodies = [client.get(f"/v1/videos/{video}").raise_for_status().json() for video in videos]
    assert {body["status"] for body in bodies} <= WAITING, bodies
    return [body.get("status_detail", "") for body in bodies]


def words_of(client: httpx.Client, videos: list[str]) -> list[str]:
    """What the caller of each video is told once anything is. A video that is just being sent again says nothing."""
    told: dict[str, str] = {}

    def all_told() -> bool:
        told.update({video: words for video, words in zip(videos, details(client, videos), strict=True) if words})
        return len(told) == len(videos)

    wait_until(all_told)
    return list(told.values())


def test_throttling_is_a_queue(world: World) -> None:
    """Throttled, a vendor is asked by as many as run at once and then by one in each of its pauses, however many wait.

    The callers read why, and when it is over all complete, each paid once.
    """
    for vendor in MODELS:
        world.fault(vendor=vendor, op="submit", mode="throttle", times=None, retry_after=RETRY_AFTER)
    with world.gateway() as server, client_of(server) as client:
        began = time.monotonic()
        made = {vendor: [create(client, model, number) for number in range(EACH)] for vendor, model in MODELS.items()}
        told = {vendor: words_of(client, videos) for vendor, videos in made.items()}
        time.sleep(max(0.0, began + 7 - time.monotonic()))
        seen = {vendor: calls(world, vendor) for vendor in MODELS}
        bound = AT_ONCE + (time.monotonic() - began) / RETRY_AFTER + 1
        world.no_faults()
        videos = [ended(client, video, 60) for each in made.values() for video in each]
        closed = {line["vendor"] for line in log_of(server) if line["event"] == "gate_closed"}
        opened = {line["vendor"] for line in log_of(server) if line["event"] == "gate_open"}

    assert all(1 < count <= bound for count in seen.values()), (seen, bound)
    assert all(vendor in words for vendor, every in told.items() for words in every), told
    assert not [video["error"] for video in videos if video["status"] != "succeeded"]
    assert not [video for video in videos if "status_detail" in video]
    assert len(world.paid()) == len(videos)
    assert_paid_once(world)
    assert closed == opened == set(MODELS)


def test_no_more_jobs_than_the_operator_allows(world: World) -> None:
    """With one job at once the vendor never has two that run, and those that wait say so."""
    with world.gateway(SORA_MAX_JOBS="1") as server, client_of(server) as client:
        made = [create(client, "sora-2", number) for number in range(4)]
        wait_until(lambda: sum("1 jobs at once" in words for words in details(client, made)) == 3)
        videos = [ended(client, video) for video in made]

    assert {video["status"] for video in videos} == {"succeeded"}
    begun = [job["at"] for job in world.paid()]
    # A job waits 0.3 seconds and runs 1.
    assert all(later - earlier >= 1.3 for earlier, later in pairwise(begun)), begun
    assert len(begun) == len(made)


@pytest.mark.parametrize("stage", ["queued", "running"])
def test_a_vendor_that_is_not_configured_is_waited_for(world: World, stage: str) -> None:
    """Restarted without a vendor's key, its tasks wait and say for what; restarted with it, they complete."""
    if stage == "queued":
        world.fault(vendor="sora", op="submit", mode="throttle", times=None)
    with world.gateway() as server, client_of(server) as client:
        video = create(client, "sora-2", 1)
        event = {"queued": "not_sent", "running": "accepted"}[stage]
        wait_until(lambda: [line for line in log_of(server) if line["event"] == event])
        kill(server)
    world.no_faults()

    with world.gateway(SORA_API_KEY="") as server, client_of(server) as client:
        time.sleep(1.5)
        (words,) = details(client, [video])
        assert "not configured" in words
        (line,) = [line for line in log_of(server) if line["event"] == "vendor_not_configured"]
        assert line["tasks"] == {"sora": 1}
        assert ended(client, create(client, "viduq1", 1))["status"] == "succeeded"

    with world.gateway() as server, client_of(server) as client:
        assert ended(client, video)["status"] == "succeeded"
    assert_paid_once(world)


def test_the_deadline_of_a_task_that_waits(world: World) -> None:
    """A task that no vendor took before its deadline fails then, says so in plain words, and nothing was paid."""
    for vendor in MODELS:
        world.fault(vendor=vendor, op="submit", mode="throttle", times=None, retry_after=60)
    with world.gateway(TASK_DEADLINE="3") as server, client_of(server) as client:
        began = time.monotonic()
        made = [create(client, model, number) for model in MODELS.values() for number in range(EACH)]
        videos = [ended(client, video) for video in made]
        took = time.monotonic() - began

    assert {video["error"]["code"] for video in videos} == {"deadline_exceeded"}
    assert all("nothing was sent or paid" in video["error"]["message"] for video in videos)
    assert took < 12
    assert not world.paid()

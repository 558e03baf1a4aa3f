"""A task's life through crashes and restarts: nothing acknowledged is lost, nothing is submitted twice."""

import json
from collections import Counter
from contextlib import suppress
from typing import Any

import httpx
import pytest

from acceptance.conftest import KEY, World, ended, wait_until
from forked import DiedAtStart, Server
from videogate.media.probe import probe

# One model of each vendor.
MODELS = {
    "sora": "sora-2",
    "wanxiang": "wan2.5-t2v-preview",
    "kling": "kling-v1",
    "jimeng": "jimeng_vgfm_t2v_l20",
    "vidu": "viduq1",
}


def client_of(server: Server) -> httpx.Client:
    """A client with a key."""
    return httpx.Client(base_url=server.url, headers={"authorization": f"Bearer {KEY}"}, timeout=30)


def create(client: httpx.Client, model: str, number: int) -> str:
    """Ask for a video with a prompt of its own."""
    answer = client.post("/v1/videos", json={"model": model, "prompt": f"{model} {number}", "seconds": 5})
    video: str = answer.raise_for_status().json()["id"]
    return video


def kill(server: Server) -> None:
    """End a server the hard way: kill -9."""
    server.kill()


def log_of(server: Server) -> list[dict[str, Any]]:
    """The server's log, line by line as JSON."""
    lines = []
    for line in server.log.read_text("utf-8").splitlines():
        with suppress(ValueError):
            lines.append(json.loads(line))
    return lines


def assert_paid_once(world: World) -> None:
    """No prompt was accepted by a vendor twice."""
    twice = {prompt: count for prompt, count in Counter(job["prompt"] for job in world.paid()).items() if count > 1}
    assert not twice


STAGES = {
    # Where the server is killed: the fault that holds tasks there, the log event that says they have come there, and
    # how many tasks must have. All of them where others, still sending, would end unknown.
    "queued": ({"op": "submit", "mode": "throttle", "retry_after": 5}, "not_sent", 3 * len(MODELS)),
    "sending": ({"op": "submit", "mode": "hang"}, "sending", len(MODELS)),
    "running": (None, "accepted", 3 * len(MODELS)),
    "fetching": ({"op": "result", "mode": "slow", "delay": 3}, "vendor_succeeded", len(MODELS)),
}


@pytest.mark.parametrize("stage", STAGES)
def test_kill_9_loses_nothing_and_pays_nothing_twice(world: World, stage: str) -> None:
    """Killed while tasks are at a stage, a restarted server brings each to its end, and no vendor was asked twice.

    Killed while sending, nobody knows the outcome: what a vendor took and can be asked for is found and completes;
    what cannot be asked for, or never came, ends as unknown or as not received. Nothing is sent again.
    """
    fault, event, many = STAGES[stage]

    def come(server: Server) -> set[str]:
        return {line["task"] for line in log_of(server) if line["event"] == event}

    def there(server: Server) -> bool:
        events = Counter(line["event"] for line in log_of(server))
        # One that is just being tried again is not in the queue.
        return len(come(server)) >= many and (stage != "queued" or events["sending"] == events["not_sent"])

    for vendor in MODELS if fault else ():
        world.fault(vendor=vendor, times=None, **fault)  # type: ignore[arg-type]
    with world.gateway() as server, client_of(server) as client:
        made = [create(client, model, number) for number in range(3) for model in MODELS.values()]
        wait_until(lambda: there(server))
        kill(server)
    world.no_faults()

    with world.gateway(UNKNOWN_WINDOW="1") as server, client_of(server) as client:
        videos = [ended(client, video, 60) for video in made]
        for video in videos:
            if video["status"] == "succeeded":
                content = client.get(f"/v1/videos/{video['id']}/content").content
                file = world.folder / "video.mp4"
                file.write_bytes(content)
                assert probe(file).seconds_text == video["seconds"]

    assert_paid_once(world)
    failed = [video for video in videos if video["status"] == "failed"]
    paid = {job["prompt"] for job in world.paid()}
    # A request that had not left when the process died never came; only a vendor that keeps references says so.
    never = [video for video in failed if video["error"]["code"] == "submission_not_received"]
    unknown = [video for video in failed if video["error"]["code"] == "submission_outcome_unknown"]
    assert len(never) + len(unknown) == len(failed)
    assert not {video["prompt"] for video in never} & paid
    assert {video["model"] for video in never} <= {MODELS["kling"], MODELS["vidu"]}
    assert {video["model"] for video in unknown if video["prompt"] in paid} <= {MODELS["jimeng"]}
    assert stage == "sending" or not failed
    bound = [video for video in videos if video["status"] == "succeeded"]
    assert len(world.paid()) <= len(bound) + len(unknown)


@pytest.mark.parametrize("mode", ["drop_after", "error_after", "no_id", "half", "junk"])
def test_a_lost_answer_is_looked_for_and_never_sent_again(world: World, mode: str) -> None:
    """A vendor that took the job and lost the answer is asked what became of it, and the video completes.

    Jimeng cannot be asked: its task says in plain words what happened.
    """
    for vendor in MODELS:
        world.fault(vendor=vendor, op="submit", mode=mode, times=1)
    with world.gateway() as server, client_of(server) as client:
        made = {vendor: create(client, model, 1) for vendor, model in MODELS.items()}
        videos = {vendor: ended(client, video) for vendor, video in made.items()}

    unknown = videos.pop("jimeng")
    assert {vendor: video["error"] for vendor, video in videos.items() if video["status"] != "succeeded"} == {}
    assert unknown["error"]["code"] == "submission_outcome_unknown"
    assert "not sent again" in unknown["error"]["message"]
    assert_paid_once(world)
    assert len(world.paid()) == len(MODELS)


def test_a_submit_that_never_arrived_says_so(world: World) -> None:
    """A request lost on its way ends as not received where the vendor keeps references, else before a person."""
    for vendor in MODELS:
        world.fault(vendor=vendor, op="submit", mode="html", times=1)
    with world.gateway(UNKNOWN_WINDOW="1") as server, client_of(server) as client:
        made = {vendor: create(client, model, 1) for vendor, model in MODELS.items()}
        codes = {vendor: ended(client, video)["error"]["code"] for vendor, video in made.items()}

    known = dict.fromkeys(("kling", "vidu"), "submission_not_received")
    assert codes == dict.fromkeys(MODELS, "submission_outcome_unknown") | known
    assert not world.paid()


def test_what_was_surely_not_taken_is_sent_again(world: World) -> None:
    """Throttled by the vendor, a video waits, is sent again and completes."""
    for vendor in MODELS:
        world.fault(vendor=vendor, op="submit", mode="throttle", times=2)
    with world.gateway() as server, client_of(server) as client:
        made = [create(client, model, 1) for model in MODELS.values()]
        assert {ended(client, video)["status"] for video in made} == {"succeeded"}
    assert len(world.paid()) == len(MODELS)


@pytest.mark.parametrize(
    ("op", "mode"),
    [
        ("poll", "throttle"),
        ("poll", "error_before"),
        ("poll", "html_200"),
        ("poll", "junk"),
        ("poll", "unknown_word"),
        ("poll", "drop_before"),
        ("result", "truncate"),
        ("result", "not_mp4"),
        ("result", "expire"),
        ("result", "error_before"),
    ],
)
def test_trouble_while_looking_or_fetching_ends_no_task(world: World, op: str, mode: str) -> None:
    """Whatever a poll or a download meets, with any vendor, the task goes on and completes when the trouble is over."""
    for vendor in MODELS:
        world.fault(vendor=vendor, op=op, mode=mode, times=2)
    with world.gateway() as server, client_of(server) as client:
        made = [create(client, model, 1) for model in MODELS.values()]
        videos = [ended(client, video) for video in made]

    assert not [video["error"] for video in videos if video["status"] != "succeeded"]
    assert len(world.paid()) == len(MODELS)


@pytest.mark.parametrize(("mode", "code"), [("moderate", "moderation_blocked"), ("fail", "vendor_error")])
def test_the_vendors_reason_reaches_the_caller(world: World, mode: str, code: str) -> None:
    """A job that any vendor ends as failed ends the task with our code, and the vendor's own words beside it."""
    for vendor in MODELS:
        world.fault(vendor=vendor, op="poll", mode=mode, times=None)
    with world.gateway() as server, client_of(server) as client:
        made = [create(client, model, 1) for model in MODELS.values()]
        errors = {video["model"]: video["error"] for video in [ended(client, video) for video in made]}

    assert {model: error["code"] for model, error in errors.items()} == dict.fromkeys(MODELS.values(), code)
    assert all(error["vendor_code"] or error["vendor_message"] for error in errors.values())
    assert all((error["vendor_message"] or "") in error["message"] for error in errors.values())


@pytest.mark.parametrize(
    ("mode", "code"),
    [("refuse", "vendor_credentials_refused"), ("moderate_submit", "moderation_blocked")],
)
def test_a_refused_submit_costs_nothing_and_says_why(world: World, mode: str, code: str) -> None:
    """A vendor that refuses a submit in its own words ends the task with our code; nothing was made or sent again."""
    for vendor in MODELS:
        world.fault(vendor=vendor, op="submit", mode=mode, times=None)
    with world.gateway() as server, client_of(server) as client:
        made = [create(client, model, 1) for model in MODELS.values()]
        errors = {video["model"]: video["error"] for video in [ended(client, video) for video in made]}

    assert {model: error["code"] for model, error in errors.items()} == dict.fromkeys(MODELS.values(), code)
    assert not world.paid()


def test_sigterm_drains(world: World) -> None:
    """On SIGTERM the sends under way finish, nothing new is claimed, the exit is 0; a restart goes on."""
    world.fault(vendor="sora", op="submit", mode="slow", delay=2, times=None)
    with world.gateway() as server, client_of(server) as client:
        made = [create(client, "sora-2", number) for number in range(2)]
        wait_until(lambda: [line for line in log_of(server) if line["event"] == "sending"])
        server.terminate()
        assert server.ended(30) == 0
        events = Counter(line["event"] for line in log_of(server))
        assert events["accepted"] == events["sending"]
        assert events["drained"] == 1
    world.no_faults()

    with world.gateway() as server, client_of(server) as client:
        assert [ended(client, video)["status"] for video in made] == ["succeeded", "succeeded"]
    assert_paid_once(world)
    assert len(world.paid()) == len(made)


@pytest.mark.databases("sqlite")
def test_a_second_server_is_kept_off(world: World) -> None:
    """A second process on the same SQLite data refuses to start, with a plain sentence and exit code not 0."""
    with (
        world.gateway(),
        pytest.raises(DiedAtStart, match="another videogate process"),
        world.gateway(),
    ):
        pass


def test_the_log_follows_one_task_and_holds_no_key(world: World) -> None:
    """The log alone tells a task's states in order under one id, with the vendor's id; no key is in it."""
    with world.gateway() as server, client_of(server) as client:
        video = ended(client, create(client, "wan2.5-t2v-preview", 1))
        lines = [line for line in log_of(server) if line.get("task") == video["id"]]
        text = server.log.read_text("utf-8")

    assert [line["event"] for line in lines if line["event"] != "vendor_running"] == [
        "task_accepted",
        "sending",
        "accepted",
        "vendor_succeeded",
        "completed",
    ]
    assert len({line["request_id"] for line in lines}) == 1
    assert lines[-1]["vendor_task_id"] == world.paid()[0]["id"]
    assert KEY not in text
    assert "Signature" not in text

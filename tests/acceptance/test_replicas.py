"""Several processes on one PostgreSQL and one bucket: what one accepts, the others serve, work on and take over."""

import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from acceptance.conftest import KEY, ended, wait_until
from acceptance.replicas import Site, client_of, events_of, make_site, most_at_once, most_within
from acceptance.test_life import MODELS
from acceptance.test_waiting_for_news import stream
from acceptance.test_webhooks import Receiver, all_delivered, endpoint, receiving
from conftest import Bucket
from crash.armed import Strike
from crash.outage import outage, wrong_with
from crash.runs import Plan
from forked import Server, run_videogate
from postgres import PostgresServer, ask
from videogate.engine.upkeep import BEAT
from videogate.task.state import TaskState

RENDER = 1.0
RATE = 5  # of Kling's submits, in a second
TAKEOVER = 15.0  # seconds: a worker counts as dead after ten, which the others notice within three


@pytest.fixture
def site(tmp_path: Path, database_url: str, bucket: Bucket) -> Iterator[Site]:
    """A database, a bucket and vendors, for processes to come."""
    with make_site(tmp_path, database_url, bucket, RENDER) as made:
        yield made


def create(api: httpx.Client, model: str, prompt: str, **more: Any) -> str:
    """Ask for a video."""
    body = {"model": model, "prompt": prompt, "seconds": 5, **more}
    video: str = api.post("/v1/videos", json=body).raise_for_status().json()["id"]
    return video


def here(server: Server, link: str) -> str:
    """A link that another process gave out, as this one serves it."""
    parts = urlsplit(link)
    return f"{server.url}{parts.path}?{parts.query}"


def objects(site: Site) -> str:
    """What the bucket holds."""
    return httpx.get(f"{site.bucket.variables['AWS_ENDPOINT_URL']}/{site.bucket.url.split('/')[2]}?list-type=2").text


# What one accepts, the others answer for


def test_a_video_is_every_replicas_own(site: Site) -> None:
    """Made at one, a video is read, listed, downloaded by key and by link, and deleted at the other."""
    with site.replica("a") as first, site.replica("b") as second, client_of(first) as a, client_of(second) as b:
        video = create(a, "sora-2", "a lighthouse")
        done = ended(b, video)
        assert done["status"] == "succeeded"
        assert [each["id"] for each in b.get("/v1/videos").json()["data"]] == [video]

        content = [each.get(f"/v1/videos/{video}/content").raise_for_status().content for each in (a, b)]
        signed = [httpx.get(here(each, done["url"])).raise_for_status().content for each in (first, second)]
        assert {len(each) for each in content + signed} == {len(content[0])}
        assert b.get(f"/v1/videos/{video}/content?variant=thumbnail").headers["content-type"] == "image/webp"

        assert b.delete(f"/v1/videos/{video}").status_code == 200
        for each in (a, b):
            assert each.get(f"/v1/videos/{video}").json()["error"]["code"] == "video_not_found"
        assert video not in objects(site)


def test_endpoints_and_characters_are_every_replicas_own(site: Site) -> None:
    """A webhook's receiver and a character that one was told of are known to the other; each event is told once."""
    with (
        receiving() as receiver,
        site.replica("a", FETCH_ALLOW_PRIVATE="true") as first,
        site.replica("b", FETCH_ALLOW_PRIVATE="true") as second,
        client_of(first) as a,
        client_of(second) as b,
    ):
        made = endpoint(a, receiver.url("/hook"))
        videos = [create(each, "sora-2", "a lighthouse") for each in (a, b)]
        for each in videos:
            ended(a, each)
        assert len(wait_until(lambda: _both(b, made["id"]))) == 2
        _told_once(receiver, videos)

        film = a.get(f"/v1/videos/{videos[0]}/content").content
        files = {"video": ("cat.mp4", film, "video/mp4")}
        character = a.post("/v1/videos/characters", data={"name": "Bob"}, files=files).raise_for_status().json()
        assert b.get(f"/v1/videos/characters/{character['id']}").json() == character


def _both(api: httpx.Client, endpoint_id: str) -> list[dict[str, Any]]:
    found = all_delivered(api, endpoint_id)
    return found if len(found) > 1 else []


def _told_once(receiver: Receiver, videos: list[str]) -> None:
    for each in videos:
        assert [letter.event["type"] for letter in receiver.told("/hook", each)] == ["video.completed"]


def test_one_answers_and_the_other_works(site: Site, cat: Path) -> None:
    """With role `api` nothing is sent; a worker elsewhere sends the picture that came there, and serves no caller."""
    with site.replica("a", ROLE="api") as answers, client_of(answers) as a:
        form = {"model": "wan2.5-i2v-preview", "prompt": "the cat walks", "seconds": "5"}
        files = {"input_reference": ("cat.png", cat.read_bytes(), "image/png")}
        video = a.post("/v1/videos", data=form, files=files).raise_for_status().json()["id"]
        assert "/inputs/" in objects(site)
        time.sleep(2.5)
        assert site.calls() == {}

        with site.replica("b", ROLE="worker") as works, client_of(works) as b:
            assert ended(a, video)["status"] == "succeeded"
            assert len(a.get(f"/v1/videos/{video}/content").content) > 1000
            for path in ("/v1/videos", f"/v1/videos/{video}", "/v1/models", "/videos", "/openai/v1/videos"):
                answer = b.get(path)
                assert (answer.status_code, answer.json()["error"]["code"]) == (404, "route_not_found")
            assert b.get("/health/ready").status_code == 200
            assert "videogate_submit_attempts_total" in b.get("/metrics").text
            wait_until(lambda: "/inputs/" not in objects(site))
        assert not [line for line in events_of(answers) if line["event"] in {"sending", "vendor_running", "completed"}]
    assert len(site.paid()) == 1


def test_news_of_what_another_did(site: Site) -> None:
    """`Prefer: wait` and `/events` at a replica that does no work tell of a worker's, as it happens."""
    with site.replica("a", ROLE="api") as answers, site.replica("b", ROLE="worker"), client_of(answers) as a:
        video = create(a, "sora-2", "a lighthouse")
        seen = a.get(f"/v1/videos/{video}", headers={"prefer": "wait=30"}).json()["status"]
        assert seen in {"processing", "succeeded"}
        events = [event["event"] for event in stream(a, video) if "event" in event]

    assert events == ["video.queued", "video.in_progress", "video.completed"]


# Idempotency


def test_fifty_at_once_at_three_replicas_are_one_video(site: Site) -> None:
    """Equal requests with one key, at the same moment at three replicas, make one video and one payment."""
    body = {"model": "sora-2", "prompt": "fifty", "seconds": 4}
    with ExitStack() as stack:
        clients = [stack.enter_context(client_of(stack.enter_context(site.replica(name)))) for name in "abc"]

        def ask(number: int) -> httpx.Response:
            return clients[number % 3].post("/v1/videos", json=body, headers={"idempotency-key": "fifty"})

        with ThreadPoolExecutor(50) as pool:
            answers = list(pool.map(ask, range(50)))
        assert {answer.status_code for answer in answers} == {201}
        (video,) = {answer.json()["id"] for answer in answers}
        ended(clients[0], video)
    assert site.paid_for("fifty") == 1


def test_an_sdks_retry_at_another_replica_finds_the_first(site: Site) -> None:
    """A retry that a load balancer sends elsewhere is answered with the video that the first try made."""
    body = {"model": "sora-2", "prompt": "again", "seconds": 4}
    with site.replica("a") as first, site.replica("b") as second, client_of(first) as a, client_of(second) as b:
        made = a.post("/v1/videos", json=body).json()["id"]
        again = b.post("/v1/videos", json=body, headers={"x-stainless-retry-count": "1"}).json()["id"]
        other = b.post("/v1/videos", json=body).json()["id"]
        for each in (made, other):
            ended(b, each)

    assert again == made
    assert other != made
    assert site.paid_for("again") == 2


# Ends


POINTS = {"queued": "", "sending": "submit.replied", "running": "poll.recording", "fetching": "fetch.received"}


@pytest.mark.parametrize("phase", POINTS)
def test_another_worker_takes_over(site: Site, phase: str) -> None:
    """What a worker held that was killed with -9, the other brings to its end within seconds; nothing is paid twice."""
    for vendor in ("kling", "vidu") if phase == "queued" else ():
        site.vendors.fault(vendor, op="submit", mode="throttle", retry_after=3, times=20)
    strike = Strike(POINTS[phase], patient=True)
    with (
        site.replica("a", ROLE="api") as answers,
        site.replica("b", ROLE="worker") as lives,
        site.replica("c", strike, ROLE="worker") as dies,
        client_of(answers) as a,
    ):
        made: list[str] = []
        while dies.ended(0.3) is None and len(made) < 40:
            made.append(create(a, MODELS["kling" if len(made) % 2 else "vidu"], f"number {len(made)}"))
            if phase == "queued" and len(made) == 8:
                wait_until(lambda: _waiting(dies))
                dies.kill()
        assert dies.ended(0) == -signal.SIGKILL
        killed = datetime.now(UTC)
        site.vendors.clear()
        videos = [ended(a, video, 120) for video in made]  # seconds on a busy machine
        took_over = [line["timestamp"] for line in events_of(lives) if line["event"] == "took_over"]

    assert {video["status"] for video in videos} == {"succeeded"}
    assert sorted(job["prompt"] for job in site.paid()) == sorted(f"number {number}" for number in range(len(made)))
    assert len(took_over) == (phase != "queued")  # there nothing is held: the other goes on without a pause
    assert all((datetime.fromisoformat(each) - killed).total_seconds() < TAKEOVER for each in took_over)


def _waiting(server: Server) -> bool:
    return any(line["event"] == "not_sent" for line in events_of(server))


def test_a_worker_that_is_asked_to_end_hands_back_at_once(site: Site) -> None:
    """After SIGTERM nobody waits for a lease to run out: the other worker goes on within seconds."""
    site.vendors.fault("kling", op="poll", mode="hang", times=1)
    with site.replica("a", ROLE="api") as answers, client_of(answers) as a:
        with site.replica("b", ROLE="worker") as ends:
            video = create(a, MODELS["kling"], "a lighthouse")
            wait_until(lambda: site.calls().get("kling.poll"))
            with site.replica("c", ROLE="worker"):
                asked = time.monotonic()
                ends.terminate()
                assert ended(a, video, 20)["status"] == "succeeded"
                took = time.monotonic() - asked
        assert ends.ended(0) == 0

    assert took < 9  # three of them for what runs, where a death is noticed after ten
    assert len(site.paid()) == 1


def test_a_search_that_hangs_holds_up_no_stop(site: Site) -> None:
    """A worker that looks for lost submits at a vendor that hangs ends within seconds: who comes next looks again."""
    site.vendors.fault("sora", op="submit", mode="drop_after", times=3)
    site.vendors.fault("sora", op="list", mode="hang", times=None)
    with site.replica("a") as searches, client_of(searches) as a:
        for number in range(3):
            create(a, "sora-2", f"number {number}")
        wait_until(lambda: site.calls().get("sora.list"))
        searches.terminate()
        assert searches.ended(14) == 0  # one search alone hangs for fifteen


def test_the_others_know_a_worker_from_its_start_to_its_end(site: Site) -> None:
    """A worker that is ready is on the list by which the others tell the living, and one that ended is not."""
    known = "SELECT count(*) FROM worker"
    with site.replica("a", ROLE="api"):
        for _ in range(2):
            with site.replica("b", ROLE="worker"):
                assert ask(site.url, known) == [(1,)]
            assert ask(site.url, known) == [(0,)]


# Bounds


def test_an_accounts_bound_holds_over_all(site: Site) -> None:
    """`VIDEOGATE_VIDU_MAX_JOBS=3` is three jobs at once, however many replicas there are."""
    with ExitStack() as stack:
        replicas = [stack.enter_context(site.replica(name, VIDU_MAX_JOBS="3")) for name in "abc"]
        clients = [stack.enter_context(client_of(each)) for each in replicas]
        made = [create(clients[number % 3], MODELS["vidu"], f"number {number}") for number in range(12)]
        assert {ended(clients[0], video, 60)["status"] for video in made} == {"succeeded"}

    assert most_at_once(site.paid(), 0.1 + RENDER) == 3


def test_a_vendors_rate_is_shared(site: Site) -> None:
    """Three replicas together send no faster than one may; each may be one call ahead of its share."""
    with ExitStack() as stack:
        replicas = [stack.enter_context(site.replica(name)) for name in "abc"]
        clients = [stack.enter_context(client_of(each)) for each in replicas]
        time.sleep(2 * BEAT)  # until each has heard of the others
        made = [create(clients[number % 3], MODELS["kling"], f"number {number}") for number in range(30)]
        assert {ended(clients[0], video, 60)["status"] for video in made} == {"succeeded"}

    # A busy machine bunches calls that began apart. Rates that are not shared would send all thirty in these seconds.
    assert most_within(site.paid(), 3.0) <= 3 * RATE + 2 * len(replicas)


# Starts


def test_a_role_needs_a_database_that_is_shared(tmp_path: Path) -> None:
    """`--role api` on SQLite ends at once, with one sentence that says what it needs."""
    code, said = _refused(tmp_path, {}, "--role", "api")

    assert code == 2
    assert said == "videogate: VIDEOGATE_ROLE=api needs PostgreSQL (VIDEOGATE_DATABASE_URL): SQLite serves one process."


def test_an_unreachable_database_is_named(tmp_path: Path, bucket: Bucket) -> None:
    """Without its PostgreSQL a process ends at once, not with 0, and says why in one line without the password."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        url = f"postgresql://videogate:not-to-be-read@127.0.0.1:{taken.getsockname()[1]}/videogate"
        code, said = _refused(tmp_path, {"VIDEOGATE_DATABASE_URL": url, "VIDEOGATE_MEDIA_URL": bucket.url})

    assert code != 0
    assert said.startswith("videogate: The gateway cannot use its database just now.")
    assert "refused" in said
    assert "not-to-be-read" not in said


def _refused(folder: Path, more: dict[str, str], *arguments: str) -> tuple[int, str]:
    """Start a gateway that does not come up: its exit code, and the one line that it says."""
    settings = {"VIDEOGATE_API_KEYS": KEY, "VIDEOGATE_DATA_DIR": str(folder / "data"), "VIDEOGATE_PORT": "0"}
    done = run_videogate("serve", *arguments, folder=folder, variables={**settings, **more})
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    return done.returncode, line


def test_replicas_may_share_a_data_directory(site: Site) -> None:
    """Two processes with one DATA_DIR have spools of their own: one that starts or ends takes nothing from another."""
    data = {"DATA_DIR": str(site.folder / "data")}
    site.vendors.fault("sora", op="result", mode="slow", delay=4, times=1)
    with site.replica("a", **data) as first, client_of(first) as a:
        video = create(a, "sora-2", "a lighthouse")
        wait_until(lambda: site.calls().get("sora.result"))
        with site.replica("b", **data):
            assert len(list((site.folder / "data").glob("spool-*"))) == 2
        assert len(list((site.folder / "data").glob("spool-*"))) == 1
        assert ended(a, video)["status"] == "succeeded"
        assert [line for line in events_of(first) if line["event"] == "fetch_trouble"] == []
    assert list((site.folder / "data").glob("spool-*")) == []


# The database is away


def test_a_stop_needs_no_database(tmp_path: Path, bucket: Bucket) -> None:
    """A process that is asked to end while PostgreSQL is away ends soon and says what it could not give back."""
    server = PostgresServer()
    try:
        with (
            make_site(tmp_path, server.database(), bucket, RENDER) as site,
            site.replica("a") as works,
            client_of(works) as a,
        ):
            site.vendors.fault("kling", op="poll", mode="hang", times=1)
            create(a, MODELS["kling"], "a lighthouse")
            wait_until(lambda: site.calls().get("kling.poll"))
            server.stop()
            works.terminate()
            assert works.ended(30) == 0
            assert [line["event"] for line in events_of(works)].count("not_given_back") >= 1
    finally:
        server.close()


def test_a_database_that_stops_for_a_while_costs_nothing(tmp_path: Path) -> None:
    """PostgreSQL is stopped for five seconds under load: 503s in the envelope and successes only, no false failure, no
    lost id, no second payment, and all is well again within ten seconds.
    """
    plan = Plan(processes=3, tasks=90, rate=6.0, render=2.0, poll_interval=0.2, window=30.0)

    found = outage(tmp_path / "ground", plan, 5.0)

    assert wrong_with(found) == []
    assert {status for _, status in found.during} <= {200, 201, 503}
    assert found.during["create", 503] + found.during["read", 503] > 0
    assert found.run.ended == {TaskState.SUCCEEDED.value: plan.tasks}

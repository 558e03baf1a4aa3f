"""The figures of a real server, as Prometheus reads them."""

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from acceptance.conftest import KEY, World, ended, wait_until
from forked import Server

PROMPT = "A lighthouse called Zanzibar"


def client_of(server: Server) -> httpx.Client:
    """A client with a key."""
    return httpx.Client(base_url=server.url, headers={"authorization": f"Bearer {KEY}"}, timeout=30)


def create(client: httpx.Client, model: str) -> str:
    """Ask for a video."""
    video: str = client.post("/v1/videos", json={"model": model, "prompt": PROMPT}).raise_for_status().json()["id"]
    return video


def scraped(client: httpx.Client) -> str:
    """The figures as text."""
    answer = client.get("/metrics").raise_for_status()
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return answer.text


def figure(client: httpx.Client, name: str, **labels: str) -> float:
    """One figure, 0 if there is none."""
    families = text_string_to_metric_families(scraped(client))
    samples = [sample for family in families for sample in family.samples]
    return next((each.value for each in samples if each.name == f"videogate_{name}" and each.labels == labels), 0.0)


def ids_in(world: World) -> list[str]:
    """Every id of the database."""
    rows = world.rows("SELECT t.id, t.owner, t.request_id, a.client_ref, a.vendor_task_id FROM task t, attempt a")
    return [each for row in rows for each in row if each]


def test_the_figures_of_a_video_and_of_a_lost_submit(world: World) -> None:
    """What completed and what was lost is counted, the lost one shows as unknown, and nobody is named."""
    with world.gateway() as server, client_of(server) as client:
        done = create(client, "kling-v1")
        assert ended(client, done)["status"] == "succeeded"
        world.fault(vendor="sora", op="submit", mode="drop_before", times=1)
        lost = create(client, "sora-2")
        wait_until(lambda: figure(client, "submit_unknown", vendor="sora") == 1)

        assert figure(client, "submit_attempts_total", vendor="kling", model="kling-v1", outcome="accepted") == 1
        assert figure(client, "submit_attempts_total", vendor="sora", model="sora-2", outcome="unknown") == 1
        assert figure(client, "fetches_total", vendor="kling", result="completed") == 1
        assert figure(client, "polls_total", vendor="kling", result="succeeded") == 1
        assert figure(client, "tasks", vendor="sora", state="submitting") == 1
        assert figure(client, "tasks", vendor="kling", state="running") == 0
        assert figure(client, "submit_unknown", vendor="kling") == 0
        assert figure(client, "needs_review", vendor="sora") == 0
        assert figure(client, "http_requests_total", route="/videos", method="POST", code="201") == 2
        assert figure(client, "http_request_duration_seconds_count", route="/videos/{video_id}") >= 1

        text = scraped(client)
        for named in (done, lost, KEY, PROMPT, "Zanzibar", *ids_in(world)):
            assert named not in text


def test_the_figures_of_time_and_bytes(world: World) -> None:
    """A video shows how long it took and its bytes, in and out; calls of its vendor show how they were answered."""
    with world.gateway() as server, client_of(server) as client:
        world.fault(vendor="kling", op="poll", mode="drop_before", times=4)  # the client repeats some by itself
        video = create(client, "kling-v1")
        assert ended(client, video)["status"] == "succeeded"
        film = client.get(f"/v1/videos/{video}/content").raise_for_status().content

        assert figure(client, "content_bytes_total", direction="in") == len(film)
        assert figure(client, "content_bytes_total", direction="out") == len(film)
        assert figure(client, "content_persist_seconds_count") == 1
        assert figure(client, "task_duration_seconds_count", vendor="kling", model="kling-v1") == 1
        assert 1 < figure(client, "task_duration_seconds_sum", vendor="kling", model="kling-v1") < 30
        assert figure(client, "submit_duration_seconds_count", vendor="kling") == 1
        assert figure(client, "vendor_requests_total", vendor="kling", op="submit", code="200") == 1
        assert figure(client, "vendor_requests_total", vendor="kling", op="poll", code="none") >= 1
        assert figure(client, "vendor_requests_total", vendor="kling", op="poll", code="200") >= 1
        assert figure(client, "http_request_body_bytes_count", route="/videos") == 1
        assert (figure(client, "sqlite_wal_bytes") > 0) is not bool(world.database_url)


def test_a_vendor_that_throttles_shows_as_a_shut_gate(world: World) -> None:
    """Its gate for submits lets nothing through, and those of others everything; readiness is no matter of vendors."""
    world.fault(vendor="vidu", op="submit", mode="throttle", retry_after=60, times=None)
    with world.gateway() as server, client_of(server) as client:
        create(client, "viduq1")
        wait_until(lambda: figure(client, "breaker_state", vendor="vidu", op="submit") == 2)

        assert figure(client, "submit_attempts_total", vendor="vidu", model="viduq1", outcome="throttled") == 1
        for vendor, op in (("vidu", "poll"), ("vidu", "result"), ("kling", "submit")):
            assert figure(client, "breaker_state", vendor=vendor, op=op) == 0
            assert figure(client, "vendor_budget_tokens", vendor=vendor, op=op) >= 1

        vendors = client.get("/health/vendors").raise_for_status().json()["vendors"]
        assert vendors["vidu"]["submit"]["passes"] == "none"
        assert "vidu" in vendors["vidu"]["submit"]["why"]
        assert vendors["kling"] == {op: {"passes": "all", "why": None} for op in ("submit", "poll", "result")}
        assert client.get("/health/ready").json() == {"status": "ok", "problems": []}
        assert httpx.get(f"{server.url}/health/vendors").status_code == 401


def test_who_is_not_let_in_is_counted(world: World) -> None:
    """By the reason: no key, a wrong one, a bad link."""
    with world.gateway() as server, client_of(server) as client:
        httpx.get(f"{server.url}/v1/videos")
        httpx.get(f"{server.url}/v1/videos", headers={"authorization": "Bearer sk-nobody"})
        httpx.get(f"{server.url}/v1/videos/video_1/content?signature=x")

        reasons = ("no_key", "unknown_key", "bad_link")
        assert [figure(client, "auth_failures_total", reason=reason) for reason in reasons] == [1, 1, 1]


def test_a_review_shows_until_a_person_has_looked(world: World) -> None:
    """A lost submit that no search found leaves the unknown ones and stands under review."""
    world.fault(vendor="sora", op="submit", mode="drop_before", times=1)
    with world.gateway(UNKNOWN_WINDOW="0.5") as server, client_of(server) as client:
        assert ended(client, create(client, "sora-2"))["status"] == "failed"

        assert figure(client, "needs_review", vendor="sora") == 1
        assert figure(client, "submit_unknown", vendor="sora") == 0
        assert figure(client, "reconcile_total", vendor="sora", result="review") == 1


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer sk-nobody"}, {"authorization": "Basic eDp5"}])
def test_the_figures_want_a_key(gateway: str, headers: dict[str, str]) -> None:
    """Without one of the gateway's keys there are none."""
    answer = httpx.get(f"{gateway}/metrics", headers=headers)

    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "invalid_api_key"
    assert "videogate_" not in answer.text


def test_a_scrape_has_every_figure_under_our_name(api: httpx.Client) -> None:
    """The text parses, every family has a help text and our prefix, and none comes twice."""
    families = list(text_string_to_metric_families(scraped(api)))

    names = [family.name for family in families]
    assert len(names) == len(set(names))
    assert {f"videogate_{name}" for name in ("tasks", "submit_unknown", "needs_review", "poll_lag_seconds")} <= {*names}
    assert all(name.startswith("videogate_") for name in names)
    assert all(family.documentation for family in families)

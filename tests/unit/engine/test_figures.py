"""The figures: each event counts once, gauges say what is open, and nothing that could name anybody is a label."""

import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request
from prometheus_client import Histogram
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event as sql_event

from unit.store.support import NOW, VENDOR, Desk, new_task, opened
from videogate.engine import figures
from videogate.engine.figures import Figures, answered, count
from videogate.engine.figures.counters import EVENTS, EVERY
from videogate.engine.gates import WELL, Gate, GateStanding, How, Went
from videogate.engine.shop import tell
from videogate.store.figures import FigureStore
from videogate.store.sqlite import SqliteDatabase
from videogate.task.state import LIVE, TaskState
from videogate.web.middleware import Edge

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"

Found = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Watch:
    """Reads figures as a scraper does. Counters are the process's, so what they say is how much they rose."""

    def __init__(self, desk: Desk) -> None:
        self.now = NOW
        self.gates: list[GateStanding] = []
        self.log = desk.path.with_name("some-wal")
        self._figures = Figures(
            FigureStore(desk.database),
            ["maker", "other"],
            lambda: self.now,
            "1.2.3",
            lambda: 7,
            lambda: self.gates,
            self.log,
        )
        self._before: Found = {}

    async def begin(self) -> None:
        self._before = await self.all()

    async def text(self) -> str:
        return (await self._figures.text()).decode()

    async def all(self) -> Found:
        families = text_string_to_metric_families(await self.text())
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        }

    async def says(self, name: str, **labels: str) -> float | None:
        return (await self.all()).get((f"videogate_{name}", frozenset(labels.items())))

    async def rose(self) -> Mapping[tuple[str, ...], float]:
        """The counters that rose, each with its label values in the order of their names."""
        now = await self.all()
        risen = {key: value - self._before.get(key, 0) for key, value in now.items() if key[0].endswith("_total")}
        return {(name, *(value for _, value in sorted(labels))): by for (name, labels), by in risen.items() if by}


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """An empty store."""
    async with opened(tmp_path) as made:
        yield made


@pytest.fixture
async def watch(desk: Desk) -> Watch:
    """A scraper that knows what was counted before."""
    made = Watch(desk)
    await made.begin()
    return made


@pytest.mark.parametrize(
    ("event", "facts", "counted"),
    [
        ("accepted", {"accepted_as": "job-1"}, ("videogate_submit_attempts_total", "film-1", "accepted", "maker")),
        (
            "rejected",
            {"code": "x", "vendor_code": "E1"},
            ("videogate_submit_attempts_total", "film-1", "rejected", "maker"),
        ),
        (
            "not_sent",
            {"why": "x", "vendor_code": None},
            ("videogate_submit_attempts_total", "film-1", "not_sent", "maker"),
        ),
        (
            "not_sent",
            {"why": "x", "vendor_code": "429"},
            ("videogate_submit_attempts_total", "film-1", "throttled", "maker"),
        ),
        ("outcome_unknown", {"why": "x"}, ("videogate_submit_attempts_total", "film-1", "unknown", "maker")),
        ("looked_up", {"result": "found"}, ("videogate_reconcile_total", "found", "maker")),
        ("looked_up", {"result": "absent"}, ("videogate_reconcile_total", "absent", "maker")),
        ("looked_up", {"result": "not_understood"}, ("videogate_reconcile_total", "not_understood", "maker")),
        ("needs_review", {"result": "review"}, ("videogate_reconcile_total", "review", "maker")),
        ("needs_review", {}, ("videogate_reconcile_total", "review", "maker")),
        ("not_created", {}, ("videogate_reconcile_total", "not_created", "maker")),
        ("foreign_job", {"client_ref": "vg1"}, ("videogate_foreign_tasks_total", "maker")),
        ("lease_lost", {}, ("videogate_lease_lost_total", "maker")),
        ("send_overtaken", {}, ("videogate_lease_lost_total", "maker")),
        ("vendor_running", {"word": "busy"}, ("videogate_polls_total", "alive", "maker")),
        ("vendor_unchanged", {}, ("videogate_polls_total", "alive", "maker")),
        ("poll_trouble", {"why": "x", "vendor_code": "429"}, ("videogate_polls_total", "trouble", "maker")),
        ("completed", {"bytes": 5, "size": "1x1"}, ("videogate_fetches_total", "completed", "maker")),
        ("fetch_trouble", {"why": "x"}, ("videogate_fetches_total", "trouble", "maker")),
    ],
)
async def test_an_event_counts_once(event: str, facts: dict[str, Any], counted: tuple[str, ...], watch: Watch) -> None:
    """Under its vendor and what it came to, whatever else is known of it."""
    count(event, vendor="maker", model="film-1", **facts)

    assert await watch.rose() == {counted: 1}


@pytest.mark.parametrize("event", ["sending", "task_accepted", "given_up", "anything"])
async def test_other_events_count_as_nothing(event: str, watch: Watch) -> None:
    """The log says more than the figures do."""
    count(event, vendor="maker", model="film-1")

    assert not await watch.rose()


async def test_what_is_told_to_the_log_is_counted(desk: Desk, watch: Watch) -> None:
    """Every verb tells the log at one place, and that place counts."""
    tell("accepted", await desk.sending(), TaskState.SUBMITTED, accepted_as="job-1")

    assert await watch.rose() == {("videogate_submit_attempts_total", "film-1", "accepted", VENDOR): 1}


def test_every_counter_has_few_series() -> None:
    """A label is a vendor, a model or a word of the table; only a search brings its result itself."""
    labels = {name for tally, _ in EVENTS.values() for name in tally.labels}
    assert labels == {"vendor", "model", "outcome", "result"}
    open_words = {event for event, (tally, own) in EVENTS.items() if {*tally.labels} - own.keys() - {"vendor", "model"}}
    assert open_words == {"looked_up"}


async def test_gauges_are_there_at_zero(watch: Watch) -> None:
    """Each vendor that is on has its gauges from the first scrape, so that an alert meets no gap."""
    for vendor in ("maker", "other"):
        for name in ("submit_unknown", "needs_review", "poll_lag_seconds"):
            assert await watch.says(name, vendor=vendor) == 0
        assert [await watch.says("tasks", vendor=vendor, state=state) for state in LIVE] == [0] * len(LIVE)
    assert await watch.says("build_info", version="1.2.3") == 1


async def test_gauges_say_what_is_open(desk: Desk, watch: Watch) -> None:
    """Open videos by state, lost submits, reviews; those that have ended leave the gauges."""
    lost, reviewed = await desk.sending("lost"), await desk.sending("reviewed")
    for claim in (lost, reviewed):
        assert await desk.ledger.unknown(claim, "x", look_at=NOW)
    desk.sql("UPDATE attempt SET state = 'needs_review' WHERE task_id = 'reviewed'")
    desk.sql("UPDATE task SET state = 'failed' WHERE id = 'reviewed'")
    await desk.add("waiting")
    await desk.tasks.add(new_task("foreign", vendor="gone", account="gone@x.test"))

    assert await watch.says("tasks", vendor=VENDOR, state="submitting") == 1
    assert await watch.says("tasks", vendor=VENDOR, state="intent") == 1
    assert await watch.says("tasks", vendor=VENDOR, state="failed") is None
    assert await watch.says("submit_unknown", vendor=VENDOR) == 1
    assert await watch.says("needs_review", vendor=VENDOR) == 1
    assert await watch.says("tasks", vendor="gone", state="intent") == 1


async def test_the_lag_is_that_of_the_most_overdue(desk: Desk, watch: Watch) -> None:
    """Work that is not due yet does not wait; what has ended waits for nothing."""
    await desk.add("old")
    await desk.add("new", created_at=NOW + 5)
    await desk.add("future", created_at=NOW + 500)
    assert await watch.says("poll_lag_seconds", vendor=VENDOR) == 0

    watch.now = NOW + 8
    assert await watch.says("poll_lag_seconds", vendor=VENDOR) == 8

    desk.sql("UPDATE task SET state = 'cancelled' WHERE id = 'old'")
    assert await watch.says("poll_lag_seconds", vendor=VENDOR) == 3


async def test_a_scrape_reads_open_rows_only(desk: Desk) -> None:
    """However many videos have ended, the counts come off the indices of what is open."""
    asked: list[str] = []

    def note(*about: Any) -> None:
        asked.append(about[2])

    assert isinstance(desk.database, SqliteDatabase)
    sql_event.listen(desk.database._readers, "before_cursor_execute", note)
    await FigureStore(desk.database).standing()

    plans = [row[3] for each in asked if each.startswith("SELECT") for row in desk.sql(f"EXPLAIN QUERY PLAN {each}")]
    assert [plan for plan in plans if "INDEX ix_task_due" in plan], plans
    assert [plan for plan in plans if "INDEX ix_attempt_unsettled" in plan], plans
    assert not {"SCAN task", "SCAN attempt"} & set(plans)


async def test_requests_count_under_the_template_of_their_route(watch: Watch) -> None:
    """Ids, prefixes, unknown paths and invented methods make no series of their own."""
    web, router = FastAPI(), APIRouter()
    router.add_api_route("/things/{name}", lambda name: name)
    for prefix in ("", "/v1"):
        web.include_router(router, prefix=prefix)
    transport = httpx.ASGITransport(Edge(web, max_body=100))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        for path in ("/things/secret-1", "/v1/things/secret-2/", "/nothing/secret-3"):
            await client.get(path)
        await client.request("SECRET-4", "/things/x")
        await client.request("SECRET-5", "/elsewhere")

    assert await watch.rose() == {
        ("videogate_http_requests_total", "200", "GET", "/things/{name}"): 2,
        ("videogate_http_requests_total", "404", "GET", "none"): 1,
        ("videogate_http_requests_total", "405", "other", "/things/{name}"): 1,
        ("videogate_http_requests_total", "404", "other", "none"): 1,
    }
    assert "secret" not in str(await watch.all()).lower()


async def test_durations_count_by_route(watch: Watch) -> None:
    """How long requests took is kept for each route."""
    answered("/v1/timed", "GET", 200, 0.2, 0)
    answered("/v1/timed", "GET", 200, 0.4, 0)

    assert await watch.says("http_request_duration_seconds_count", route="/v1/timed") == 2
    assert await watch.says("http_request_duration_seconds_sum", route="/v1/timed") == pytest.approx(0.6)


async def test_bodies_are_measured_by_route(watch: Watch) -> None:
    """What callers send is counted by its bytes as they arrive; a request without a body is no body of zero bytes."""
    web = FastAPI()

    @web.post("/measured")
    async def measured(request: Request) -> int:
        return len(await request.body())

    transport = httpx.ASGITransport(Edge(web, max_body=5000))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        await client.post("/measured")
        await client.post("/measured", content=b"x" * 2000)

    assert await watch.says("http_request_body_bytes_count", route="/measured") == 1
    assert await watch.says("http_request_body_bytes_sum", route="/measured") == 2000


async def test_only_submits_are_timed_by_vendor(watch: Watch) -> None:
    """Every call of a vendor counts under its status; how long is kept for those that pay."""
    figures.asked("timer", "submit", "200", 0.5)
    figures.asked("timer", "poll", "none", 9.0)

    assert await watch.says("vendor_requests_total", vendor="timer", op="submit", code="200") == 1
    assert await watch.says("vendor_requests_total", vendor="timer", op="poll", code="none") == 1
    assert await watch.says("submit_duration_seconds_count", vendor="timer") == 1
    assert await watch.says("submit_duration_seconds_sum", vendor="timer") == 0.5


async def test_commits_are_measured(watch: Watch) -> None:
    """How many works a transaction carried, and how long it took."""
    before = await watch.says("db_write_batch_size_sum") or 0

    figures.committed(17, 0.004)

    assert await watch.says("db_write_batch_size_sum") == before + 17
    assert (await watch.says("db_commit_seconds_bucket", le="0.005") or 0) >= 1


async def test_a_gate_shows_what_it_lets_through(watch: Watch) -> None:
    """0 while open, 2 while shut, 1 while one call may see whether it opens, 0 again when that one went well."""
    gate, now = Gate(5.0), 1000.0

    async def shown(at: float) -> tuple[float | None, float | None]:
        watch.gates = [gate.standing("maker", "poll", at)]
        names = ("breaker_state", "vendor_budget_tokens")
        state, tokens = [await watch.says(name, vendor="maker", op="poll") for name in names]
        return state, tokens

    assert await shown(now) == (0, 5)
    gate.take(now)
    gate.ended(Went(How.THROTTLED, "busy", 30.0), began=now, now=now, jitter=0.0)
    assert await shown(now) == (2, 4)
    assert await shown(now + 60) == (1, 5)
    gate.take(now + 60)
    gate.ended(WELL, began=now + 60, now=now + 60, jitter=0.0)
    assert await shown(now + 60) == (0, 4)


async def test_the_write_ahead_log_has_its_size(watch: Watch) -> None:
    """In bytes; none while there is no such file."""
    assert await watch.says("sqlite_wal_bytes") == 0
    watch.log.write_bytes(b"x" * 4096)
    assert await watch.says("sqlite_wal_bytes") == 4096


async def test_the_page_lists_every_figure(watch: Watch) -> None:
    """docs/metrics.md has each figure of a scrape, under the name that one asks for, and no other."""
    rows = [line.split("|")[1:3] for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    listed = {name.strip(" `") for name, _ in rows}

    lines = (await watch.text()).splitlines()

    assert {line.split()[2] for line in lines if line.startswith("# TYPE")} == listed


def test_the_page_has_the_labels_of_counters() -> None:
    """Each counter's and histogram's labels stand beside its name."""
    rows = [line.split("|")[1:3] for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    listed = {name.strip(" `"): re.findall("`([a-z]+)`", labels) for name, labels in rows}

    for each in EVERY:
        name = each._name if isinstance(each, Histogram) else f"{each._name}_total"
        assert listed[name] == list(each._labelnames), name

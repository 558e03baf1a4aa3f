"""Figures for whoever watches: counters of what happened in this process, gauges of what the database holds.

An event of the log is a counter's too: `count` is called where the log is told, so the verbs know nothing of it. No
label holds an id, a prompt or a caller. This is the one module that knows Prometheus.
"""

from collections.abc import Callable, Collection, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from videogate.store.figures import FigureStore, Standing
from videogate.task.state import LIVE, AttemptState

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter that nobody asks for

# One set for the process, in no registry of their own: an application shows them, it does not own them.
SUBMITS = Counter(
    "videogate_submit_attempts", "Submits that ended, by what became of them", ["vendor", "outcome"], registry=None
)
RECONCILES = Counter("videogate_reconcile", "Searches for lost submits", ["vendor", "result"], registry=None)
POLLS = Counter("videogate_polls", "Looks at vendors' jobs", ["vendor", "result"], registry=None)
FETCHES = Counter("videogate_fetches", "Downloads of results", ["vendor", "result"], registry=None)
WEBHOOKS = Counter("videogate_webhooks", "Tries to deliver webhooks, by what became of them", ["result"], registry=None)
REQUESTS = Counter("videogate_http_requests", "Requests answered", ["route", "method", "code"], registry=None)
SECONDS = Histogram(
    "videogate_http_request_duration_seconds", "From a request's head to its answer's end", ["route"], registry=None
)

# What an event counts as; where no word is given, the event brings its own `result`.
EVENTS: Mapping[str, tuple[Counter, str | None]] = {
    "accepted": (SUBMITS, "accepted"),
    "accepted_twice": (SUBMITS, "accepted"),
    "rejected": (SUBMITS, "rejected"),
    "not_sent": (SUBMITS, "not_sent"),
    "throttled": (SUBMITS, "throttled"),
    "outcome_unknown": (SUBMITS, "unknown"),
    "looked_up": (RECONCILES, None),
    "needs_review": (RECONCILES, "review"),
    "vendor_unchanged": (POLLS, "alive"),  # counted, not logged: most looks end so
    "vendor_running": (POLLS, "alive"),
    "vendor_succeeded": (POLLS, "succeeded"),
    "finished_unwanted": (POLLS, "succeeded"),
    "vendor_failed": (POLLS, "failed"),
    "vendor_missing": (POLLS, "missing"),
    "vendor_lost": (POLLS, "missing"),
    "poll_trouble": (POLLS, "trouble"),
    "completed": (FETCHES, "completed"),
    "fetch_overtaken": (FETCHES, "overtaken"),
    "fetch_trouble": (FETCHES, "trouble"),
}


def count(event: str, **facts: object) -> None:
    """Count an event, if it is one that is counted. `facts` are those of the log; most are no labels."""
    if event == "not_sent" and facts.get("vendor_code"):
        event = "throttled"  # it came back with a code: the vendor was reached and asked us to wait
    if event in EVENTS:
        counter, word = EVENTS[event]
        counter.labels(facts["vendor"], word or facts["result"]).inc()


def served(route: str, method: str, code: int, seconds: float) -> None:
    """Count an answered request. `route` is a template, never a path: ids are no labels."""
    REQUESTS.labels(route, method if method in METHODS else "other", code).inc()
    SECONDS.labels(route).observe(seconds)


def told(result: str) -> None:
    """Count a try to deliver a webhook."""
    WEBHOOKS.labels(result).inc()


class Figures:
    """All figures as text.

    Args:
        store: counts what the database holds.
        vendors: those that are on; each has its gauges even at zero, so that an alert never meets a gap.
        clock: seconds since the epoch.
        version: of this build.
        free: bytes of disk that are left.
    """

    def __init__(
        self,
        store: FigureStore,
        vendors: Collection[str],
        clock: Callable[[], float],
        version: str,
        free: Callable[[], int],
    ) -> None:
        self._store = store
        self._vendors = frozenset(vendors)
        self._clock = clock
        self._version = version
        self._free = free

    async def text(self) -> bytes:
        """In Prometheus' text format."""
        standing = await self._store.standing()
        registry = CollectorRegistry()
        for each in (SUBMITS, RECONCILES, POLLS, FETCHES, WEBHOOKS, REQUESTS, SECONDS):
            registry.register(each)
        registry.register(_Gauges(standing, self._vendors, self._clock(), self._version))
        registry.register(_Disk(self._free()))
        return generate_latest(registry)


class _Gauges(Collector):
    def __init__(self, standing: Standing, vendors: Collection[str], now: float, version: str) -> None:
        self._standing = standing
        owing = (vendor for vendor, _ in (*standing.tasks, *standing.attempts))
        self._vendors = sorted({*vendors, *owing})  # one that was switched off may have left something open
        self._now = now
        self._version = version

    def collect(self) -> Iterator[GaugeMetricFamily]:
        tasks = _gauge("videogate_tasks", "Videos that have not ended", "vendor", "state")
        unknown = _gauge("videogate_submit_unknown", "Submits whose outcome is not known", "vendor")
        review = _gauge("videogate_needs_review", "Submits that a person must look into", "vendor")
        lag = _gauge("videogate_poll_lag_seconds", "How long the most overdue work has been waiting", "vendor")
        build = _gauge("videogate_build_info", "The version that runs", "version")
        for vendor in self._vendors:
            for state in sorted(LIVE):
                tasks.add_metric([vendor, state.value], self._standing.tasks.get((vendor, state), 0))
            unknown.add_metric([vendor], self._standing.attempts.get((vendor, AttemptState.UNKNOWN), 0))
            review.add_metric([vendor], self._standing.attempts.get((vendor, AttemptState.NEEDS_REVIEW), 0))
            lag.add_metric([vendor], max(0.0, self._now - self._standing.due_at.get(vendor, self._now)))
        build.add_metric([self._version], 1)
        yield from (tasks, unknown, review, lag, build)


class _Disk(Collector):
    def __init__(self, free: int) -> None:
        self._bytes = free

    def collect(self) -> Iterator[GaugeMetricFamily]:
        free = _gauge("videogate_disk_free_bytes", "What is free on the fullest disk that is written to")
        free.add_metric([], self._bytes)
        yield free


def _gauge(name: str, documentation: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, documentation, labels=labels)

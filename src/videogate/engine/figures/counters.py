"""Counters of what happened in this process, and how others tell of it.

An event of the log is a counter's too: `count` is called where the log is told, so the verbs know nothing of it.
"""

from collections.abc import Mapping, Sequence
from functools import cache

from prometheus_client import Counter, Histogram, disable_created_metrics

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
KIB = 1024

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter that nobody asks for


class Tally:
    """A counter of events. Its labels are facts that the events bring."""

    def __init__(self, name: str, words: str, *labels: str) -> None:
        self.labels = labels
        self.counter = Counter(name, words, labels, registry=None)
        self._lines: dict[tuple[object, ...], Counter] = {}

    def rise(self, facts: Mapping[str, object]) -> None:
        """One more, under these facts; those that are no labels are left out."""
        values = tuple([facts[label] for label in self.labels])
        # The library takes a lock and makes texts of the labels to find a line again.
        line = self._lines.get(values)
        if line is None:
            line = self._lines[values] = self.counter.labels(*values)
        line.inc()


def _histogram(name: str, words: str, labels: Sequence[str], buckets: Sequence[float]) -> Histogram:
    return Histogram(name, words, labels, buckets=buckets, registry=None)


# One set for the process, in no registry of their own: an application shows them, it does not own them.
SUBMITS = Tally("videogate_submit_attempts", "Submits that ended, by what became of them", "vendor", "model", "outcome")
RECONCILES = Tally("videogate_reconcile", "Searches for lost submits", "vendor", "result")
STRANGERS = Tally("videogate_foreign_tasks", "Jobs seen at a vendor that bear a reference like ours", "vendor")
POLLS = Tally("videogate_polls", "Looks at vendors' jobs", "vendor", "result")
FETCHES = Tally("videogate_fetches", "Downloads of results", "vendor", "result")
LEASES = Tally("videogate_lease_lost", "Work that was broken off because somebody else had taken it over", "vendor")
WEBHOOKS = Tally("videogate_webhooks", "Tries to deliver webhooks, by what became of them", "result")
REQUESTS = Tally("videogate_http_requests", "Requests answered", "route", "method", "code")
STRANGE_KEYS = Tally("videogate_auth_failures", "Requests that were not let in, by the reason", "reason")
VENDOR_REQUESTS = Tally(
    "videogate_vendor_requests", "Calls of vendors' APIs, by status; none: no answer came", "vendor", "op", "code"
)
CONTENT_BYTES = Counter(
    "videogate_content_bytes", "Bytes of videos: in from vendors, out to callers", ["direction"], registry=None
)
REQUEST_SECONDS = _histogram(
    "videogate_http_request_duration_seconds",
    "From a request's head to its answer's end",
    ["route"],
    Histogram.DEFAULT_BUCKETS,
)
REQUEST_BYTES = _histogram(
    "videogate_http_request_body_bytes",
    "Bodies of requests that had one",
    ["route"],
    [KIB, 16 * KIB, 128 * KIB, KIB**2, 4 * KIB**2, 16 * KIB**2, 64 * KIB**2],
)
SUBMIT_SECONDS = _histogram(
    "videogate_submit_duration_seconds",
    "How long the call of the vendor took that pays for a video",
    ["vendor"],
    [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40],
)
TASK_SECONDS = _histogram(
    "videogate_task_duration_seconds",
    "From a request to its completed video",
    ["vendor", "model"],
    [10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 86_400],
)
KEEP_SECONDS = _histogram(
    "videogate_content_persist_seconds",
    "From opening a result's link to the checked file in the storage",
    [],
    [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600],
)
COMMIT_SECONDS = _histogram(
    "videogate_db_commit_seconds",
    "How long a write transaction took, its commit included",
    [],
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
)
COMMIT_SIZE = _histogram(
    "videogate_db_write_batch_size", "Units of work in a write transaction", [], [1, 2, 4, 8, 16, 32, 64, 128]
)

TALLIES = (
    *(SUBMITS, RECONCILES, STRANGERS, POLLS, FETCHES, LEASES, WEBHOOKS, REQUESTS, STRANGE_KEYS, VENDOR_REQUESTS),
)
EVERY = (
    *(tally.counter for tally in TALLIES),
    CONTENT_BYTES,
    *(REQUEST_SECONDS, REQUEST_BYTES, SUBMIT_SECONDS, TASK_SECONDS, KEEP_SECONDS, COMMIT_SECONDS, COMMIT_SIZE),
)

# What an event counts as, with the labels that it does not bring itself.
EVENTS: Mapping[str, tuple[Tally, Mapping[str, str]]] = {
    "accepted": (SUBMITS, {"outcome": "accepted"}),
    "accepted_twice": (SUBMITS, {"outcome": "accepted"}),
    "rejected": (SUBMITS, {"outcome": "rejected"}),
    "not_sent": (SUBMITS, {"outcome": "not_sent"}),
    "throttled": (SUBMITS, {"outcome": "throttled"}),
    "outcome_unknown": (SUBMITS, {"outcome": "unknown"}),
    "looked_up": (RECONCILES, {}),
    "not_created": (RECONCILES, {"result": "not_created"}),
    "needs_review": (RECONCILES, {"result": "review"}),
    "foreign_job": (STRANGERS, {}),
    "vendor_unchanged": (POLLS, {"result": "alive"}),  # counted, not logged: most looks end so
    "vendor_running": (POLLS, {"result": "alive"}),
    "vendor_succeeded": (POLLS, {"result": "succeeded"}),
    "finished_unwanted": (POLLS, {"result": "succeeded"}),
    "vendor_failed": (POLLS, {"result": "failed"}),
    "vendor_missing": (POLLS, {"result": "missing"}),
    "vendor_lost": (POLLS, {"result": "missing"}),
    "poll_trouble": (POLLS, {"result": "trouble"}),
    "completed": (FETCHES, {"result": "completed"}),
    "fetch_overtaken": (FETCHES, {"result": "overtaken"}),
    "fetch_trouble": (FETCHES, {"result": "trouble"}),
    "lease_lost": (LEASES, {}),
    "send_overtaken": (LEASES, {}),
}


def count(event: str, **facts: object) -> None:
    """Count an event, if it is one that is counted. `facts` are those of the log; most are no labels."""
    if event == "not_sent" and facts.get("vendor_code"):
        event = "throttled"  # it came back with a code: the vendor was reached and asked us to wait
    if event in EVENTS:
        tally, own = EVENTS[event]
        tally.rise({**facts, **own})


@cache
def _seconds_of(route: str) -> Histogram:
    return REQUEST_SECONDS.labels(route)


def answered(route: str, method: str, code: int, seconds: float, body: int) -> None:
    """Count an answered request with a body of so many bytes. `route` is a template, never a path: ids are no labels.

    A `code` of 0 is a request that was broken off.
    """
    REQUESTS.rise({"route": route, "method": method if method in METHODS else "other", "code": code})
    _seconds_of(route).observe(seconds)
    if body:
        REQUEST_BYTES.labels(route).observe(body)


def not_let_in(reason: str) -> None:
    """Count a request whose caller is not known: without a key (`no_key`), with a wrong one, by a bad link."""
    STRANGE_KEYS.rise({"reason": reason})


def asked(vendor: str, op: str, code: str, seconds: float) -> None:
    """Count a call of a vendor's API."""
    VENDOR_REQUESTS.rise({"vendor": vendor, "op": op, "code": code})
    if op == "submit":
        SUBMIT_SECONDS.labels(vendor).observe(seconds)


def kept(length: int, seconds: float) -> None:
    """Count a result that was copied to the storage."""
    CONTENT_BYTES.labels("in").inc(length)
    KEEP_SECONDS.observe(seconds)


def streamed(length: int) -> None:
    """Count bytes of a video that went to a caller."""
    CONTENT_BYTES.labels("out").inc(length)


def finished(vendor: str, model: str, seconds: float) -> None:
    """Count a completed video, so long after it was asked for."""
    TASK_SECONDS.labels(vendor, model).observe(seconds)


def committed(works: int, seconds: float) -> None:
    """Count a write transaction. Called in a thread of the database's."""
    COMMIT_SIZE.observe(works)
    COMMIT_SECONDS.observe(seconds)


def told(result: str) -> None:
    """Count a try to deliver a webhook."""
    WEBHOOKS.rise({"result": result})

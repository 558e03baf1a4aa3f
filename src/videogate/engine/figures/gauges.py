"""How things stand, and all figures as one text."""

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from videogate.engine.figures.counters import EVERY
from videogate.engine.gates import GateStanding
from videogate.store.figures import FigureStore, Standing
from videogate.task.state import LIVE, AttemptState

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


class Figures:
    """All figures as text.

    Args:
        store: counts what the database holds.
        vendors: those that are on; each has its gauges even at zero, so that an alert never meets a gap.
        clock: seconds since the epoch.
        version: of this build.
        free: bytes of disk that are left.
        gates: how the gates before the vendors stand in this process.
        log: SQLite's write-ahead log, if that is the database.
    """

    def __init__(
        self,
        store: FigureStore,
        vendors: Collection[str],
        clock: Callable[[], float],
        version: str,
        free: Callable[[], int],
        gates: Callable[[], Sequence[GateStanding]] = tuple,
        log: Path | None = None,
    ) -> None:
        self._store = store
        self._vendors = frozenset(vendors)
        self._clock = clock
        self._version = version
        self._free = free
        self._gates = gates
        self._log = log

    async def text(self) -> bytes:
        """In Prometheus' text format."""
        standing = await self._store.standing()
        registry = CollectorRegistry()
        for each in EVERY:
            registry.register(each)
        registry.register(_Gauges(standing, self._vendors, self._clock(), self._version))
        registry.register(_Gates(self._gates()))
        registry.register(_Room(self._free(), self._log))
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


class _Gates(Collector):
    def __init__(self, gates: Sequence[GateStanding]) -> None:
        self._gates = gates

    def collect(self) -> Iterator[GaugeMetricFamily]:
        words = "What this process lets through to a vendor: 0 all calls, 1 one to see, 2 none"
        states = _gauge("videogate_breaker_state", words, "vendor", "op")
        budget = _gauge("videogate_vendor_budget_tokens", "Calls that its rate allows just now", "vendor", "op")
        for each in self._gates:
            states.add_metric([each.vendor, each.op], each.passes)
            budget.add_metric([each.vendor, each.op], each.tokens)
        yield from (states, budget)


class _Room(Collector):
    def __init__(self, free: int, log: Path | None) -> None:
        self._free = free
        self._log = log

    def collect(self) -> Iterator[GaugeMetricFamily]:
        free = _gauge("videogate_disk_free_bytes", "What is free on the fullest disk that is written to")
        free.add_metric([], self._free)
        yield free
        if self._log is not None:
            size = _gauge("videogate_sqlite_wal_bytes", "SQLite's write-ahead log, which a checkpoint has begin anew")
            size.add_metric([], self._log.stat().st_size if self._log.exists() else 0)
            yield size


def _gauge(name: str, documentation: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, documentation, labels=labels)

"""Gates: how many calls of one kind may begin now, by what became of the last ones.

An account of a vendor has a gate for each of its operations. The rate is a token bucket. A throttled call shuts the
gate for as long as the vendor asks, or for longer and longer; so do many failures among the calls of late. A gate that
was shut lets one call through to see: a good one opens it wholly, any other shuts it again.

Times are monotonic seconds that the caller reads. A call that began before its gate shut says nothing about whether it
may open again, so every report says when its call began.
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum, IntEnum, auto
from math import inf

from videogate.engine import schedule
from videogate.task.errors import LinkExpired, NotUnderstood, Refused, Throttled, VendorError

COOLDOWN = 1.0  # seconds; the first pause after throttling without a wish, doubled up to a minute
WINDOW = 30.0  # seconds of calls that count
ENOUGH = 20  # calls in the window; fewer say nothing
SHARE = 0.5  # of them failed: too many
PAUSE = 15.0  # seconds; the first pause after too many failures
LONGEST_PAUSE = 300.0


class How(Enum):
    """What a call says about the way to its vendor."""

    WELL = auto()  # answered, be it with a refusal
    THROTTLED = auto()
    BADLY = auto()  # no usable answer


@dataclass(frozen=True, slots=True)
class Went:
    """How one call went. `why` is safe to show; `retry_after` is the vendor's wish in seconds."""

    how: How
    why: str = ""
    retry_after: float | None = None


WELL = Went(How.WELL)


def went(error: VendorError) -> Went:
    """How a call went that ended in this error: what the vendor itself said of the request is no failure of the way."""
    match error:
        case Throttled():
            return Went(How.THROTTLED, error.message, error.retry_after)
        case Refused() | NotUnderstood() | LinkExpired():
            return WELL
        case _:
            return Went(How.BADLY, error.message)


@dataclass(frozen=True, slots=True)
class Shut:
    """Why a gate is shut, since when and until when, and how many times in a row."""

    how: How
    why: str
    since: float
    until: float
    times: int


class Passes(IntEnum):
    """What a gate lets through."""

    ALL = 0
    ONE = 1  # to see how it goes
    NONE = 2


@dataclass(frozen=True, slots=True)
class GateStanding:
    """How a gate stands: whose it is and for what, the calls that its rate allows, why it is shut if it is."""

    vendor: str
    op: str
    passes: Passes
    tokens: int
    why: str | None


class Bucket:
    """Allows `rate` calls a second, with bursts of up to one second's worth (at least one call)."""

    def __init__(self, rate: float) -> None:
        self._whole = rate
        self._at: float | None = None
        self.share(1)
        self._tokens = self._most

    def share(self, workers: int) -> None:
        """Keep to one of so many equal shares of the rate."""
        self._rate = self._whole / workers
        self._most = max(1.0, self._rate)

    def available(self, now: float) -> int:
        """Whole calls that may begin at `now` (monotonic seconds)."""
        if self._at is not None:
            self._tokens = min(self._most, self._tokens + max(0.0, now - self._at) * self._rate)
        self._at = now
        return int(self._tokens)

    def take(self, count: int) -> None:
        """Spend calls that were available."""
        self._tokens -= count

    def wait(self) -> float:
        """Seconds until one more call is available."""
        return max(0.0, (1.0 - self._tokens) / self._rate)


class Gate:
    """The gate of one operation. `shut` is None while it is open."""

    def __init__(self, rate: float) -> None:
        self.shut: Shut | None = None
        self._bucket = Bucket(rate)
        self._probing = False
        self._calls: deque[tuple[float, bool]] = deque()  # when a call ended, and whether it failed
        self._failures = 0  # among them

    def available(self, now: float) -> int:
        """Calls that may begin at `now`."""
        calls = self._bucket.available(now)
        if self.shut is None:
            return calls
        return 0 if self._probing or now < self.shut.until else min(1, calls)

    def wait(self, now: float) -> float:
        """Seconds until one more call is available; infinite while one is out to see."""
        if self.shut is None:
            return self._bucket.wait()
        return inf if self._probing else max(self._bucket.wait(), self.shut.until - now)

    def share(self, workers: int) -> None:
        """Keep to one of so many equal shares of the rate."""
        self._bucket.share(workers)

    def standing(self, vendor: str, op: str, now: float) -> GateStanding:
        """How it stands at `now`."""
        passes, why = Passes.ALL, None
        if self.shut is not None:
            passes, why = Passes.NONE if now < self.shut.until else Passes.ONE, self.shut.why
        return GateStanding(vendor, op, passes, self._bucket.available(now), why)

    def take(self, began: float) -> None:
        """A call begins that was available at `began`."""
        self._bucket.take(1)
        self._probing = self._probing or self._is_probe(began)

    def ended(self, went: Went | None, *, began: float, now: float, jitter: float) -> None:
        """A call ended; None: it was never made, or nobody knows how it went."""
        probe = self._is_probe(began)
        if probe:
            self._probing = False
        if went is None:
            return
        if went.how is not How.THROTTLED:
            self._count(now, failed=went.how is How.BADLY)
        if probe:
            self._after_probe(went, now, jitter)
        elif self.shut is None and (went.how is How.THROTTLED or self._too_many(went)):
            self.shut = _shut(went, 1, now, jitter)

    def _after_probe(self, went: Went, now: float, jitter: float) -> None:
        if went.how is How.WELL:
            self.shut = None
            self._calls.clear()
            self._failures = 0
        elif self.shut is not None:
            # What it was shut for may change; it then begins anew.
            times = self.shut.times + 1 if self.shut.how is went.how else 1
            self.shut = _shut(went, times, now, jitter)

    def _is_probe(self, began: float) -> bool:
        return self.shut is not None and began >= self.shut.until

    def _count(self, now: float, *, failed: bool) -> None:
        self._calls.append((now, failed))
        self._failures += failed
        while self._calls[0][0] <= now - WINDOW:
            self._failures -= self._calls.popleft()[1]

    def _too_many(self, went: Went) -> bool:
        calls = len(self._calls)
        return went.how is How.BADLY and calls >= ENOUGH and self._failures >= SHARE * calls


def _shut(went: Went, times: int, now: float, jitter: float) -> Shut:
    pause = min(PAUSE * 2.0 ** min(times - 1, 16), LONGEST_PAUSE)
    if went.how is How.THROTTLED:
        # A vendor that says when to come back is not punished for saying so again.
        troubles = times - 1 if went.retry_after is None else 0
        pause = schedule.after_trouble(floor=COOLDOWN, troubles=troubles, jitter=jitter, retry_after=went.retry_after)
    return Shut(went.how, went.why, since=now, until=now + pause, times=times)


def slots(documented: int | None, wished: int | None) -> int | None:
    """How many jobs an account runs at once; None is any number. The operator's wish wins, 0 wishes for no limit."""
    return documented if wished is None else wished or None

"""When to look next: pure functions of what is known.

Every interval is a multiple of the vendor's `poll_interval`, the floor, so that one setting slows or quickens the
whole schedule. `jitter` is a number from -1 to 1 that the caller draws; it spreads tasks which began together.
"""

from math import exp

SPREAD = 0.2  # how far jitter moves a moment, either way

_FIRST_SHARE = 0.5  # of the usual duration: hardly a job ends sooner
_DEFAULT_FLOOR = 2.0  # seconds; the floor under which a usual duration counts as it is
_SHARE = 0.08  # of the time elapsed
_CAP = 7.5  # floors
_LATE = 4.0  # usual durations; from then on the job is out of the ordinary
_LATE_CAP = 30.0  # floors
_TROUBLE_BASE = 2.0
_TROUBLE_CAP = 60.0  # seconds
_LOOKUPS = (5.0, 10.0, 45.0, 240.0, 1_500.0)  # seconds between: at 5 s, 15 s, 60 s, 5 min and 30 min
_LOOKUP_LATER = 3_600.0
# Seconds between the tries of a webhook, as the Standard Webhooks specification has them, within three days.
_TELLS = (5.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 72_000.0)
_CALLERS = (1.0, 30.0)  # seconds; callers are asked to come back no sooner and no later
_RETRY_AFTER_CAP = 600.0  # seconds; a longer wish is not believed


def first_look(*, floor: float, usual: float, jitter: float) -> float:
    """Seconds from acceptance to the first look at a job whose model usually takes `usual` seconds."""
    return _spread(max(floor, usual * _FIRST_SHARE * floor / _DEFAULT_FLOOR), jitter)


def next_look(*, floor: float, usual: float, elapsed: float, jitter: float) -> float:
    """Seconds to the next look at a job that was accepted `elapsed` seconds ago: they grow with its age."""
    cap = _LATE_CAP if elapsed > usual * _LATE else _CAP
    return _spread(min(max(elapsed * _SHARE, floor), floor * cap), jitter)


def after_trouble(*, floor: float, troubles: int, jitter: float, retry_after: float | None = None) -> float:
    """Seconds to wait after the `troubles`-th useless answer in a row; a vendor's own wish is heeded."""
    grown = min(floor * _TROUBLE_BASE ** min(troubles, 16), max(_TROUBLE_CAP, floor))
    wish = min(retry_after or 0.0, _RETRY_AFTER_CAP)
    return max(_spread(grown, jitter), wish)


def next_lookup(*, floor: float, looks: int) -> float:
    """Seconds to the next look for a submit whose answer was lost, after `looks` that did not find it."""
    gap = _LOOKUPS[looks] if looks < len(_LOOKUPS) else _LOOKUP_LATER
    return gap * floor / _DEFAULT_FLOOR


def callers_look(*, due_in: float) -> float:
    """Seconds after which a caller may find news of a task that we look at in `due_in` seconds."""
    return min(_CALLERS[1], max(_CALLERS[0], due_in + _CALLERS[0]))


def next_tell(*, failures: int, jitter: float) -> float | None:
    """Seconds to the next try of a webhook after `failures` tries in vain; None: it is given up."""
    return _spread(_TELLS[failures - 1], jitter) if failures <= len(_TELLS) else None


def estimated_progress(*, elapsed: float, usual: float) -> int:
    """A percentage for vendors that give none: rises with time, slower and slower, never reaches 100."""
    return min(99, int(100 * (1 - exp(-1.5 * max(0.0, elapsed) / max(usual, 1.0)))))


def _spread(seconds: float, jitter: float) -> float:
    return seconds * (1 + SPREAD * jitter)

"""How many calls may begin: the rate, and the pauses that throttling and failing vendors get."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videogate.engine.gates import (
    COOLDOWN,
    ENOUGH,
    LONGEST_PAUSE,
    PAUSE,
    WELL,
    WINDOW,
    Bucket,
    Gate,
    How,
    Shut,
    Went,
    slots,
    went,
)
from videogate.task.errors import (
    Failure,
    FailureCode,
    LinkExpired,
    NotDelivered,
    NotUnderstood,
    OutcomeUnknown,
    Refused,
    Throttled,
    Unavailable,
    VendorError,
)

LATER, BADLY = Went(How.THROTTLED, "too many"), Went(How.BADLY, "no answer")
jitters = st.floats(-1, 1)


def call(gate: Gate, now: float, went: Went | None, *, lasting: float = 0.0, jitter: float = 0.0) -> None:
    """One call that the gate allowed."""
    assert gate.available(now) >= 1
    gate.take(now)
    gate.ended(went, began=now, now=now + lasting, jitter=jitter)


def is_shut(gate: Gate) -> Shut:
    assert gate.shut is not None
    return gate.shut


def failing(gate: Gate, now: float) -> float:
    """Let calls fail until the gate shuts; the moment of the last."""
    while gate.shut is None:
        now += 0.1
        call(gate, now, BADLY)
    return now


# The rate.


@given(
    st.floats(0.1, 200),
    st.lists(st.tuples(st.floats(0, 3), st.integers(0, 400)), max_size=60),
)
def test_no_window_sees_more_than_the_rate_and_one_burst(rate: float, visits: list[tuple[float, int]]) -> None:
    """In any stretch of time at most rate x time and one burst (a second's worth, at least one call) begin."""
    bucket, now = Bucket(rate), 1000.0
    begun: list[tuple[float, int]] = []
    for pause, wanted in visits:
        now += pause
        count = min(wanted, bucket.available(now))
        bucket.take(count)
        begun.append((now, count))

    for start in range(len(begun)):
        total = 0
        for at, count in begun[start:]:
            total += count
            assert total <= rate * (at - begun[start][0]) + max(1.0, rate) + 1e-6


@given(st.floats(0.1, 200))
def test_the_announced_wait_is_enough(rate: float) -> None:
    """After the wait that an empty bucket names, a call is available."""
    bucket = Bucket(rate)
    bucket.take(bucket.available(0.0))

    assert bucket.available(bucket.wait() + 1e-6) >= 1


def test_a_clock_that_steps_back_gives_nothing_away() -> None:
    """Time that runs backwards adds no calls."""
    bucket = Bucket(5.0)
    bucket.take(bucket.available(100.0))

    assert bucket.available(50.0) == 0


# Throttling.


def test_throttling_shuts_for_as_long_as_the_vendor_asks() -> None:
    """No call may begin before the vendor's own moment; then one may, and the wait names that moment."""
    gate = Gate(10)
    call(gate, 0, Went(How.THROTTLED, "too many", retry_after=7))

    assert (gate.available(6.9), gate.wait(5.0)) == (0, 2.0)
    assert gate.available(7.0) == 1
    assert is_shut(gate).why == "too many"


def test_an_absurd_wish_is_capped() -> None:
    """A vendor cannot shut an account out for a day."""
    gate = Gate(10)
    call(gate, 0, Went(How.THROTTLED, retry_after=1e9))

    assert gate.available(600.0) == 1


@given(jitters)
def test_without_a_wish_the_pauses_double_up_to_a_minute(jitter: float) -> None:
    """Throttled again and again, an account is asked after 1, 2, 4 ... 60 seconds, give or take the jitter."""
    gate, now = Gate(10), 0.0
    for number in range(10):
        call(gate, now, LATER, jitter=jitter)
        pause = is_shut(gate).until - now
        assert pause == pytest.approx(min(COOLDOWN * 2**number, 60) * (1 + 0.2 * jitter))
        now = is_shut(gate).until


def test_a_wish_is_not_stretched_for_being_repeated() -> None:
    """A vendor that always says two seconds is asked every two seconds."""
    gate, now = Gate(10), 0.0
    for _ in range(20):
        call(gate, now, Went(How.THROTTLED, retry_after=2))
        assert is_shut(gate).until == now + 2
        now += 2


def test_one_call_sees_whether_it_is_over() -> None:
    """While that call is out nobody else begins; a good answer opens the gate wholly and forgets the past."""
    gate = Gate(10)
    call(gate, 0, LATER)
    assert gate.available(1.0) == 1
    gate.take(1.0)
    assert (gate.available(30.0), gate.wait(30.0)) == (0, inf)

    gate.ended(WELL, began=1.0, now=31.0, jitter=0)

    assert (gate.shut, gate.available(32.0)) == (None, 10)
    call(gate, 40, LATER)
    assert is_shut(gate).until == 41


def test_a_call_that_was_not_made_leaves_the_turn_to_another() -> None:
    """A probe that ended without a call, or crashed, neither opens the gate nor keeps it waiting."""
    gate = Gate(10)
    call(gate, 0, LATER)
    call(gate, 1, None)

    assert (gate.available(1.0), is_shut(gate).times) == (1, 1)


def test_calls_under_way_do_not_count_twice() -> None:
    """Four calls at once that are all throttled shut the gate once; an older one's good answer does not open it."""
    gate = Gate(10)
    for _ in range(5):
        gate.take(0)
    for number in range(4):
        gate.ended(LATER, began=0, now=0.1 * number, jitter=0)
    gate.ended(WELL, began=0, now=0.5, jitter=0)
    gate.ended(None, began=0, now=0.5, jitter=0)

    assert is_shut(gate) == Shut(How.THROTTLED, "too many", since=0.0, until=1.0, times=1)


@given(st.lists(st.floats(0.01, 5), max_size=40), st.integers(1, 20), jitters)
def test_a_throttled_account_is_hardly_called(visits: list[float], at_once: int, jitter: float) -> None:
    """However often somebody wants to call, a vendor that asks for two seconds is called once in two seconds."""
    gate, now, begun = Gate(at_once), 100.0, 0
    for pause in visits:
        now += pause
        for _ in range(gate.available(now)):
            gate.take(now)
            begun += 1
            gate.ended(Went(How.THROTTLED, retry_after=2), began=now, now=now, jitter=jitter)

    assert begun <= at_once + (now - 100.0) / 2


# Failures.


def test_many_failures_shut_the_gate() -> None:
    """Twenty calls of which all failed shut it for a quarter of a minute; nineteen do not."""
    gate = Gate(100)
    for number in range(ENOUGH - 1):
        call(gate, number / 10, BADLY)
    assert gate.shut is None
    call(gate, 3, BADLY)

    assert is_shut(gate) == Shut(How.BADLY, "no answer", since=3, until=3 + PAUSE, times=1)


@pytest.mark.parametrize(("good", "failed", "is_open"), [(11, 9, True), (10, 10, False), (21, 20, True)])
def test_half_is_too_many(good: int, failed: int, is_open: bool) -> None:
    """Less than half of the calls may fail."""
    gate = Gate(100)
    for number, result in enumerate([WELL] * good + [BADLY] * failed):
        call(gate, number / 100, result)

    assert (gate.shut is None) is is_open


def test_old_calls_do_not_count() -> None:
    """Failures that are spread over minutes shut nothing."""
    gate = Gate(100)
    for number in range(200):
        call(gate, number * 1.01 * WINDOW / (ENOUGH - 1), BADLY)

    assert gate.shut is None


def test_the_pauses_of_a_failing_vendor_double_up_to_five_minutes() -> None:
    """Each probe that fails doubles the pause; a good one opens the gate, and the count begins anew."""
    gate = Gate(100)
    now = failing(gate, 0)
    for number in range(8):
        assert is_shut(gate).until == now + min(PAUSE * 2**number, LONGEST_PAUSE)
        now = is_shut(gate).until
        call(gate, now, BADLY)
    now = is_shut(gate).until
    call(gate, now, WELL)
    assert gate.shut is None

    for number in range(ENOUGH - 1):
        call(gate, now + 1 + number / 100, BADLY)
    assert gate.shut is None


def test_throttling_is_no_failure() -> None:
    """Throttled calls neither fill the window nor lengthen a failing vendor's pause."""
    gate = Gate(100)
    now = failing(gate, 0)
    now = is_shut(gate).until

    call(gate, now, Went(How.THROTTLED, retry_after=3))

    assert is_shut(gate) == Shut(How.THROTTLED, "", since=now, until=now + 3, times=1)


# What counts as what.


@pytest.mark.parametrize(
    ("error", "how"),
    [
        (Throttled("later"), How.THROTTLED),
        (Refused(Failure(FailureCode.MODERATION_BLOCKED, "no")), How.WELL),
        (NotUnderstood("what?"), How.WELL),
        (LinkExpired("gone"), How.WELL),
        (NotDelivered("away"), How.BADLY),
        (OutcomeUnknown("lost"), How.BADLY),
        (Unavailable("500"), How.BADLY),
    ],
)
def test_what_an_error_says_of_the_way(error: VendorError, how: How) -> None:
    """What the vendor itself answered is no failure of the way to it."""
    assert went(error).how is how


def test_a_vendors_wish_reaches_the_gate() -> None:
    """The vendor's words and seconds come along."""
    assert went(Throttled("later", retry_after=9)) == Went(How.THROTTLED, "later", 9)


@pytest.mark.parametrize(
    ("documented", "wished", "most"), [(None, None, None), (2, None, 2), (2, 5, 5), (None, 1, 1), (2, 0, None)]
)
def test_the_operators_number_of_jobs_wins(documented: int | None, wished: int | None, most: int | None) -> None:
    """The setting overrides the vendor's documented figure; 0 lifts it."""
    assert slots(documented, wished) == most

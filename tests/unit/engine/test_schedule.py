"""When to look next."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videogate.engine import schedule
from videogate.engine.history import KEPT, History

floors = st.floats(0.05, 60)
usuals = st.floats(1, 3600)
jitters = st.floats(-1, 1)
ages = st.floats(0, 200_000)


@given(floors, usuals, jitters)
def test_the_first_look_keeps_its_bounds(floor: float, usual: float, jitter: float) -> None:
    """The first look comes when the first jobs are done, at half the usual duration, and not before the floor."""
    wait = schedule.first_look(floor=floor, usual=usual, jitter=jitter)

    half = usual / 2 * floor / 2  # a floor of two seconds is what durations are told for
    assert 0.8 * floor <= wait * (1 + 1e-9)
    assert 0.8 * half <= wait * (1 + 1e-9)
    assert wait <= 1.2 * max(floor, half) * (1 + 1e-9)


@given(floors, usuals, ages, jitters)
def test_later_looks_keep_their_bounds(floor: float, usual: float, elapsed: float, jitter: float) -> None:
    """No two looks are closer than the floor or further apart than thirty, give or take the jitter."""
    wait = schedule.next_look(floor=floor, usual=usual, elapsed=elapsed, jitter=jitter)

    assert 0.8 * floor <= wait * (1 + 1e-9)
    assert wait <= 36 * floor * (1 + 1e-9)


@given(floors, usuals, ages, ages)
def test_looks_get_rarer_with_age(floor: float, usual: float, one: float, other: float) -> None:
    """The older a job, the longer the wait."""
    younger, older = sorted((one, other))
    first, second = (schedule.next_look(floor=floor, usual=usual, elapsed=age, jitter=0) for age in (younger, older))

    assert first <= second


@given(floors, ages, ages, usuals)
def test_a_larger_floor_never_quickens(one: float, elapsed: float, other_age: float, usual: float) -> None:
    """Doubling the floor slows every interval or leaves it."""
    waits: list[Callable[[float], float]] = [
        lambda floor: schedule.first_look(floor=floor, usual=usual, jitter=0),
        lambda floor: schedule.next_look(floor=floor, usual=usual, elapsed=elapsed, jitter=0),
        lambda floor: schedule.after_trouble(floor=floor, troubles=int(other_age) % 20, jitter=0),
    ]

    assert all(wait(one) <= wait(2 * one) for wait in waits)


@given(floors, st.integers(0, 10_000), jitters)
def test_troubles_are_waited_out_longer_and_longer(floor: float, troubles: int, jitter: float) -> None:
    """The wait grows with the troubles in a row up to a minute (or one floor), never below the floor."""
    now, then = (schedule.after_trouble(floor=floor, troubles=n, jitter=0) for n in (troubles, troubles + 1))
    spread = schedule.after_trouble(floor=floor, troubles=troubles, jitter=jitter)

    assert floor <= now <= then <= max(60, floor)
    assert 0.8 * now * (1 - 1e-9) <= spread <= 1.2 * now * (1 + 1e-9)


@given(floors, st.integers(0, 50), jitters, st.floats(0, 600))
def test_a_vendors_wish_is_heeded(floor: float, troubles: int, jitter: float, wish: float) -> None:
    """`Retry-After` is a lower bound of the wait."""
    assert schedule.after_trouble(floor=floor, troubles=troubles, jitter=jitter, retry_after=wish) >= wish


@pytest.mark.parametrize("wish", [601, 1e9, float("inf")])
def test_an_absurd_wish_is_not_believed(wish: float) -> None:
    """A vendor cannot park a task for a day."""
    assert schedule.after_trouble(floor=1, troubles=0, jitter=0, retry_after=wish) == 600


@given(ages, ages, usuals)
def test_estimated_progress_rises_and_never_ends(one: float, other: float, usual: float) -> None:
    """An estimate begins at 0, only rises, and leaves the last percent to the vendor."""
    early, late = sorted((one, other))
    first, second = (schedule.estimated_progress(elapsed=age, usual=usual) for age in (early, late))

    assert schedule.estimated_progress(elapsed=0, usual=usual) == 0
    assert 0 <= first <= second <= 99


def test_callers_come_back_soon_after_we_look() -> None:
    """Callers are asked to come back a second after our next look, no sooner than in one and no later than in 30."""
    assert [schedule.callers_look(due_in=seconds) for seconds in (-100, 0, 4, 29, 1e9)] == [1, 1, 5, 30, 30]


def test_history_is_the_middle_of_what_was_seen() -> None:
    """A few jobs say nothing yet; then the middle of the last ones does, each model for itself."""
    history = History([("maker", "text-1", 10.0), ("maker", "text-1", 20.0)])
    assert history.usual("maker", "text-1") is None

    history.add("maker", "text-1", 900.0)
    assert history.usual("maker", "text-1") == 20.0
    assert history.usual("maker", "other") is None
    for _ in range(KEPT):
        history.add("maker", "text-1", 5.0)
    assert history.usual("maker", "text-1") == 5.0

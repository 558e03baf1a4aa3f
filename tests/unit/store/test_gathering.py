"""Callers who are served together: when each one's turn comes, and what they have to do with each other."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event as Flag

import pytest

from videogate.store import gathering as module
from videogate.store.database import DatabaseAway
from videogate.store.gathering import Gathering

LONG = 20.0  # seconds


class Counter:
    """Doubles numbers; while it is closed those who are served wait in their thread."""

    def __init__(self) -> None:
        self.rounds: list[list[int]] = []
        self.entered, self.open = Flag(), Flag()
        self.open.set()

    def serve(self, numbers: list[int]) -> list[object]:
        self.rounds.append(numbers)
        self.entered.set()
        assert self.open.wait(LONG)
        return [ZeroDivisionError(f"{number}") if number < 0 else 2 * number for number in numbers]

    @contextmanager
    def held(self) -> Iterator[Callable[[], object]]:
        """Keep whoever is served next; what is yielded waits until somebody is."""
        self.entered.clear()
        self.open.clear()
        try:
            yield lambda: self.entered.wait(LONG)
        finally:
            self.open.set()


@pytest.fixture
def counter() -> Counter:
    return Counter()


@pytest.fixture
async def gathering(counter: Counter) -> AsyncIterator[Gathering[int]]:
    """Callers of a counter, at most eight of them at a time."""
    with ThreadPoolExecutor(4) as pool:
        yield Gathering(pool, counter.serve, most=8, writes=True)


async def test_turns(gathering: Gathering[int], counter: Counter) -> None:
    """The first is served alone and at once; who comes meanwhile is served next, as many together as may be."""
    with counter.held() as begun:
        first = asyncio.create_task(gathering.ask(1, LONG))
        await asyncio.to_thread(begun)
        others = [asyncio.create_task(gathering.ask(number, LONG)) for number in range(2, 13)]
        await asyncio.sleep(0.01)

    assert await asyncio.gather(first, *others) == [2 * number for number in range(1, 13)]
    assert counter.rounds == [[1], list(range(2, 10)), [10, 11, 12]]


async def test_one_that_fails(gathering: Gathering[int], counter: Counter) -> None:
    """Who asks for something impossible learns it; the others of the same round have what they asked for."""
    outcomes = await asyncio.gather(*(gathering.ask(number, LONG) for number in (1, -1, 2)), return_exceptions=True)

    assert [str(each) for each in outcomes] == ["2", "-1", "4"]
    assert counter.rounds == [[1, -1, 2]]


async def test_one_that_goes_away(gathering: Gathering[int], counter: Counter) -> None:
    """A caller that does not wait changes nothing for the others, whether its turn has come or not."""
    with counter.held() as begun:
        first = [asyncio.create_task(gathering.ask(number, LONG)) for number in (1, 2)]
        await asyncio.to_thread(begun)
        second = [asyncio.create_task(gathering.ask(number, LONG)) for number in (3, 4)]
        await asyncio.sleep(0.01)
        for gone in (first[0], second[0]):
            gone.cancel()
        await asyncio.sleep(0.01)

    assert (await first[1], await second[1]) == (4, 8)


async def test_nobody_waits_for_ever(gathering: Gathering[int], counter: Counter) -> None:
    """Who waited too long is told whether its turn had come; one whose turn had not is not served any more."""
    with counter.held() as begun:
        calls = [asyncio.create_task(gathering.ask(1, 0.1))]
        await asyncio.to_thread(begun)
        calls.append(asyncio.create_task(gathering.ask(2, 0.1)))
        outcomes = await asyncio.gather(*calls, return_exceptions=True)

    assert [each.maybe_done for each in outcomes if isinstance(each, DatabaseAway)] == [True, False]
    await gathering.idle()
    assert counter.rounds == [[1]]


async def test_one_that_hangs(gathering: Gathering[int], counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    """A round that takes very long holds up only those who asked while it might still have been a short one."""
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    with counter.held() as begun:
        hanging = asyncio.create_task(gathering.ask(1, LONG))
        await asyncio.to_thread(begun)
        shut, counter.open = counter.open, Flag()  # the next ones do not wait for the first
        counter.open.set()
        early = asyncio.create_task(gathering.ask(2, LONG))
        await asyncio.sleep(0.1)

        assert not early.done()
        assert await gathering.ask(3, LONG) == 6
        assert await early == 4
        assert not hanging.done()
        shut.set()
    assert await hanging == 2

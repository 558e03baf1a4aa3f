"""The crash matrix in short: each point once, and each other trouble once. `make crash` runs all of it.

Two run at once: most of a cell is waiting.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from crash import rounds
from crash.cell import MODES, POINTS, Verdict, run_cell
from crash.run import AT_ONCE, Job, one

SEED = "short"
PLAN: dict[str, Job] = {
    "random kills": lambda made, folder: rounds.random_kills(made, folder, 4, SEED),
    "zombie": lambda made, folder: rounds.zombie(made, folder, "submit.sending", SEED),
    "clock jump": lambda made, folder: rounds.clock_jump(made, folder, rounds.JUMPS[0], SEED),
    "database away": lambda made, folder: rounds.database_away(made, folder, SEED),
    "disk full": lambda made, folder: rounds.disk_full(made, folder, SEED),
}
MODE_OF = {point: list(MODES)[number % len(MODES)] for number, point in enumerate(POINTS)}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Verdict]]]:
    """Everything of this file, begun: each test waits for its own."""

    def cell(point: str) -> Job:
        # The first passage: it is surely passed.
        return lambda made, folder: run_cell(made, folder, point, MODE_OF[point], f"{SEED} {point}", 1)

    root = tmp_path_factory.mktemp("cells")
    jobs = {**{point: cell(point) for point in POINTS}, **PLAN}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {name: pool.submit(one, root / name.replace(" ", "-"), name, SEED, job) for name, job in jobs.items()}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("point", POINTS)
def test_a_death_at_a_point_costs_nothing(running: dict[str, Future[Verdict]], point: str) -> None:
    """Killed there, a restarted gateway pays nothing twice, loses nothing, and keeps its word."""
    done = running[point].result()

    assert done.struck, "the point was not passed"
    assert not done.findings


@pytest.mark.parametrize("name", PLAN)
def test_a_trouble_costs_nothing(running: dict[str, Future[Verdict]], name: str) -> None:
    """Killed at random, paused past its leases, in a wrong time or without a disk: the same."""
    done = running[name].result()

    if done.skipped:
        pytest.skip(done.skipped)
    assert done.struck
    assert not done.findings

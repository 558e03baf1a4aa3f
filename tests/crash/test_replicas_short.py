"""Processes that share a PostgreSQL are killed again and again: `make crash-replicas` in short."""

from pathlib import Path

from crash.replicas import broken, compare
from crash.runs import Plan


def test_kills_of_processes_that_share_a_database_cost_nothing(tmp_path: Path) -> None:
    """Four processes, one killed every three seconds: every video completes, none is paid twice, no claim is given
    twice, and no more looks are made than a few jobs let tell.
    """
    plan = Plan(processes=4, tasks=200, rate=10.0, render=4.0, poll_interval=1.0, every=3.0, window=20.0, seed="short")

    usual, killed = compare(tmp_path / "ground", plan, reference=60)

    assert killed.kills >= 5
    assert broken(usual, killed, most_looks=1.5) == []  # of five a job, on a machine that is busy

"""Several processes on one PostgreSQL: `make crash-replicas`. One is killed every few seconds; then all is judged.

The ideal number of looks is measured, not computed: a reference run makes videos in the same way, with as many
processes and no kill, and its looks per job of each vendor count as ideal for the jobs of the run with kills. Both
begin when every model's usual time is known. Looks are counted by the simulator.

With `--stop-database N` the database is stopped for N seconds under load instead.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from threading import Event

from crash.fleet import Ground, fleet, ground, ideal, killing
from crash.load import Load
from crash.outage import outage, told, wrong_with
from crash.runs import Plan, Run, judged, rest, say, telling, warm_up

MOST_LOOKS = 1.05  # of the ideal


def compare(folder: Path, plan: Plan, reference: int) -> tuple[Run, Run]:
    """Make `reference` videos without a kill, then the plan's with kills, on one database."""
    with ground(folder, render=plan.render, poll_interval=plan.poll_interval) as place:
        warm_up(place, plan)
        say(f"{reference} videos, no kill")
        usual = run(place, replace(plan, tasks=reference, every=0.0))
        say(f"{plan.tasks} videos, a kill every {plan.every:g} s")
        return usual, run(place, plan)


def run(place: Ground, plan: Plan) -> Run:
    """Make the plan's videos while processes are killed, if so planned, and judge what is left."""
    began = time.monotonic()
    with ExitStack() as stack:
        ships = stack.enter_context(fleet(place, plan.processes, UNKNOWN_WINDOW=f"{plan.window:g}"))
        load = stack.enter_context(closing(Load(ships.urls)))
        killer = stack.enter_context(killing(ships, plan.every, plan.seed)) if plan.every else None
        with telling(place, load, plan):
            load.run(plan.tasks, plan.rate, Event())
            rest(place)
        took = time.monotonic() - began
    return judged(place, plan, load, Run(plan, took, killer.kills if killer else 0))


def excess(reference: Run, killed: Run) -> float:
    """The looks of a run, as a multiple of what they would have been without kills."""
    return killed.looked / ideal(reference.looks, killed.looks)


def table(reference: Run, killed: Run) -> str:
    """The figures of both runs."""
    every = f"one every {killed.plan.every:g} s"
    rows = [
        ("processes", *(f"{each.plan.processes}" for each in (reference, killed))),
        ("killed with `kill -9`, and replaced", "0", f"{killed.kills}, {every}"),
        ("videos asked for, and promised", *(f"{each.acked:,}" for each in (reference, killed))),
        ("tries repeated by callers", *(f"{each.repeated:,}" for each in (reference, killed))),
        ("completed", *(f"{each.ended['succeeded']:,}" for each in (reference, killed))),
        (
            "ended as not known or not received: killed in the midst of a submit",
            *(f"{each.ended['failed']}" for each in (reference, killed)),
        ),
        ("jobs paid", *(f"{each.paid:,}" for each in (reference, killed))),
        ("**paid twice, lost or missing**", *(f"**{each.bad}**" for each in (reference, killed))),
        ("claims audited", *(f"{each.claims:,}" for each in (reference, killed))),
        ("**the same task and fence twice**", *(f"**{each.twice}**" for each in (reference, killed))),
        ("looks", *(f"{each.looked:,}" for each in (reference, killed))),
        ("looks for each job", *(f"{each.looked / max(1, each.paid):.2f}" for each in (reference, killed))),
        ("**looks above ideal**", "(ideal)", f"**{100 * (excess(reference, killed) - 1):+.1f} %**"),
        ("minutes", *(f"{each.seconds / 60:.1f}" for each in (reference, killed))),
    ]
    return "\n".join(["| | without kills | with kills |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; the exit code."""
    parser = argparse.ArgumentParser(prog="make crash-replicas", description="Kill processes that share a PostgreSQL.")
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--tasks", type=int, default=5_000)
    parser.add_argument("--reference", type=int, default=1_000, help="videos of the run without kills")
    parser.add_argument("--rate", type=float, default=7.0, help="videos asked for in a second")
    parser.add_argument("--every", type=float, default=5.0, help="seconds between kills")
    parser.add_argument("--render", type=float, default=60.0, help="seconds that a job takes")
    parser.add_argument("--poll", type=float, default=3.0, help="the poll interval, in seconds")
    parser.add_argument("--stop-database", type=float, metavar="N", help="stop PostgreSQL for N seconds instead")
    parser.add_argument("--seed", default="1", help="the same seed draws the same processes")
    given = parser.parse_args(arguments)
    every = 0.0 if given.stop_database else given.every
    plan = Plan(given.processes, given.tasks, given.rate, given.render, given.poll, every, seed=given.seed)
    random.seed(given.seed)
    root = Path(tempfile.mkdtemp(prefix="videogate-replicas-"))
    wrong = _stopped(root, plan, given.stop_database) if given.stop_database else _killed(root, plan, given.reference)
    say("\n".join(wrong) + f"\nfiles in {root}" if wrong else "")
    if not wrong:
        shutil.rmtree(root)
    return int(bool(wrong))


def _killed(root: Path, plan: Plan, reference: int) -> list[str]:
    usual, killed = compare(root / "ground", plan, reference)
    say(f"{table(usual, killed)}\n\nIdeal: the looks per job of the run without kills, for each vendor's jobs.")
    return broken(usual, killed)


def broken(usual: Run, killed: Run, most_looks: float = MOST_LOOKS) -> list[str]:
    """Which limits the runs broke."""
    wrong = [f"{each.kind}: {each.what}" for each in (*usual.findings, *killed.findings)]
    more = excess(usual, killed)
    return [*wrong, *([f"{more:.3f} of the ideal looks, more than {most_looks}"] if more > most_looks else [])]


def _stopped(root: Path, plan: Plan, seconds: float) -> list[str]:
    found = outage(root / "ground", plan, seconds)
    say(told(found, seconds))
    return wrong_with(found)


if __name__ == "__main__":
    sys.exit(main())

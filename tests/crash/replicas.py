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
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event, Thread

from crash.cell import MODELS
from crash.fleet import TWICE, Ground, fleet, ground, ideal, killing, looks_per_job
from crash.judge import Finding, Kind, judge
from crash.load import MIX, Load
from videogate.store.postgres import ANSWER_SECONDS

WARM = 4  # videos of each vendor, before it is counted: then its usual time is known
MOST_LOOKS = 1.05  # of the ideal
RECOVERY = 10.0  # seconds from the database's return to the last answer that is no success
PATIENCE = 900.0  # seconds for the last tasks to end
REPORT = 15.0  # seconds between lines


@dataclass(frozen=True)
class Plan:
    """What a run is like; times in seconds. `rate`: videos asked for in a second. `every`: between kills, 0: none."""

    processes: int
    tasks: int
    rate: float
    render: float
    poll_interval: float
    every: float = 0.0
    window: float = 60.0
    seed: str = "1"


@dataclass
class Run:
    """What came of a run."""

    plan: Plan
    seconds: float = 0.0
    kills: int = 0
    acked: int = 0
    repeated: int = 0
    paid: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    claims: int = 0
    twice: int = 0
    looks: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    findings: Sequence[Finding] = ()

    @property
    def looked(self) -> int:
        """Looks in all."""
        return sum(looks for _, looks in self.looks.values())


def compare(folder: Path, plan: Plan, reference: int) -> tuple[Run, Run]:
    """Make `reference` videos without a kill, then the plan's with kills, on one database."""
    with ground(folder, render=plan.render, poll_interval=plan.poll_interval) as place:
        warm_up(place, plan)
        _say(f"{reference} videos, no kill")
        usual = run(place, replace(plan, tasks=reference, every=0.0))
        _say(f"{plan.tasks} videos, a kill every {plan.every:g} s")
        return usual, run(place, plan)


def run(place: Ground, plan: Plan) -> Run:
    """Make the plan's videos while processes are killed, if so planned, and judge what is left."""
    began = time.monotonic()
    with ExitStack() as stack:
        ships = stack.enter_context(fleet(place, plan.processes, UNKNOWN_WINDOW=f"{plan.window:g}"))
        load = stack.enter_context(closing(Load(ships.urls)))
        killer = stack.enter_context(killing(ships, plan.every, plan.seed)) if plan.every else None
        with _telling(place, load, plan):
            load.run(plan.tasks, plan.rate, Event())
            _rest(place, PATIENCE)
        took = time.monotonic() - began
    return _judged(place, plan, load, Run(plan, took, killer.kills if killer else 0))


def warm_up(place: Ground, plan: Plan) -> None:
    """Make a few videos with each vendor, closely looked at, so that it is known how long they take."""
    quick = {f"{vendor.upper()}_POLL_INTERVAL": f"{plan.render / 100:g}" for vendor in MODELS}
    with fleet(place, 1, **quick) as ships, closing(Load(ships.urls)) as load:
        load.run(WARM * len(MIX), 50.0, Event())
        _rest(place, PATIENCE)


def _rest(place: Ground, seconds: float) -> None:
    until = time.monotonic() + seconds
    while place.moving() and time.monotonic() < until:
        time.sleep(1.0)


@contextmanager
def _telling(place: Ground, load: Load, plan: Plan) -> Iterator[None]:
    """Say how far it is, now and then."""
    over, began = Event(), time.monotonic()

    def tell() -> None:
        while not over.wait(REPORT):
            _say(f"{time.monotonic() - began:5.0f} s: {len(load.acked)} of {plan.tasks} taken, {place.moving()} open")

    thread = Thread(target=tell)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _judged(place: Ground, plan: Plan, load: Load, done: Run) -> Run:
    books = place.books(load.prefix)
    # A lost submit among others that are still lost is given to a person sooner here than after the usual half hour.
    found = [each for each in judge(books, load.acked) if each.kind is not Kind.FLAGGED]
    found += _audit(place)
    if load.unanswered or len(set(load.acked)) != plan.tasks:
        found.append(Finding(Kind.ANSWER, f"{plan.tasks} videos were asked for, {len(set(load.acked))} promised"))
    found += [
        Finding(Kind.ANSWER, f"{each.what}: {each.status}") for each in load.answers if not _kept_word(each, plan)
    ]
    done.acked, done.paid = len(load.acked), len(books.paid)
    done.repeated = sum(each.what == "create" for each in load.answers) - len(load.acked)
    done.ended = Counter(task["state"] for task in books.tasks)
    done.claims = place.claims(load.prefix)
    done.twice = len(place.ask(TWICE))
    done.looks = looks_per_job(books, place.looks())
    done.findings = found
    return done


def _kept_word(answer: object, plan: Plan) -> bool:
    status, honest = getattr(answer, "status", 0), getattr(answer, "honest", False)
    return honest or (status == 0 and plan.every > 0)  # a process that was killed answers nobody


def _audit(place: Ground) -> list[Finding]:
    return [
        Finding(Kind.MIXED, f"{task} was claimed {many} times as {fence}") for task, fence, many in place.ask(TWICE)
    ]


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
        ("**paid twice, lost or missing**", *(f"**{_bad(each)}**" for each in (reference, killed))),
        ("claims audited", *(f"{each.claims:,}" for each in (reference, killed))),
        ("**the same task and fence twice**", *(f"**{each.twice}**" for each in (reference, killed))),
        ("looks", *(f"{each.looked:,}" for each in (reference, killed))),
        ("looks for each job", *(f"{each.looked / max(1, each.paid):.2f}" for each in (reference, killed))),
        ("**looks above ideal**", "(ideal)", f"**{100 * (excess(reference, killed) - 1):+.1f} %**"),
        ("minutes", *(f"{each.seconds / 60:.1f}" for each in (reference, killed))),
    ]
    return "\n".join(["| | without kills | with kills |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)])


def _bad(done: Run) -> int:
    return sum(each.kind in {Kind.DOUBLE, Kind.LOST, Kind.MISSING} for each in done.findings)


@dataclass
class Outage:
    """What came of a stop of the database.

    Attributes:
        during: answers while it was away, by what was asked and the status.
        slowest: the longest that anybody waited for an answer, in seconds.
        recovery: from its return to the last answer that was no success, in seconds.
        sending: from its return to the next job that a vendor accepted, in seconds.
    """

    during: Counter[tuple[str, int]]
    slowest: float
    recovery: float
    sending: float
    run: Run


def outage(folder: Path, plan: Plan, seconds: float) -> Outage:
    """Stop the database for some seconds under load, and judge what is left."""
    with ground(folder, render=plan.render, poll_interval=plan.poll_interval) as place:
        began = time.monotonic()
        with (
            fleet(place, plan.processes, UNKNOWN_WINDOW=f"{plan.window:g}") as ships,
            closing(Load(ships.urls)) as load,
        ):
            over = Event()
            with load.reading(plan.rate), _telling(place, load, plan):
                asking = Thread(target=load.run, args=(plan.tasks, plan.rate, over))
                asking.start()
                time.sleep(min(plan.render, plan.tasks / plan.rate / 3))
                away = time.monotonic()
                place.server.stop()
                time.sleep(seconds)
                place.server.start()
                back, back_at = time.monotonic(), time.time()
                asking.join()
                _rest(place, PATIENCE)
        done = _judged(place, plan, load, Run(plan, time.monotonic() - began))
        later = [line["at"] for line in place.books(load.prefix).paid if line["at"] > back_at]
    refused = [each.ended for each in load.answers if each.status >= 500 or not each.status]
    return Outage(
        Counter((each.what, each.status) for each in load.answers if away < each.ended and each.began < back),
        max(each.ended - each.began for each in load.answers),
        max(0.0, max(refused, default=back) - back),
        min(later, default=back_at + PATIENCE) - back_at,
        done,
    )


def told(found: Outage, seconds: float) -> str:
    """The figures of a stop."""
    during = ", ".join(f"{what} {status}: {many}" for (what, status), many in sorted(found.during.items()))
    rows = [
        ("processes", f"{found.run.plan.processes}"),
        ("PostgreSQL stopped for", f"{seconds:g} s"),
        ("videos asked for, and promised", f"{found.run.acked:,}"),
        ("completed", f"{found.run.ended['succeeded']:,}"),
        ("**falsely failed**", f"**{found.run.ended['failed']}**"),
        ("**paid twice, lost or missing**", f"**{_bad(found.run)}**"),
        ("answers meanwhile", during),
        ("slowest answer", f"{found.slowest:.1f} s"),
        ("last answer that was no success, after its return", f"{found.recovery:.1f} s"),
        ("next job accepted by a vendor, after its return", f"{found.sending:.1f} s"),
    ]
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def wrong_with(found: Outage) -> list[str]:
    """Which limits a stop broke."""
    wrong = [f"{each.kind}: {each.what}" for each in found.run.findings]
    if failed := found.run.ended["failed"]:
        wrong.append(f"{failed} tasks failed, though no process died")
    if found.recovery > RECOVERY or found.sending > RECOVERY:
        wrong.append(f"it took {max(found.recovery, found.sending):.1f} s to recover, more than {RECOVERY:g}")
    if found.slowest > ANSWER_SECONDS + 1:
        wrong.append(f"an answer took {found.slowest:.1f} s")
    return wrong


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
    _say("\n".join(wrong) + f"\nfiles in {root}" if wrong else "")
    if not wrong:
        shutil.rmtree(root)
    return int(bool(wrong))


def _killed(root: Path, plan: Plan, reference: int) -> list[str]:
    usual, killed = compare(root / "ground", plan, reference)
    _say(f"{table(usual, killed)}\n\nIdeal: the looks per job of the run without kills, for each vendor's jobs.")
    return broken(usual, killed)


def broken(usual: Run, killed: Run, most_looks: float = MOST_LOOKS) -> list[str]:
    """Which limits the runs broke."""
    wrong = [f"{each.kind}: {each.what}" for each in (*usual.findings, *killed.findings)]
    more = excess(usual, killed)
    return [*wrong, *([f"{more:.3f} of the ideal looks, more than {most_looks}"] if more > most_looks else [])]


def _stopped(root: Path, plan: Plan, seconds: float) -> list[str]:
    found = outage(root / "ground", plan, seconds)
    _say(told(found, seconds))
    return wrong_with(found)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

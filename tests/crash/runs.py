"""A run of several processes on one PostgreSQL: its plan, its course, its figures."""

import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Thread

import psycopg

from crash.cell import MODELS
from crash.fleet import TWICE, Ground, fleet, looks_per_job
from crash.judge import Finding, Kind, judge
from crash.load import MIX, Answer, Load

WARM = 4  # videos of each vendor, at least, before anything counts: then its usual time is known
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

    @property
    def bad(self) -> int:
        """Jobs paid twice or lost, and ids that are missing."""
        return sum(each.kind in {Kind.DOUBLE, Kind.LOST, Kind.MISSING} for each in self.findings)


def warm_up(place: Ground, plan: Plan) -> None:
    """Make a few videos with each vendor, closely looked at, so that it is known how long they take."""
    quick = {f"{vendor.upper()}_POLL_INTERVAL": f"{plan.render / 100:g}" for vendor in MODELS}
    with fleet(place, 1, **quick) as ships, closing(Load(ships.urls)) as load:
        load.run(WARM * len(MIX), 50.0, Event())
        rest(place)


def rest(place: Ground) -> None:
    """Wait until everything has ended, as long as that can take."""
    until = time.monotonic() + PATIENCE
    while place.moving() and time.monotonic() < until:
        time.sleep(1.0)


@contextmanager
def telling(place: Ground, load: Load, plan: Plan) -> Iterator[None]:
    """Say how far it is, now and then."""
    over, began = Event(), time.monotonic()

    def tell() -> None:
        while not over.wait(REPORT):
            with suppress(psycopg.OperationalError):  # the database may be stopped just now
                still = place.moving()
                say(f"{time.monotonic() - began:5.0f} s: {len(load.acked)} of {plan.tasks} taken, {still} open")

    thread = Thread(target=tell)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def judged(place: Ground, plan: Plan, load: Load, done: Run) -> Run:
    """The figures of a run that has come to rest, and what is wrong."""
    books = place.books(load.prefix)
    # A lost submit among others that are still lost is given to a person sooner here than after the usual half hour.
    found = [each for each in judge(books, load.acked) if each.kind is not Kind.FLAGGED]
    found += _audit(place)
    if load.unanswered or len(set(load.acked)) != plan.tasks:
        found.append(Finding(Kind.ANSWER, f"{plan.tasks} videos were asked for, {len(set(load.acked))} promised"))
    found += [Finding(Kind.ANSWER, f"{each.what}: {each.status}") for each in load.answers if not _honest(each, plan)]
    done.acked, done.paid = len(load.acked), len(books.paid)
    done.repeated = sum(each.what == "create" for each in load.answers) - len(load.acked)
    done.ended = Counter(task["state"] for task in books.tasks)
    done.claims = place.claims(load.prefix)
    done.twice = len(place.ask(TWICE))
    done.looks = looks_per_job(books, place.looks())
    done.findings = found
    return done


def _honest(answer: Answer, plan: Plan) -> bool:
    """A process that was killed answers nobody."""
    return answer.honest or (not answer.status and plan.every > 0)


def _audit(place: Ground) -> list[Finding]:
    return [
        Finding(Kind.MIXED, f"{task} was claimed {many} times as {fence}") for task, fence, many in place.ask(TWICE)
    ]


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()

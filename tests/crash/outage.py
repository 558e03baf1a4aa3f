"""PostgreSQL is stopped for a while under several processes and their callers."""

import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from crash.fleet import fleet, ground
from crash.load import Load
from crash.runs import PATIENCE, Plan, Run, judged, rest, telling
from videogate.store.postgres import ANSWER_SECONDS

RECOVERY = 10.0  # seconds from the order to start the database to the last answer that is no success


@dataclass
class Outage:
    """What came of a stop of the database.

    Attributes:
        during: answers while it was away, by what was asked and the status.
        slowest: the longest that anybody waited for an answer, in seconds.
        recovery: from the order to start it to the last answer that was no success, in seconds.
        sending: from the order to start it to the next job that a vendor accepted, in seconds.
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
            with load.reading(plan.rate), telling(place, load, plan):
                asking = Thread(target=load.run, args=(plan.tasks, plan.rate, over))
                asking.start()
                time.sleep(min(plan.render, plan.tasks / plan.rate / 3))
                away = time.monotonic()
                place.server.stop()
                time.sleep(seconds)
                back, back_at = time.monotonic(), time.time()
                place.server.start()
                asking.join()
                rest(place)
        done = judged(place, plan, load, Run(plan, time.monotonic() - began))
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
        ("**paid twice, lost or missing**", f"**{found.run.bad}**"),
        ("answers meanwhile", during),
        ("slowest answer", f"{found.slowest:.1f} s"),
        ("last answer that was no success, after the order to start it", f"{found.recovery:.1f} s"),
        ("next job accepted by a vendor, after the order to start it", f"{found.sending:.1f} s"),
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

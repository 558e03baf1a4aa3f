"""A gateway on SQLite is killed with its hands full, moved to PostgreSQL, and judged: `make crash-copy`.

When it is killed tasks are in every state: some wait for a free slot, some are being sent and hang, some were sent and
their answers lost, some run, some are being fetched, some are done.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from threading import Event

from crash import armed
from crash.armed import Strike
from crash.cell import MODELS, Vendors
from crash.fleet import TWICE, ground
from crash.judge import ENDED, Finding, Kind, ambiguous, judge, rows
from crash.load import MIX, Load
from crash.runs import rest, say
from forked import Server, run_videogate

RENDER = 8.0  # seconds that a job takes
GROUP = 2 * len(MIX)  # videos that are done, and likewise such that are being fetched, when the others are asked for
WAIT = 60.0  # seconds for a state to be reached
# What becomes of some submits: vendor, fault, how many in a hundred of its own.
LOST = (
    ("kling", "hang", 5),
    ("kling", "drop_after", 5),
    ("wanxiang", "drop_after", 5),
    ("sora", "drop_after", 5),
    ("jimeng", "drop_after", 2),
    ("vidu", "error_after", 5),
)


@dataclass
class Move:
    """What came of a move.

    Attributes:
        states: of how many tasks and attempts the old gateway left which state.
        asked, paid: videos promised, jobs made.
        copying, resting: seconds that the copy took, and all the rest to end after it.
        words: what the command said.
        ended: of how many tasks what came.
        findings: what is wrong.
    """

    states: Counter[str] = field(default_factory=Counter)
    asked: int = 0
    paid: int = 0
    copying: float = 0.0
    resting: float = 0.0
    words: str = ""
    ended: Counter[str] = field(default_factory=Counter)
    findings: Sequence[Finding] = ()

    @property
    def in_flight(self) -> int:
        """How many tasks had not ended when the old gateway died."""
        return sum(many for state, many in self.states.items() if state.startswith("task ")) - sum(
            self.states[f"task {state}"] for state in ENDED
        )


def run(folder: Path, many: int, *, render: float = RENDER, patient: bool = True) -> Move:
    """Have so many videos in flight, kill the gateway, move it, and judge what is left when all has come to rest.

    A job takes `render` seconds. Without `patient` bounds and searches are shortened.
    """
    strike = Strike(patient=patient)
    prefix, data = f"move-{token_hex(4)} ", folder / "data"
    quick = {f"{vendor.upper()}_SUBMITS_PER_SECOND": "100" for vendor in MODELS}
    with ground(folder, render=render, poll_interval=0.2) as place:
        faults = Vendors(place.vendors, place.ledger)
        full = {"VIDU_MAX_JOBS": f"{max(2, many // 20)}"}
        old = place.variables(folder, DATABASE_URL="", MEDIA_URL="", **quick, **full)
        new = place.variables(folder, UNKNOWN_WINDOW="30", **quick)
        with armed.gateway(folder, old, strike) as server:
            acked = _asked(server, f"{prefix}done ", GROUP)
            _wait(data, "task succeeded", GROUP)
            for vendor in MODELS:
                faults.fault(vendor, op="result", mode="slow", delay=60, times=None)
            acked += _asked(server, f"{prefix}fetching ", GROUP)
            _wait(data, "task fetching", GROUP // 2)
            for vendor, mode, of_a_hundred in LOST:
                faults.fault(vendor, op="submit", mode=mode, times=max(1, of_a_hundred * many // 500))
            acked += _asked(server, f"{prefix}then ", many)
            _wait(data, "attempt accepted", many // 2)
            server.kill()
        faults.clear()
        done = Move(_left(data), len(acked))
        unclear = ambiguous(data)
        began = time.monotonic()
        done.words = copied(folder, new)
        done.copying = time.monotonic() - began
        with armed.gateway(folder, new, strike):
            rest(place)
        done.resting = time.monotonic() - began - done.copying
        books = place.books(prefix)
        done.paid, done.ended = len(books.paid), Counter(task["state"] for task in books.tasks)
        twice = [Finding(Kind.MIXED, f"{task} was claimed twice as {fence}") for task, fence, _ in place.ask(TWICE)]
        done.findings = [*judge(books, acked, unclear=unclear), *twice]
    return done


def copied(folder: Path, variables: Mapping[str, str]) -> str:
    """Run `videogate db copy`; what it says."""
    answer = run_videogate("db", "copy", folder=folder, variables=variables)
    if answer.returncode:
        raise RuntimeError(answer.stderr)
    return answer.stdout


def _asked(server: Server, prefix: str, many: int) -> list[str]:
    """Ask for videos, as fast as they are promised. Their ids."""
    with closing(Load(lambda: [server.url], prefix)) as load:
        load.run(many, 1000.0, Event())
        return load.acked


def _wait(data: Path, state: str, many: int) -> None:
    until = time.monotonic() + WAIT
    while _left(data)[state] < many:
        if time.monotonic() > until:
            raise RuntimeError(f"too few are {state}: {_left(data)}")
        time.sleep(0.2)


def _left(data: Path) -> Counter[str]:
    return Counter(f"{table} {row['state']}" for table in ("task", "attempt") for row in rows(data, table))


def table(done: Move) -> str:
    """The figures of a run."""
    lines = [
        ("videos promised", f"{done.asked:,}"),
        ("in flight when it was killed", f"{done.in_flight:,}"),
        *((f"- {state}", f"{many:,}") for state, many in sorted(done.states.items())),
        ("seconds of the copy", f"{done.copying:.1f}"),
        ("seconds until all had ended", f"{done.resting:.1f}"),
        ("completed", f"{done.ended['succeeded']:,}"),
        ("ended as not known or not received", f"{done.ended['failed']:,}"),
        ("jobs paid", f"{done.paid:,}"),
        ("**wrong: paid twice, lost, missing, unsettled**", f"**{len(done.findings)}**"),
    ]
    return "\n".join(["| | |", "|---|---|", *(f"| {' | '.join(line)} |" for line in lines)])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; the exit code."""
    parser = argparse.ArgumentParser(prog="make crash-copy", description="Kill a gateway on SQLite and move it.")
    parser.add_argument("--tasks", type=int, default=1_000, help="videos in flight")
    given = parser.parse_args(arguments)
    root = Path(tempfile.mkdtemp(prefix="videogate-move-"))
    done = run(root / "ground", given.tasks)
    say(f"{table(done)}\n\n{done.words}")
    if done.findings:
        say("\n".join(f"{each.kind}: {each.what}" for each in done.findings) + f"\nfiles in {root}")
        return 1
    shutil.rmtree(root)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The crash matrix in full: `make crash`. Every point with every behaviour of the vendors, and random troubles.

Exits with 1 and the evidence if a video was paid twice, a paid one lost, an acknowledged one missing, or worse.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any

from crash import rounds
from crash.cell import MODES, POINTS, Vendors, Verdict, run_cell, vendors
from crash.judge import Finding, Kind

AT_ONCE = 2
EACH_ROUND = 25  # random kills of one gateway's data, before it is judged
LINES = ((Kind.DOUBLE, "double payments"), (Kind.LOST, "lost"), (Kind.MISSING, "acknowledged but missing"))

Job = Callable[[Vendors, Path], Verdict]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; the exit code."""
    parser = argparse.ArgumentParser(
        prog="make crash", description="Kill the gateway everywhere and judge what is left."
    )
    parser.add_argument("--loops", type=int, default=1, help="how often the whole matrix and the other rounds are run")
    parser.add_argument("--kills", type=int, default=50, help="random kills under load, in all")
    parser.add_argument("--only", default="", help="only cells and rounds whose name holds this text")
    parser.add_argument("--seed", default="1", help="the same seed draws the same moments")
    parser.add_argument("--report", type=Path, help="write the figures to this file, as JSON")
    given = parser.parse_args(arguments)
    wanted = [(name, seed, job) for name, seed, job in plan(given.loops, given.kills, given.seed) if given.only in name]
    began = time.monotonic()
    verdicts = list(carry_out(wanted))
    figures = summary(verdicts, given.loops, time.monotonic() - began)
    sys.stdout.write("".join(f"{name}: {value}\n" for name, value in figures.items()))
    if given.report:
        cells = [asdict(each) for each in verdicts]
        given.report.write_text(json.dumps({**figures, "seed": given.seed, "cells": cells}, indent=1), "utf-8")
    return int(any(each.findings for each in verdicts) or not verdicts)


def plan(loops: int, kills: int, seed: str) -> Iterator[tuple[str, str, Job]]:
    """Everything there is to run: a name, a seed, and what runs it."""
    for loop in range(loops):
        for point in POINTS:
            for mode in MODES:
                name = f"{point} / {mode}"
                yield name, (own := f"{seed}/{loop}/{name}"), _cell(point, mode, own)
        for each in rounds.PAUSED:
            yield f"zombie at {each}", (own := f"{seed}/{loop}/{each}"), _round(rounds.zombie, each, own)
        for jump in rounds.JUMPS:
            yield f"clock {jump:+.0f} s", (own := f"{seed}/{loop}/{jump}"), _round(rounds.clock_jump, jump, own)
        for trouble in (rounds.database_away, rounds.disk_full, rounds.read_only):
            name = trouble.__name__.replace("_", " ")
            yield name, (own := f"{seed}/{loop}/{name}"), _round(trouble, own)
    for first in range(0, kills, EACH_ROUND):
        number = min(EACH_ROUND, kills - first)
        yield f"{number} random kills", (own := f"{seed}/{first}"), _round(rounds.random_kills, number, own)


def _cell(point: str, mode: str, seed: str) -> Job:
    return lambda made, folder: run_cell(made, folder, point, mode, seed)


def _round(job: Callable[..., Verdict], *more: Any) -> Job:
    return lambda made, folder: job(made, folder, *more)


def carry_out(wanted: Sequence[tuple[str, str, Job]]) -> Iterator[Verdict]:
    """Run them, some at once; print a line for each. What went well leaves no files."""
    root = Path(tempfile.mkdtemp(prefix="videogate-crash-"))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        running = [pool.submit(one, root / str(number), *each) for number, each in enumerate(wanted)]
        for number, future in enumerate(as_completed(running), 1):
            done = future.result()
            sys.stdout.write(f"{number}/{len(wanted)} {line(done)}\n")
            sys.stdout.flush()
            if not done.findings:
                shutil.rmtree(done.folder or root / "none", ignore_errors=True)
            yield done


def one(folder: Path, name: str, seed: str, job: Job) -> Verdict:
    """Run one, with vendors of its own."""
    folder.mkdir()
    try:
        with vendors(folder) as made:
            return job(made, folder)
    except Exception as error:  # noqa: BLE001 (one broken cell is a finding, not the end of the run)
        found = Finding(Kind.ANSWER, f"{type(error).__name__}: {error}")
        return Verdict(name, seed, findings=[found], folder=str(folder))


def line(done: Verdict) -> str:
    """A cell in one line; its evidence below, if anything is wrong."""
    if done.skipped:
        return f"skip  {done.name}: {done.skipped}"
    head = f"{'FAULT' if done.findings else 'ok   '} {done.name:<32} {'struck' if done.struck else 'not passed':<10}"
    head += f" acked {done.acked:>4}  paid {done.paid:>4}  {done.seconds:5.1f} s"
    evidence = [f"      {each.kind}: {each.what}" for each in done.findings]
    where = [f"      seed {done.seed}, files in {done.folder}"] if done.findings else []
    return "\n".join([head, *evidence, *where])


def summary(verdicts: Sequence[Verdict], loops: int, seconds: float) -> dict[str, Any]:
    """The figures of a run."""
    counted = Counter(each.kind for done in verdicts for each in done.findings)
    known = {kind for kind, _ in LINES} | {Kind.FILE}
    done = [each for each in verdicts if not each.skipped]
    return {
        "faults survived": sum(each.faults for each in done if not each.findings),
        "of them where they were armed": sum(bool(each.struck) for each in done if not each.findings),
        "loops run": loops,
        "videos acknowledged": sum(each.acked for each in done),
        "jobs paid": sum(each.paid for each in done),
        **{name: counted[kind] for kind, name in LINES},
        "files that do not verify": counted[Kind.FILE],
        "other faults": sum(count for kind, count in counted.items() if kind not in known),
        "skipped": len(verdicts) - len(done),
        "minutes": round(seconds / 60, 1),
    }


if __name__ == "__main__":
    sys.exit(main())

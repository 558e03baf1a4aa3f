"""The tables of `make bench`, and which aims were missed."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import programs
import tables
from calls import KINDS

FLOOR, LITELLM, VENDOR, SQLITE, POSTGRES = "floor", "LiteLLM", "the vendor itself", "us, SQLite", "us, PostgreSQL"
RATIO_AIMS = {  # what of ours, in parts of whose, at least
    ("retrieve", FLOOR): 0.6,
    ("retrieve", LITELLM): 20.0,
    ("create", FLOOR): 0.35,
    ("create", LITELLM): 8.0,
}
START_AIM, MEMORY_AIM = 2.0, 120.0  # seconds, MiB
INSTALLED = {
    SQLITE: ("videogate",),
    POSTGRES: ("videogate[postgres]",),
    FLOOR: ("fastapi", "uvicorn", "uvloop", "httptools", "python-multipart"),
}
GOOD = {"200", "201"}
Rounds = Sequence[dict[str, Any]]


@dataclass
class Findings:
    """What a run found.

    Attributes:
        ours: the names of the programs that are us.
        rounds: of each kind of call, and of "carried", what each program did in each round.
        ceiling: what the load generator did against the trivial server, by kind of call.
        started: seconds of each start. idle: MiB of memory.
    """

    ours: tuple[str, ...]
    rounds: dict[str, dict[str, list[dict[str, Any]]]] = field(default_factory=dict)
    ceiling: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    started: dict[str, list[float]] = field(default_factory=dict)
    idle: dict[str, float] = field(default_factory=dict)


def middle(rounds: Rounds, what: str) -> float:
    """The median of the rounds."""
    return statistics.median(float(each[what] or 0.0) for each in rounds)


def report(found: Findings, how: str) -> bool:
    """Print the tables. Whether every aim was met."""
    tables.heading(how)
    missed = list(_calls(found))
    _carried(found)
    missed += _programs(found)
    print("".join(f"\nMISSED: {each}" for each in missed))
    return not missed


def _calls(found: Findings) -> Iterator[str]:
    print("| calls a second | program | median (rounds) | p50, ms | p99, ms | of the floor | of LiteLLM |", end="")
    print(" CPU, ms a call (times the floor's) |\n|---|---|---|---|---|---|---|---|")
    for kind in (each.name for each in KINDS):
        for name, rounds in found.rounds[kind].items():
            bad = sorted({status for each in rounds for status in each["statuses"]} - GOOD)
            if name in found.ours and bad:
                yield f"{kind} of {name} had answers {bad}"
            if not _served(rounds):
                print(f"| {kind} | {name} | answers {', '.join(bad)} | | | | | |")
                continue
            of = _ratios(found.rounds[kind], name, "rate")
            times = f"{middle(rounds, 'p50'):.1f} | {middle(rounds, 'p99'):.1f}"
            ratios = " | ".join(f"{of[other]:.2f}" if other in of else "" for other in (FLOOR, LITELLM))
            cpu = f"{middle(rounds, 'cpu'):.2f} ({_ratios(found.rounds[kind], name, 'cpu')[FLOOR]:.1f})"
            also = f", also answers {', '.join(bad)}" if bad else ""
            print(f"| {kind} | {name} | {_rates(rounds)}{also} | {times} | {ratios} | {cpu} |")
            for other, ratio in of.items() if name in found.ours else ():
                if ratio < (aim := RATIO_AIMS.get((kind, other), 0.0)):
                    yield f"{kind} of {name}: {ratio:.2f} of {other}, not {aim}"
    _databases(found)
    get, create = (f"{middle(found.ceiling[kind], 'rate'):.0f}" for kind in ("retrieve", "create"))
    print("\nAgainst a server that does next to nothing, ", end="")
    print(f"the load generator sent {get} retrieves and {create} creates a second.")


def _databases(found: Findings) -> None:
    costs = {kind: by[POSTGRES] for kind, by in found.rounds.items() if POSTGRES in by}
    if costs:
        each = ", ".join(f"{kind} {middle(rounds, 'database cpu'):.2f}" for kind, rounds in costs.items())
        print(f"\nPostgreSQL's own processes took besides, CPU in ms a call: {each}.")


def _carried(found: Findings) -> None:
    print("\n| videos carried to the vendor | a second, median (rounds) | of LiteLLM | CPU, ms a video |")
    print("|---|---|---|---|")
    carried = found.rounds["carried"]
    for name, rounds in carried.items():
        ratio = _ratios(carried, name, "rate").get(LITELLM)
        shown = "" if ratio is None else f"{ratio:.2f}"
        print(f"| {name} | {_rates(rounds)} | {shown} | {middle(rounds, 'cpu'):.2f} |")


def _programs(found: Findings) -> Iterator[str]:
    print("\n| program | start to ready, s | idle memory, MiB | installed, MiB |\n|---|---|---|---|")
    for name, starts in found.started.items():
        began, idle = statistics.median(starts), found.idle[name]
        size = programs.folder_size(programs.ENVIRONMENT / "lib") if name == LITELLM else None
        size = programs.installed_size(*INSTALLED[name]) if size is None else size
        print(f"| {name} | {began:.2f} | {idle:.0f} | {size:.0f} |")
        if name in found.ours:
            yield from [f"{name} starts in {began:.2f} s"] if began >= START_AIM else []
            yield from [f"{name} takes {idle:.0f} MiB idle"] if idle >= MEMORY_AIM else []


def _rates(rounds: Rounds) -> str:
    single = ", ".join(f"{each['rate']:.0f}" for each in rounds)
    return f"{middle(rounds, 'rate'):.0f} ({single})"


def _served(rounds: Rounds) -> bool:
    """Whether there was any good answer."""
    return any(GOOD & set(each["statuses"]) for each in rounds)


def _ratios(programs_rounds: dict[str, list[dict[str, Any]]], name: str, what: str) -> dict[str, float]:
    """A program's figure in parts of the floor's and of LiteLLM's, where they are there."""
    mine = middle(programs_rounds[name], what)
    others = (other for other in (FLOOR, LITELLM) if _served(programs_rounds.get(other, ())))
    return {other: mine / max(middle(programs_rounds[other], what), 1e-9) for other in others}

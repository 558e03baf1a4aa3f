"""Measures us beside a floor and LiteLLM, on one simulator in one run: `make bench`.

(a) the floor, a bare FastAPI app that answers constants; (b) LiteLLM's proxy; (c) us on SQLite; (d) us on PostgreSQL;
and (e) the simulated vendor, asked directly, to see that it bounds nobody. The programs are asked in turns, round
after round, since the machine is shared: medians are given with the single rounds, and the ratios of one run are what
to quote. Ends with an error if an aim is missed.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import programs
from calls import CREATE, KINDS, LIST, RETRIEVE, Kind, fetch, finished, load
from carried import LIFTED, carry
from programs import Program
from report import FLOOR, LITELLM, POSTGRES, SQLITE, VENDOR, Findings, report

from postgres import PostgresServer, ask
from videogate import simulator
from videogate.cli.children import child

STARTS = 3  # of each program but LiteLLM, before anything else is asked of the machine
QUICK = ("--port", "0", "--render-seconds", "0.2", "--queue-seconds", "0", "--no-rate-limits")
SOON = {"VIDEOGATE_SORA_POLL_INTERVAL": "0.2"}  # else a video is finished after half a minute


class Bench:
    """One run: the programs that stay up to be read, by name, and what was found."""

    def __init__(self, stack: ExitStack, folder: Path, given: argparse.Namespace) -> None:
        self.stack = stack
        self.folder = folder
        self.given = given
        self.vendors = stack.enter_context(child(["videogate.simulator", *QUICK], folder=folder, variables={}))
        self.upstream = dict(simulator.environment(self.vendors.url))
        self.stores = {SQLITE: ""}
        self.server: Program | None = None  # PostgreSQL itself
        if not given.without_postgres:
            self.postgres = PostgresServer()
            stack.callback(self.postgres.close)
            self.stores[POSTGRES] = self.postgres.empty()
            self.server = _postmaster(self.stores[POSTGRES])
        self.numbers = count()
        self.programs: dict[str, Program] = {}
        self.videos: dict[str, str] = {}
        self.found = Findings(tuple(self.stores))

    def start(self) -> None:
        """Start every program, and give each finished videos to be read."""
        for name in self.stores:
            for _ in range(STARTS - 1):
                with self.gateway(name, SOON, anew=True) as program:
                    self._started(program)
            self._keep(self.stack.enter_context(self.gateway(name, SOON)))
        ours = self.programs[SQLITE]
        film, video = self.folder / "film.mp4", f"GET /videos/{self.videos[SQLITE]}"
        film.write_bytes(fetch(ours, f"{video}/content"))
        for _ in range(STARTS - 1):
            with programs.floor(self.folder / "floor", film) as program:
                self._started(program)
        self._keep(self.stack.enter_context(programs.floor(self.folder / "floor", film)))
        sora, key = self.upstream["VIDEOGATE_SORA_BASE_URL"], self.upstream["VIDEOGATE_SORA_API_KEY"]
        if not self.given.without_litellm:
            self._keep(self.stack.enter_context(programs.litellm(self.folder / "litellm", sora, key)))
        where = urlsplit(sora)
        self._read(Program(VENDOR, where.port or 0, self.vendors.process.pid, key, base=where.path))
        self.trivial = self.stack.enter_context(programs.trivial(self.folder / "trivial", len(fetch(ours, video))))

    @contextmanager
    def gateway(self, name: str, settings: dict[str, str], *, anew: bool = False) -> Iterator[Program]:
        """Us, on a new folder and, if `anew`, a new database."""
        place = self.folder / f"{name.replace(', ', '-')}-{next(self.numbers)}"
        url = self.postgres.empty() if anew and self.stores[name] else self.stores[name]
        own = {**self.upstream, **settings, "VIDEOGATE_DATABASE_URL": url}
        with programs.gateway(name, place, own) as program:
            yield program

    def _started(self, program: Program) -> None:
        self.found.started.setdefault(program.name, []).append(program.started)

    def _keep(self, program: Program) -> None:
        self._started(program)
        time.sleep(3)  # what a start leaves to be done
        self.found.idle[program.name] = program.memory
        self._read(program)

    def _read(self, program: Program) -> None:
        self.programs[program.name] = program
        self.videos[program.name] = "video_1" if program.name == FLOOR else finished(program)

    def round(self) -> None:
        """Ask every program for everything once."""
        for kind in KINDS:
            for name, program in self.programs.items():
                if kind is CREATE and name in self.stores:
                    # In a gateway of its own, so that what its videos still cost does not burden what comes next.
                    with self.gateway(name, SOON, anew=True) as own:
                        self._ask(kind, own)
                elif kind is not LIST or name != VENDOR:  # whose list nobody asks for
                    self._ask(kind, program)
        for kind in (RETRIEVE, CREATE):
            found = load(self.trivial, kind, ["video_1"], self.given.seconds)
            self.found.ceiling.setdefault(kind.name, []).append(found)
        for name in (*self.stores, LITELLM):
            if name in self.stores:
                with self.gateway(name, LIFTED, anew=True) as own:
                    self._carry(own)
            elif name in self.programs:
                self._carry(self.programs[name])

    def _ask(self, kind: Kind, program: Program) -> None:
        began = self._of_the_server(program)
        found = load(program, kind, [self.videos[program.name]], self.given.seconds)
        self._note(kind.name, program, found, began, sum(found["statuses"].values()))

    def _carry(self, program: Program) -> None:
        began = self._of_the_server(program)
        found = carry(program, self.vendors.url, self.given.videos)
        self._note("carried", program, found, began, self.given.videos)

    def _of_the_server(self, program: Program) -> float:
        """The processor seconds of PostgreSQL so far, 0 for who has none."""
        return self.server.cpu if self.server is not None and program.name == POSTGRES else 0.0

    def _note(self, what: str, program: Program, found: dict[str, Any], began: float, calls: int) -> None:
        found["database cpu"] = 1000 * (self._of_the_server(program) - began) / max(calls, 1)
        self.found.rounds.setdefault(what, {}).setdefault(program.name, []).append(found)
        print(f"{what:<9} {program.name:<17} {found['rate']:>8.0f}/s {found['statuses']}", file=sys.stderr)


def _postmaster(url: str) -> Program:
    """PostgreSQL, whose children are its connections."""
    ((folder,),) = ask(url, "SHOW data_directory")
    return Program("PostgreSQL", 0, int((Path(folder) / "postmaster.pid").read_text().split()[0]), "")


def main() -> None:
    """Compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each call, program and round")
    parser.add_argument("--videos", type=int, default=600, help="that are carried to the vendor, by program and round")
    parser.add_argument("--without-litellm", action="store_true", help="which takes minutes to install")
    parser.add_argument("--without-postgres", action="store_true")
    given = parser.parse_args()
    with ExitStack() as stack:
        bench = Bench(stack, Path(stack.enter_context(tempfile.TemporaryDirectory())), given)
        bench.start()
        for _ in range(given.rounds):
            bench.round()
        met = report(bench.found, f"{given.rounds} rounds of {given.seconds:g} s a call, {given.videos} videos carried")
    raise SystemExit(not met)


if __name__ == "__main__":
    main()

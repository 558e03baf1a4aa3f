"""Measures us beside a floor and LiteLLM, on one simulator in one run: `make bench`.

(a) the floor, a bare FastAPI app that answers constants; (b) LiteLLM's proxy; (c) us on SQLite; (d) us on PostgreSQL.
The programs are asked in turns, round after round, since the machine is shared: medians are given with the single
rounds, and the ratios of one run are what to quote. Ends with an error if an aim is missed.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import programs
from programs import Program

from postgres import PostgresServer
from videogate import simulator
from videogate.cli.children import child

READERS = 32
STREAMS = 8
PAGE = 20
KEPT = 24  # finished videos that are there to be read
RATIO_AIMS = {  # what of ours, in parts of whose, at least
    ("retrieve", "floor"): 0.6,
    ("retrieve", "LiteLLM"): 20.0,
    ("create", "floor"): 0.35,
    ("create", "LiteLLM"): 8.0,
}
START_AIM, MEMORY_AIM = 2.0, 120.0  # seconds, MiB

FORM = (
    b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\nAn astronaut walks on the moon\r\n'
    b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nsora-2\r\n'
    b'--b\r\nContent-Disposition: form-data; name="seconds"\r\n\r\n4\r\n'
    b'--b\r\nContent-Disposition: form-data; name="size"\r\n\r\n720x1280\r\n--b--\r\n'
)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of call: its name, how many at once, and the request for a video of a program's."""

    name: str
    connections: int
    request: Callable[[Program, str], bytes]


def get(path: str) -> Callable[[Program, str], bytes]:
    """A GET of a path that may name the video."""
    return lambda program, video: _request(program, f"GET {path.format(video=video)}")


def post(program: Program, _video: str) -> bytes:
    """A create, as an OpenAI SDK marks itself."""
    head = f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {len(FORM)}\r\n"
    return _request(program, "POST /v1/videos", head) + FORM


def _request(program: Program, line: str, more: str = "") -> bytes:
    key = f"Authorization: Bearer {program.key}\r\nX-Stainless-Lang: python\r\n"
    return f"{line} HTTP/1.1\r\nHost: 127.0.0.1:{program.port}\r\n{key}{more}\r\n".encode()


KINDS = [
    Kind("retrieve", READERS, get("/v1/videos/{video}")),
    Kind("list", READERS, get(f"/v1/videos?limit={PAGE}")),
    Kind("content", STREAMS, get("/v1/videos/{video}/content")),
    Kind("create", READERS, post),
]


def load(port: int, connections: int, seconds: float, requests: Sequence[str]) -> dict[str, Any]:
    """Ask a server for some seconds, from a process of its own; `requests` are base64, sent in turn."""
    plan = {"host": "127.0.0.1", "port": port, "connections": connections, "seconds": seconds, "requests": requests}
    command = [sys.executable, str(Path(__file__).with_name("load.py"))]
    done = subprocess.run(command, input=json.dumps(plan).encode(), stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def fetch(program: Program, line: str, body: bytes = b"") -> bytes:
    """One call's answer."""
    method, path = line.split()
    headers = {"authorization": f"Bearer {program.key}", "x-stainless-lang": "python"}
    if body:
        headers["content-type"] = "multipart/form-data; boundary=b"
    url = f"http://127.0.0.1:{program.port}{path}"
    with urllib.request.urlopen(
        urllib.request.Request(url, body or None, headers, method=method), timeout=60
    ) as answer:
        content: bytes = answer.read()
        return content


def call(program: Program, line: str, body: bytes = b"") -> Any:
    """One call's answer, which is JSON."""
    return json.loads(fetch(program, line, body))


def finished(program: Program, count: int = KEPT) -> str:
    """Make some videos and wait for them; the id of one."""
    ids = [call(program, "POST /v1/videos", FORM)["id"] for _ in range(count)]
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if all(call(program, f"GET /v1/videos/{each}")["status"] == "completed" for each in ids):
            return str(ids[0])
        time.sleep(0.2)
    raise SystemExit(f"{program.name} did not finish its videos")


class Bench:
    """One run: the programs that stay up to be read, and what was measured of each kind of call, by program."""

    def __init__(self, stack: ExitStack, folder: Path, given: argparse.Namespace) -> None:
        self.stack = stack
        self.folder = folder
        self.given = given
        self.upstream = self._vendors()
        self.stores = {"us, SQLite": ""}
        if not given.without_postgres:
            self.postgres = PostgresServer()
            stack.callback(self.postgres.close)
            self.stores["us, PostgreSQL"] = self.postgres.empty()
        self.found: dict[str, dict[str, list[dict[str, Any]]]] = {kind.name: {} for kind in KINDS}
        self.started: dict[str, list[float]] = {}
        self.idle: dict[str, float] = {}
        self.videos: dict[str, str] = {}
        self.readable: list[Program] = []

    def _vendors(self) -> dict[str, str]:
        quick = ["--port", "0", "--render-seconds", "0.2", "--queue-seconds", "0", "--no-rate-limits"]
        vendors = self.stack.enter_context(child(["videogate.simulator", *quick], folder=self.folder, variables={}))
        return dict(simulator.environment(vendors.url))

    def start(self) -> None:
        """Start every program, and give each finished videos to be read."""
        for name, url in self.stores.items():
            self._keep(self.stack.enter_context(self.gateway(name, url)))
        film = self.folder / "film.mp4"
        film.write_bytes(fetch(self.readable[0], f"GET /v1/videos/{self.videos[self.readable[0].name]}/content"))
        self._keep(self.stack.enter_context(programs.floor(self.folder / "floor", film)))
        if not self.given.without_litellm:
            sora, key = self.upstream["VIDEOGATE_SORA_BASE_URL"], self.upstream["VIDEOGATE_SORA_API_KEY"]
            self._keep(self.stack.enter_context(programs.litellm(self.folder / "litellm", sora, key)))

    def gateway(self, name: str, url: str) -> AbstractContextManager[Program]:
        """Us, on a new folder."""
        place = self.folder / f"{name.replace(', ', '-')}-{len(self.started.get(name, []))}"
        settings = {"VIDEOGATE_SORA_POLL_INTERVAL": "0.2", "VIDEOGATE_DATABASE_URL": url}  # else soon is half a minute
        return programs.gateway(name, place, {**self.upstream, **settings})

    def _keep(self, program: Program) -> None:
        self.started.setdefault(program.name, []).append(program.started)
        time.sleep(3)  # what a start leaves to be done
        self.idle[program.name] = program.memory
        self.videos[program.name] = "video_1" if program.name == "floor" else finished(program)
        self.readable.append(program)

    def round(self) -> None:
        """Ask every program for everything once."""
        for kind in KINDS:
            for program in self.readable:
                if kind.name == "create" and program.name in self.stores:
                    self._creates(kind, program.name)
                else:
                    self._note(kind, program)

    def _creates(self, kind: Kind, name: str) -> None:
        # In a gateway of its own, so that what these videos still cost does not burden what is measured next.
        url = self.postgres.empty() if self.stores[name] else ""
        with self.gateway(name, url) as program:
            self.started[name].append(program.started)
            self._note(kind, program)

    def _note(self, kind: Kind, program: Program) -> None:
        plan = [b64encode(kind.request(program, self.videos[program.name])).decode()]
        result = load(program.port, kind.connections, self.given.seconds, plan)
        self.found[kind.name].setdefault(program.name, []).append(result)
        print(f"{kind.name:<9} {program.name:<15} {result['rate']:>8.0f}/s {result['statuses']}", file=sys.stderr)


def middle(results: Sequence[dict[str, Any]], what: str) -> float:
    """The median of the rounds."""
    return statistics.median(float(each[what] or 0.0) for each in results)


def report(bench: Bench) -> bool:
    """Print the tables. Whether every aim was met."""
    names = [program.name for program in bench.readable]
    reference = [name for name in ("floor", "LiteLLM") if name in names]
    print(
        f"Run of {time.strftime('%Y-%m-%d')}: {bench.given.rounds} rounds of {bench.given.seconds:g} s a call, ", end=""
    )
    print(f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}\n")
    print("| calls a second | program | median (rounds) | p50, ms | p99, ms | of the floor | of LiteLLM |")
    print("|---|---|---|---|---|---|---|")
    missed = []
    for kind in KINDS:
        results = bench.found[kind.name]
        for name in names:
            rate = middle(results[name], "rate")
            rounds = ", ".join(f"{each['rate']:.0f}" for each in results[name])
            ratios = {other: rate / max(middle(results[other], "rate"), 1e-9) for other in reference}
            shown = " | ".join(f"{ratios[other]:.2f}" if other in ratios else "" for other in ("floor", "LiteLLM"))
            times = f"{middle(results[name], 'p50'):.1f} | {middle(results[name], 'p99'):.1f}"
            print(f"| {kind.name} | {name} | {rate:.0f} ({rounds}) | {times} | {shown} |")
            if name in bench.stores:
                missed += [
                    f"{kind.name} of {name}: {ratio:.2f} of {other}, not {RATIO_AIMS[kind.name, other]}"
                    for other, ratio in ratios.items()
                    if ratio < RATIO_AIMS.get((kind.name, other), 0.0)
                ]
            bad = sorted({status for each in results[name] for status in each["statuses"]} - {"200", "201"})
            if bad and name in bench.stores:
                missed.append(f"{kind.name} of {name} had answers {bad}")
            elif bad:
                print(f"| {kind.name} | {name} | answers {', '.join(bad)} | | | | |")
    print("\n| program | start to ready, s | idle memory, MiB | installed, MiB |\n|---|---|---|---|")
    sizes = _sizes(names)
    for name in names:
        began = statistics.median(bench.started[name])
        print(f"| {name} | {began:.2f} | {bench.idle[name]:.0f} | {sizes[name]:.0f} |")
        if name in bench.stores:
            missed += [f"{name} starts in {began:.2f} s"] if began >= START_AIM else []
            missed += [f"{name} takes {bench.idle[name]:.0f} MiB idle"] if bench.idle[name] >= MEMORY_AIM else []
    print("".join(f"\nMISSED: {each}" for each in missed))
    return not missed


def _sizes(names: Sequence[str]) -> dict[str, float]:
    sizes = {
        "us, SQLite": ("videogate",),
        "us, PostgreSQL": ("videogate[postgres]",),
        "floor": ("fastapi", "uvicorn", "uvloop", "httptools", "python-multipart"),
    }
    found = {name: programs.installed_size(*sizes[name]) for name in names if name in sizes}
    return found | {"LiteLLM": programs.folder_size(programs.ENVIRONMENT / "lib")}


def main() -> None:
    """Compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each call, program and round")
    parser.add_argument("--without-litellm", action="store_true", help="which takes minutes to install")
    parser.add_argument("--without-postgres", action="store_true")
    given = parser.parse_args()
    with ExitStack() as stack:
        bench = Bench(stack, Path(stack.enter_context(tempfile.TemporaryDirectory())), given)
        bench.start()
        for _ in range(given.rounds):
            bench.round()
        met = report(bench)
    raise SystemExit(not met)


if __name__ == "__main__":
    main()

"""Measures how a finished video streams, on Linux: `make bench-content`.

The floor is Starlette's bare FileResponse of the same file, in a server with the same settings. Both servers run all
the time and are read in turns: the ratios of one run are what to quote, since absolute figures move with the machine.
"""

import argparse
import hashlib
import multiprocessing
import os
import platform
import secrets
import socket
import socketserver
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.routing import Route

from videogate import simulator
from videogate.cli.children import child
from videogate.cli.serve import Server

KEY = "Bearer bench"
MIB = 2**20
CROWD = 8  # readers at once, for memory and for the first byte under load
SLOW_SECONDS = 5  # of readers that take 1 MiB a second
FIRST_BYTES = 50  # requests of which the first byte is timed
GATES = {"throughput": 0.8, "first byte": 50.0, "memory": 30e6 / MIB}  # of the floor; ms, in the middle; MiB


@dataclass(frozen=True, slots=True)
class Target:
    """A server, its process, and where it has the video."""

    name: str
    url: str
    path: str
    pid: int


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass of readers gave: MiB a second, and the server's processor seconds for a GiB."""

    speed: float
    effort: float


def floor(path: str) -> None:
    """Serve one file as `videogate serve` would, by FileResponse alone, until a signal."""

    async def answer(_: Request) -> FileResponse:
        return FileResponse(path)

    app = Starlette(routes=[Route("/film", answer)])
    config = uvicorn.Config(app, port=0, log_config=None, access_log=False, server_header=False)
    Server(config, lambda: None).run()


def ceiling(path: str) -> None:
    """Serve one file as fast as the kernel can, whatever is asked, until a signal: what the readers can take."""

    class Answer(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(4096)
            with Path(path).open("rb") as file:
                length = os.fstat(file.fileno()).st_size
                self.request.sendall(f"HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n".encode())
                self.request.sendfile(file)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answer) as server:
        print(f"ready on http://127.0.0.1:{server.server_address[1]}", flush=True)
        server.serve_forever()


SERVERS = {"floor": floor, "ceiling": ceiling}


@contextmanager
def servers(size: int) -> Iterator[tuple[dict[str, Target], str]]:
    """The gateway, the floor and the ceiling, all of which have one video, and the video's SHA-256."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        own = {"VIDEOGATE_API_KEYS": "bench", "VIDEOGATE_PORT": "0", "VIDEOGATE_DATA_DIR": name}
        arguments = ["videogate.simulator", "--port", "0", "--render-seconds", "1"]
        with child(arguments, folder=folder, variables={}) as vendors:
            own |= {**simulator.environment(vendors.url), "VIDEOGATE_SORA_POLL_INTERVAL": "0.2"}
            with child(["videogate", "serve"], folder=folder, variables=own) as gateway:
                video = create(gateway.url)
        file, digest = grow(folder, video, size)
        gateway = stack.enter_context(child(["videogate", "serve"], folder=folder, variables=own))
        found = {"ours": Target("ours", gateway.url, f"/v1/videos/{video}/content", gateway.process.pid)}
        places = filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")])
        here = {"PYTHONPATH": os.pathsep.join(places)}
        for kind in SERVERS:
            server = stack.enter_context(child(["content", f"--{kind}", str(file)], folder=folder, variables=here))
            found[kind] = Target(kind, server.url, "/film", server.process.pid)
        yield found, digest


def create(gateway: str) -> str:
    """Have a video made; return its id."""
    with httpx.Client(base_url=gateway, headers={"authorization": KEY}) as web:
        video: str = web.post("/v1/videos", json={"model": "sora-2", "prompt": "bench", "seconds": 4}).json()["id"]
        until = time.monotonic() + 60
        while web.get(f"/v1/videos/{video}").json()["completed_at"] is None:
            if time.monotonic() > until:
                raise SystemExit("the video was not completed in time")
            time.sleep(0.2)
    return video


def grow(folder: Path, video: str, size: int) -> tuple[Path, str]:
    """Put `size` random bytes in the place of a video while the gateway is stopped; return the file and its SHA-256."""
    with closing(sqlite3.connect(folder / "gateway.db")) as database, database:
        (key,) = database.execute("SELECT content_key FROM task WHERE id = ?", (video,)).fetchone()
        file, digest = folder / "media" / key, hashlib.sha256()
        with file.open("wb") as stream:
            for _ in range(size // MIB):
                stream.write(piece := secrets.token_bytes(MIB))
                digest.update(piece)
        change = "UPDATE task SET content_length = ?, content_sha256 = ? WHERE id = ?"
        database.execute(change, (size, digest.hexdigest(), video))
    return file, digest.hexdigest()


def connect(target: Target) -> socket.socket:
    """An open connection."""
    place = urlsplit(target.url)
    return socket.create_connection((place.hostname, place.port), timeout=60)


def ask(connection: socket.socket, target: Target, part: tuple[int, int] | None = None) -> int:
    """Send a request and read to the end of the answer's head; return how many bytes of the body are still to come."""
    wanted = f"range: bytes={part[0]}-{part[1] - 1}\r\n" if part else ""
    connection.sendall(f"GET {target.path} HTTP/1.1\r\nhost: bench\r\nauthorization: {KEY}\r\n{wanted}\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head:
        if not (got := connection.recv(4096)):
            raise SystemExit(f"{target.name} hung up")
        head += got
    head, _, body = head.partition(b"\r\n\r\n")
    if head.split(b" ", 2)[1] != (b"206" if part else b"200"):
        raise SystemExit(f"{target.name} answered {head.decode()}")
    (length,) = (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return length - len(body)


def read(target: Target, part: tuple[int, int] | None = None) -> None:
    """Read a video, or a part, on a connection of its own.

    The kernel drops the bytes: these readers share the server's cores, and a user's do not.
    """
    with connect(target) as connection:
        left, piece = ask(connection, target, part), bytearray(MIB)
        while left:
            if not (got := connection.recv_into(piece, min(left, MIB), socket.MSG_TRUNC)):
                raise SystemExit(f"{target.name} broke off {left} bytes before the end")
            left -= got


def read_slowly(target: Target) -> None:
    """Take 1 MiB a second for some seconds, then leave."""
    with connect(target) as connection:
        ask(connection, target)
        for _ in range(SLOW_SECONDS * 16):
            connection.recv(MIB // 16, socket.MSG_WAITALL)
            time.sleep(1 / 16)


def read_on(target: Target) -> None:
    """A crowd that reads the video again and again."""

    def work(_: int) -> None:
        while True:
            read(target)

    crowd(CROWD, work)


def read_truly(target: Target, digest: str) -> None:
    """Read the video once and look at it: it must be the bytes that were written."""
    found = httpx.get(target.url + target.path, headers={"authorization": KEY}, timeout=60).content
    if hashlib.sha256(found).hexdigest() != digest:
        raise SystemExit(f"{target.name} sent other bytes")


def crowd(readers: int, work: Callable[[int], None]) -> None:
    """Let every reader do its work at once."""
    with ThreadPoolExecutor(readers) as pool:
        list(pool.map(work, range(readers)))


@contextmanager
def busy(target: Target) -> Iterator[None]:
    """Meanwhile a crowd in a process of its own reads the video again and again."""
    reading = multiprocessing.get_context("spawn").Process(target=read_on, args=(target,))
    reading.start()
    time.sleep(3)  # it has started
    try:
        yield
    finally:
        reading.terminate()
        reading.join()


def parts(readers: int, size: int) -> list[tuple[int, int] | None]:
    """What each reads: all of the video, or a part where there are more than `CROWD`, so that the volume is theirs."""
    if readers <= CROWD:
        return [None] * readers
    each = size * CROWD // readers
    return [(start, start + each) for start in (number * each % size for number in range(readers))]


def sample(target: Target, readers: int, size: int) -> Pass:
    """One pass of readers over the video."""
    wanted = parts(readers, size)
    total = sum(part[1] - part[0] if part else size for part in wanted)
    before, began = processor(target), time.perf_counter()
    crowd(readers, lambda number: read(target, wanted[number]))
    took, used = time.perf_counter() - began, processor(target) - before
    return Pass(total / MIB / took, used * 1024 * MIB / total)


def first_byte(target: Target) -> float:
    """Milliseconds from sending a request on an open connection to the first byte of the body."""
    with connect(target) as connection:
        ask(connection, target, (0, 1))  # the server has the connection by now
        began = time.perf_counter()
        if ask(connection, target):
            connection.recv(1)
        return (time.perf_counter() - began) * 1000


def processor(target: Target) -> float:
    """The seconds of processor that a server has used."""
    fields = Path(f"/proc/{target.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(target: Target, what: str = "VmRSS") -> float:
    """A server's resident memory in MiB: `VmRSS` is now, `VmHWM` its highest so far."""
    lines = Path(f"/proc/{target.pid}/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(f"{what}:"))
    return int(line.split()[1]) / 1024


def peak(target: Target, work: Callable[[Target], None]) -> float:
    """The server's highest memory in MiB while the work is done, looked at every 20 ms."""
    over, peaks = threading.Event(), [0.0]

    def look() -> None:
        while not over.wait(0.02):
            peaks.append(memory(target))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        work(target)
    finally:
        over.set()
        watcher.join()
    return max(*peaks, memory(target))


def middle_and_slow(times: list[float]) -> tuple[float, float]:
    """p50 and p99."""
    return statistics.median(times), sorted(times)[int(len(times) * 0.99)]


def row(*cells: str | float) -> None:
    """Print a row of a Markdown table."""
    print("|", " | ".join(f"{cell:.1f}" if isinstance(cell, float) else cell for cell in cells), "|")


def head(*cells: str) -> None:
    """Print the head of one."""
    print()
    row(*cells)
    print("|" + "---|" * len(cells))


def measure_memory(targets: list[Target], size: int) -> bool:
    """Print a table of servers that have sent no video yet; return whether ours grew little enough."""
    works: dict[str, Callable[[Target], None]] = {
        f"{CROWD} readers of 1 MiB a second": lambda target: crowd(CROWD, lambda _: read_slowly(target)),
        f"{CROWD} readers of {size // MIB} MiB": lambda target: crowd(CROWD, lambda _: read(target)),
    }
    idle = [memory(target) for target in targets]
    peaks = {name: [peak(target, work) for target in targets] for name, work in works.items()}
    peaks["highest since the start (VmHWM)"] = [memory(target, "VmHWM") for target in targets]
    head(
        "memory over idle, MiB", *(f"{target.name} (idle: {at:.0f})" for target, at in zip(targets, idle, strict=True))
    )
    for name, found in peaks.items():
        row(name, *(most - at for most, at in zip(found, idle, strict=True)))
    return max(found[-1] for found in peaks.values()) - idle[-1] < GATES["memory"]


def measure_throughput(targets: list[Target], size: int, rounds: int) -> bool:
    """Print a table; return whether ours was fast enough."""
    names = [target.name for target in targets]
    head("readers", *(f"{name}, MiB/s" for name in names), "ratio", *(f"{name}, CPU s per GiB" for name in names))
    ratios = []
    for readers in (1, CROWD, 4 * CROWD):
        passes: dict[str, list[Pass]] = {name: [] for name in names}
        for number in range(rounds):
            for target in targets if number % 2 else reversed(targets):
                passes[target.name].append(sample(target, readers, size))
        speeds = [[each.speed for each in found] for found in passes.values()]
        bare, ours = (statistics.median(found) for found in speeds)
        ratios.append(ours / bare)
        shown = [f"{statistics.median(found):.0f} ({', '.join(f'{speed:.0f}' for speed in found)})" for found in speeds]
        efforts = [f"{statistics.median(each.effort for each in found):.2f}" for found in passes.values()]
        row(str(readers), *shown, f"{ratios[-1]:.2f}", *efforts)
    return min(ratios) >= GATES["throughput"]


def measure_first_bytes(targets: list[Target]) -> bool:
    """Print a table; return whether ours came soon enough."""
    head("first byte, ms", *(f"{target.name}, {which}" for target in targets for which in ("p50", "p99")))
    turns = [[first_byte(target) for target in targets] for _ in range(FIRST_BYTES)]
    loaded: list[list[float]] = []
    for target in targets:
        with busy(target):
            loaded.append([first_byte(target) for _ in range(FIRST_BYTES)])
    tables = {"idle server": [list(times) for times in zip(*turns, strict=True)], f"{CROWD} readers stream": loaded}
    for name, found in tables.items():
        row(name, *(figure for times in found for figure in middle_and_slow(times)))
    return all(statistics.median(found[-1]) < GATES["first byte"] for found in tables.values())


def measure(size: int, rounds: int) -> bool:
    """Print what is found; return whether it is good enough."""
    with servers(size) as (found, digest):
        targets = [found["floor"], found["ours"]]
        for target in targets:
            first_byte(target)  # what is loaded at the first request counts as idle
        machine = f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
        print(f'`make bench-content ARGS="--mib {size // MIB} --rounds {rounds}"`, {machine}')
        well = [measure_memory(targets, size)]
        for target in targets:
            read_truly(target, digest)
        well += [measure_throughput(targets, size, rounds), measure_first_bytes(targets)]
        alone, together = (sample(found["ceiling"], readers, size).speed for readers in (1, CROWD))
        print(f"\nThe readers themselves can take {alone:.0f} MiB/s alone, {together:.0f} when there are {CROWD}.")
    return all(well)


def main() -> None:
    """Measure; exit with 1 if a gate is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=200, help="size of the video")
    parser.add_argument("--rounds", type=int, default=5, help="passes over each server for each number of readers")
    for kind in SERVERS:
        parser.add_argument(f"--{kind}", help=argparse.SUPPRESS)
    given = parser.parse_args()
    for kind, serve in SERVERS.items():
        if path := getattr(given, kind):
            serve(path)
            return
    raise SystemExit(not measure(given.mib * MIB, given.rounds))


if __name__ == "__main__":
    main()

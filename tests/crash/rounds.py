"""Troubles that are no single point: kills at any moment, a paused process, a clock that jumps, a disk that is full."""

import os
import random
import resource
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Event, Thread

from crash.armed import BUSY_SECONDS, LEASE, Strike
from crash.cell import MODELS, MODES, PATIENCE, REST, Callers, Vendors, Verdict, gateway, rest, verdict, wait_until
from crash.judge import Finding, Kind, ambiguous
from forked import DiedAtStart, Server

PAUSED = ("submit.sending", "submit.connected", "submit.sent", "submit.replied", "submit.accepted")
JUMPS = (3600.0, -3600.0)
RATE = 5.0  # videos asked for in a second, under load
DISK = 24 * 1024 * 1024  # bytes of the small disk


def random_kills(made: Vendors, folder: Path, kills: int, seed: str) -> Verdict:
    """Kill a gateway under load at random moments, again and again on the same data; then judge all of it."""
    began, dice, callers = time.monotonic(), random.Random(seed), Callers()
    unclear: set[int] = set()
    for _ in range(kills):
        _random_fault(made, dice)
        with gateway(made, folder) as server, _load(server.url, callers, dice):
            time.sleep(dice.uniform(1, 4))
            server.kill()
        made.clear()
        unclear |= ambiguous(folder / "data")
    with gateway(made, folder):
        books, findings = rest(made, folder, callers, unclear=unclear, seconds=REST + callers.asked / 2)
    return verdict(f"{kills} random kills", seed, began, folder, callers, books, findings, struck=kills, faults=kills)


def _random_fault(made: Vendors, dice: random.Random) -> None:
    mode = dice.choice(list(MODES))
    if mode != "right":
        vendor, more = dice.choice(list(MODELS)), MODES[mode] or {}
        made.fault(vendor, op="submit", mode=mode, times=dice.randint(1, 3), **more)


@contextmanager
def _load(url: str, callers: Callers, dice: random.Random) -> Iterator[None]:
    """Ask for videos steadily, in threads, until the context ends."""
    over = Event()
    threads: list[Thread] = []

    def ask() -> None:
        while not over.wait(1 / RATE):
            threads.append(Thread(target=callers.ask, args=(url, dice.choice(list(MODELS)))))
            threads[-1].start()

    asking = Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        over.set()
        for thread in (asking, *threads):
            thread.join()


def zombie(made: Vendors, folder: Path, point: str, seed: str) -> Verdict:
    """Stop the process at a point until its leases have run out, and let it go on: what it holds is old."""
    began, dice, callers = time.monotonic(), random.Random(seed), Callers()
    struck = False
    with gateway(made, folder, Strike(point, dice.randint(1, 5), signal.SIGSTOP)) as server:
        asking = Thread(target=callers.ask_all, args=(server.url,))
        asking.start()
        if wait_until(lambda: _stopped(server), PATIENCE):
            struck = True
            time.sleep(LEASE + dice.uniform(0.2, 1.5))
            server.send(signal.SIGCONT)
        asking.join()
        books, findings = rest(made, folder, callers)
    return verdict(f"zombie at {point}", seed, began, folder, callers, books, findings, struck=struck, faults=1)


def _stopped(server: Server) -> bool:
    stat = Path(f"/proc/{server.process.pid}/stat").read_text("ascii", "replace")
    return stat.rpartition(")")[2].split()[0] == "T"


def clock_jump(made: Vendors, folder: Path, jump: float, seed: str) -> Verdict:
    """Set the clock by an hour while requests are on their way, and back: leases end early, or not for long."""
    began, dice, callers = time.monotonic(), random.Random(seed), Callers()
    clock = folder / "clock"
    clock.write_text("0")
    for vendor in MODELS:
        made.fault(vendor, op="submit", mode="slow", delay=1.2, times=1)
    with gateway(made, folder, Strike(clock=clock)) as server:
        callers.ask_all(server.url)
        time.sleep(dice.uniform(0, 1))
        _set(clock, jump)
        callers.ask_all(server.url, each=1)
        time.sleep(3)
        _set(clock, 0)
        made.clear()
        books, findings = rest(made, folder, callers)
    return verdict(f"clock {jump:+.0f} s", seed, began, folder, callers, books, findings, struck=1, faults=2)


def _set(clock: Path, seconds: float) -> None:
    # In one step: the gateway reads it all the time.
    new = clock.with_suffix(".new")
    new.write_text(f"{seconds}")
    new.replace(clock)


def database_away(made: Vendors, folder: Path, seed: str) -> Verdict:
    """Another process holds the database past every patience, while videos are made and asked for."""

    @contextmanager
    def held(_server: Server) -> Iterator[None]:
        with closing(sqlite3.connect(folder / "data" / "gateway.db", isolation_level=None, timeout=20)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")

    return _trouble(made, folder, "database away", seed, held)


def disk_full(made: Vendors, folder: Path, seed: str) -> Verdict:
    """The disk takes not one byte more, while videos are made and asked for."""
    data = folder / "data"

    @contextmanager
    def full(_server: Server) -> Iterator[None]:
        ballast = data / "ballast"
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        yield
        ballast.unlink()

    with _small_disk(data) as mounted:
        if mounted:
            return _trouble(made, folder, "disk full", seed, full)
    return _trouble(made, folder, "files at their limit", seed, partial(_limited, data), Strike(quiet=True))


@contextmanager
def _limited(data: Path, server: Server) -> Iterator[None]:
    """No file of the gateway may grow: what comes nearest to a full disk where none can be mounted."""
    pid, size = server.process.pid or 0, (data / "gateway.db-wal").stat().st_size
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))
    yield
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))


def read_only(made: Vendors, folder: Path, seed: str) -> Verdict:
    """The data directory's disk turns read-only under the running gateway, as after an error of the disk."""
    data = folder / "data"

    @contextmanager
    def locked(_server: Server) -> Iterator[None]:
        # Most kernels refuse this while files are open for writing; then the gateway meets it at its start.
        _run("mount", "-o", "remount,ro", str(data))
        yield
        _run("mount", "-o", "remount,rw", str(data))

    with _small_disk(data) as mounted:
        if not mounted:
            return Verdict("read-only", seed, skipped="a small disk can be mounted by root only")
        try:
            return _trouble(made, folder, "read-only", seed, locked)
        except subprocess.CalledProcessError:
            return _found_read_only(made, folder, seed)


def _found_read_only(made: Vendors, folder: Path, seed: str) -> Verdict:
    """Killed at work, the gateway finds its disk read-only: it says so and does not start; later all goes on."""
    began, dice, callers, data = time.monotonic(), random.Random(seed), Callers(), folder / "data"
    findings: list[Finding] = []
    with gateway(made, folder) as server:
        callers.ask_all(server.url, each=3)
        time.sleep(dice.uniform(0, 1.5))
        server.kill()
    unclear = ambiguous(data)
    _run("mount", "-o", "remount,ro", str(data))
    try:
        with gateway(made, folder):
            findings = [Finding(Kind.ANSWER, "it started where it cannot write")]
    except DiedAtStart as error:
        if "cannot be written" not in str(error):
            findings = [Finding(Kind.ANSWER, f"it did not say why it does not start: {error}")]
    _run("mount", "-o", "remount,rw", str(data))
    with gateway(made, folder):
        books, more = rest(made, folder, callers, unclear=unclear)
    return verdict("read-only", seed, began, folder, callers, books, [*findings, *more], struck=1, faults=2)


def _trouble(
    made: Vendors,
    folder: Path,
    name: str,
    seed: str,
    trouble: Callable[[Server], AbstractContextManager[None]],
    strike: Strike | None = None,
) -> Verdict:
    """Videos before, during and after a trouble with the disk: honest answers, and nothing is lost or failed."""
    began, dice, callers = time.monotonic(), random.Random(seed), Callers()
    with gateway(made, folder, strike) as server:
        callers.ask_all(server.url, each=3)
        time.sleep(dice.uniform(0, 0.7))
        with trouble(server):
            # Longer prompts each time: what room there is left in the log of writes must be used up.
            until = time.monotonic() + 4 * BUSY_SECONDS
            while time.monotonic() < until and callers.busy < 3:
                callers.ask(server.url, dice.choice(list(MODELS)), " x" * 400)
            time.sleep(dice.uniform(0, 2 * LEASE))
        before = len(callers.acked)
        until = time.monotonic() + 10
        while len(callers.acked) == before and time.monotonic() < until:
            callers.ask(server.url, "sora")
        books, findings = rest(made, folder, callers)
        if not callers.busy:
            findings = [*findings, Finding(Kind.ANSWER, "no create was answered 503 while nothing could be stored")]
        if len(callers.acked) == before:
            findings = [*findings, Finding(Kind.ANSWER, "no create was taken when the trouble was over")]
    return verdict(name, seed, began, folder, callers, books, findings, struck=callers.busy, faults=1)


@contextmanager
def _small_disk(data: Path) -> Iterator[bool]:
    data.mkdir(mode=0o700, exist_ok=True)
    if os.geteuid() != 0:
        yield False
        return
    try:
        _run("mount", "-t", "tmpfs", "-o", f"size={DISK},mode=700", "none", str(data))
    except (OSError, subprocess.CalledProcessError):
        yield False
        return
    try:
        yield True
    finally:
        _run("umount", str(data))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)

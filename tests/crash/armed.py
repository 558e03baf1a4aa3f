"""Runs `videogate serve` as a process that a test can strike: at a named point, or in its clock.

The strike comes as an argument of this launcher; the gateway has no setting for it. Everything that takes its time
(leases, the bound on a submit, look-ups of lost ones) is shortened, because the tests wait for it to pass. Processes,
simulators too, come from a fork server that has imported everything already: a crash matrix is restarts above all.
"""

import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Lock, Thread

from videogate import app, cli, faultpoints
from videogate.engine import deliver, poll, reconcile, schedule, send
from videogate.settings import PREFIX
from videogate.simulator.__main__ import main as simulate
from videogate.store import sqlite
from videogate.vendorkit import client

SUBMIT_SECONDS = 2.0
LEASE = 4.0  # seconds; longer than a submit
BUSY_SECONDS = 1.5
LOOKUPS = (5.0, 10.0, 20.0, 40.0, 50.0)  # in the unit of the schedule: with a floor of 0.04, a fiftieth of these
START_SECONDS = 60.0
STOP_SECONDS = 30.0

_forks = get_context("forkserver")
_forks.set_forkserver_preload(["videogate.cli", "pytest", "crash.armed"])  # with all that they import
_starting = Lock()


class DiedAtStart(Exception):
    """A server ended before it listened."""


@dataclass(frozen=True, slots=True)
class Strike:
    """What happens to a gateway: `number` is sent to itself at the n-th `passage` of `point`, maybe a little later.

    `clock` is a file with the seconds that its clock is off; `quiet` keeps no log, where the gateway can write no file;
    `patient` leaves its lengths of time as they are.
    """

    point: str = ""
    passage: int = 1
    number: int = signal.SIGKILL
    later: float = 0.0
    clock: Path | None = None
    quiet: bool = False
    patient: bool = False


@dataclass(frozen=True, slots=True)
class Server:
    """A running gateway or simulator."""

    url: str
    process: BaseProcess
    log: Path

    def kill(self) -> None:
        """End it the hard way."""
        self.process.kill()
        self.process.join()

    def died(self, seconds: float) -> bool:
        """Whether it is dead within some seconds."""
        self.process.join(seconds)
        return self.process.exitcode is not None


def gateway(folder: Path, variables: Mapping[str, str], strike: Strike) -> AbstractContextManager[Server]:
    """Run a gateway in `folder` until the context ends. Raises DiedAtStart."""
    return _running(folder, "gateway", partial(_serve, dict(variables), strike), quiet=strike.quiet)


def simulator(folder: Path, *arguments: str) -> AbstractContextManager[Server]:
    """Run a simulator of all vendors in the same way."""
    return _running(folder, "simulator", partial(simulate, arguments), quiet=False)


@contextmanager
def _running(folder: Path, name: str, serve: Callable[[], None], *, quiet: bool) -> Iterator[Server]:
    ready, log = folder / f"{name}.ready", folder / f"{name}.log"
    ready.unlink(missing_ok=True)
    files = (str(ready), os.devnull if quiet else str(log))
    process = _forks.Process(target=_begin, args=(folder, files, serve), daemon=True)
    with _starting:  # two at once would start two fork servers
        process.start()
    try:
        yield Server(_wait(process, ready, log), process, log)
    finally:
        process.terminate()
        process.join(STOP_SECONDS)
        process.kill()
        process.join()


def _wait(process: BaseProcess, ready: Path, log: Path) -> str:
    until = time.monotonic() + START_SECONDS
    while process.exitcode is None and time.monotonic() < until:
        if ready.exists() and (found := re.search(r"ready on (http://\S+)\n", ready.read_text())):
            return found[1]
        time.sleep(0.02)
    text = log.read_text("utf-8", "replace")[-2000:] if log.exists() else ""
    raise DiedAtStart(f"exit code {process.exitcode}\n{text}")


def _begin(folder: Path, files: tuple[str, str], serve: Callable[[], None]) -> None:
    os.chdir(folder)
    for number, file in enumerate(files, 1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), number)
    serve()


def _serve(variables: Mapping[str, str], strike: Strike) -> None:
    for name in [each for each in os.environ if each.startswith(PREFIX)]:
        del os.environ[name]
    os.environ.update(variables)
    if not strike.patient:
        _shorten()
    if strike.point:
        faultpoints.arm(_Striker(strike))
    if strike.clock is not None:
        _shift(strike.clock)
    sys.argv = ["videogate", "serve"]
    cli.main()


def _shorten() -> None:
    for module in (client, send, app):
        vars(module)["SUBMIT_SECONDS"] = SUBMIT_SECONDS
    for module in (send, reconcile, poll, deliver):
        vars(module)["LEASE"] = LEASE
    vars(deliver)["RENEW"] = LEASE / 4
    vars(reconcile)["SEARCH_LEASE"] = LEASE
    vars(schedule).update({"_LOOKUPS": LOOKUPS, "_LOOKUP_LATER": LOOKUPS[-1]})
    vars(sqlite)["BUSY_SECONDS"] = BUSY_SECONDS


class _Striker:
    def __init__(self, strike: Strike) -> None:
        self._strike = strike
        self._passed = 0
        self._lock = Lock()

    def __call__(self, name: str) -> None:
        if name != self._strike.point:
            return
        with self._lock:  # the database's writer passes points too
            self._passed += 1
            mine = self._passed == self._strike.passage
        if mine and self._strike.later:
            Thread(target=self._hit, daemon=True).start()
        elif mine:
            self._hit()

    def _hit(self) -> None:
        time.sleep(self._strike.later)
        os.kill(os.getpid(), self._strike.number)


def _shift(file: Path) -> None:
    real = time.time
    vars(app)["time"] = lambda: real() + float(file.read_text() or 0)

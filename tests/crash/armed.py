"""Runs `videogate serve` as a process that a test can strike: at a named point, or in its clock.

The strike comes as an argument of this launcher; the gateway has no setting for it. Everything that takes its time
(leases, the bound on a submit, look-ups of lost ones) is shortened, because the tests wait for it to pass.
"""

import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock, Thread

from forked import Server, running
from videogate import app, cli, faultpoints
from videogate.engine import deliver, poll, reconcile, schedule, send
from videogate.simulator.__main__ import main as simulate
from videogate.store import sqlite
from videogate.vendorkit import client

SUBMIT_SECONDS = 2.0
LEASE = 4.0  # seconds; longer than a submit
BUSY_SECONDS = 1.5
LOOKUPS = (5.0, 10.0, 20.0, 40.0, 50.0)  # in the unit of the schedule: with a floor of 0.04, a fiftieth of these


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


def gateway(folder: Path, variables: Mapping[str, str], strike: Strike) -> AbstractContextManager[Server]:
    """Run a gateway in `folder` until the context ends. Raises DiedAtStart."""
    return running(folder, "gateway", partial(_serve, strike), variables, quiet=strike.quiet)


def simulator(folder: Path, *arguments: str) -> AbstractContextManager[Server]:
    """Run a simulator of all vendors in the same way."""
    return running(folder, "simulator", partial(simulate, arguments), {})


def _serve(strike: Strike) -> None:
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

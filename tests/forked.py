"""Our servers and commands as processes of a fork server, which has imported everything already.

Importing is most of what a start costs, and the tests start many hundreds of processes. Each still is a process of its
own, with its own environment, folder, files and signals; tests/docker/test_services.py starts some by
`python -m videogate`, as users do.
"""

import os
import re
import runpy
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import forkserver, get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from secrets import token_hex
from subprocess import CompletedProcess
from tempfile import TemporaryDirectory
from threading import Lock
from unittest.mock import patch

from videogate.settings import PREFIX

START_SECONDS = 60.0
STOP_SECONDS = 30.0
COMMAND_SECONDS = 120.0

_forks = get_context("forkserver")
_forks.set_forkserver_preload(["warm"])
_starting = Lock()


class DiedAtStart(Exception):
    """A server ended before it listened; the text holds the end of its log."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: where it listens, its process, its log."""

    url: str
    process: BaseProcess
    log: Path

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.process.terminate()

    def kill(self) -> None:
        """End it the hard way."""
        self.process.kill()
        self.process.join()

    def ended(self, seconds: float) -> int | None:
        """Its exit code, if it ends within some seconds; of a signal that killed it, the negative number."""
        self.process.join(seconds)
        return self.process.exitcode


def module(arguments: Sequence[str], *, folder: Path, variables: Mapping[str, str]) -> AbstractContextManager[Server]:
    """`python -m …` in `folder` with only these VIDEOGATE_* variables, until the context ends. Raises DiedAtStart."""
    name = arguments[0].rsplit(".", 1)[-1]
    return running(folder, name, partial(_run_module, tuple(arguments)), variables)


@contextmanager
def running(
    folder: Path, name: str, serve: Callable[[], None], variables: Mapping[str, str], *, quiet: bool = False
) -> Iterator[Server]:
    """Serve in a process until the context ends.

    Args:
        folder: where it runs and has its log.
        name: of the log.
        serve: what it does; it writes `ready on <URL>` to its standard output.
        variables: the only VIDEOGATE_* variables that it has.
        quiet: keep no log.

    Raises:
        DiedAtStart
    """
    ready, log = folder / f"{name}-{token_hex(4)}.ready", folder / f"{name}.log"  # two may share a folder
    process = _start(folder, (ready, Path(os.devnull) if quiet else log), serve, variables)
    try:
        yield Server(_wait(process, ready, log), process, log)
    finally:
        process.terminate()
        process.join(STOP_SECONDS)
        process.kill()
        process.join()
        ready.unlink(missing_ok=True)


def run_videogate(*arguments: str, folder: Path, variables: Mapping[str, str]) -> CompletedProcess[str]:
    """What `videogate …` came to, run in `folder` with only these VIDEOGATE_* variables."""
    with TemporaryDirectory() as place:
        files = Path(place, "output"), Path(place, "errors")
        process = _start(folder, files, partial(_run_module, ("videogate", *arguments)), variables)
        process.join(COMMAND_SECONDS)
        code = process.exitcode
        process.kill()
        assert code is not None, f"videogate {arguments[0]} did not end in time"
        output, errors = (each.read_text("utf-8") for each in files)
        return CompletedProcess(arguments, code, output, errors)


def _start(
    folder: Path, files: tuple[Path, Path], work: Callable[[], None], variables: Mapping[str, str]
) -> BaseProcess:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    process = _forks.Process(target=_begin, args=(folder, files, work, {**kept, **variables}), daemon=True)
    with _starting:  # two at once would start two fork servers
        _found_by_the_server()
        process.start()
    return process


@cache
def _found_by_the_server() -> None:
    """Start the fork server where it finds `warm`: it has no path of its own."""
    with patch.dict(os.environ, {"PYTHONPATH": str(Path(__file__).parent)}):
        forkserver.ensure_running()


def _wait(process: BaseProcess, ready: Path, log: Path) -> str:
    until = time.monotonic() + START_SECONDS
    while process.exitcode is None and time.monotonic() < until:
        if ready.exists() and (found := re.search(r"ready on (http://\S+)\n", ready.read_text())):
            return found[1]
        time.sleep(0.01)
    text = log.read_text("utf-8", "replace")[-2000:] if log.exists() else ""
    raise DiedAtStart(f"exit code {process.exitcode}\n{text}")


def _begin(folder: Path, files: tuple[Path, Path], work: Callable[[], None], environment: Mapping[str, str]) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, file in enumerate(files, 1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), number)
    work()


def _run_module(arguments: Sequence[str]) -> None:
    sys.argv = list(arguments)
    runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)

"""Servers as child processes, for the demo: started, waited for, ended by their process id."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from time import monotonic

from videogate.settings import PREFIX

_READY = re.compile(r"ready on (http://\S+)")
START_SECONDS = 30.0
STOP_SECONDS = 30.0


class ChildFailed(Exception):
    """A server did not come up; the text holds the end of its log."""


@dataclass(frozen=True, slots=True)
class Child:
    """A running server: where it listens, its process, its log."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path


@contextmanager
def child(arguments: Sequence[str], *, folder: Path, variables: Mapping[str, str]) -> Iterator[Child]:
    """Run `python -m …` in `folder` with only these VIDEOGATE_* variables, until the context ends.

    Raises ChildFailed if it does not come up.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    log = folder / f"{arguments[0].rsplit('.', 1)[-1]}.log"
    with log.open("ab") as errors:
        process = subprocess.Popen(  # noqa: S603 (our own modules, no shell)
            [sys.executable, "-m", *arguments],
            cwd=folder,
            env={**kept, **variables},
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    try:
        yield Child(_wait(process, log), process, log)
    finally:
        _end(process)


def _wait(process: subprocess.Popen[bytes], log: Path) -> str:
    output = process.stdout
    assert output is not None
    until = monotonic() + START_SECONDS
    with DefaultSelector() as selector:
        selector.register(output, EVENT_READ)
        while selector.select(max(0.0, until - monotonic())):
            line = output.readline().decode("utf-8", "replace")
            if found := _READY.search(line):
                return found[1]
            if not line:
                break
    raise ChildFailed(f"a server did not start:\n{log.read_text('utf-8', 'replace')[-2000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()

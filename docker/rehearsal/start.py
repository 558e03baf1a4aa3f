"""The start: what was built, on a read-only root, as its user, in a network of its own that has loopback only.

This is run inside `unshare --mount --net`, so that mounts, ports and the image's 0.0.0.0 are nobody else's.
"""

import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from rehearsal.build import Root

GATEWAY = "http://127.0.0.1:8000"
SIMULATOR = "http://127.0.0.1:9000"
KEY = "vg-test"
PATIENCE = 60.0  # seconds for a server to come up
STOP_SECONDS = 120.0  # as stop_grace_period says
_UNITS = {"s": 1.0, "m": 60.0}


class Failed(Exception):
    """The image does not do what it should; the text says what."""


class Container:
    """A root as a container has it: read-only but for its volumes and /tmp.

    Args:
        root: what was built.
        work: a folder for the volumes.
    """

    def __init__(self, root: Root, work: Path) -> None:
        self._root = root
        self._top = work / "running"
        self._top.mkdir()
        run("mount", "--bind", root.folder, self._top)
        run("mount", "-o", "remount,bind,ro", self._top)
        for each in ("proc", "dev"):
            run("mount", "--rbind", f"/{each}", self._top / each)
        run("mount", "-t", "tmpfs", "-o", "size=512m,mode=1777", "tmpfs", self._top / "tmp")
        for number, path in enumerate(root.volumes):
            volume = work / f"volume-{number}"
            run("cp", "-a", root.inside(path), volume)  # a new volume begins as what the image has there
            run("mount", "--bind", volume, self._top / path.lstrip("/"))

    def start(self, command: Sequence[str], **variables: str) -> "subprocess.Popen[bytes]":
        """Start a command as the image's user, with its variables and these."""
        user = self._root.user if ":" in self._root.user else f"{self._root.user}:{self._root.user}"
        inner = 'cd "$1" && shift && exec setpriv --no-new-privs "$@"'
        words = ["/bin/sh", "-c", inner, "sh", self._root.workdir, *command]
        return subprocess.Popen(
            ["chroot", f"--userspec={user}", "--groups=", str(self._top), *words],
            env=self._root.variables | variables,
        )

    def check(self, command: Sequence[str], **variables: str) -> bool:
        """Whether a command ends well."""
        return self.start(command, **variables).wait() == 0


def rehearse(root: Root, work: Path, vendors: Mapping[str, str]) -> dict[str, float]:
    """Start the simulator and the gateway, wait for health, make videos, stop. Returns how long each took, in seconds.

    `vendors`: the variables that point a gateway at `SIMULATOR`. Raises Failed.
    """
    took: dict[str, float] = {}
    loopback_up()
    container = Container(root, work)
    _read_only(container)
    simulator = container.start(["videogate", "simulate"])
    gateway = container.start(root.command, VIDEOGATE_API_KEYS=KEY, **vendors)
    try:
        began = time.monotonic()
        _healthy(container, root, gateway)
        took["healthy"] = time.monotonic() - began
        took["created"] = _create()
        began = time.monotonic()
        demo = ["videogate", "demo", "--url", GATEWAY, "--key", KEY, "--yes", "--out", "/data/demo-videos"]
        if not container.check(demo):
            raise Failed("the demo did not end well")
        took["videos"] = time.monotonic() - began
        began = time.monotonic()
        gateway.send_signal(signal.SIGTERM)
        if code := gateway.wait(STOP_SECONDS):
            raise Failed(f"after SIGTERM the gateway ended with {code}")
        took["stopped"] = time.monotonic() - began
    finally:
        for each in (gateway, simulator):
            if each.poll() is None:
                each.kill()
            each.wait()
    return took


def _read_only(container: Container) -> None:
    """The root refuses its user, and root itself; the volume does not refuse its user."""
    if container.check(["sh", "-c", "touch /opt/videogate/probe 2>/dev/null || touch /probe 2>/dev/null"]):
        raise Failed("the root can be written")
    if not container.check(["sh", "-c", "touch /tmp/probe /data/probe && rm /tmp/probe /data/probe"]):
        raise Failed("/tmp or /data cannot be written")
    if container.check(["sh", "-c", 'test "$(id -u)" = 0']):
        raise Failed("it runs as root")


def _healthy(container: Container, root: Root, gateway: "subprocess.Popen[bytes]") -> None:
    """Ask as Docker would, but oftener, until the image's own check passes; then look at what it asked for."""
    until = time.monotonic() + PATIENCE
    while not container.check(["timeout", _seconds(root.health_options["timeout"]), *root.health]):
        if gateway.poll() is not None:
            raise Failed(f"the gateway ended with {gateway.returncode}")
        if time.monotonic() > until:
            raise Failed("the health check does not pass")
        time.sleep(0.5)
    with urllib.request.urlopen(f"{GATEWAY}/health/ready", timeout=5) as answer:
        if answer.status != 200:
            raise Failed(f"/health/ready answers {answer.status}")


def _create() -> float:
    body = json.dumps({"model": "kling-v1", "prompt": "A lighthouse in a storm", "seconds": "5"}).encode()
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    began = time.monotonic()
    with urllib.request.urlopen(urllib.request.Request(f"{GATEWAY}/v1/videos", body, headers), timeout=30) as answer:
        video = json.load(answer)
    if not video["id"].startswith("video_"):
        raise Failed(f"a create was answered with {video}")
    return time.monotonic() - began


def loopback_up() -> None:
    """Bring this network namespace's loopback up."""
    siocgifflags, siocsifflags, iff_up = 0x8913, 0x8914, 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        request = struct.pack("16sH14s", b"lo", 0, b"")
        (flags,) = struct.unpack_from("H", fcntl.ioctl(handle, siocgifflags, request), 16)
        fcntl.ioctl(handle, siocsifflags, struct.pack("16sH14s", b"lo", flags | iff_up, b""))


def run(*words: str | os.PathLike[str]) -> None:
    """Run a command of the host. Raises CalledProcessError."""
    subprocess.run(words, check=True)


def _seconds(text: str) -> str:
    return str(float(text[:-1]) * _UNITS[text[-1]])

"""The kinds of calls that are compared, and how a program is asked for them."""

import json
import subprocess
import sys
import time
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from programs import Program

READERS = 32
STREAMS = 8
PAGE = 20
KEPT = 24  # finished videos that are there to be read

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
    return lambda program, video: _request(program, f"GET {program.base}{path.format(video=video)}")


def post(program: Program, _video: str) -> bytes:
    """A create, as an OpenAI SDK marks itself."""
    head = f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {len(FORM)}\r\n"
    return _request(program, f"POST {program.base}/videos", head) + FORM


def _request(program: Program, line: str, more: str = "") -> bytes:
    key = f"Authorization: Bearer {program.key}\r\nX-Stainless-Lang: python\r\n"
    return f"{line} HTTP/1.1\r\nHost: 127.0.0.1:{program.port}\r\n{key}{more}\r\n".encode()


RETRIEVE = Kind("retrieve", READERS, get("/videos/{video}"))
LIST = Kind("list", READERS, get(f"/videos?limit={PAGE}"))
CONTENT = Kind("content", STREAMS, get("/videos/{video}/content"))
CREATE = Kind("create", READERS, post)
KINDS = (RETRIEVE, LIST, CONTENT, CREATE)


def load(
    program: Program, kind: Kind, videos: Sequence[str], seconds: float, calls: int | None = None
) -> dict[str, Any]:
    """Ask a server about these videos in turn, from a process of its own, for some seconds or so many calls.

    What load.py found, and `cpu`: the processor time that the server took, in milliseconds a call.
    """
    requests = [b64encode(kind.request(program, video)).decode() for video in videos]
    plan = {"host": "127.0.0.1", "port": program.port, "connections": kind.connections, "seconds": seconds}
    command = [sys.executable, str(Path(__file__).with_name("load.py"))]
    before = program.cpu
    text = json.dumps({**plan, "requests": requests, "calls": calls}).encode()
    done = subprocess.run(command, input=text, stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    found["cpu"] = 1000 * (program.cpu - before) / max(sum(found["statuses"].values()), 1)
    return found


def fetch(program: Program, line: str, body: bytes = b"") -> bytes:
    """One call's answer."""
    method, path = line.split()
    headers = {"authorization": f"Bearer {program.key}", "x-stainless-lang": "python"}
    if body:
        headers["content-type"] = "multipart/form-data; boundary=b"
    url = f"http://127.0.0.1:{program.port}{program.base}{path}"
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
    ids = [call(program, "POST /videos", FORM)["id"] for _ in range(count)]
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if all(call(program, f"GET /videos/{each}")["status"] == "completed" for each in ids):
            return str(ids[0])
        time.sleep(0.2)
    raise SystemExit(f"{program.name} did not finish its videos")

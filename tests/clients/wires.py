"""What stands between the programs of a test: who reads what goes to vendors, who cuts lines, who serves pictures."""

import json
import socket
import time
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from python_multipart import parse_form

HOST = "127.0.0.1"
Fields = dict[str, Any]  # a body's names; a file is its bytes
# Headers that go for one connection only.
_OWN = frozenset({"connection", "transfer-encoding", "keep-alive"})


class Quiet(BaseHTTPRequestHandler):
    """A handler that writes no log."""

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 (its name there)
        """Say nothing."""


class Files(Quiet, SimpleHTTPRequestHandler):
    """A folder for pages of every origin."""

    def end_headers(self) -> None:
        self.send_header("access-control-allow-origin", "*")
        super().end_headers()


@contextmanager
def serving(handler: Any) -> Iterator[int]:
    """The port of a server with this handler."""
    with ThreadingHTTPServer((HOST, 0), handler) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, name="wires").start()
        yield server.server_port
        server.shutdown()


@contextmanager
def site(folder: Path) -> Iterator[int]:
    """The port where a folder's files are served."""
    with serving(partial(Files, directory=folder)) as port:
        yield port


@dataclass
class Witness:
    """Stands before the vendors and remembers what is posted to them."""

    to: str
    url: str = ""
    posts: list[Fields] = field(default_factory=list)

    def of(self, prompt: str, seconds: float = 30.0) -> Fields:
        """What was posted with this prompt: waits for it, and it must be one."""
        until = time.monotonic() + seconds
        while not (found := [each for each in self.posts if prompt in each.values()]):
            assert time.monotonic() < until, f"nothing with the prompt {prompt!r} came to a vendor"
            time.sleep(0.05)
        assert len(found) == 1, found
        return found[0]


@contextmanager
def witnessed(to: str) -> Iterator[Witness]:
    """A witness before the vendors at `to`."""
    witness = Witness(to)

    class Handler(Quiet):
        def forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            there = urlsplit(witness.to)
            line = HTTPConnection(there.hostname or HOST, there.port, timeout=120)
            line.request(self.command, self.path, body, dict(self.headers.items()))
            answer = line.getresponse()
            content = answer.read()
            if self.command == "POST":  # and taken on: the vendor's ledger has it by now
                witness.posts.append(fields(self.headers.get("content-type") or "", body))
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in {*_OWN, "content-length"}:
                    self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            line.close()

        do_GET = do_POST = do_DELETE = forward  # noqa: N815 (their names there)

    with serving(Handler) as port:
        witness.url = f"http://{HOST}:{port}"
        yield witness


def fields(kind: str, body: bytes) -> Fields:
    """A body's fields, by name; what lies in an `input` or `parameters` of Wanxiang's counts as at the top."""
    if not kind.startswith("multipart/"):
        with suppress(ValueError):
            read = json.loads(body)
            return {**read, **read.get("input", {}), **read.get("parameters", {})}
        return {}
    found: Fields = {}

    def on_field(each: Any) -> None:
        found[each.field_name.decode()] = each.value.decode()

    def on_file(each: Any) -> None:
        each.file_object.seek(0)
        found[each.field_name.decode()] = each.file_object.read()

    parse_form({"Content-Type": kind.encode()}, BytesIO(body), on_field, on_file)
    return found


def unwrapped(data_url: str) -> bytes:
    """The bytes in a data URL."""
    return b64decode(data_url.partition(",")[2])


@dataclass
class Lossy:
    """A line to the gateway that breaks when the first answer to a POST comes, and carries everything else."""

    to: str
    url: str = ""
    posts: list[Mapping[str, str]] = field(default_factory=list)
    cut: bool = False


@contextmanager
def lossy(to: str) -> Iterator[Lossy]:
    """Such a line to the gateway at `to`."""
    made = Lossy(to)
    with socket.create_server((HOST, 0)) as server:
        made.url = f"http://{HOST}:{server.getsockname()[1]}"
        Thread(target=_accept, args=(server, made), name="lossy", daemon=True).start()
        yield made
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)


def _accept(server: socket.socket, line: Lossy) -> None:
    there = urlsplit(line.to)
    with suppress(OSError):
        while True:
            near, _ = server.accept()
            far = socket.create_connection((there.hostname or HOST, there.port or 80))
            asked: list[str] = []
            Thread(target=_asks, args=(near, far, line, asked), daemon=True).start()
            Thread(target=_answers, args=(near, far, line, asked), daemon=True).start()


def _asks(near: socket.socket, far: socket.socket, line: Lossy, asked: list[str]) -> None:
    """Carry requests; a client begins each in a piece of its own."""
    with suppress(OSError):
        while piece := near.recv(65_536):
            method = piece.split(b" ", 1)[0]
            if method in (b"GET", b"POST", b"OPTIONS", b"DELETE"):
                asked.append(method.decode())
                if method == b"POST":
                    line.posts.append(_headers(piece))
            far.sendall(piece)
    _close(near, far)


def _answers(near: socket.socket, far: socket.socket, line: Lossy, asked: list[str]) -> None:
    with suppress(OSError):
        while piece := far.recv(65_536):
            if asked and asked[-1] == "POST" and not line.cut and not piece.startswith(b"HTTP/1.1 100"):
                line.cut = True
                break
            near.sendall(piece)
    _close(near, far)


def _headers(piece: bytes) -> dict[str, str]:
    head = piece.split(b"\r\n\r\n", 1)[0].decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head)}


def _close(*lines: socket.socket) -> None:
    for line in lines:
        with suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)
        line.close()

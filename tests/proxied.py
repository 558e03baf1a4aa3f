"""The shipped proxy configuration in a real HAProxy, before whatever answers on loopback addresses."""

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

CONFIG = Path(__file__).parents[1] / "docker" / "haproxy.cfg"
_HEADER, _LABELS = 12, b"\x07gateway\x00"
_A = 1
Handler = Callable[[socket.socket], None]


def haproxy() -> str | None:
    """The program, if it is installed; Debian puts it where only root looks."""
    return shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody has just now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def shipped(listen: int, nameserver: int, gateways: int) -> str:
    """The configuration as it is, but for where it listens, whom it asks for names, and the gateways' port."""
    text = CONFIG.read_text("utf-8")
    for before, after in (
        ("bind :8000", f"bind 127.0.0.1:{listen}"),
        ("parse-resolv-conf", f"nameserver test 127.0.0.1:{nameserver}"),
        ("gateway:8000", f"gateway:{gateways}"),
    ):
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    return text


@contextmanager
def names(addresses: Sequence[str]) -> Iterator[int]:
    """A name server on loopback that knows `gateway` by these addresses. Gives its port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(0.1)
        ended = threading.Event()
        thread = threading.Thread(target=_answer_names, args=(server, addresses, ended))
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            ended.set()
            thread.join()


def _answer_names(server: socket.socket, addresses: Sequence[str], ended: threading.Event) -> None:
    while not ended.is_set():
        try:
            query, asker = server.recvfrom(4096)
        except TimeoutError:
            continue
        end = query.index(b"\0", _HEADER) + 5
        kind = int.from_bytes(query[end - 4 : end - 2], "big")
        known = query[_HEADER:].startswith(_LABELS) and kind == _A
        found = [bytes(map(int, each.split("."))) for each in addresses] if known else []
        record = (
            b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x01\x00\x04"  # the name asked for, A, IN, for a second, four bytes
        )
        counts = b"\x00\x01" + len(found).to_bytes(2, "big") + b"\x00\x00\x00\x00"
        server.sendto(
            query[:2] + b"\x81\x80" + counts + query[_HEADER:end] + b"".join(record + each for each in found), asker
        )


@contextmanager
def proxy(folder: Path, addresses: Sequence[str], port: int) -> Iterator[str]:
    """HAProxy with the shipped configuration before `addresses`, all on `port`. Gives its URL."""
    program = haproxy()
    assert program is not None
    listen = free_port()
    with names(addresses) as nameserver:
        config = folder / "haproxy.cfg"
        config.write_text(shipped(listen, nameserver, port), "utf-8")
        with (folder / "haproxy.log").open("wb") as log:
            process = subprocess.Popen([program, "-db", "-f", str(config)], stdout=log, stderr=log)
        try:
            until(lambda: process.poll() is None and _listens(listen))
            yield f"http://127.0.0.1:{listen}"
        finally:
            process.terminate()
            process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Upstream:
    """A server of raw sockets on one address, which is always ready, and otherwise does what `handler` does.

    Args:
        address: where it listens.
        port: and on which port.
        handler: is given each connection whose request is no health check, with the head of it read.
    """

    def __init__(self, address: str, port: int, handler: Handler) -> None:
        self.heads: list[str] = []
        self._handler = handler
        self._server = socket.create_server((address, port))
        self._server.settimeout(0.1)
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        """Stop, and wait for what is under way."""
        self._ended.set()
        for thread in self._threads:
            thread.join()
        self._server.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                connection, _ = self._server.accept()
            except TimeoutError:
                continue
            connection.settimeout(20)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                got = connection.recv(1)
                if not got:
                    return
                head += got
            if head.startswith(b"GET /health/ready"):
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                return
            self.heads.append(head.split(b"\r\n")[0].decode())
            self._handler(connection)


def until(found: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for something to be so; fail the test after `seconds`."""
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)

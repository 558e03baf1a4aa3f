"""Real MP4s of any size and length: a bar that moves over a colour, so that one sees which video it is."""

import asyncio
import shutil
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from hashlib import sha256
from math import cos, sin, tau
from pathlib import Path
from tempfile import mkdtemp
from weakref import finalize

import av
from av.video.stream import VideoStream

RATE = 12  # frames a second: enough to see movement, cheap to encode
LOOP = 2 * RATE  # frames after which the picture repeats
KEPT = 48  # films
_COLOURS = 16
_CLOCK = 12_288  # ticks a second of the files' own clock; a multiple of RATE


class Films:
    """Makes films on demand, off the event loop, and keeps the last few in a folder of its own."""

    def __init__(self) -> None:
        self._folder = Path(mkdtemp(prefix="videogate-simulator-"))
        self._clean = finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._maker = ThreadPoolExecutor(1, thread_name_prefix="films")
        self._films: OrderedDict[str, asyncio.Future[Path]] = OrderedDict()

    async def get(self, width: int, height: int, seconds: float, seed: str) -> Path:
        """The film of this size (even sides, in pixels) and length; `seed` chooses its colour."""
        colour = sha256(seed.encode()).digest()[0] % _COLOURS
        name = f"{width}x{height}-{seconds:g}-{colour}.mp4"
        if name not in self._films:
            loop = asyncio.get_running_loop()
            path = self._folder / name
            self._films[name] = loop.run_in_executor(self._maker, _make, path, width, height, seconds, colour)
        self._films.move_to_end(name)
        try:
            # One caller that leaves must not take the film from the others.
            path = await asyncio.shield(self._films[name])
        except Exception:
            self._films.pop(name, None)
            raise
        self._forget()
        return path

    def close(self) -> None:
        """Forget every film."""
        self._maker.shutdown(cancel_futures=True)
        self._clean()

    def _forget(self) -> None:
        while len(self._films) > KEPT and next(iter(self._films.values())).done():
            _, film = self._films.popitem(last=False)
            film.result().unlink(missing_ok=True)


def _make(path: Path, width: int, height: int, seconds: float, colour: int) -> Path:
    """Encode the loop once and repeat its packets, so that a long film costs no more than a short one."""
    frames = max(1, round(seconds * RATE))
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        options = {"preset": "ultrafast", "crf": "32", "bf": "0", "sc_threshold": "0", "threads": "1"}
        stream = container.add_stream("libx264", rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = width, height, "yuv420p", LOOP
        stream.time_base = Fraction(1, _CLOCK)
        packets = _loop(stream, min(frames, LOOP), colour)
        for number in range(frames):
            packet = av.Packet(packets[number % LOOP])
            packet.stream, packet.time_base = stream, Fraction(1, RATE)
            packet.pts = packet.dts = number
            packet.duration = 1
            packet.is_keyframe = number % LOOP == 0
            container.mux(packet)
    return path


def _loop(stream: VideoStream, frames: int, colour: int) -> list[bytes]:
    packets: list[bytes] = []
    for number in range(frames):
        frame = _frame(stream.width, stream.height, number / LOOP, colour)
        frame.pts, frame.time_base = number, Fraction(1, RATE)
        packets += (bytes(packet) for packet in stream.encode(frame))
    return packets + [bytes(packet) for packet in stream.encode()]


def _frame(width: int, height: int, moment: float, colour: int) -> av.VideoFrame:
    frame = av.VideoFrame(width, height, "yuv420p")
    light, blue, red = frame.planes
    bar, at = max(8, width // 16), int(moment * width)
    row = bytearray(b"\x60" * light.line_size)
    row[at : at + bar] = b"\xd0" * len(row[at : at + bar])
    light.update(bytes(row) * (light.buffer_size // light.line_size))
    angle = tau * colour / _COLOURS
    blue.update(bytes([128 + round(72 * cos(angle))]) * blue.buffer_size)
    red.update(bytes([128 + round(72 * sin(angle))]) * red.buffer_size)
    return frame

"""Looking into a video file: is it an MP4, and what does it show?"""

import struct
from dataclasses import dataclass
from pathlib import Path

import av

from videogate.task.frames import Frame

_SMALLEST = 256  # bytes; no video is shorter
_BOX = 8  # bytes of a box without content


class NotAFilm(Exception):
    """The file is not a playable MP4."""


@dataclass(frozen=True, slots=True)
class Film:
    """What a video file really holds. `seconds` is its length."""

    frame: Frame
    seconds: float

    @property
    def seconds_text(self) -> str:
        """The length as callers read it: whole where it is within a frame or two of whole."""
        whole = round(self.seconds)
        return str(whole) if whole and abs(self.seconds - whole) <= 0.15 else f"{self.seconds:.1f}"  # noqa: PLR2004


def probe(path: Path) -> Film:
    """Read a video's size and length without decoding it. Raises NotAFilm."""
    with path.open("rb") as file:
        head = file.read(12)
    if path.stat().st_size < _SMALLEST or head[4:8] != b"ftyp":
        raise NotAFilm("the result is not an MP4 file")
    if _breaks_off(path):
        raise NotAFilm("the result is an MP4 file that breaks off")
    try:
        with av.open(str(path), format="mp4", options={"protocol_whitelist": "file"}) as container:
            stream = container.streams.video[0]
            length = container.duration / av.time_base if container.duration else 0.0
            return Film(Frame(stream.codec_context.width, stream.codec_context.height), length)
    except (av.FFmpegError, IndexError, ValueError) as error:
        raise NotAFilm("the result is an MP4 file that cannot be read") from error


def _breaks_off(path: Path) -> bool:
    """Whether a box at the top of the file announces more bytes than there are; FFmpeg plays what is there."""
    length, at = path.stat().st_size, 0
    with path.open("rb") as file:
        while length - at >= _BOX:
            file.seek(at)
            size, _, large = struct.unpack(">I4sQ", file.read(16).ljust(16, b"\0"))
            size = large if size == 1 else size
            if size < _BOX:  # 0: up to the end of the file; anything else is no box
                return False
            at += size
    return at > length

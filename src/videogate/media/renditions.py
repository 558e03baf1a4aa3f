"""Pictures of a finished video: one still, and a sheet of stills for scrubbing.

A sheet is a square of `k` rows of `k` tiles, where `k` is 5, or less for a film of fewer than 25 frames, so that every
tile is filled. It is read row by row, from the left: the first tile is the film's first frame and the last tile its
last frame, and the others lie evenly between. So tile `i` of `n`, counted from 0, shows the film at `i / (n - 1)` of
its length, and its left upper corner is at `i % k * width / k`, `i // k * height / k`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from io import SEEK_CUR, SEEK_END, SEEK_SET
from math import floor, inf, isqrt
from pathlib import Path
from statistics import pstdev
from typing import Any, BinaryIO, cast

import av
from av.filter import Graph

from videogate.media.probe import NotAFilm

STILL, TILE, GRID = 640, 320, 5  # the longer side in pixels, at most, and a sheet's rows and columns
STEP_PIXELS = 160_000_000  # decoded to reach a frame, on average: as a tile of a minute of 1080p needs
# What players play, up to 4K: the other decoders in FFmpeg are many and old, the film is somebody else's, and it may
# make the decoder keep sixteen frames. One thread: the other cores have other work.
_LIMITS = {"codec_whitelist": "h264,hevc,libdav1d,vp9,mpeg4", "max_pixels": str(4096 * 2304), "threads": "1"}
# Where a still is looked for: early, to decode little, but not at once: a first frame may be black or the caller's own.
_PARTS = tuple(Fraction(tenth, 10) for tenth in (1, 3, 5, 7, 9))
_CONTRAST = 12  # spread of brightness, out of 255, from which on a frame surely shows something


class Rendition(StrEnum):
    """A picture made of a video, by the word that callers ask with."""

    THUMBNAIL = "thumbnail"
    SPRITESHEET = "spritesheet"


@dataclass(frozen=True, slots=True)
class Form:
    """A rendition's media type and the suffix of its file."""

    mime: str
    suffix: str


FORMS: Mapping[Rendition, Form] = {
    Rendition.THUMBNAIL: Form("image/webp", ".webp"),
    Rendition.SPRITESHEET: Form("image/jpeg", ".jpg"),
}


def render(source: "BinaryIO | Seekable | str", rendition: Rendition) -> bytes:
    """Make a picture of a film, given as a path or as a file, which stays open.

    Raises NotAFilm for what cannot be decoded. What the source itself raises comes out as it is.
    """
    if isinstance(source, str):
        with Path(source).open("rb") as file:  # FFmpeg takes some texts for more than a path
            return render(file, rendition)
    reader = source if isinstance(source, Seekable) else Seekable(source)
    try:
        with av.open(reader, "r", format="mp4", options=_LIMITS, metadata_errors="replace") as container:
            reel = _Reel(container)
            return _thumbnail(reel) if rendition is Rendition.THUMBNAIL else _spritesheet(reel)
    except (av.FFmpegError, ArithmeticError, EOFError, LookupError, ValueError) as error:
        raise NotAFilm("no picture can be made of the video") from error
    finally:
        if reader.trouble is not None:
            raise reader.trouble


class Seekable:
    """A binary file or an object store's reader, as FFmpeg reads it.

    It moves only to read: FFmpeg goes to the end and back to learn the size, and a reader that moves drops what it has.
    What it raises is kept, and looks like the film's end: FFmpeg would try on and on, with a traceback each time, and
    PyAV might raise the last one from whatever this thread does next.
    """

    def __init__(self, source: Any) -> None:
        self._source, self._place, self._end = source, 0, int(source.seek(0, SEEK_END))
        self.trouble: Exception | None = None

    def read(self, size: int) -> bytes:
        try:
            if self._source.tell() != self._place:
                self._source.seek(self._place)
            content = b"" if self.trouble else bytes(self._source.read(size))
        except Exception as error:  # noqa: BLE001 (kept)
            self.trouble, content = error, b""
        self._place += len(content)
        return content

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        place = offset + {SEEK_SET: 0, SEEK_CUR: self._place, SEEK_END: self._end}[whence]
        self._place = place if place >= 0 else self._place
        return place

    def tell(self) -> int:
        return self._place


class _Reel:
    """A film from which frames are taken, in order of time."""

    def __init__(self, container: av.container.InputContainer) -> None:
        stream = container.streams.best("video")
        if not isinstance(stream, av.VideoStream) or stream.codec_context is None:
            raise NotAFilm("the video has no pictures that can be decoded")
        stream.codec_context.options = _LIMITS
        self._container, self._stream, self._index = container, stream, stream.index_entries
        self.count = len(self._index)
        last = self._index[self.count - 1]
        if last.pos + last.size > container.size:
            raise NotAFilm("the video breaks off")
        self._size, self._now, self._left = (stream.width, stream.height), -inf, 0
        self._frames: Iterator[av.VideoFrame] = container.decode(stream)
        self._frame: av.VideoFrame | None = None
        self.turn: tuple[tuple[str, str], ...] = ()  # the filters that bring its frames upright

    def at(self, part: Fraction, longest: int, pixels: str, light: str) -> av.VideoFrame:
        """The frame at a part of the length (0: the first, 1: the last), fitted into a square, in picture colours."""
        frame, whole = self._find(part), max(*self._size, longest)
        width, height = (max(2, side * longest // whole & ~1) for side in self._size)  # even, as colour planes need
        return frame.reformat(width, height, pixels, dst_colorspace="ITU601", dst_color_range=light, threads=1)

    def _find(self, part: Fraction) -> av.VideoFrame:
        """The nearest frame, or one before it where it takes too much decoding to get there."""
        tick = Fraction(self._stream.duration or 0, self.count)
        moment = (self._stream.start_time or 0) + floor(tick * (part * (self.count - 1) - Fraction(1, 2)))
        key = self._index.search_timestamp(moment)
        if key >= 0 and self._index[key].timestamp > self._now:
            self._container.seek(moment, stream=self._stream)
            self._frames = self._container.decode(self._stream)
        self._left += STEP_PIXELS
        while self._now < moment and self._left > 0 and (frame := next(self._frames, None)):
            self._frame, self._now = frame, moment if frame.pts is None else frame.pts
            self._left -= frame.width * frame.height
        if self._frame is None:
            raise NotAFilm("the video has no pictures that can be decoded")
        self.turn = (("transpose", "clock"),) * (round(-self._frame.rotation / 90) % 4)
        return self._frame


def _thumbnail(reel: _Reel) -> bytes:
    stills: list[av.VideoFrame] = []
    for part in _PARTS:
        stills.append(reel.at(part, STILL, "yuv420p", "MPEG"))
        if _contrast(stills[-1]) >= _CONTRAST:
            break
    return _picture([max(stills, key=_contrast)], reel.turn, "libwebp", quality="80")


def _spritesheet(reel: _Reel) -> bytes:
    side = min(GRID, isqrt(reel.count))
    tiles = [reel.at(Fraction(tile, side * side - 1 or 1), TILE, "yuvj420p", "JPEG") for tile in range(side * side)]
    return _picture(tiles, (*reel.turn, ("tile", f"{side}x{side}")), "mjpeg", qmin="4", qmax="4")


def _contrast(frame: av.VideoFrame) -> float:
    """How much the brightness varies over a frame: 0 for an empty one."""
    light = frame.reformat(32, 32, "gray", threads=1).planes[0]
    return pstdev(value for place, value in enumerate(bytes(light)) if place % light.line_size < light.width)


def _picture(frames: Sequence[av.VideoFrame], filters: Sequence[tuple[str, str]], codec: str, **options: str) -> bytes:
    """The picture file that filters and a codec make of frames of one size."""
    graph, first = Graph(), frames[0]
    source = graph.add_buffer(width=first.width, height=first.height, format=first.format, time_base=Fraction(1))
    graph.link_nodes(source, *(graph.add(*each) for each in filters), graph.add("buffersink")).configure()
    for frame in frames:
        graph.vpush(frame)
    made, encoder = graph.vpull(), cast("Any", av.CodecContext.create(codec, "w"))
    encoder.width, encoder.height, encoder.pix_fmt = made.width, made.height, made.format.name
    encoder.time_base, encoder.thread_count, encoder.options = Fraction(1), 1, options
    return b"".join(bytes(packet) for packet in (*encoder.encode(made), *encoder.encode()))

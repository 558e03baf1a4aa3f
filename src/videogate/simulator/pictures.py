"""What a picture's bytes say of themselves."""

from dataclasses import dataclass
from io import BytesIO

import av

_STARTS = {"jpeg": b"\xff\xd8\xff", "png": b"\x89PNG\r\n\x1a\n", "bmp": b"BM", "webp": b"RIFF"}


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture's kind (`jpeg`, `png`, `bmp` or `webp`), and its size in pixels."""

    kind: str
    width: int
    height: int


def read_picture(data: bytes) -> Picture:
    """Read a picture's head. Raises ValueError for anything that is not a picture of a known kind."""
    kind = next((kind for kind, start in _STARTS.items() if data.startswith(start)), None)
    if kind is None:
        raise ValueError("not a picture")
    try:
        with av.open(BytesIO(data)) as file:
            context = file.streams.video[0].codec_context
            width, height = context.width, context.height
    except (av.FFmpegError, IndexError) as error:
        raise ValueError("not a picture") from error
    if not width or not height:
        raise ValueError("not a picture")
    return Picture(kind, width, height)

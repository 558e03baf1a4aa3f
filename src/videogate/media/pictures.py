"""What a picture is, by its first bytes: nothing is decoded, and nobody's word is taken for it."""

import struct
from collections.abc import Callable
from mmap import mmap

from videogate.task.errors import InvalidRequest
from videogate.task.frames import Frame

_JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # start-of-frame markers
Bytes = bytes | mmap

_WEBP_HEAD = 30  # bytes that hold the size in each of WebP's three forms


def identify(content: Bytes, param: str = "input_reference") -> tuple[str, Frame]:
    """The media type and size of a JPEG, PNG, WebP or BMP file.

    Raises InvalidRequest, naming `param`, for anything else.
    """
    for mime, reader in _READERS:
        try:
            frame = reader(content)
        except (struct.error, IndexError):
            frame = None
        if frame and frame.width and frame.height:
            return mime, frame
    raise InvalidRequest(
        f"{param} must be a picture: a JPEG, PNG, WebP or BMP file.", param=param, code="unsupported_input"
    )


def _png(content: Bytes) -> Frame | None:
    if content[:8] != b"\x89PNG\r\n\x1a\n":
        return None
    return Frame(*struct.unpack(">II", content[16:24]))


def _jpeg(content: Bytes) -> Frame | None:
    if content[:3] != b"\xff\xd8\xff":
        return None
    at = 2
    while at + 9 < len(content):
        marker = content[at + 1]
        if content[at] != 0xFF:  # noqa: PLR2004 (every JPEG marker begins so)
            return None
        if marker in _JPEG_SIZES:
            height, width = struct.unpack(">HH", content[at + 5 : at + 9])
            return Frame(width, height)
        at += 1 if marker == 0xFF else 2 + struct.unpack(">H", content[at + 2 : at + 4])[0]  # noqa: PLR2004 (fill)
    return None


def _webp(content: Bytes) -> Frame | None:
    if content[:4] != b"RIFF" or content[8:12] != b"WEBP" or len(content) < _WEBP_HEAD:
        return None
    kind = content[12:16]
    if kind == b"VP8X":
        return Frame(1 + int.from_bytes(content[24:27], "little"), 1 + int.from_bytes(content[27:30], "little"))
    if kind == b"VP8L":
        bits = int.from_bytes(content[21:25], "little")
        return Frame(1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", content[26:30])
        return Frame(width & 0x3FFF, height & 0x3FFF)
    return None


def _bmp(content: Bytes) -> Frame | None:
    if content[:2] != b"BM":
        return None
    width, height = struct.unpack("<ii", content[18:26])
    return Frame(width, abs(height)) if width > 0 else None


_READERS: tuple[tuple[str, Callable[[Bytes], Frame | None]], ...] = (
    ("image/png", _png),
    ("image/jpeg", _jpeg),
    ("image/webp", _webp),
    ("image/bmp", _bmp),
)

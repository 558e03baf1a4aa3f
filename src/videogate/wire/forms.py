"""Multipart bodies that hold nothing but texts, read at one go.

The general parser looks at each byte in Python, and most creates are a form of four short texts. What SDKs and curl
send for that is one fixed pattern; whatever differs from it by a byte is the general parser's to read and to refuse.
"""

import re

LONGEST = 64 * 1024  # bytes; a longer body is read as it comes

_TYPE = re.compile(r'multipart/form-data; ?boundary=(?:"([A-Za-z0-9_.-]{1,70})"|([A-Za-z0-9_.-]{1,70}))', re.IGNORECASE)
_HEAD = re.compile(rb'\r\ncontent-disposition: form-data; name="([A-Za-z0-9_.\[\]-]{1,80})"', re.IGNORECASE)
_LINE = b"\r\n"


def boundary(content_type: str) -> bytes | None:
    """The boundary that a content type names, if it is written as everybody writes it."""
    found = _TYPE.fullmatch(content_type)
    return (found[1] or found[2]).encode() if found else None


def texts(body: bytes, boundary: bytes, most: int) -> list[tuple[str, str]] | None:
    """The names and values of a whole form; None if it is not of the pattern, or has more than `most` fields."""
    pieces = body.split(b"--" + boundary)
    parts = pieces[1:-1]
    if pieces[0] or pieces[-1] not in (b"--", b"--\r\n") or not 1 <= len(parts) <= most:
        return None
    found = []
    for part in parts:
        head, gap, value = part.partition(_LINE + _LINE)
        name = _HEAD.fullmatch(head)
        if not gap or name is None or not value.endswith(_LINE):
            return None
        try:
            found.append((name[1].decode(), value[:-2].decode()))
        except UnicodeDecodeError:
            return None
    return found

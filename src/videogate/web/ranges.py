"""Reading Range and If-None-Match headers (RFC 9110): one range of bytes, or the whole; and what a client has."""

import re

_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})", re.ASCII)


class Unsatisfiable(Exception):
    """The range lies outside the content."""


def parse_range(header: str | None, length: int) -> tuple[int, int] | None:
    """The part asked for as (start, end), end exclusive; None for the whole.

    A header that is not one well-formed range of bytes is ignored, as the standard asks. Raises Unsatisfiable.
    """
    found = _RANGE.fullmatch(header.strip()) if header else None
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if first == "":
        start, end = max(0, length - int(last)), length
        if int(last) == 0:
            raise Unsatisfiable
    else:
        start, end = int(first), min(length, int(last) + 1 if last else length)
        if last and int(last) < int(first):
            return None
    if start >= length:
        raise Unsatisfiable
    return start, end


def holds(listed: list[str], etag: str) -> bool:
    """Whether `If-None-Match` headers name a file (RFC 9110, section 13.1.2): by its tag, weak or not, or by `*`."""
    tags = {tag.strip().removeprefix("W/") for line in listed for tag in line.split(",")}
    return bool(tags & {etag, "*"})

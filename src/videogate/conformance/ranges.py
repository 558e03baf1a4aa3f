"""Content, in parts and conditionally, as players and caches ask for it (RFC 9110)."""

import httpx

from videogate.conformance.check import Check
from videogate.conformance.findings import brief, expect
from videogate.conformance.session import WATCHED, Session

PART = 100  # bytes


def _part(session: Session, asked: str, start: int, end: int) -> None:
    """A range is answered with its bytes, from `start` to `end` (exclusive)."""
    whole = session.whole.content
    answer = session.content(headers={"range": f"bytes={asked}"})
    expect(answer.status_code == httpx.codes.PARTIAL_CONTENT, f"bytes={asked}: {answer.status_code}")
    told = answer.headers.get("content-range")
    expect(told == f"bytes {start}-{end - 1}/{len(whole)}", f"bytes={asked}: Content-Range {told}")
    expect(answer.content == whole[start:end], f"bytes={asked}: {len(answer.content)} other bytes")


def _offered(session: Session) -> None:
    value = session.whole.headers.get("accept-ranges")
    expect(value == "bytes", f"Accept-Ranges {value}" if value else "no Accept-Ranges")


def _closed(session: Session) -> None:
    _part(session, f"0-{PART - 1}", 0, PART)


def _open(session: Session) -> None:
    _part(session, f"{PART}-", PART, len(session.whole.content))


def _suffix(session: Session) -> None:
    size = len(session.whole.content)
    _part(session, f"-{PART}", size - PART, size)


def _beyond(session: Session) -> None:
    size = len(session.whole.content)
    answer = session.content(headers={"range": f"bytes={size}-"})
    told = answer.headers.get("content-range")
    right = answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE and told == f"bytes */{size}"
    expect(right, f"{answer.status_code}, Content-Range {told}")


def _nonsense(session: Session) -> None:
    for asked in ("bytes=abc", "miles=0-9"):
        answer = session.content(headers={"range": asked})
        whole = answer.status_code == httpx.codes.OK and answer.content == session.whole.content
        expect(whole, f"Range {asked}: {brief(answer)}")


def _head(session: Session) -> None:
    answer = session.content(method="HEAD")
    told, size = answer.headers.get("content-length"), len(session.whole.content)
    expect(answer.status_code == httpx.codes.OK and not answer.content, f"{answer.status_code}")
    expect(told == str(size), f"Content-Length {told} instead of {size}")


def _etag(session: Session) -> str:
    tag = str(session.whole.headers.get("etag", ""))
    expect(tag, "no ETag")
    return tag


def _unchanged(session: Session) -> None:
    answer = session.content(headers={"if-none-match": _etag(session)})
    expect(answer.status_code == httpx.codes.NOT_MODIFIED and not answer.content, f"{answer.status_code}")


def _if_range(session: Session) -> None:
    ranged = {"range": f"bytes=0-{PART - 1}"}
    same = session.content(headers={**ranged, "if-range": _etag(session)})
    expect(same.status_code == httpx.codes.PARTIAL_CONTENT, f"with the file's own tag: {same.status_code}")
    other = session.content(headers={**ranged, "if-range": '"another"'})
    expect(other.status_code == httpx.codes.OK, f"with another tag: {other.status_code}")


CHECKS = tuple(
    Check(f"content.{name}", claim, needed_by, look, must=False, shared=(WATCHED,))
    for name, claim, needed_by, look in (
        ("ranges-offered", "`Accept-Ranges: bytes` is said.", "Players that seek.", _offered),
        (
            "range",
            "A range is a 206 with its bytes, and `Content-Range` says which.",
            "Players; new-api hands it on.",
            _closed,
        ),
        ("range-open", "A range without an end is a 206 with the rest.", "Downloads that go on; browsers.", _open),
        (
            "range-suffix",
            "A range that counts from the end is a 206 with the last bytes.",
            "Players that look for the index at the end.",
            _suffix,
        ),
        ("range-beyond", "A range beyond the end is a 416 that tells the size.", "Downloads that go on.", _beyond),
        ("range-nonsense", "A `Range` that cannot be read is ignored.", "RFC 9110.", _nonsense),
        ("head", "HEAD tells the size and sends no body.", "Download tools; players.", _head),
        ("etag", "`ETag` is given, and a client that has the file gets a 304.", "Browsers and caches.", _unchanged),
        ("if-range", "`If-Range` gives the part only of the file that it names.", "Downloads that go on.", _if_range),
    )
)

"""Answer shape: the video object, field by field."""

from collections.abc import Mapping
from typing import Any

from videogate.conformance.check import Check
from videogate.conformance.findings import brief, expect
from videogate.conformance.session import WATCHED, Session

STRINGS = ("id", "object", "model", "status", "size", "seconds")
NULLABLE_STRINGS = ("prompt", "remixed_from_video_id")
TIMES = ("created_at", "completed_at", "expires_at")
NEVER_NULL = (*STRINGS, "progress", "created_at")
FIELDS = frozenset({*NEVER_NULL, *NULLABLE_STRINGS, *TIMES, "error"})

SECONDS = range(1_000_000_000, 100_000_000_000)  # of the epoch; milliseconds lie beyond


def _each(session: Session) -> list[dict[str, Any]]:
    """The video as the create answered it and as every look showed it."""
    return session.watch.videos


def whole_number(value: Any) -> bool:
    """Whether a JSON value is an integer: 1.0 and true are none for a typed client."""
    return type(value) is int


def shown(video: Mapping[str, Any], name: str) -> str:
    """A field as it was seen."""
    return f"{name} is {video[name]!r}" if name in video else f"no {name}"


def _fields(session: Session) -> None:
    for video in _each(session):
        missing = sorted(FIELDS - video.keys())
        expect(not missing, f"while {video.get('status')} without {', '.join(missing)}")


def _never_null(session: Session) -> None:
    for video in _each(session):
        for name in NEVER_NULL:
            expect(video.get(name) is not None, f"while {video.get('status')}: {shown(video, name)}")


def _object(session: Session) -> None:
    for video in _each(session):
        expect(video.get("object") == "video", shown(video, "object"))


def _strings(session: Session) -> None:
    for video in _each(session):
        for name in (*STRINGS, *NULLABLE_STRINGS):
            expect(isinstance(video.get(name), str | None), shown(video, name))


def _integers(session: Session) -> None:
    for video in _each(session):
        for name in ("progress", *TIMES):
            expect(video.get(name) is None or whole_number(video[name]), shown(video, name))


def _seconds(session: Session) -> None:
    for video in _each(session):
        for name in TIMES:
            value = video.get(name)
            expect(not isinstance(value, int | float) or int(value) in SECONDS, shown(video, name))


def _error(session: Session) -> None:
    for video in _each(session):
        error = video.get("error")
        sound = isinstance(error, dict) and all(isinstance(error.get(name), str) for name in ("code", "message"))
        expect(error is None or sound, shown(video, "error"))


def _media_type(session: Session) -> None:
    watch = session.watch
    for answer in (watch.created, *watch.looks):
        kind = answer.headers.get("content-type", "")
        expect(kind.partition(";")[0].strip() == "application/json", f"{kind or 'no content type'}: {brief(answer)}")


CHECKS = tuple(
    Check(f"answer.{name}", claim, needed_by, look, shared=(WATCHED,))
    for name, claim, needed_by, look in (
        (
            "fields",
            "A video has all 13 fields of the format from the first answer on, null or not.",
            "The reference marks all of them as required; generated clients take that at its word.",
            _fields,
        ),
        (
            "never-null",
            "id, object, model, status, progress, created_at, size and seconds are never null.",
            "async-openai and other typed clients; LiteLLM reckons costs from the create's `seconds`.",
            _never_null,
        ),
        ("object", "`object` is `video`.", "LiteLLM refuses anything else.", _object),
        (
            "strings",
            "`seconds` and the other texts are JSON strings, or null where that is allowed.",
            "LiteLLM and new-api refuse a number in `seconds`.",
            _strings,
        ),
        (
            "integers",
            "`progress` and the times are JSON integers.",
            "LiteLLM, new-api and Rust clients fail on 1.5 and on 1.0.",
            _integers,
        ),
        ("unix-seconds", "Times count seconds, not milliseconds.", "The reference.", _seconds),
        (
            "error",
            "`error` is null, or an object whose `code` and `message` are strings.",
            "new-api and async-openai fail on a number in `code`, LiteLLM on a text in `error`.",
            _error,
        ),
        (
            "media-type",
            "A video is sent as application/json.",
            "OpenAI's Node SDK gives its caller a text otherwise.",
            _media_type,
        ),
    )
)

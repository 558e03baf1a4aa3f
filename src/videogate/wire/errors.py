"""One table: our errors as HTTP status, OpenAI type and code. Every error a caller sees is rendered here."""

from dataclasses import dataclass, field
from math import ceil
from typing import Any

from videogate.task.errors import (
    Busy,
    CallerGone,
    CharacterNotFound,
    InvalidRequest,
    NotAuthenticated,
    NotServed,
    VideoExpired,
    VideogateError,
    VideoNotFound,
    VideoNotReady,
)


@dataclass(frozen=True, slots=True)
class Rendered:
    """An error as it is answered."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)


def envelope(status: int, message: str, *, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    """OpenAI's error object; its type follows from the status."""
    shown = None if param is None else _sendable(param)
    return {"error": {"message": _sendable(message), "type": error_type(status), "param": shown, "code": code}}


def _sendable(text: str) -> str:
    """A text that may repeat a caller's broken one (half a surrogate pair), as UTF-8 can carry it."""
    return text.encode("utf-8", "backslashreplace").decode()


def error_type(status: int) -> str:
    """The interface's type of an error status."""
    if status == 429:  # noqa: PLR2004 (too many requests)
        return "rate_limit_error"
    return "server_error" if status >= 500 else "invalid_request_error"  # noqa: PLR2004 (the server's class)


def render(error: VideogateError) -> Rendered:
    """An error of ours as an answer."""
    match error:
        case InvalidRequest():
            return Rendered(400, envelope(400, error.message, param=error.param, code=error.code))
        case NotAuthenticated():
            message = "No valid API key: send one of this gateway's keys as 'Authorization: Bearer KEY'."
            return Rendered(401, envelope(401, message, code="invalid_api_key"), {"www-authenticate": "Bearer"})
        case VideoNotFound():
            return Rendered(404, envelope(404, str(error), param=error.param, code="video_not_found"))
        case VideoNotReady():
            wait = {"retry-after": str(ceil(error.retry_after))} if error.retry_after else {}
            return Rendered(400, envelope(400, str(error), param="video_id", code="video_not_ready"), wait)
        case VideoExpired():
            return Rendered(404, envelope(404, str(error), param=error.param, code="video_expired"))
        case CharacterNotFound():
            return Rendered(404, envelope(404, str(error), param=error.param, code="character_not_found"))
        case NotServed():
            return Rendered(error.status, envelope(error.status, str(error), code=error.code), error.headers)
        case CallerGone():
            # Nobody reads it; the access log shows the status, which is nginx's for this.
            return Rendered(499, envelope(499, "The client closed the connection.", code="client_closed_request"))
        case Busy():
            body = envelope(503, str(error), code="busy")
            return Rendered(503, body, {"retry-after": str(ceil(error.retry_after))})
        case _:
            return internal("")


def internal(request_id: str) -> Rendered:
    """A bug of ours: nothing of it is shown but the id under which the log has it."""
    message = f"The gateway failed on this request. The log has it under the request id {request_id}."
    return Rendered(500, envelope(500, message, code="internal_error"))

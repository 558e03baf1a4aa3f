"""Every error of ours.

VideogateError
├── InvalidRequest          the caller's request cannot be carried out; names the parameter and the fix
├── VideoNotFound           no such video for this caller (unknown, foreign and deleted alike)
├── VideoNotReady           the content was asked for before the video is completed
├── VideoExpired            the content was kept as long as promised, and is gone
├── CharacterNotFound       no such character for this caller
├── NotAuthenticated        no key, or not one of ours
├── NotServed               the route, the method or the body's size is not served
├── CallerGone              whoever asked has hung up; nothing was made
├── Busy                    we cannot take the request now
└── VendorError             something about a vendor; carries its own code and words
    ├── NotDelivered        surely never reached the vendor: may be sent again
    ├── OutcomeUnknown      a submit that may have been paid for: never sent again
    ├── Refused             the vendor's documented refusal; nothing was created
    ├── Throttled           refused for now, nothing was created; try later
    ├── Unavailable         a poll or download got no usable answer: look again later
    ├── NotUnderstood       an answer outside the vendor's documents: look again later
    └── LinkExpired         the result's link is dead; a poll can ask for a new one
"""

from dataclasses import dataclass
from enum import StrEnum


class FailureCode(StrEnum):
    """Why a task failed, in our words; the vendor's own code and text stand beside it."""

    MODERATION_BLOCKED = "moderation_blocked"
    RATE_LIMITED = "rate_limited"
    INSUFFICIENT_BALANCE = "insufficient_balance"
    INVALID_REQUEST = "invalid_request"
    INPUT_UNREADABLE = "input_unreadable"
    MODEL_UNAVAILABLE = "model_unavailable"
    VENDOR_CREDENTIALS = "vendor_credentials_refused"
    VENDOR_CANCELLED = "vendor_cancelled"
    VENDOR_LOST = "vendor_lost_task"
    VENDOR_ERROR = "vendor_error"
    DEADLINE = "deadline_exceeded"
    UNKNOWN_OUTCOME = "submission_outcome_unknown"
    NOT_RECEIVED = "submission_not_received"


@dataclass(frozen=True, slots=True)
class Failure:
    """The end of a failed task: our code, a sentence for the caller, and what the vendor said."""

    code: FailureCode
    message: str
    vendor_code: str | None = None
    vendor_message: str | None = None


class VideogateError(Exception):
    """The root: whatever we raise on purpose."""


class InvalidRequest(VideogateError):
    """The request cannot be carried out. `param` is the field to change, `message` says how."""

    def __init__(self, message: str, *, param: str | None = None, code: str = "invalid_value") -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code


class VideoNotFound(VideogateError):
    """No video with this id belongs to this key. `param` is where the request names it."""

    def __init__(self, video_id: str, param: str = "video_id") -> None:
        super().__init__(f"No video with the id '{video_id}' exists for this API key.")
        self.param = param


class VideoNotReady(VideogateError):
    """The video is not completed, so there is no content yet."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class VideoExpired(VideogateError):
    """The video was completed, and is no longer kept. `param` is where the request names it."""

    def __init__(self, video_id: str, param: str = "video_id") -> None:
        super().__init__(f"The content of the video '{video_id}' is no longer kept. Create it again to have it again.")
        self.param = param


class CharacterNotFound(VideogateError):
    """No character with this id belongs to this key. `param` is where the request names it."""

    def __init__(self, character_id: str, param: str = "character_id") -> None:
        super().__init__(f"No character with the id '{character_id[:80]}' exists for this API key.")
        self.param = param


class NotAuthenticated(VideogateError):
    """Send one of this gateway's API keys as `Authorization: Bearer KEY`."""


class NotServed(VideogateError):
    """A route, method or body that this server does not take; `status` is the HTTP status to answer with."""

    def __init__(self, status: int, message: str, code: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers or {}


class CallerGone(VideogateError):
    """The caller hung up before its request was durable: nothing was made, and nobody reads the answer."""


class Busy(VideogateError):
    """The server cannot take new work now; the caller may try again after `retry_after` seconds."""

    def __init__(self, message: str, retry_after: float = 5.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class VendorError(VideogateError):
    """Something about a vendor. The text is safe to log: no key, no signed link."""

    def __init__(self, message: str, *, vendor_code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.vendor_code = vendor_code


class NotDelivered(VendorError):
    """The request surely never reached the vendor."""


class OutcomeUnknown(VendorError):
    """The submit may have been carried out. `evidence` keeps what came back, for a person to read."""

    def __init__(self, message: str, *, evidence: str = "") -> None:
        super().__init__(message)
        self.evidence = evidence


class Refused(VendorError):
    """The vendor refused in its documented form and created nothing."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message, vendor_code=failure.vendor_code)
        self.failure = failure


class Throttled(VendorError):
    """The vendor asks us to come back later; nothing was created."""

    def __init__(self, message: str, *, vendor_code: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message, vendor_code=vendor_code)
        self.retry_after = retry_after


class Unavailable(VendorError):
    """No usable answer to a poll or download. Says nothing about the task."""


class NotUnderstood(VendorError):
    """An answer that the vendor's documents do not describe. Says nothing about the task."""


class LinkExpired(VendorError):
    """The result's link no longer works; the vendor may give a new one to a poll."""

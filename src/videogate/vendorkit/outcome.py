"""What became of a submit, for the money: one pure function for each layer that can answer.

The network speaks first (`of_error`): only an error that surely comes before the first byte lets a request be sent
again. Then the status and the body (`of_submit`): a submit counts as refused only when the vendor says so in its own
documented form. An unknown body, a proxy's page, a 408, 409, 425 or 5xx leave open whether a job exists: never sent
again. Whether a 2xx holds an id is for the vendor's reader to say; one without is unknown too.
"""

from enum import Enum, auto

import httpx


class Submitted(Enum):
    """The outcome of a submit."""

    NOT_DELIVERED = auto()
    ACCEPTED = auto()
    REJECTED = auto()
    THROTTLED = auto()
    UNKNOWN = auto()


# Raised before the request's first byte leaves; every other error may come after it. Read in httpcore 1.0: a handshake
# that fails, stalls or is cut off is a connect error too; a local protocol error is a head that makes no HTTP/1.1.
NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
    httpx.ProxyError,
)

_AMBIGUOUS = frozenset({408, 409, 425})
_FIRST_SERVER_ERROR = 500
_TOO_MANY = 429


def of_error(error: BaseException) -> Submitted:
    """Classify a submit that ended in an error instead of an answer.

    The bound on the whole submit (TimeoutError) counts as unknown even if it struck while connecting: it does not say
    where it struck, and connecting has bounds of its own that are shorter.
    """
    return Submitted.NOT_DELIVERED if isinstance(error, NEVER_SENT) else Submitted.UNKNOWN


def of_submit(status: int, *, refused: bool, later: bool) -> Submitted:
    """Classify the answer to a submit.

    `refused` says that the body is the vendor's documented error, `later` that this error asks to be tried again.
    Neither outweighs a status that leaves open whether the request was carried out.
    """
    if status in _AMBIGUOUS or status >= _FIRST_SERVER_ERROR:
        return Submitted.UNKNOWN
    if refused:
        return Submitted.THROTTLED if later else Submitted.REJECTED
    return Submitted.ACCEPTED if 200 <= status < 300 else Submitted.UNKNOWN  # noqa: PLR2004 (the 2xx class)


def is_trouble(status: int) -> bool:
    """Whether an answer with this status, holding no job's record, is a passing trouble of the way there."""
    return status in _AMBIGUOUS or status == _TOO_MANY or status >= _FIRST_SERVER_ERROR

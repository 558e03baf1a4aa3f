"""What a vendor's answer means for the money, decided from plain values.

The rule behind the table: a submit counts as refused only when the vendor says so in its own documented form. An
unknown body, a proxy's page, a 408, 409, 425 or 5xx leave open whether a job exists: never sent again.
"""

from enum import Enum, auto


class Submitted(Enum):
    """The outcome of a submit that was answered."""

    ACCEPTED = auto()
    REJECTED = auto()
    THROTTLED = auto()
    UNKNOWN = auto()


_AMBIGUOUS = frozenset({408, 409, 425})
_FIRST_SERVER_ERROR = 500
_TOO_MANY = 429


def of_submit(status: int, *, refused: bool, later: bool) -> Submitted:
    """Classify the answer to a submit.

    `refused` says that the body is the vendor's documented error, `later` that this error asks to be tried again.
    A documented throttling code created nothing whatever its status; any other documented refusal counts only with a
    status that says the request was not carried out.
    """
    if refused and later and status not in _AMBIGUOUS:
        return Submitted.THROTTLED if status < _FIRST_SERVER_ERROR else Submitted.UNKNOWN
    if status in _AMBIGUOUS or status >= _FIRST_SERVER_ERROR:
        return Submitted.UNKNOWN
    if refused:
        return Submitted.REJECTED
    return Submitted.ACCEPTED if 200 <= status < 300 else Submitted.UNKNOWN  # noqa: PLR2004 (the 2xx class)


def is_trouble(status: int) -> bool:
    """Whether an answer with this status, holding no job's record, is a passing trouble of the way there."""
    return status in _AMBIGUOUS or status == _TOO_MANY or status >= _FIRST_SERVER_ERROR

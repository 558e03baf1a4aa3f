"""Headers of every answer of the run: looked at when all other checks are done."""

from email.utils import parsedate_to_datetime

from videogate.conformance.check import Check
from videogate.conformance.findings import Skipped, expect
from videogate.conformance.session import WATCHED, Session

POLL, RETRY = "openai-poll-after-ms", "retry-after"
SHOWN = 3


def _request_id(session: Session) -> None:
    session.made(WATCHED)
    seen = session.client.seen
    without = [each.line for each in seen if not each.headers.get("x-request-id")]
    expect(not without, f"{len(without)} of {len(seen)} answers have none, such as {'; '.join(without[:SHOWN])}")


def _hints(session: Session) -> None:
    session.made(WATCHED)
    hints = [
        (name, seen.headers[name]) for seen in session.client.seen for name in (POLL, RETRY) if name in seen.headers
    ]
    if not hints:
        raise Skipped("the server gave neither header")
    for name, value in hints:
        expect(value.isdigit() or (name == RETRY and _is_date(value)), f"{name}: {value}")


def _is_date(value: str) -> bool:
    try:
        parsedate_to_datetime(value)
    except ValueError:
        return False
    return True


CHECKS = (
    Check(
        "headers.request-id",
        "Every answer has an `x-request-id`, errors included.",
        "OpenAI's SDKs show it; whoever asks the operator for help.",
        _request_id,
        must=False,
        shared=(WATCHED,),
    ),
    Check(
        "headers.hints",
        "`openai-poll-after-ms` is an integer, and `Retry-After` one or a date, where they are given.",
        "OpenAI's Python SDK crashes on anything else.",
        _hints,
        shared=(WATCHED,),
    ),
)

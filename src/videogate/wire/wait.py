"""How a caller says that it would rather wait for news, and how we say when to come back."""

import re
from collections.abc import Mapping

LONGEST = 60  # seconds
APPLIED = "preference-applied"

_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?([0-9]{1,6})\"?(?:$|[,;\s])", re.IGNORECASE)


def read_wait(headers: Mapping[str, str]) -> int:
    """The seconds of `Prefer: wait=N` (RFC 7240), at most 60; 0 without one. A preference is never an error."""
    found = _WAIT.search(headers.get("prefer", ""))
    return min(int(found[1]), LONGEST) if found else 0


def come_back(seconds: float) -> dict[str, str]:
    """The headers by which pollers learn when there may be news: OpenAI's, in milliseconds, and HTTP's."""
    return {"openai-poll-after-ms": str(round(seconds * 1000)), "retry-after": str(max(1, round(seconds)))}

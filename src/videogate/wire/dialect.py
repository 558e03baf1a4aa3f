"""The two dialects: which one a request gets, and the words in which they differ.

A dialect is a property of the request, never stored: any dialect can read any task.
"""

from collections.abc import Mapping
from enum import StrEnum

from videogate.task.errors import InvalidRequest
from videogate.task.state import PHASES, Phase, TaskState

HEADER = "x-video-dialect"

# What the choice depends on, for caches between us and the caller.
VARY = "Authorization, api-key, User-Agent, X-Stainless-Lang, X-Video-Dialect"

# User agents of clients that expect OpenAI's words, read off the clients on 2026-11-23.
_OPENAI_AGENTS = ("openai/", "asyncopenai/", "azureopenai/", "litellm/", "async-openai", "go-http-client/")


class Dialect(StrEnum):
    """How answers are worded."""

    GATEWAY = "gateway"
    OPENAI = "openai"

    @property
    def created(self) -> int:
        """The HTTP status of a successful create."""
        return 200 if self is Dialect.OPENAI else 201

    def status(self, state: TaskState) -> str:
        """The status word of a state."""
        phase = PHASES[state]
        return phase.value if self is Dialect.OPENAI else _WORDS[phase]


# The gateway's words; OpenAI's are those of the phases.
_WORDS: Mapping[Phase, str] = {
    Phase.QUEUED: "processing",
    Phase.IN_PROGRESS: "processing",
    Phase.COMPLETED: "succeeded",
    Phase.FAILED: "failed",
}


def choose(path: str, headers: Mapping[str, str], *, of_key: str | None, default: str) -> Dialect:
    """The dialect of a request: its path, else its header, else its key's setting, else the server's.

    `headers` has lower-case names. Raises InvalidRequest for a header that names no dialect.
    """
    if path.startswith("/openai/"):
        return Dialect.OPENAI
    if asked := headers.get(HEADER):
        try:
            return Dialect(asked.strip().lower())
        except ValueError:
            raise InvalidRequest(f"{HEADER} must be gateway or openai.", param=HEADER) from None
    setting = of_key or default
    return Dialect(setting) if setting != "auto" else _sniffed(headers)


def _sniffed(headers: Mapping[str, str]) -> Dialect:
    if headers.get("user-agent", "").lower().startswith(_OPENAI_AGENTS):
        return Dialect.OPENAI
    marked = any(name == "api-key" or name.startswith("x-stainless-") for name in headers)
    return Dialect.OPENAI if marked else Dialect.GATEWAY

"""What a run is pointed at."""

import re
from dataclasses import dataclass

SECRET = 4  # characters; what is shorter hides nothing, and would be found in every word
_QUERY = re.compile(r"(https?://[^\s\"'?\\]+)\?[^\s\"'\\]*")


@dataclass(frozen=True, slots=True)
class Target:
    """A server, and how it is asked.

    Attributes:
        base_url: as SDKs take it, with `/v1`.
        key, second_key: API keys of two callers who must not see each other's videos; the second may be empty.
        model: empty: `sora-2` if the server lists it, else the first it lists.
        size, seconds: of every video that is made.
        patience: seconds until the one video that is waited for counts as never finished.
        huge: also send a body of 64 MiB.
    """

    base_url: str
    key: str
    second_key: str = ""
    model: str = ""
    size: str = "720x1280"
    seconds: int = 4
    patience: float = 600.0
    huge: bool = False

    def redact(self, text: str) -> str:
        """A text without keys, and without the queries of links, which may be signed."""
        for secret in (self.key, self.second_key):
            text = text.replace(secret, "…") if len(secret) >= SECRET else text
        return _QUERY.sub(r"\1?…", text)

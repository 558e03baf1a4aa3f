"""The headers by which a caller, or its client on its own, repeats a request."""

import re
from collections.abc import Mapping

from videogate.task.errors import InvalidRequest
from videogate.task.model import Repeat

KEY = "Idempotency-Key"
TRIES = "x-stainless-retry-count"  # OpenAI's SDKs count their tries in it, from 0

_KEY = re.compile(r"[ -~]{1,255}")
_TRIES = re.compile(r"[0-9]{1,6}")


def read_repeat(headers: Mapping[str, str]) -> Repeat:
    """Read both headers; `headers` has lower-case names. Raises InvalidRequest for a key that cannot be one."""
    key = headers.get(KEY.lower())
    if key is not None and not _KEY.fullmatch(key := key.strip()):
        raise InvalidRequest(f"{KEY} must be 1 to 255 characters of printable ASCII.", param=KEY)
    tries = headers.get(TRIES, "")
    return Repeat(key, int(tries) if _TRIES.fullmatch(tries) else 0)

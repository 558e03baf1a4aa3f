"""JSON as callers get it, in a dialect."""

from json import JSONEncoder
from typing import Any

from starlette.responses import Response

from videogate.wire.dialect import HEADER, VARY, Dialect

# Made once: an encoder and the same five headers for each answer are a tenth of a retrieve.
_encode = JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_HEADERS = {
    dialect: [
        (b"content-type", b"application/json"),
        (HEADER.encode(), dialect.value.encode()),
        (b"vary", VARY.encode()),
        (b"cache-control", b"no-store"),
    ]
    for dialect in Dialect
}


class Answer(Response):
    """A body, as JSON that no cache keeps."""

    def __init__(self, body: dict[str, Any], dialect: Dialect, status: int = 200) -> None:
        self.status_code = status
        self.background = None
        self.body = _encode(body).encode()
        self.raw_headers = [(b"content-length", b"%d" % len(self.body)), *_HEADERS[dialect]]

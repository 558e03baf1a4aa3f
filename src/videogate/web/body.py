"""A request's body, in whichever form it came, as pairs or JSON."""

from typing import Any
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request

from videogate.task.errors import InvalidRequest
from videogate.wire.fields import MOST_KEYS, Pair, Upload, from_json, from_pairs

MOST_FILES = 8


async def read_body(request: Request) -> dict[str, Any]:
    """The fields of a multipart, JSON or urlencoded body as one structure.

    A JSON body is read whatever it calls itself: curl labels it a form unless told otherwise. Raises InvalidRequest.
    """
    if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        return from_pairs(await _multipart(request))
    content = await request.body()
    if content.lstrip()[:1] in (b"{", b"["):
        return from_json(content)
    if "json" in request.headers.get("content-type", "") and content:
        return from_json(content)
    return from_pairs(_urlencoded(content))


async def _multipart(request: Request) -> list[Pair]:
    length = request.headers.get("content-length", "0")
    part = int(length) if length.isdigit() and int(length) else 32 * 1024 * 1024
    try:
        # The files stay open, on disk where they are large, until the route closes the request.
        form = await request.form(max_files=MOST_FILES, max_fields=MOST_KEYS, max_part_size=part)
        return [(key, value if isinstance(value, str) else Upload(value.file)) for key, value in form.multi_items()]
    except HTTPException as error:
        raise InvalidRequest(f"The multipart body cannot be read: {error.detail}", code="invalid_multipart") from error
    except (UnicodeDecodeError, LookupError) as error:
        raise InvalidRequest("The multipart body is not UTF-8.", code="invalid_multipart") from error


def _urlencoded(content: bytes) -> list[Pair]:
    try:
        return [*parse_qsl(content.decode(), keep_blank_values=True, errors="strict", max_num_fields=MOST_KEYS)]
    except ValueError as error:
        raise InvalidRequest(
            "The body is neither multipart/form-data, JSON nor urlencoded.", code="invalid_body"
        ) from error

"""A request's body, in whichever form it came, as pairs or JSON."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl

from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from videogate.task.errors import Busy, InvalidRequest
from videogate.wire import forms
from videogate.wire.fields import MOST_KEYS, Pair, Upload, from_json, from_pairs

MOST_FILES = 8


@asynccontextmanager
async def read_body(request: Request) -> AsyncIterator[dict[str, Any]]:
    """The fields of a multipart, JSON or urlencoded body as one structure; its files are open within the context.

    A JSON body is read whatever it calls itself: curl labels it a form unless told otherwise.

    Raises InvalidRequest, and Busy if the disk has no room for the files.
    """
    if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        if (pairs := await _texts(request)) is not None:
            yield from_pairs(pairs)
            return
        form = await _multipart(request)
        try:
            yield from_pairs(_pairs(form))
        finally:
            await form.close()
    else:
        yield _text(request, await request.body())


async def _texts(request: Request) -> list[tuple[str, str]] | None:
    """The fields of a short form without files. None: it is another, and is still to be read."""
    boundary, length = forms.boundary(request.headers["content-type"]), request.headers.get("content-length", "")
    if boundary is None or not length.isdigit() or int(length) > forms.LONGEST:
        return None
    return forms.texts(await request.body(), boundary, MOST_KEYS)


def _text(request: Request, content: bytes) -> dict[str, Any]:
    if content.lstrip()[:1] in (b"{", b"["):
        return from_json(content)
    if "json" in request.headers.get("content-type", "") and content:
        return from_json(content)
    return from_pairs(_urlencoded(content))


class _Parser(MultiPartParser):
    """Starlette's parser, which takes a body that breaks off for a whole one: this one knows."""

    whole = False

    def on_end(self) -> None:
        self.whole = True


async def _multipart(request: Request) -> FormData:
    length = request.headers.get("content-length", "0")
    part = int(length) if length.isdigit() and int(length) else 32 * 1024 * 1024
    parser = _Parser(request.headers, request.stream(), max_files=MOST_FILES, max_fields=MOST_KEYS, max_part_size=part)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise InvalidRequest(f"The multipart body cannot be read: {error.message}", code="invalid_multipart") from error
    except (UnicodeDecodeError, LookupError) as error:
        raise InvalidRequest("The multipart body is not UTF-8.", code="invalid_multipart") from error
    except OSError as error:  # a large part is written to the system's temporary folder
        raise Busy("The gateway cannot store a file just now. Nothing was spent; try again.") from error
    if not parser.whole:
        await form.close()
        raise InvalidRequest("The multipart body breaks off before its end.", code="invalid_multipart")
    return form


def _pairs(form: FormData) -> list[Pair]:
    return [(key, value if isinstance(value, str) else Upload(value.file)) for key, value in form.multi_items()]


def _urlencoded(content: bytes) -> list[Pair]:
    try:
        return [*parse_qsl(content.decode(), keep_blank_values=True, errors="strict", max_num_fields=MOST_KEYS)]
    except ValueError as error:
        raise InvalidRequest(
            "The body is neither multipart/form-data, JSON nor urlencoded.", code="invalid_body"
        ) from error

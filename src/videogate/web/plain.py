"""The three calls that are made most, without what the framework does for every other.

Its layers, the search among the routes of four prefixes and the solving of arguments cost more than the rest of a GET.
The functions are those of `routes/videos.py`, called with the same arguments, within the same edge and with the same
answers to errors. Whatever does not look exactly like one of these calls takes the framework's way.
"""

import re
from functools import partial
from types import SimpleNamespace
from typing import Any

from fastapi import FastAPI
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from videogate.web.asked import Asked
from videogate.web.auth import Caller, authenticate
from videogate.web.deps import Parts, parts
from videogate.web.routes import videos
from videogate.wire import dialect
from videogate.wire.dialect import Dialect

_PATH = re.compile(r"(?:/openai)?(?:/v1)?/videos(?:/|/([A-Za-z0-9_-]{1,64})/?)?")
_SHOWN = re.compile(
    rb"(limit)=([0-9]{1,3})|(order)=(asc|desc)|(after)=([A-Za-z0-9_-]{1,64})"
)  # what a page is asked by
_ONE, _ALL = (
    SimpleNamespace(path="/videos/{video_id}"),
    SimpleNamespace(path="/videos"),
)  # as figures and traces name it


async def _get(request: Request, have: Parts, who: Caller, words: Dialect) -> Response:
    return await videos.get(request.path_params["video_id"], request, have, who, words)


def takes(scope: Scope) -> bool:
    """Whether this is one of the calls; says so in its scope."""
    found = _PATH.fullmatch(scope["path"]) if scope["type"] == "http" else None
    if found is None:
        return False
    scope["path_params"] = {"video_id": found[1]} if found[1] else {}
    match scope["method"]:
        case "GET" if found[1]:
            scope["route"], scope["asked"] = _ONE, _get
        case "GET" if (shown := _page(scope["query_string"])) is not None:
            scope["route"], scope["asked"] = _ALL, partial(videos.list_videos, **shown)
        case "POST" if not found[1]:
            scope["route"], scope["asked"] = _ALL, videos.create
        case _:
            return False
    return True


def _page(query: bytes) -> dict[str, Any] | None:
    """Which page a query asks for, as the route takes it; None if it says anything that the route would look at."""
    words: dict[str, Any] = {}
    for part in query.split(b"&") if query else ():
        found = _SHOWN.fullmatch(part)
        name, value = (each.decode() for each in found.groups() if each) if found else ("", "")
        if not name or name in words:
            return None
        words[name] = value
    words["limit"] = int(words.get("limit", videos.LISTED))
    return words if words["limit"] <= videos.MOST_LISTED else None


def answers(app: FastAPI) -> ASGIApp:
    """What answers these calls, with the parts and the error handlers of an application."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = app
        request = Asked(scope, receive)
        have = await parts(request)
        who = await authenticate(request, have.keys)
        setting: dict[str, Any] = {"of_key": who.dialect, "default": have.default_dialect}
        words = dialect.choose(scope["path"], request.headers, **setting)
        response = await scope["asked"](request, have, who, words)
        await response(scope, receive, send)

    return ExceptionMiddleware(answer, handlers=app.exception_handlers)

"""The two calls that are made most, without what the framework does for every other.

Its layers, the search among the routes of four prefixes and the solving of arguments cost more than the rest of a GET.
The functions are those of `routes/videos.py`, called with the same arguments, within the same edge and with the same
answers to errors. Whatever does not look exactly like one of these calls takes the framework's way.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from types import SimpleNamespace
from typing import Any

from fastapi import FastAPI
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from videogate.web.auth import Caller, authenticate
from videogate.web.deps import Parts, parts
from videogate.web.routes import videos
from videogate.wire import dialect
from videogate.wire.dialect import Dialect

Asked = Callable[[Request, Parts, Caller, Dialect], Awaitable[Response]]

_ONE = re.compile(r"(?:/openai)?(?:/v1)?/videos/([A-Za-z0-9_-]{1,64})/?")
_ALL = re.compile(r"(?:/openai)?(?:/v1)?/videos/?")


async def _get(request: Request, have: Parts, who: Caller, words: Dialect) -> Response:
    return await videos.get(request.path_params["video_id"], request, have, who, words)


_CALLS: Mapping[str, tuple[re.Pattern[str], Asked, SimpleNamespace]] = {
    "GET": (_ONE, _get, SimpleNamespace(path="/videos/{video_id}")),  # the path as figures and traces name it
    "POST": (_ALL, videos.create, SimpleNamespace(path="/videos")),
}


def takes(scope: Scope) -> bool:
    """Whether this is one of the calls; says so in its scope."""
    if scope["type"] != "http" or scope["method"] not in _CALLS:
        return False
    path, asked, route = _CALLS[scope["method"]]
    found = path.fullmatch(scope["path"])
    if found is None:
        return False
    scope["route"], scope["asked"] = route, asked
    scope["path_params"] = {"video_id": found[1]} if found.lastindex else {}
    return True


def answers(app: FastAPI) -> ASGIApp:
    """What answers these calls, with the parts and the error handlers of an application."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = app
        request = Request(scope, receive)
        have = await parts(request)
        who = await authenticate(request, have.keys)
        setting: dict[str, Any] = {"of_key": who.dialect, "default": have.default_dialect}
        words = dialect.choose(scope["path"], request.headers, **setting)
        response = await scope["asked"](request, have, who, words)
        await response(scope, receive, send)

    return ExceptionMiddleware(answer, handlers=app.exception_handlers)

"""The routes that are asked most, without what the framework does for every other.

Looking a route up among those of four prefixes and having its arguments solved costs more than the rest of a GET. The
functions are those of `routes/videos.py`, called with the same arguments; the framework's own routes stay behind these.
"""

from collections.abc import Awaitable, Callable, Sequence
from types import SimpleNamespace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

from videogate.web.auth import Caller, authenticate
from videogate.web.deps import Parts, parts
from videogate.web.routes import videos
from videogate.wire import dialect
from videogate.wire.dialect import Dialect

Asked = Callable[[Request, Parts, Caller, Dialect], Awaitable[Response]]

LONGEST_ID = 64  # a longer one is the framework's to refuse


async def _get(request: Request, have: Parts, who: Caller, words: Dialect) -> Response:
    return await videos.get(request.path_params["video_id"], request, have, who, words)


class Plain(Route):
    """One method of one path."""

    def __init__(self, prefix: str, path: str, method: str, asked: Asked) -> None:
        super().__init__(prefix + path, _endpoint(asked), methods=[method])
        self.methods = {method}  # a GET here answers no HEAD
        self._template = SimpleNamespace(path=path)  # as figures and traces name it

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, found = super().matches(scope)
        whole = match is Match.FULL and len(found["path_params"].get("video_id", "")) <= LONGEST_ID
        return (match, {**found, "route": self._template}) if whole else (Match.NONE, {})


def routes(prefixes: Sequence[str]) -> list[Route]:
    """The plain routes under these prefixes."""
    asked: list[tuple[str, str, Asked]] = [("/videos/{video_id}", "GET", _get), ("/videos", "POST", videos.create)]
    return [Plain(prefix, *each) for prefix in prefixes for each in asked]


def _endpoint(asked: Asked) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        have = await parts(request)
        who = await authenticate(request, have.keys)
        setting: dict[str, Any] = {"of_key": who.dialect, "default": have.default_dialect}
        return await asked(request, have, who, dialect.choose(request.scope["path"], request.headers, **setting))

    return endpoint

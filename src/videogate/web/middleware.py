"""What every request passes: an id, one access-log line, a limit on the body, tolerance for a trailing slash."""

import re
from secrets import token_hex
from time import perf_counter

import structlog
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from videogate import traces
from videogate.engine import figures
from videogate.task.errors import NotServed
from videogate.traces import Span
from videogate.web.asked import Asked
from videogate.web.cors import Around, alone
from videogate.web.errors import bug, respond

log = structlog.get_logger("videogate.web")

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TOKEN = re.compile(r"^(/callbacks/.*/)[^/]+$")  # who has it may call; a log is read by more
_OWN_ID = ("x-request-id", "x-client-request-id")


class Edge:
    """The outermost layer. `max_body` is in bytes; `around` is put around the application, and answers from here."""

    def __init__(self, app: ASGIApp, max_body: int, around: Around = alone) -> None:
        self._app = around(app)
        self._around = around
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Asked(scope)
        with traces.serving(scope["method"], request.headers) as span:
            await self._answer(request, receive, send, span)

    async def _answer(self, request: Request, receive: Receive, send: Send, span: Span) -> None:
        scope = request.scope
        request_id = _request_id(request)
        scope.setdefault("state", {})["request_id"] = request_id
        span.say({"videogate.request_id": request_id})
        path = scope["path"]
        if len(path) > 1 and path.endswith("/"):
            scope["path"] = path.rstrip("/") or "/"
        started, status, body = perf_counter(), 0, _Counted(receive, self._max_body)

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            if too_large := self._announced_too_large(request):
                await self._around(respond(request, too_large))(scope, receive, sending)
            else:
                await self._app(scope, body, sending)
        except Exception as error:
            if status:
                raise  # an answer has begun: all that is left is to break it off
            await self._around(bug(request, error))(scope, receive, sending)
        finally:
            took = perf_counter() - started
            figures.answered(_route(scope), scope["method"], status, took, body.count)
            span.answered(scope["method"], _route(scope), status)
            log.info(
                "request",
                method=scope["method"],
                path=_TOKEN.sub(r"\1…", path) if path.startswith("/callbacks/") else path,
                status=status,
                ms=round(took * 1000, 1),
                request_id=request_id,
                key=scope["state"].get("key"),
            )

    def _announced_too_large(self, request: Request) -> NotServed | None:
        length = request.headers.get("content-length", "")
        return _too_large(self._max_body) if length.isdigit() and int(length) > self._max_body else None


def _route(scope: Scope) -> str:
    """The template of the route that took the request, without its prefix; paths that are nobody's count as one."""
    return getattr(scope.get("route"), "path", "none")


def _request_id(request: Request) -> str:
    for name in _OWN_ID:
        if (value := request.headers.get(name)) and _ID.fullmatch(value):
            return value
    return "req_" + token_hex(12)


class _Counted:
    """Counts the body as it arrives: what a client announces is only a hint."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self.count = 0
        self._receive = receive
        self._limit = limit

    async def __call__(self) -> Message:
        message = await self._receive()
        self.count += len(message.get("body", b""))
        if self.count > self._limit:
            raise _too_large(self._limit)
        return message


def _too_large(limit: int) -> NotServed:
    return NotServed(413, f"The request body is larger than {limit} bytes.", "request_too_large")

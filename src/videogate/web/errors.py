"""Every error as an answer in OpenAI's envelope, whoever raised it."""

from typing import cast

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from videogate.task.errors import CallerGone, InvalidRequest, NotServed, VideogateError
from videogate.wire.errors import Rendered, internal, render

log = structlog.get_logger("videogate.web")


def respond(request: Request, error: VideogateError) -> Response:
    """The answer to an error of ours."""
    return _answer(request, render(error))


def install(app: FastAPI) -> None:
    """Register the handlers."""
    app.add_exception_handler(VideogateError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ClientDisconnect, _gone)


def _answer(request: Request, rendered: Rendered) -> Response:
    if request.method == "HEAD":
        return Response(status_code=rendered.status, headers=rendered.headers)
    return JSONResponse(rendered.body, rendered.status, rendered.headers)


async def _ours(request: Request, error: Exception) -> Response:
    return respond(request, cast("VideogateError", error))


async def _invalid(request: Request, error: Exception) -> Response:
    first = cast("RequestValidationError", error).errors()[0]
    param = str(first["loc"][-1]) if first["loc"] else None
    return respond(request, InvalidRequest(f"{param}: {first['msg']}.", param=param))


async def _http(request: Request, error: Exception) -> Response:
    raised = cast("HTTPException", error)
    path, method = request.scope["path"], request.method
    code, message = {
        404: ("route_not_found", f"There is no route {method} {path[:200]} here."),
        405: ("method_not_allowed", f"{path[:200]} does not take {method}."),
    }.get(raised.status_code, ("invalid_request", str(raised.detail)))
    return respond(request, NotServed(raised.status_code, message, code, dict(raised.headers or {})))


async def _gone(request: Request, _error: Exception) -> Response:
    return respond(request, CallerGone())


def bug(request: Request, error: Exception) -> Response:
    """The answer to an error that nobody foresaw; the log gets all of it, the caller its request id."""
    request_id = request.scope["state"]["request_id"]
    log.error("request_failed", request_id=request_id, exc_info=error)
    return _answer(request, internal(request_id))

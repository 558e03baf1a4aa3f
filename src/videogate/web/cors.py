"""Which other sites' pages may call: their browsers ask first, and let the page read what it is answered."""

from collections.abc import Callable, Sequence
from functools import partial

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from videogate.wire.dialect import HEADER
from videogate.wire.errors import envelope

Around = Callable[[ASGIApp], ASGIApp]

METHODS = ("GET", "HEAD", "POST", "DELETE", "OPTIONS")

# What a page may read beside what every page may; `content-length` and `content-type` are among those.
EXPOSED = (
    "x-request-id",
    HEADER,
    "openai-poll-after-ms",
    "retry-after",
    "preference-applied",
    "accept-ranges",
    "content-range",
    "content-disposition",
    "etag",
    "location",
)
REMEMBERED = 600  # seconds for which a browser need not ask again


def alone(app: ASGIApp) -> ASGIApp:
    """Nothing around an application: no other site's page may call it."""
    return app


def sharing(origins: Sequence[str]) -> Around:
    """What to put around an application so that pages of `origins` may call it; `*` is every page.

    No credentials: a key travels in a header that the page itself sets, never in a cookie. So nothing is gained by
    refusing a header either, and SDKs send many.
    """
    if not origins:
        return alone
    return partial(
        _Sharing,
        allow_origins=origins,
        allow_methods=METHODS,
        allow_headers=("*",),
        allow_private_network=True,
        expose_headers=EXPOSED,
        max_age=REMEMBERED,
    )


class _Sharing(CORSMiddleware):
    """Starlette's, which refuses in our envelope."""

    def preflight_response(self, request_headers: Headers) -> Response:
        answer = super().preflight_response(request_headers)
        if answer.status_code == 200:  # noqa: PLR2004 (what a browser is asked to see)
            return answer
        message = (
            f"{bytes(answer.body).decode()}: the gateway's setting VIDEOGATE_CORS_ORIGINS says whose pages may call."
        )
        return JSONResponse(envelope(400, message, code="cors_not_allowed"), 400, {"vary": answer.headers["vary"]})

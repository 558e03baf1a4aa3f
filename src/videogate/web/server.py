"""The HTTP application: routes under every prefix that clients use."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.types import ASGIApp, Receive, Scope, Send

from videogate.web import cors, errors, plain
from videogate.web.middleware import Edge
from videogate.web.routes import callbacks, characters, content, health, metrics, models, videos, webhooks

# The framework's own would tell whole paths, and there are tokens in some: see `videogate.traces`.
NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
# `/v1` is ours; a base URL without it, and Azure's, must work too.
PREFIXES = ("/v1", "", "/openai/v1", "/openai")


class Gateway(FastAPI):
    """The framework, but for the calls that `plain` takes."""

    plain: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.plain is not None and plain.takes(scope):
            await self.plain(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def build(
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]],
    *,
    max_body: int,
    version: str,
    origins: Sequence[str] = (),
    callers: bool = True,
) -> FastAPI:
    """The application. `lifespan` puts the parts into `app.state.parts`; pages of `origins` may call.

    Without `callers` it answers those who watch it and nobody else.
    """
    app = Gateway(
        title="videogate", version=version, lifespan=lifespan, docs_url=None, redoc_url=None, telemetry=NO_TELEMETRY
    )
    for prefix in PREFIXES if callers else ():
        shown = prefix == "/v1"
        # Characters first: among the videos their name would be an id.
        for module in (characters, videos, content, models, webhooks):
            app.include_router(module.router, prefix=prefix, include_in_schema=shown)
    app.include_router(health.router)
    app.include_router(metrics.router)
    if callers:
        app.include_router(callbacks.router)
    errors.install(app)
    around = cors.sharing(origins)
    app.add_middleware(Edge, max_body=max_body, around=around)
    if callers:
        app.plain = Edge(plain.answers(app), max_body=max_body, around=around)
    return app

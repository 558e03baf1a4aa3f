"""The HTTP application: routes under every prefix that clients use."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

from fastapi import FastAPI

from videogate.web import cors, errors
from videogate.web.middleware import Edge
from videogate.web.routes import callbacks, characters, content, health, metrics, models, videos, webhooks

# `/v1` is ours; a base URL without it, and Azure's, must work too.
PREFIXES = ("/v1", "", "/openai/v1", "/openai")


def build(
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]],
    *,
    max_body: int,
    version: str,
    origins: Sequence[str] = (),
) -> FastAPI:
    """The application. `lifespan` puts the parts into `app.state.parts`; pages of `origins` may call."""
    app = FastAPI(title="videogate", version=version, lifespan=lifespan, docs_url=None, redoc_url=None)
    for prefix in PREFIXES:
        shown = prefix == "/v1"
        # Characters first: among the videos their name would be an id.
        for module in (characters, videos, content, models, webhooks):
            app.include_router(module.router, prefix=prefix, include_in_schema=shown)
    app.include_router(health.router)
    app.include_router(metrics.router)
    app.include_router(callbacks.router)
    errors.install(app)
    app.add_middleware(Edge, max_body=max_body, around=cors.sharing(origins))
    return app

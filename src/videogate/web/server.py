"""The HTTP application: routes under every prefix that clients use."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from fastapi import FastAPI

from videogate.web import errors
from videogate.web.middleware import Edge
from videogate.web.routes import callbacks, content, health, metrics, models, videos

# `/v1` is ours; a base URL without it, and Azure's, must work too.
PREFIXES = ("/v1", "", "/openai/v1", "/openai")


def build(lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]], *, max_body: int, version: str) -> FastAPI:
    """The application. `lifespan` puts the parts into `app.state.parts`."""
    app = FastAPI(title="videogate", version=version, lifespan=lifespan, docs_url=None, redoc_url=None)
    for prefix in PREFIXES:
        shown = prefix == "/v1"
        for module in (videos, content, models):
            app.include_router(module.router, prefix=prefix, include_in_schema=shown)
    app.include_router(health.router)
    app.include_router(metrics.router)
    app.include_router(callbacks.router)
    errors.install(app)
    app.add_middleware(Edge, max_body=max_body)
    return app

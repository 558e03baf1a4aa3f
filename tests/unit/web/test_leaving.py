"""Callers that hang up, at the moment that no real connection can be made to hit."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from json import dumps
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Message
from structlog.testing import capture_logs

from unit.engine.support import Scene, scene_in
from unit.media.support import png
from videogate.store.keys import KeyStore
from videogate.task.model import Fit
from videogate.web import server
from videogate.web.auth import Keys

MAX_BODY = 100_000
HEADERS = {"authorization": "Bearer sk-1"}


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[tuple[Scene, FastAPI]]:
    """The routes on an engine that only the test moves."""
    async with scene_in(folder) as scene:

        @asynccontextmanager
        async def lifespan(_: FastAPI) -> AsyncIterator[None]:
            yield

        app = server.build(lifespan, max_body=MAX_BODY, version="1")
        app.state.parts = SimpleNamespace(
            submissions=scene.submissions,
            inputs=scene.shop.inputs,
            keys=Keys(KeyStore(scene.desk.database), b"secret", ("sk-1",), lambda: 0.0),
            default_model="text-1",
            default_fit=Fit.NEAREST,
            default_dialect="gateway",
            clock=time.time,
        )
        yield scene, app


async def asked(app: FastAPI, request: httpx.Request, *then: Message) -> int:
    """Send a request whole, and after it what the server would report next; the status that the app answers."""
    coming = [{"type": "http.request", "body": request.read(), "more_body": False}, *then]
    statuses = []

    async def receive() -> Message:
        return coming.pop(0)

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": "/v1/videos",
        "query_string": b"",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
    }
    await app(scope, receive, send)
    (status,) = statuses
    return int(status)


def multipart() -> httpx.Request:
    """A request with a picture."""
    return httpx.Request(
        "POST",
        "http://a/v1/videos",
        headers=HEADERS,
        data={"model": "picture-1", "prompt": "a cat"},
        files={"input_reference": ("cat.png", png(640, 480), "image/png")},
    )


@pytest.mark.parametrize(
    "request_",
    [multipart(), httpx.Request("POST", "http://a/v1/videos", headers=HEADERS, content=dumps({"prompt": "x"}))],
)
async def test_who_leaves_after_the_body_gets_nothing_made(tmp_path: Path, request_: httpx.Request) -> None:
    """The body was read whole and then the caller hung up: no task, no file, and one quiet line in the log."""
    async with served(tmp_path) as (scene, app):
        with capture_logs() as logged:
            status = await asked(app, request_, {"type": "http.disconnect"})

        assert status == 499
        assert scene.desk.everything() == ([], [])
        assert list((tmp_path / "inputs").iterdir()) == []
        assert [(line["event"], line["log_level"]) for line in logged] == [("request", "info")]


async def test_who_stays_is_served(tmp_path: Path) -> None:
    """Whether the caller is still there is asked without taking anything from the connection."""
    async with served(tmp_path) as (scene, app):
        status = await asked(app, multipart(), {"type": "http.request", "body": b"", "more_body": False})

        assert status == 201
        assert len(scene.desk.sql("SELECT id FROM task")) == 1

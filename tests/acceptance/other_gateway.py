"""A gateway as others build them: it works when one looks at it by hand, and clients of the format break on it."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

KEYS = ("sk-first-caller", "sk-second-caller")
FILM = b"\0\0\0\x18ftypisom" + bytes(range(256)) * 8
RENDERING = 1.0  # seconds

# What `videogate conformance` is to find there, and nothing else.
BREAKS = {
    "create.status",  # 201
    "answer.fields",  # nothing that is null is sent
    "answer.never-null",  # no size, no seconds
    "answer.integers",  # created_at is 1700000000.25
    "lifecycle.words",  # processing, succeeded
    "content.early",  # 409
    "content.variant-unknown",  # any variant is the film
    "content.thumbnail",
    "content.spritesheet",
    "list.shape",  # everything at once, oldest first, no cursors
    "list.newest-first",
    "list.ascending",
    "list.limit",
    "list.end",
    "errors.no-prompt",  # {"detail": …}
    "errors.no-prompt-form",
    "errors.seconds",  # whatever comes is taken
    "errors.seconds-type",
    "errors.size",
    "errors.broken-json",
    "errors.unknown-id",
    "errors.unknown-route",
    "errors.wrong-method",
    "access.no-key",
    "access.wrong-key",
    "access.content",
    "access.foreign-id",  # who has a key sees everything
    "access.foreign-list",
    "delete.answer",  # 204
    "delete.gone",
}


@dataclass
class Job:
    """One video."""

    id: str
    fields: dict[str, Any]
    began: float = field(default_factory=time.time)

    def shown(self) -> dict[str, Any]:
        """The video as this gateway shows it."""
        done = self.done
        more = {"completed_at": int(self.began + RENDERING)} if done else {}
        return {
            "id": self.id,
            "object": "video",
            "model": self.fields.get("model", "sora-2"),
            "status": "succeeded" if done else "processing",
            "progress": 100 if done else 0,
            "created_at": int(self.began) + 0.25,
            **more,
        }

    @property
    def done(self) -> bool:
        """Whether it is made."""
        return time.time() > self.began + RENDERING


class OtherGateway:
    """The server."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.made = 0
        self.app = Starlette(
            routes=[
                Route("/v1/models", self.models),
                Route("/v1/videos", self.create, methods=["POST"]),
                Route("/v1/videos", self.listed),
                Route("/v1/videos/{id}", self.get),
                Route("/v1/videos/{id}", self.delete, methods=["DELETE"]),
                Route("/v1/videos/{id}/content", self.content),
                Route("/files/{id}.mp4", self.file),
            ],
            exception_handlers={404: self.lost, 405: self.lost},
        )

    async def models(self, _request: Request) -> Response:
        """The models, for everybody."""
        models = [{"id": "other-video-1", "object": "model", "created": 1700000000, "owned_by": "other"}]
        return JSONResponse({"object": "list", "data": models})

    async def create(self, request: Request) -> Response:
        """Anything with a prompt is taken."""
        if refused := self._refused(request):
            return refused
        fields = await self._fields(request)
        if not fields.get("prompt"):
            return JSONResponse({"detail": [{"loc": ["body", "prompt"], "msg": "field required"}]}, 422)
        self.made += 1
        job = Job(f"task_{self.made:032x}", fields)
        self.jobs[job.id] = job
        return JSONResponse(job.shown(), 201)

    async def listed(self, request: Request) -> Response:
        """Everything, of everybody."""
        return self._refused(request) or JSONResponse({"data": [job.shown() for job in self.jobs.values()]})

    async def get(self, request: Request) -> Response:
        """One video, of whomever."""
        return self._refused(request) or self._missing(request) or JSONResponse(self._job(request).shown())

    async def delete(self, request: Request) -> Response:
        """Forget it."""
        if refused := self._refused(request) or self._missing(request):
            return refused
        del self.jobs[request.path_params["id"]]
        return Response(status_code=204)

    async def content(self, request: Request) -> Response:
        """The file lies elsewhere."""
        if refused := self._refused(request) or self._missing(request):
            return refused
        if not self._job(request).done:
            return JSONResponse({"detail": "not ready"}, 409)
        return RedirectResponse(f"/files/{request.path_params['id']}.mp4", 302)

    async def file(self, _request: Request) -> Response:
        """The film, whole."""
        return Response(FILM, media_type="video/mp4")

    async def lost(self, _request: Request, error: Exception) -> Response:
        """The framework's own answer."""
        return JSONResponse({"detail": str(error)}, getattr(error, "status_code", 404))

    def _refused(self, request: Request) -> Response | None:
        known = {f"Bearer {key}" for key in KEYS}
        return None if request.headers.get("authorization") in known else JSONResponse({"detail": "no"}, 401)

    def _missing(self, request: Request) -> Response | None:
        return None if request.path_params["id"] in self.jobs else JSONResponse({"detail": "Not Found"}, 404)

    def _job(self, request: Request) -> Job:
        return self.jobs[request.path_params["id"]]

    async def _fields(self, request: Request) -> dict[str, Any]:
        if request.headers.get("content-type") == "application/json":
            try:
                found: dict[str, Any] = await request.json()
            except ValueError:
                found = {}
            return found
        async with request.form() as form:
            return {name: value for name, value in form.items() if isinstance(value, str)}


@contextmanager
def serving(gateway: OtherGateway) -> Iterator[str]:
    """The gateway on a free port, in a thread."""
    server = uvicorn.Server(uvicorn.Config(gateway.app, port=0, log_level="error", ws="none", lifespan="off"))
    thread = Thread(target=asyncio.run, args=(server.serve(),))
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the other gateway did not start"
            time.sleep(0.02)
        host, port = server.servers[0].sockets[0].getsockname()[:2]
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        thread.join()

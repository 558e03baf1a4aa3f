"""Vidu's asynchronous video API.

https://platform.vidu.com/docs/text-to-video and its sister pages; tasks: the same site's get-generation, tasks-list,
cancel-generation and get-account-info; limits: usage-and-limits; errors: error-code; read 2026-11-23.
"""

import asyncio
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from videogate.simulator.faults import Fault
from videogate.simulator.films import RATE
from videogate.simulator.vendor import Unreadable, film, guarded, here, witnessed
from videogate.simulator.vidu_callbacks import Callbacks
from videogate.simulator.vidu_inputs import BIGGEST_SEED, FIELDS, Desk, Made, Source, choose
from videogate.simulator.vidu_lists import clock, select
from videogate.simulator.vidu_models import MODELS, USUAL_SECONDS, Invalid, error
from videogate.simulator.world import Job, Stage, World

NAME = "vidu"
PREFIX = "/vidu"
ROOT = ""


def environment(base_url: str, key: str) -> dict[str, str]:
    """What points a gateway here."""
    return {"VIDEOGATE_VIDU_API_KEY": key, "VIDEOGATE_VIDU_BASE_URL": base_url}


_EXPIRED = "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
ERRORS = {
    "throttle": lambda: error("TooManyRequests"),
    "refuse": lambda: error("Unauthorized"),
    "moderate_submit": lambda: error("AuditSubmitIllegal"),
    "error": lambda: error("InternalServiceFailure"),
    "expire": lambda: Response(_EXPIRED, 403, media_type="application/xml"),  # results lie in S3
}

AT_ONCE = 5  # jobs that run; more wait
BIGGEST_BODY = 20 * 1024 * 1024  # bytes
BALANCE = 1_000_000  # credits at first
_ANY = ("GET", "POST", "PUT", "PATCH", "DELETE")
_WORDS = {
    Stage.QUEUED: "queueing",
    Stage.RUNNING: "processing",
    Stage.DONE: "success",
    Stage.FAILED: "failed",
    Stage.MODERATED: "failed",
    Stage.CANCELLED: "failed",
}
_REASONS = {
    Stage.FAILED: "InternalServiceFailure",
    Stage.MODERATED: "CreationPolicyViolation",
    Stage.CANCELLED: "UserCancelled",
}


def routes(world: World) -> list[BaseRoute]:
    """The paths below the base URL."""
    api = _Api(world)

    def route(path: str, op: str, handler: Any, *methods: str) -> Route:
        return Route(path, guarded(world, NAME, op, handler, ERRORS), methods=methods or None)

    return [
        *(route(f"/ent/v2/{path}", "submit", api.create, "POST") for path in MODELS),
        route("/ent/v2/tasks", "list", api.list, "GET"),
        route("/ent/v2/tasks/{id}/creations", "poll", api.retrieve, "GET"),
        route("/ent/v2/tasks/{id}/cancel", "cancel", api.cancel, "POST"),
        route("/ent/v2/credits", "credits", api.credits, "GET"),
        route("/results/{token}.mp4", "result", api.content, "GET"),
        route("/results/{token}.jpg", "cover", api.cover, "GET"),
        Route("/{path:path}", api.lost, methods=_ANY),
    ]


class _Api:
    def __init__(self, world: World) -> None:
        self._world = world
        self._callbacks = Callbacks(world)

    async def create(self, request: Request, fault: Fault | None) -> Response:
        self._authorize(request)
        # Null is as good as absent: a public client sends it for lists that it leaves empty.
        given = {name: value for name, value in (await _body(request)).items() if value is not None}
        job, used = await self._job(request.url.path.rpartition("/")[2], given)
        job.suffer(fault)
        begun = self._maker(given.get("video_creation_id"))
        ledger = {"client_ref": used.get("payload") or None, "source": begun.id if begun else None}
        await self._world.accept(job, **await witnessed(request), **ledger)
        if given.get("callback_url"):
            base = here(request)
            self._callbacks.follow(job, str(given["callback_url"]), lambda: self._record(base, job))
        accepted = {"task_id": job.id, "state": "created", "model": job.model, **used}
        return JSONResponse(accepted | {"credits": job.details["credits"], "created_at": clock(job.created)})

    async def retrieve(self, request: Request, fault: Fault | None) -> Response:
        job = self._find(request)
        job.looked_at(fault)
        record = self._record(here(request), job)
        if fault is not None and fault.mode == "unknown_word":
            record["state"] = "somewhere_else"
        return JSONResponse(record)

    async def list(self, request: Request, _fault: Fault | None) -> Response:
        self._authorize(request)
        jobs, token = select(request.query_params, self._world.of(NAME), self._state)
        return JSONResponse({"next_page_token": token, "tasks": [self._item(here(request), job) for job in jobs]})

    async def cancel(self, request: Request, _fault: Fault | None) -> Response:
        job = self._find(request)
        given = (await _body(request)).get("id")
        if given != job.id:
            raise Invalid("FieldInvalid" if given else "FieldLacking", ["id"])
        stage, _ = job.stage()
        if stage is not Stage.QUEUED:
            state = "scheduled" if stage is Stage.RUNNING else _WORDS[stage]
            return error("BadRequest", f"task state is {state}, can not cancel")
        await self._world.cancel(job)
        return JSONResponse({})

    async def credits(self, request: Request, _fault: Fault | None) -> Response:
        self._authorize(request)
        jobs = self._world.of(NAME)
        stages = [job.stage()[0] for job in jobs]
        remains = {
            "type": "test",
            "credit_remain": BALANCE - sum(_cost(job) for job in jobs),
            "concurrency_limit": AT_ONCE,
            "current_concurrency": stages.count(Stage.RUNNING),
            "queue_count": stages.count(Stage.QUEUED),
        }
        return JSONResponse({"remains": [remains], "packages": []})

    async def content(self, request: Request, _fault: Fault | None) -> Response:
        job = self._world.behind(request.path_params["token"])
        return ERRORS["expire"]() if job is None else await film(self._world, job)

    async def cover(self, request: Request, _fault: Fault | None) -> Response:
        job = self._world.behind(request.path_params["token"])
        if job is None:
            return ERRORS["expire"]()
        path = await self._world.films.get(job.width, job.height, job.seconds, f"{job.vendor} {job.prompt}")
        return Response(await asyncio.to_thread(_still, path), media_type="image/jpeg")

    async def lost(self, request: Request) -> Response:
        return error("NotFound")

    def _authorize(self, request: Request) -> None:
        if request.headers.get("authorization") != f"Token {self._world.options.key}":
            raise Invalid("Unauthorized")

    def _find(self, request: Request) -> Job:
        self._authorize(request)
        job = self._world.find(NAME, request.path_params["id"])
        if job is None:
            raise Invalid("TaskNotFound")
        return job

    async def _job(self, path: str, given: dict[str, Any]) -> tuple[Job, dict[str, Any]]:
        """The job, and the parameters that it uses."""
        world, late = self._world, None
        model = choose(path, given, check_paths=world.options.check_paths)
        try:
            made = await Desk(path, model, self._source, world.options.strict).make(given)
        except Invalid as refused:
            if not world.options.late_validation:
                raise
            late, made = refused, Made(1280, 720, USUAL_SECONDS, {"payload": str(given.get("payload", ""))}, 0)
        times = world.when(NAME, AT_ONCE)
        if times is None:
            raise Invalid("QuotaExceeded")
        used = made.used
        if "seed" in FIELDS[path] and not used.get("seed"):
            used["seed"] = self._digits(1, BIGGEST_SEED)
        name, prompt = str(self._digits(10**17, 10**18)), str(given.get("prompt", ""))
        job = Job(NAME, name, model.name, prompt, made.width, made.height, made.seconds, *times, token=world.hex(24))
        creation = str(self._digits(10**15, 10**16))
        job.details = {"path": path, "used": _brief(used), "credits": made.credits, "creation": creation}
        if late is not None:
            job.ends, job.ends_as, job.details["reason"] = job.begins, Stage.FAILED, late.reason
        return job, used

    def _digits(self, least: int, beyond: int) -> int:
        return least + int(self._world.hex(10), 16) % (beyond - least)

    def _source(self, creation: str) -> Source | None:
        job = self._maker(creation)
        return Source(job.width, job.height, job.seconds) if job else None

    def _maker(self, creation: Any) -> Job | None:
        """The finished job that made a video."""
        for job in self._world.of(NAME):
            if job.details["creation"] == creation and job.stage()[0] is Stage.DONE:
                return job
        return None

    def _record(self, base: str, job: Job) -> dict[str, Any]:
        stage, _ = job.stage()
        used = job.details["used"]
        return {
            "id": job.id,
            "state": self._state(job),
            "err_code": job.details.get("reason", _REASONS[stage]) if stage in _REASONS else "",
            "credits": _cost(job),
            "payload": used.get("payload", ""),
            "bgm": used.get("bgm", False),
            "off_peak": used.get("off_peak", False),
            "creations": [self._creation(base, job)] if stage is Stage.DONE else [],
        }

    def _state(self, job: Job) -> str:
        stage, _ = job.stage()
        early = stage is Stage.QUEUED and time.time() < job.created + self._world.options.queue_seconds / 2
        return "created" if early else _WORDS[stage]

    def _creation(self, base: str, job: Job) -> dict[str, Any]:
        signed = f"Expires={int(self._world.dies(job))}&Signature=simulated"
        return {
            "id": job.details["creation"],
            "url": f"{base}/results/{job.token}.mp4?{signed}",
            "cover_url": f"{base}/results/{job.token}.jpg?{signed}",
            "watermarked_url": "",
        }

    def _item(self, base: str, job: Job) -> dict[str, Any]:
        record, used = self._record(base, job), job.details["used"]
        video = {"duration": job.seconds, "fps": RATE, "resolution": {"width": job.width, "height": job.height}}
        shown = ("prompt", "images", "duration", "resolution", "aspect_ratio", "seed")
        return {
            **record,
            "key_id": "1",
            "type": job.details["path"],
            "model": job.model,
            **{name: used[name] for name in shown if name in used},
            "creations": [creation | {"video": video} for creation in record["creations"]],
            "created_at": clock(job.created),
        }


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except Unreadable:
        body = None
    if not isinstance(body, dict) or len(await request.body()) > BIGGEST_BODY:
        raise Invalid("BadRequest")
    return body


def _cost(job: Job) -> int:
    """What was failed is not charged for; no page says so."""
    return 0 if job.stage()[0] in _REASONS else int(job.details["credits"])


def _brief(value: Any) -> Any:
    """What is kept of parameters: pictures in data URLs only by their kind."""
    if isinstance(value, dict):
        return {name: _brief(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_brief(each) for each in value]
    return value.partition(",")[0] if isinstance(value, str) and value.startswith("data:") else value


def _still(path: Path) -> bytes:
    """A film's first picture, as JPEG."""
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0)).reformat(format="yuvj420p")
    codec = av.VideoCodecContext.create("mjpeg", "w")
    codec.width, codec.height, codec.pix_fmt, codec.time_base = frame.width, frame.height, "yuvj420p", Fraction(1, RATE)
    return b"".join(bytes(packet) for packet in [*codec.encode(frame), *codec.encode(None)])

"""Jimeng's asynchronous video API (Volcengine Visual).

https://www.volcengine.com/docs/85621/1777001 and its sister pages, read 2026-11-23.
"""

import time
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from videogate.simulator.faults import Fault
from videogate.simulator.jimeng_models import AT_ONCE, BY_NAME, NO_ACCESS, SUCCESS, Invalid, Made, Model, answer, make
from videogate.simulator.jimeng_models import tagged as read_tagged
from videogate.simulator.jimeng_signature import denied, verify
from videogate.simulator.vendor import Errors, Refused, Unreadable, film, guarded, here, witnessed
from videogate.simulator.world import Job, Stage, World

NAME = "jimeng"
PREFIX = "/jimeng"
ROOT = ""


def environment(base_url: str, key: str) -> dict[str, str]:
    """What points a gateway here."""
    return {
        "VIDEOGATE_JIMENG_ACCESS_KEY": key,
        "VIDEOGATE_JIMENG_SECRET_KEY": secret(key),
        "VIDEOGATE_JIMENG_BASE_URL": base_url,
    }


ERRORS: Errors = {
    "throttle": lambda: answer(50429),
    "refuse": lambda: denied({}, "SignatureDoesNotMatch"),
    "moderate_submit": lambda: answer(50412),
    "error": lambda: answer(50500),
    "expire": lambda: PlainTextResponse("Forbidden", 403),  # no page says how a dead link answers
}

VERSION = "2022-08-31"
SUBMIT, POLL = "CVSync2AsyncSubmitTask", "CVSync2AsyncGetResult"
TASK_SECONDS = 12 * 3600.0  # how long a task can be asked for
LINK_SECONDS = 3600.0  # how long its film can be fetched
_ANY = ("GET", "POST", "PUT", "PATCH", "DELETE")
_WORDS = {Stage.QUEUED: "in_queue", Stage.RUNNING: "generating", Stage.DONE: "done"}
# There is no status for a failure, only a code; the pages have none but these whose HTTP status is final.
_REASONS = {Stage.FAILED: 50520, Stage.MODERATED: 50516}


def secret(key: str) -> str:
    """The secret key that belongs to an access key."""
    return f"{key}-secret"


def routes(world: World) -> list[BaseRoute]:
    """The paths below the base URL."""
    api = _Api(world)

    def route(op: str, handler: Any) -> Any:
        return guarded(world, NAME, op, handler, ERRORS)

    calls = {SUBMIT: route("submit", api.create), POLL: route("poll", api.retrieve)}
    lost = route("other", api.lost)

    async def call(request: Request) -> Response:
        """There is one path; what is to be done stands in the query."""
        found: Response = await calls.get(request.query_params.get("Action", ""), lost)(request)
        return found

    return [
        Route("/", call, methods=["POST"]),
        Route("/results/{token}.mp4", route("result", api.content), methods=["GET"]),
        Route("/{path:path}", lost, methods=_ANY),
    ]


class _Api:
    def __init__(self, world: World) -> None:
        self._world = world

    async def create(self, request: Request, fault: Fault | None) -> Response:
        body = await self._body(request)
        model = _model(body)
        job = await self._job(model, body)
        job.suffer(fault)
        # The API takes no reference of the caller's own.
        await self._world.accept(job, **await witnessed(request), client_ref=None)
        return answer(SUCCESS, {"task_id": job.id})

    async def retrieve(self, request: Request, fault: Fault | None) -> Response:
        body = await self._body(request)
        model, tagged = _model(body), read_tagged(body.get("req_json"))
        job = self._find(body)
        if job is None:
            return answer(SUCCESS, {"status": "not_found"})
        if job.model != model.name:
            raise Invalid(NO_ACCESS)
        job.looked_at(fault)
        stage, _ = job.stage()
        if stage in _REASONS:
            return answer(job.details.get("code", _REASONS[stage]))
        data: dict[str, Any] = {"status": _WORDS[stage]}
        if stage is Stage.DONE:
            link = f"{here(request)}/results/{job.token}.mp4?expires={int(self._dies(job))}&sign=simulated"
            data = {"aigc_meta_tagged": tagged, **data, "video_url": link}
        if fault is not None and fault.mode == "unknown_word":
            data["status"] = "somewhere_else"
        return answer(SUCCESS, data)

    async def content(self, request: Request, _fault: Fault | None) -> Response:
        job = self._world.behind(request.path_params["token"])
        return ERRORS["expire"]() if job is None or time.time() >= self._dies(job) else await film(self._world, job)

    async def lost(self, request: Request, _fault: Fault | None) -> Response:
        await self._authorize(request)
        return _unknown(request)

    async def _authorize(self, request: Request) -> None:
        key = self._world.options.key
        await verify(request, key, secret(key))

    async def _body(self, request: Request) -> dict[str, Any]:
        await self._authorize(request)
        if request.query_params["Version"] != VERSION:
            raise Refused(_unknown(request))
        body = None
        if request.headers.get("content-type", "").startswith("application/json"):
            try:
                body = await request.json()
            except Unreadable:
                raise Invalid from None
        if not isinstance(body, dict):
            raise Invalid
        return body

    def _find(self, body: dict[str, Any]) -> Job | None:
        name = body.get("task_id")
        if not isinstance(name, str) or not name:
            raise Invalid
        job = self._world.find(NAME, name)
        return job if job and time.time() - job.created < TASK_SECONDS else None

    def _dies(self, job: Job) -> float:
        return min(self._world.dies(job), job.ends + LINK_SECONDS)

    async def _job(self, model: Model, body: dict[str, Any]) -> Job:
        world, late = self._world, None
        made = Made(*model.sizes["16:9"], 5)
        try:
            made = await make(model, body, strict=world.options.strict)
        except Invalid as refused:
            if not world.options.late_validation:
                raise
            late = refused
        times = world.when(f"{NAME}.{model.name}", AT_ONCE)
        if times is None:
            raise Invalid(50430)
        name = str(10**18 + int(world.hex(8), 16) % (9 * 10**18))  # 19 digits
        size, prompt = (made.width, made.height), str(body.get("prompt") or "")
        job = Job(NAME, name, model.name, prompt, *size, made.seconds, *times, token=world.hex(24))
        if late is not None:
            job.ends, job.ends_as, job.details["code"] = job.begins, Stage.FAILED, late.code
        return job


def _model(body: dict[str, Any]) -> Model:
    model = BY_NAME.get(str(body.get("req_key")))
    if model is None:
        raise Invalid(NO_ACCESS)
    return model


def _unknown(request: Request) -> Response:
    query = request.query_params
    return denied(query, "InvalidActionOrVersion", query["Action"], query["Version"])

"""Kling's asynchronous video API, in its older generation: `model_name` in the body, paths `/v1/videos/…`.

https://kling.ai/document-api/api-reference: text to video, image to video, several images to video, omni-video,
extension; errors, authentication, concurrency and callbacks: the same site; read 2026-11-23.
"""

import time
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from videogate.simulator.faults import Fault
from videogate.simulator.kling_callbacks import Callbacks
from videogate.simulator.kling_inputs import Desk, Made, text
from videogate.simulator.kling_models import EXTEND, IMAGE, PATHS, TEXT, USUAL, Invalid, choose, error, wrong
from videogate.simulator.kling_tokens import check, secret_of
from videogate.simulator.vendor import Unreadable, film, guarded, here, whole, witnessed
from videogate.simulator.world import Job, Stage, World

NAME = "kling"
PREFIX = "/kling"
ROOT = ""


def environment(base_url: str, key: str) -> dict[str, str]:
    """What points a gateway here."""
    return {
        "VIDEOGATE_KLING_ACCESS_KEY": key,
        "VIDEOGATE_KLING_SECRET_KEY": secret_of(key),
        "VIDEOGATE_KLING_BASE_URL": base_url,
    }


ERRORS = {
    "throttle": lambda: error(1302),
    "refuse": lambda: error(1002),
    "moderate_submit": lambda: error(1301),
    "error": lambda: error(5000),
    "expire": lambda: Response("Not Found", 404, media_type="text/plain"),  # files are deleted when their time has come
}

AT_ONCE = 10  # jobs of one model; how many a pack allows is in no page, and Alibaba's resale has this number
PAGES, LONGEST_PAGE = 1000, 500
_ANY = ("GET", "POST", "PUT", "PATCH", "DELETE")
_WORDS = {
    Stage.QUEUED: "submitted",
    Stage.RUNNING: "processing",
    Stage.DONE: "succeed",
    Stage.FAILED: "failed",
    Stage.MODERATED: "failed",
}
_REASONS = {
    Stage.FAILED: "The video could not be generated",
    Stage.MODERATED: "Failure to pass the risk control system",
}


def routes(world: World) -> list[BaseRoute]:
    """The paths below the base URL."""
    api = _Api(world)

    def route(path: str, op: str, handler: Any, *methods: str) -> Route:
        return Route(path, guarded(world, NAME, op, handler, ERRORS), methods=methods or None)

    return [
        route("/v1/videos/{path}", "submit", api.create, "POST"),
        route("/v1/videos/{path}", "list", api.list, "GET"),
        route("/v1/videos/{path}/{id}", "poll", api.retrieve, "GET"),
        route("/results/{token}.mp4", "result", api.content, "GET"),
        Route("/{rest:path}", api.lost, methods=_ANY),
    ]


class _Api:
    def __init__(self, world: World) -> None:
        self._world = world
        self._callbacks = Callbacks(world)
        self._names: dict[str, str] = {}  # task ids by the caller's own, which are never free again

    async def create(self, request: Request, fault: Fault | None) -> Response:
        path = self._enter(request)
        # Null is as good as absent; no page says so.
        given = {name: value for name, value in (await _body(request)).items() if value is not None}
        base = here(request)
        job = await self._job(path, given, base)
        job.suffer(fault)
        await self._world.accept(
            job, **await witnessed(request), client_ref=job.details["external"], source=job.details.get("source")
        )
        if callback := given.get("callback_url"):
            self._callbacks.follow(job, str(callback), lambda stage: _told(self._record(base, job, stage)))
        accepted = self._record(base, job, Stage.QUEUED)
        del accepted["task_status_msg"]
        return self._answer(accepted)

    async def retrieve(self, request: Request, fault: Fault | None) -> Response:
        path, name = self._enter(request), request.path_params["id"]
        job = self._world.find(NAME, name) or self._world.find(NAME, self._names.get(name, ""))
        if job is None or job.details["path"] != path:
            raise Invalid(1203)
        job.looked_at(fault)
        record = self._record(here(request), job, job.stage()[0])
        if fault is not None and fault.mode == "unknown_word":
            record["task_status"] = "somewhere_else"
        return self._answer(record)

    async def list(self, request: Request, _fault: Fault | None) -> Response:
        path, query = self._enter(request), request.query_params
        number, size = whole(query.get("pageNum"), 1), whole(query.get("pageSize"), 30)
        if not number or number > PAGES:
            raise wrong("pageNum", query["pageNum"])
        if not size or size > LONGEST_PAGE:
            raise wrong("pageSize", query["pageSize"])
        jobs = [job for job in reversed(self._world.of(NAME)) if job.details["path"] == path]
        page = jobs[(number - 1) * size : number * size]
        return self._answer([self._record(here(request), job, job.stage()[0]) for job in page])

    async def content(self, request: Request, _fault: Fault | None) -> Response:
        job = self._world.behind(request.path_params["token"])
        return ERRORS["expire"]() if job is None else await film(self._world, job)

    async def lost(self, request: Request) -> Response:
        known = any(f"{request.path_params['rest']}/".startswith(f"v1/videos/{path}/") for path in PATHS)
        return error(1202 if known else 1203)

    def _enter(self, request: Request) -> str:
        """The path, for a caller who may; whose token is looked at before anything else."""
        options = self._world.options
        given = request.headers.get("authorization", "")
        code = check(given, options.key, time.time(), strict=options.strict)
        if code is not None:
            raise Invalid(code)
        path: str = request.path_params["path"]
        if path not in PATHS:
            raise Invalid(1203)
        return path

    def _answer(self, data: Any) -> Response:
        return JSONResponse({"code": 0, "message": "SUCCEED", "request_id": self._world.uuid(), "data": data})

    async def _job(self, path: str, given: dict[str, Any], base: str) -> Job:
        world, options, late = self._world, self._world.options, None
        source = self._source(given.get("video_id")) if path == EXTEND else None
        name = source.model if source else given.get("model_name") or USUAL[path]
        model = choose(path, name, check_paths=options.check_paths and source is None)
        try:
            made = await Desk(path, model, options.strict, source).make(given)
        except Invalid as refused:
            if not options.late_validation:
                raise
            late, made = refused, Made(1280, 720, 5, "", 0)
        external = text(given, "external_task_id") or None
        if external in self._names:
            raise wrong("external_task_id", external)
        times = world.when(f"{NAME}.{model.name}", AT_ONCE)
        if times is None:
            raise Invalid(1303)
        made_size = made.width, made.height
        job = Job(NAME, self._digits(), model.name, made.prompt, *made_size, made.seconds, *times, token=world.hex(24))
        job.details = {"path": path, "external": external, "video": world.uuid(), "units": f"{made.units:g}"}
        job.details["marked"] = given.get("watermark_info") == {"enabled": True}
        if source is not None:
            job.details |= {"parent": self._video(base, source), "source": source.id}
        if late is not None:
            job.ends, job.ends_as, job.details["reason"] = job.begins, Stage.FAILED, late.message
        if external is not None:
            self._names[external] = job.id
        return job

    def _digits(self) -> str:
        least = 10**17
        return str(least + int(self._world.hex(10), 16) % (9 * least))

    def _source(self, video: Any) -> Job:
        """The job that made a video which can be extended. Raises Invalid."""
        for job in self._world.of(NAME):
            if job.details["video"] == video and job.details["path"] in (TEXT, IMAGE, EXTEND):
                if self._world.behind(job.token) is not None:
                    return job
                break
        raise wrong("video_id", video)

    def _record(self, base: str, job: Job, stage: Stage) -> dict[str, Any]:
        details = job.details
        info = {"external_task_id": details["external"], "parent_video": details.get("parent")}
        changed = {Stage.QUEUED: job.created, Stage.RUNNING: job.begins}.get(stage, job.ends)
        record = {
            "task_id": job.id,
            "task_status": _WORDS[stage],
            "task_status_msg": details.get("reason", _REASONS[stage]) if stage in _REASONS else "",
            "task_info": {name: value for name, value in info.items() if value is not None},
            "created_at": int(job.created * 1000),
            "updated_at": int(changed * 1000),
        }
        if stage is Stage.DONE:
            record["task_result"] = {"videos": [self._video(base, job)]}
            record["watermark_info"] = {"enabled": details["marked"]}
            record["final_unit_deduction"] = details["units"]
        return record

    def _video(self, base: str, job: Job) -> dict[str, Any]:
        url = f"{base}/results/{job.token}.mp4?expires={int(self._world.dies(job))}&sign=simulated"
        video = {"id": job.details["video"], "url": url, "duration": f"{job.seconds:.1f}"}
        return {**video, "watermark_url": f"{url}&watermark=1"} if job.details["marked"] else video


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except Unreadable:
        body = None
    if not isinstance(body, dict):
        raise Invalid(1200)
    return body


def _told(record: dict[str, Any]) -> dict[str, Any]:
    """A record as callbacks have it."""
    return record | {"task_result": {"images": [], "videos": [], **record.get("task_result", {})}}

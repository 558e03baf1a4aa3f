"""DashScope's asynchronous video API (Alibaba Cloud Model Studio).

https://help.aliyun.com/zh/model-studio/text-to-video-api-reference and its sister pages; tasks:
https://www.alibabacloud.com/help/en/model-studio/manage-asynchronous-tasks; errors:
https://help.aliyun.com/zh/model-studio/error-code; read 2026-11-23.
"""

from datetime import datetime, timedelta, timezone
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from videogate.simulator.faults import Fault
from videogate.simulator.vendor import Unreadable, film, guarded, here, whole, witnessed
from videogate.simulator.wanxiang_inputs import Desk
from videogate.simulator.wanxiang_models import BY_NAME, USUAL_SECONDS, Invalid, Model, error, make, usage
from videogate.simulator.wanxiang_uploads import Uploads, oss_error
from videogate.simulator.world import Job, Stage, World

NAME = "wanxiang"
PREFIX = "/wanxiang/api/v1"
ROOT = "/api/v1"


def environment(base_url: str, key: str) -> dict[str, str]:
    """What points a gateway here."""
    return {"VIDEOGATE_WANXIANG_API_KEY": key, "VIDEOGATE_WANXIANG_BASE_URL": base_url}


_SLOWER = "Requests rate limit exceeded, please try again later."
ERRORS = {
    "throttle": lambda: error(429, "Throttling.RateQuota", _SLOWER),
    "refuse": lambda: error(401, "InvalidApiKey", "Invalid API-key provided."),
    "moderate_submit": lambda: error(400, "DataInspectionFailed", "Input data may contain inappropriate content."),
    "error": lambda: error(500, "InternalError", "An internal error has occurred, please try again later."),
    "expire": lambda: oss_error("Request has expired."),
}

CALLS_PER_SECOND = 20.0  # of looking, listing and cancelling, each
_BIGGEST_SEED = 2_147_483_647
_PAGE = 100
_ZONE = timezone(timedelta(hours=8))  # no page says which; Beijing's is the likeliest
_TIMES = "%Y%m%d%H%M%S"
_WORDS = {
    Stage.QUEUED: "PENDING",
    Stage.RUNNING: "RUNNING",
    Stage.DONE: "SUCCEEDED",
    Stage.FAILED: "FAILED",
    Stage.MODERATED: "FAILED",
    Stage.CANCELLED: "CANCELED",
}
_REASONS = {
    Stage.FAILED: ("InternalError.Algo", "The video could not be generated."),
    Stage.MODERATED: ("DataInspectionFailed", "Output data may contain inappropriate content."),
}


def routes(world: World) -> list[BaseRoute]:
    """The paths below the base URL."""
    api = _Api(world)

    def route(path: str, op: str, handler: Any, *methods: str) -> Route:
        return Route(path, guarded(world, NAME, op, handler, ERRORS), methods=methods or None)

    return [
        route("/services/aigc/{group}/video-synthesis", "submit", api.create, "POST"),
        route("/tasks/", "list", api.list, "GET"),
        route("/tasks", "list", api.list, "GET"),
        # The SDK's AioVideoSynthesis ends these two paths with a slash.
        *(route(f"/tasks/{{id}}{end}", "poll", api.retrieve, "GET") for end in ("", "/")),
        *(route(f"/tasks/{{id}}/cancel{end}", "cancel", api.cancel, "POST") for end in ("", "/")),
        route("/results/{token}.mp4", "result", api.content, "GET"),
        route("/uploads", "policy", api.policy, "GET"),
        route("/oss", "upload", api.uploads.receive, "POST"),
        Route("/{path:path}", api.lost, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
    ]


class _Api:
    def __init__(self, world: World) -> None:
        self._world = world
        self.uploads = Uploads(world)

    async def create(self, request: Request, fault: Fault | None) -> Response:
        self._authorize(request)
        if request.headers.get("x-dashscope-async") != "enable":
            raise Invalid("AccessDenied", "current user api does not support synchronous calls.", 403)
        body = await _body(request)
        model = self._model(request, body)
        self._limit(f"submit.{model.name}", model.rate)
        job = await self._job(request, model, body)
        job.suffer(fault)
        await self._world.accept(job, **await witnessed(request), source=_edited(body["input"]))
        output = {"task_status": "PENDING", "task_id": job.id}
        return JSONResponse({"output": output, "request_id": job.details["request_id"]})

    async def retrieve(self, request: Request, fault: Fault | None) -> Response:
        self._authorize(request)
        self._limit("poll")
        job = self._world.find(NAME, request.path_params["id"])
        if job is None:
            output = {"task_id": request.path_params["id"], "task_status": "UNKNOWN"}
            return JSONResponse({"request_id": self._world.uuid(), "output": output})
        job.looked_at(fault)
        record = self._record(request, job)
        if fault is not None and fault.mode == "unknown_word":
            record["output"]["task_status"] = "SOMEWHERE_ELSE"
        return JSONResponse(record)

    async def list(self, request: Request, _fault: Fault | None) -> Response:
        self._authorize(request)
        self._limit("list")
        query = request.query_params
        number, size = whole(query.get("page_no"), 1), whole(query.get("page_size"), 10)
        if not number or not size or size > _PAGE:
            raise Invalid("InvalidParameter", "page_no and page_size must be positive integers.")
        first, last = _moment(query.get("start_time")), _moment(query.get("end_time"))
        jobs = [job for job in reversed(self._world.of(NAME)) if (first or 0) <= job.created <= (last or job.created)]
        items = [self._item(job) for job in jobs]
        for key in ("task_id", "model_name", "status", "region", "api_key_id"):
            items = [item for item in items if query.get(key) in (None, "", item[key])]
        return JSONResponse(
            {
                "total": len(items),
                "data": items[(number - 1) * size : number * size],
                "total_page": -(-len(items) // size),
                "page_no": number,
                "page_size": size,
                "request_id": self._world.uuid(),
            }
        )

    async def cancel(self, request: Request, _fault: Fault | None) -> Response:
        self._authorize(request)
        self._limit("cancel")
        job = self._world.find(NAME, request.path_params["id"])
        if job is None or job.stage()[0] is not Stage.QUEUED:
            message = "Failed to cancel the task, please confirm if the task is in PENDING status."
            raise Invalid("UnsupportedOperation", message)
        await self._world.cancel(job)
        return JSONResponse({"request_id": self._world.uuid()})

    async def content(self, request: Request, _fault: Fault | None) -> Response:
        job = self._world.behind(request.path_params["token"])
        return ERRORS["expire"]() if job is None else await film(self._world, job)

    async def policy(self, request: Request, _fault: Fault | None) -> Response:
        self._authorize(request)
        return self.uploads.policy(request)

    async def lost(self, request: Request) -> Response:
        if request.url.path.endswith("/video-synthesis"):
            return error(400, "InvalidParameter", f"Request method '{request.method}' is not supported.")
        return error(404, "NotFound", "Not found.")

    def _authorize(self, request: Request) -> None:
        given = request.headers.get("authorization", "")
        if given != f"Bearer {self._world.options.key}":
            raise Invalid("InvalidApiKey", f"{'Invalid' if given else 'No'} API-key provided.", 401)

    def _limit(self, op: str, rate: float = CALLS_PER_SECOND) -> None:
        if not self._world.allow(f"{NAME}.{op}", rate):
            raise Invalid("Throttling.RateQuota", _SLOWER, 429)

    def _model(self, request: Request, body: dict[str, Any]) -> Model:
        model = BY_NAME.get(str(body.get("model")))
        if model is None:
            raise Invalid("InvalidParameter", "Model not exist.")
        group, known = request.path_params["group"], {each.group for each in BY_NAME.values()}
        if group not in known or (group != model.group and self._world.options.check_paths):
            raise Invalid("InvalidParameter", "url error, please check url！")
        if not isinstance(body.get("input"), dict):
            raise Invalid("BadRequest.EmptyInput", "Required input parameter missing from request.")
        return model

    async def _job(self, request: Request, model: Model, body: dict[str, Any]) -> Job:
        details, late = await self._details(request, model, body), None
        if isinstance(details, Invalid):
            late, details = details, {"size": (1280, 720), "seconds": USUAL_SECONDS}
        times = self._world.when(f"{NAME}.{model.name}", model.at_once)
        if times is None:
            raise Invalid("Throttling.RateQuota", _SLOWER, 429)
        prompt = str(body["input"].get("prompt") or "")[: model.longest_prompt]
        world, (width, height) = self._world, details["size"]
        job = Job(
            NAME, world.uuid(), model.name, prompt, width, height, details["seconds"], *times, token=world.hex(24)
        )
        job.details = {**details, "request_id": world.uuid()}
        if late is not None:
            job.ends, job.ends_as, job.details["reason"] = job.begins, Stage.FAILED, (late.code, late.message)
        return job

    async def _details(self, request: Request, model: Model, body: dict[str, Any]) -> dict[str, Any] | Invalid:
        """What the job will make and report; or what it will fail with, after it was accepted. Raises Invalid."""
        resolve = request.headers.get("x-dashscope-ossresourceresolve") == "enable"
        desk = Desk(model, self.uploads.stored if resolve else None)
        parameters = body.get("parameters") or {}
        try:
            if not isinstance(parameters, dict):
                raise Invalid("InvalidParameter", "Required body invalid, please check the request body format.")
            seed = parameters.get("seed")
            if seed is not None and not (type(seed) is int and 0 <= seed <= _BIGGEST_SEED):
                raise Invalid("InvalidParameter", f"seed must be an integer from 0 to {_BIGGEST_SEED}")
            seen = await desk.check(body["input"])
            made = make(model, parameters, seen.shape, filmed=seen.filmed)
        except Invalid as refused:
            if refused.late or self._world.options.late_validation:
                return refused
            raise
        report = usage(model, made, filmed=seen.filmed)
        if model.name.endswith("i2v-flash") and model.generation == 26:  # noqa: PLR2004
            report["audio"] = parameters.get("audio", True) is not False
        extended = model.generation <= 25 and parameters.get("prompt_extend", True) is not False  # noqa: PLR2004
        size = made.width, made.height
        return {"size": size, "seconds": made.seconds, "usage": report, "extended": extended}

    def _record(self, request: Request, job: Job) -> dict[str, Any]:
        stage, _ = job.stage()
        output = {"task_id": job.id, "task_status": _WORDS[stage], "submit_time": _clock(job.created)}
        body: dict[str, Any] = {"request_id": self._world.uuid(), "output": output}
        if stage not in (Stage.QUEUED, Stage.CANCELLED):
            output["scheduled_time"] = _clock(job.begins)
        if stage not in (Stage.QUEUED, Stage.RUNNING):
            output["end_time"] = _clock(job.ends)
        if stage in _REASONS:
            output["code"], output["message"] = job.details.get("reason", _REASONS[stage])
        if stage is Stage.DONE:
            output |= self._result(request, job)
            body["usage"] = job.details["usage"]
        return body

    def _result(self, request: Request, job: Job) -> dict[str, Any]:
        base, dies = here(request), int(self._world.dies(job))
        signed = f"Expires={dies}&OSSAccessKeyId=simulated&Signature=simulated"
        link = {"video_url": f"{base}/results/{job.token}.mp4?{signed}"}
        if BY_NAME[job.model].kind == "s2v":
            return {"results": link}
        prompts = {"orig_prompt": job.prompt} if job.prompt else {}
        if job.prompt and job.details["extended"]:
            prompts["actual_prompt"] = f"{job.prompt}, in fine detail"
        return link | prompts

    def _item(self, job: Job) -> dict[str, Any]:
        stage, _ = job.stage()
        return {
            "api_key_id": "1",
            "caller_parent_id": "1",
            "caller_uid": "1",
            "gmt_create": int(job.created * 1000),
            "start_time": None if stage in (Stage.QUEUED, Stage.CANCELLED) else int(job.begins * 1000),
            "end_time": None if stage in (Stage.QUEUED, Stage.RUNNING) else int(job.ends * 1000),
            "model_name": job.model,
            "region": "cn-beijing",
            "request_id": job.details["request_id"],
            "status": _WORDS[stage],
            "task_id": job.id,
            "user_api_unique_key": f"apikey:v1:aigc:{BY_NAME[job.model].group}:video-synthesis:{job.model}",
        }


def _edited(given: dict[str, Any]) -> Any:
    """The link of the film that a request edits."""
    media = given.get("media")
    films = [each["url"] for each in media if each.get("type") == "video"] if isinstance(media, list) else []
    return films[0] if films else None


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except Unreadable:
        body = None
    if not isinstance(body, dict):
        raise Invalid("InvalidParameter", "Required body invalid, please check the request body format.")
    return body


def _clock(moment: float) -> str:
    return datetime.fromtimestamp(moment, _ZONE).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def _moment(text: str | None) -> float | None:
    try:
        return datetime.strptime(text, _TIMES).replace(tzinfo=_ZONE).timestamp() if text else None
    except ValueError:
        raise Invalid("InvalidParameter", f"a time is written as YYYYMMDDhhmmss; got {text!r}") from None

"""OpenAI's video format, as OpenAI and the servers of its format speak it.

https://platform.openai.com/docs/api-reference/videos, read 2026-11-23.
"""

import asyncio
import re
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from videogate.simulator.faults import Fault
from videogate.simulator.pictures import Picture
from videogate.simulator.sora_inputs import error, invalid, read_fields, read_prompt
from videogate.simulator.sora_sources import (
    Character,
    Source,
    finished,
    read_characters,
    read_film,
    read_name,
    read_source,
)
from videogate.simulator.vendor import Refused, film, guarded, whole, witnessed
from videogate.simulator.world import Job, Stage, World

NAME = "sora"
PREFIX = "/sora/v1"
ROOT = "/v1"


def environment(base_url: str, key: str) -> dict[str, str]:
    """What points a gateway here."""
    return {"VIDEOGATE_SORA_API_KEY": key, "VIDEOGATE_SORA_BASE_URL": base_url}


ERRORS = {
    "throttle": lambda: error(429, "Rate limit reached for requests.", "rate_limit_error", "rate_limit_exceeded"),
    "refuse": lambda: error(401, "Incorrect API key provided.", code="invalid_api_key"),
    "moderate_submit": lambda: error(400, "Your request was blocked by our moderation.", code="moderation_blocked"),
    "error": lambda: error(500, "The server had an error while processing your request.", "server_error"),
    "expire": lambda: error(404, "The content of this video has expired."),
}

# OpenAI's own values; other servers of the format take any, so they are enforced under `strict` only.
STRICT_SECONDS = frozenset({"4", "8", "12", "16", "20"})
STRICT_SIZES = frozenset({"720x1280", "1280x720", "1024x1792", "1792x1024", "1080x1920", "1920x1080"})
LONGEST = 60  # seconds
BIGGEST, SMALLEST = 4096, 16  # pixels a side
_SIZE = re.compile(r"(\d{2,4})x(\d{2,4})", re.ASCII)
_SECONDS = re.compile(r"[1-9]\d?", re.ASCII)
_PAGE = 100
_WORDS = {
    Stage.QUEUED: "queued",
    Stage.RUNNING: "in_progress",
    Stage.DONE: "completed",
    Stage.FAILED: "failed",
    Stage.MODERATED: "failed",
}
_REASONS = {
    Stage.FAILED: {"code": "video_generation_failed", "message": "The video could not be generated."},
    Stage.MODERATED: {"code": "moderation_blocked", "message": "The output was blocked by the moderation system."},
}


def routes(world: World) -> list[BaseRoute]:
    """The paths below the base URL."""
    api = _Api(world)

    def route(path: str, op: str, handler: Any, *methods: str) -> Route:
        return Route(path, guarded(world, NAME, op, handler, ERRORS), methods=methods or None)

    return [
        route("/videos", "submit", api.create, "POST"),
        route("/videos", "list", api.list, "GET"),
        route("/videos/edits", "submit", api.edit, "POST"),
        route("/videos/extensions", "submit", api.extend, "POST"),
        route("/videos/characters", "character", api.character, "POST"),
        route("/videos/characters/{id}", "character", api.find_character, "GET"),
        route("/videos/{id}", "poll", api.retrieve, "GET"),
        route("/videos/{id}", "delete", api.delete, "DELETE"),
        route("/videos/{id}/remix", "submit", api.remix, "POST"),
        route("/videos/{id}/content", "result", api.content, "GET"),
        Route("/{path:path}", api.lost, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
    ]


class _Api:
    def __init__(self, world: World) -> None:
        self._world = world
        self._characters: dict[str, Character] = {}

    async def create(self, request: Request, fault: Fault | None) -> Response:
        self._authorize(request)
        fields = await read_fields(request)
        width, height = self._size(fields)
        self._picture(fields, width, height)
        read_characters(fields, self._characters)
        model = str(fields.get("model") or "sora-2")
        job = self._job(read_prompt(fields), model, width, height, self._seconds(fields))
        return await self._accepted(request, job, fault)

    async def remix(self, request: Request, fault: Fault | None) -> Response:
        source = finished(self._find(request), "video_id")
        prompt = read_prompt(await read_fields(request))
        return await self._reworked(request, source, prompt, source.seconds, fault, remixed_from=source.id)

    async def edit(self, request: Request, fault: Fault | None) -> Response:
        self._authorize(request)
        fields = await read_fields(request)
        source = await read_source(fields, self._known)
        return await self._reworked(request, source, read_prompt(fields), source.seconds, fault)

    async def extend(self, request: Request, fault: Fault | None) -> Response:
        self._authorize(request)
        fields = await read_fields(request)
        source = await read_source(fields, self._known)
        if not fields.get("seconds"):
            message = "Missing required parameter: 'seconds'."
            raise Refused(error(400, message, code="missing_required_parameter", param="seconds"))
        total = source.seconds + self._seconds(fields)
        return await self._reworked(request, source, read_prompt(fields), total, fault)

    async def character(self, request: Request, _fault: Fault | None) -> Response:
        self._authorize(request)
        fields = await read_fields(request)
        name, film = read_name(fields), fields.get("film")
        if not isinstance(film, bytes):
            raise invalid("Invalid type for 'video': expected a file.", "video")
        await asyncio.to_thread(read_film, film)
        made = Character(f"char_{self._world.hex(16)}", name, int(time.time()))
        self._characters[made.id] = made
        return self._answer({"id": made.id, "name": made.name, "created_at": made.created})

    async def find_character(self, request: Request, _fault: Fault | None) -> Response:
        self._authorize(request)
        found = self._characters.get(request.path_params["id"])
        if found is None:
            raise Refused(error(404, f"Character with id '{request.path_params['id']}' not found."))
        return self._answer({"id": found.id, "name": found.name, "created_at": found.created})

    async def retrieve(self, request: Request, fault: Fault | None) -> Response:
        job = self._find(request)
        job.looked_at(fault)
        video = self._video(job)
        if fault is not None and fault.mode == "unknown_word":
            video["status"] = "somewhere_else"
        return self._answer(video)

    async def list(self, request: Request, _fault: Fault | None) -> Response:
        self._authorize(request)
        query = request.query_params
        jobs = self._world.of(NAME)
        order, limit, after = query.get("order", "desc"), whole(query.get("limit"), 20), query.get("after")
        if order not in ("asc", "desc"):
            raise invalid(f"Invalid value: '{order}'. Supported values are: 'asc' and 'desc'.", "order")
        if limit is None or limit > _PAGE:
            raise invalid(f"Invalid value: 'limit' is an integer from 0 to {_PAGE}.", "limit")
        if order == "desc":
            jobs.reverse()
        if after:
            # A deleted video still marks its place, so that one can delete while one pages.
            places = [place for place, job in enumerate(jobs) if job.id == after]
            if not places:
                raise Refused(error(404, f"Video with id '{after}' not found.", param="after"))
            jobs = jobs[places[0] + 1 :]
        jobs = [job for job in jobs if "deleted" not in job.details]
        page = [self._video(job) for job in jobs[:limit]]
        first, last = (page[0]["id"], page[-1]["id"]) if page else (None, None)
        more = len(jobs) > len(page)
        return self._answer({"object": "list", "data": page, "first_id": first, "last_id": last, "has_more": more})

    async def delete(self, request: Request, _fault: Fault | None) -> Response:
        job = self._find(request)
        if self._world.options.strict and job.stage()[0] in (Stage.QUEUED, Stage.RUNNING):
            raise invalid("Only completed and failed videos can be deleted.", "video_id")
        job.details["deleted"] = True
        return self._answer({"id": job.id, "object": "video.deleted", "deleted": True})

    async def content(self, request: Request, _fault: Fault | None) -> Response:
        job = self._find(request)
        if job.stage()[0] is not Stage.DONE:
            raise Refused(error(404, "The video is not ready.", code="video_not_ready"))
        variant = request.query_params.get("variant", "video")
        if variant != "video":
            raise invalid(f"The variant '{variant}' is not available.", "variant")
        if self._world.behind(job.token) is None:
            raise Refused(ERRORS["expire"]())
        return await film(self._world, job)

    async def lost(self, request: Request) -> Response:
        return error(404, f"Invalid URL ({request.method} {request.url.path})")

    def _authorize(self, request: Request) -> None:
        given = request.headers.get("authorization", "")
        if not given:
            raise Refused(error(401, "You didn't provide an API key."))
        if given != f"Bearer {self._world.options.key}":
            raise Refused(ERRORS["refuse"]())

    def _find(self, request: Request) -> Job:
        self._authorize(request)
        return self._known(request.path_params["id"])

    def _known(self, name: str) -> Job:
        job = self._world.find(NAME, name)
        if job is None or "deleted" in job.details:
            raise Refused(error(404, f"Video with id '{name}' not found."))
        return job

    def _size(self, fields: dict[str, Any]) -> tuple[int, int]:
        size = str(fields.get("size") or "720x1280")
        found = _SIZE.fullmatch(size)
        if found is None or (self._world.options.strict and size not in STRICT_SIZES):
            raise invalid(f"Invalid value: '{size}'.", "size")
        # The codec takes even sides only.
        width, height = (int(side) // 2 * 2 for side in found.groups())
        if not SMALLEST <= min(width, height) <= max(width, height) <= BIGGEST:
            raise invalid(f"Invalid value: '{size}'.", "size")
        return width, height

    def _seconds(self, fields: dict[str, Any]) -> float:
        seconds = str(fields.get("seconds") or "4")
        strict = self._world.options.strict
        if not _SECONDS.fullmatch(seconds) or int(seconds) > LONGEST or (strict and seconds not in STRICT_SECONDS):
            raise invalid(f"Invalid value: '{seconds}'.", "seconds")
        return float(seconds)

    def _picture(self, fields: dict[str, Any], width: int, height: int) -> None:
        picture = fields.get("picture")
        strict = self._world.options.strict
        if strict and isinstance(picture, Picture) and (picture.width, picture.height) != (width, height):
            raise Refused(error(400, "Inpaint image must match the requested width and height"))

    def _job(self, prompt: str, model: str, width: int, height: int, seconds: float) -> Job:
        times = self._world.when(NAME)
        assert times is not None
        hexed = self._world.hex
        return Job(NAME, f"video_{hexed(16)}", model, prompt, width, height, seconds, *times, token=hexed(24))

    async def _reworked(
        self, request: Request, source: Source, prompt: str, seconds: float, fault: Fault | None, **details: Any
    ) -> Response:
        job = self._job(prompt, source.model, source.width, source.height, seconds)
        job.details.update(details)
        return await self._accepted(request, job, fault, source=source.id)

    async def _accepted(self, request: Request, job: Job, fault: Fault | None, source: str | None = None) -> Response:
        job.suffer(fault)
        await self._world.accept(job, **await witnessed(request), source=source)
        return self._answer(self._video(job))

    def _answer(self, body: dict[str, Any]) -> Response:
        return JSONResponse(body, headers={"x-request-id": f"req_{self._world.hex(16)}"})

    def _video(self, job: Job) -> dict[str, Any]:
        stage, share = job.stage()
        done = stage is Stage.DONE
        return {
            "id": job.id,
            "object": "video",
            "model": job.model,
            "status": _WORDS[stage],
            "progress": 100 if done else int(share * 99),
            "created_at": int(job.created),
            "completed_at": int(job.ends) if done else None,
            "expires_at": int(self._world.dies(job)) if done else None,
            "prompt": job.prompt,
            "size": f"{job.width}x{job.height}",
            "seconds": f"{job.seconds:g}",
            "remixed_from_video_id": job.details.get("remixed_from"),
            "error": _REASONS.get(stage),
        }

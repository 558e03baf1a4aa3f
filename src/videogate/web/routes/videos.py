"""Create, get, list and delete videos."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import JSONResponse, Response

from videogate.faultpoints import faultpoint
from videogate.task.errors import Busy, CallerGone, InvalidRequest, VideoNotFound
from videogate.task.model import Picture, Task
from videogate.web.auth import Caller
from videogate.web.body import read_body
from videogate.web.deps import CallerOf, DialectOf, Parts, PartsOf
from videogate.wire import video as render
from videogate.wire.create import CreateVideo, read_create
from videogate.wire.dialect import HEADER, VARY, Dialect
from videogate.wire.fields import Upload
from videogate.wire.repeat import read_repeat

MOST_LISTED = 100
LISTED = 20

VideoId = Annotated[str, Path(max_length=64)]

router = APIRouter()


@router.post("/videos")
async def create(request: Request, have: PartsOf, who: CallerOf, dialect: DialectOf) -> Response:
    """Accept a request for a video. Answers as soon as it is durable; a repeated one as the first was."""
    repeat = read_repeat(request.headers)
    taken: list[Picture] = []
    try:
        async with read_body(request) as body:
            read = read_create(body, default_model=have.default_model, default_fit=have.default_fit)
            await _take_pictures(have, read, taken)
        spec = read.with_pictures(taken)
        request_id = request.scope["state"]["request_id"]
        task = await have.submissions.create(who.id, spec, request_id, repeat, request.is_disconnected)
    except (InvalidRequest, CallerGone, Busy):
        await have.inputs.drop(taken)
        raise
    faultpoint("create.replying")
    return _answer(_video(request, have, who, dialect, task), dialect, dialect.created)


@router.get("/videos")
async def list_videos(
    request: Request,
    have: PartsOf,
    who: CallerOf,
    dialect: DialectOf,
    after: Annotated[str | None, Query(max_length=64)] = None,
    limit: Annotated[int, Query(ge=0, le=MOST_LISTED)] = LISTED,
    order: Annotated[str, Query(pattern="^(asc|desc)$")] = "desc",
) -> Response:
    """The caller's videos, newest first unless told otherwise."""
    page = await have.tasks.page(who.id, after=after or None, limit=limit, newest_first=order == "desc")
    if page is None:
        raise InvalidRequest(f"after: no video with the id '{after}' exists for this API key.", param="after")
    videos = [_video(request, have, who, dialect, task) for task in page.tasks]
    return _answer(render.video_list(page, videos), dialect)


@router.get("/videos/{video_id}")
async def get(video_id: VideoId, request: Request, have: PartsOf, who: CallerOf, dialect: DialectOf) -> Response:
    """One video, from our own store."""
    task = await have.tasks.get(who.id, video_id)
    if task is None:
        raise VideoNotFound(video_id)
    return _answer(_video(request, have, who, dialect, task), dialect)


@router.delete("/videos/{video_id}")
async def delete(video_id: VideoId, have: PartsOf, who: CallerOf, dialect: DialectOf) -> Response:
    """Forget a video, remove its file, and stop its vendor where that can be done."""
    return _answer(render.deleted(await have.submissions.delete(who.id, video_id)), dialect)


async def _take_pictures(have: Parts, read: CreateVideo, taken: list[Picture]) -> None:
    for sent in read.pictures:
        if isinstance(sent.value, Upload):
            taken.append(await have.inputs.store(sent.role, sent.value.file, sent.field))
        else:
            taken.append(await have.inputs.take(Picture(sent.role, url=sent.value), sent.field))


def _video(request: Request, have: Parts, who: Caller, dialect: Dialect, task: Task) -> dict[str, Any]:
    url = have.links.make(request, who, task.id) if task.kept(have.clock()) else None
    return render.video(task, dialect, url)


def _answer(body: dict[str, Any], dialect: Dialect, status: int = 200) -> Response:
    return JSONResponse(body, status, {HEADER: dialect.value, "vary": VARY, "cache-control": "no-store"})

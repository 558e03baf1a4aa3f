"""Create, get, list and delete videos."""

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response, StreamingResponse

from videogate.engine import schedule
from videogate.faultpoints import faultpoint
from videogate.task.errors import InvalidRequest, VideogateError, VideoNotFound
from videogate.task.model import Film, Picture, Rework, Task, TaskSpec
from videogate.task.state import LIVE
from videogate.web.answer import Answer
from videogate.web.auth import Caller
from videogate.web.body import read_body
from videogate.web.deps import CallerOf, DialectOf, Parts, PartsOf
from videogate.wire import video as render
from videogate.wire.create import CreateVideo, read_create, read_rework
from videogate.wire.dialect import HEADER, VARY, Dialect
from videogate.wire.fields import Upload
from videogate.wire.repeat import read_repeat
from videogate.wire.stream import HEADERS as STREAM
from videogate.wire.stream import HEARTBEAT, last_event_id, message
from videogate.wire.wait import APPLIED, come_back, read_wait

MOST_LISTED = 100
LISTED = 20
LOOKS = 2  # rounds of the event loop in which the end of a connection is heard
HEARTBEAT_SECONDS = 15.0  # without news, so that nobody between us and the caller closes the stream

VideoId = Annotated[str, Path(max_length=64)]

router = APIRouter()


@router.post("/videos")
async def create(request: Request, have: PartsOf, who: CallerOf, dialect: DialectOf) -> Response:
    """Accept a request for a video. Answers as soon as it is durable; a repeated one as the first was."""
    return await _make(request, have, who, dialect, read_create)


@router.post("/videos/edits")
async def edit(request: Request, have: PartsOf, who: CallerOf, dialect: DialectOf) -> Response:
    """Accept a request for a changed version of a video."""
    return await _make(request, have, who, dialect, partial(read_rework, rework=Rework.EDIT))


@router.post("/videos/extensions")
async def extend(request: Request, have: PartsOf, who: CallerOf, dialect: DialectOf) -> Response:
    """Accept a request for a video that goes on where another ends."""
    return await _make(request, have, who, dialect, partial(read_rework, rework=Rework.EXTEND))


@router.post("/videos/{video_id}/remix")
async def remix(video_id: VideoId, request: Request, have: PartsOf, who: CallerOf, dialect: DialectOf) -> Response:
    """Accept a request for a video like another one, by a new prompt."""
    return await _make(request, have, who, dialect, partial(read_rework, rework=Rework.REMIX, video_id=video_id))


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
    if task is not None:
        task = await _after_waiting(request, have, task)
    if task is None:
        raise VideoNotFound(video_id)
    return _of_task(request, have, who, dialect, task)


@router.get("/videos/{video_id}/events")
async def events(video_id: VideoId, request: Request, have: PartsOf, who: CallerOf, dialect: DialectOf) -> Response:
    """One video's changes as they happen, from the first one or from where a stream broke off."""
    if await have.tasks.get(who.id, video_id) is None:
        raise VideoNotFound(video_id)
    changes = have.watch.phases(who.id, video_id, last_event_id(request.headers), HEARTBEAT_SECONDS)

    async def messages() -> AsyncIterator[bytes]:
        async for change in changes:
            if change is None:
                yield HEARTBEAT
            else:
                event_id, task = change
                yield message(event_id, task.state, _video(request, have, who, dialect, task))

    headers = {**STREAM, HEADER: dialect.value, "vary": VARY}
    return StreamingResponse(messages(), headers=headers, media_type="text/event-stream")


@router.delete("/videos/{video_id}")
async def delete(video_id: VideoId, have: PartsOf, who: CallerOf, dialect: DialectOf) -> Response:
    """Forget a video, remove its file, and stop its vendor where that can be done."""
    return _answer(render.deleted(await have.submissions.delete(who.id, video_id)), dialect)


async def _make(
    request: Request, have: Parts, who: Caller, dialect: Dialect, read: Callable[..., CreateVideo]
) -> Response:
    """Accept a request whose body `read` reads."""
    repeat = read_repeat(request.headers)
    taken: list[Picture | Film] = []
    try:
        async with read_body(request) as body:
            spec = await _take_inputs(
                have, read(body, default_model=have.default_model, default_fit=have.default_fit), taken
            )
        request_id = request.scope["state"]["request_id"]
        task = await have.submissions.create(who.id, spec, request_id, repeat, partial(_has_left, request))
    except VideogateError:
        await have.inputs.drop(taken)
        raise
    faultpoint("create.replying")
    shown = await _after_waiting(request, have, task) or task  # deleted meanwhile: as it was
    return _of_task(request, have, who, dialect, shown, dialect.created)


async def _has_left(request: Request) -> bool:
    """Whether the caller has hung up, as far as the network has told us by now."""
    for _ in range(LOOKS):
        await asyncio.sleep(0)  # what has arrived is told at the loop's next round
    # Asked without waiting, as by Starlette's `is_disconnected`: its cancelled scope costs twenty times as much.
    asking = request.receive().__await__()
    try:
        next(asking)
    except StopIteration as told:
        return bool(told.value["type"] == "http.disconnect")
    finally:
        asking.close()
    return False


async def _take_inputs(have: Parts, read: CreateVideo, taken: list[Picture | Film]) -> TaskSpec:
    pictures: list[Picture] = []
    for sent in read.pictures:
        if isinstance(sent.value, Upload):
            picture = await have.inputs.store(sent.role, sent.value.file, sent.field)
        else:
            picture = await have.inputs.take(Picture(sent.role, url=sent.value), sent.field)
        pictures.append(picture)
        taken.append(picture)
    film = await have.inputs.store_film(read.film.file, "video") if read.film else None
    taken += [film] if film else []
    return read.with_inputs(pictures, film)


def _video(request: Request, have: Parts, who: Caller, dialect: Dialect, task: Task) -> dict[str, Any]:
    url = have.links.make(request, who, task.id) if task.kept(have.clock()) else None
    return render.video(task, dialect, url)


async def _after_waiting(request: Request, have: Parts, task: Task) -> Task | None:
    """The task, after the wait that its caller prefers; None if it was deleted meanwhile."""
    seconds = read_wait(request.headers)
    return await have.watch.changed(task, seconds) if seconds else task


def _of_task(request: Request, have: Parts, who: Caller, dialect: Dialect, task: Task, status: int = 200) -> Response:
    answer = _answer(_video(request, have, who, dialect, task), dialect, status)
    if task.state in LIVE:
        answer.headers.update(come_back(schedule.callers_look(due_in=task.due_at - have.clock())))
    if seconds := read_wait(request.headers):
        answer.headers[APPLIED] = f"wait={seconds}"
    return answer


def _answer(body: dict[str, Any], dialect: Dialect, status: int = 200) -> Response:
    return Answer(body, dialect, status)

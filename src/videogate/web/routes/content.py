"""Stream a finished video to its caller, in constant memory."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response, StreamingResponse

from videogate.task.errors import InvalidRequest, NotAuthenticated, NotServed, VideoNotFound, VideoNotReady
from videogate.task.model import Content, Task
from videogate.task.state import TaskState
from videogate.web.auth import authenticate
from videogate.web.deps import Parts, PartsOf
from videogate.web.ranges import Unsatisfiable, parse_range
from videogate.web.routes.videos import VideoId

POLL_AFTER = 5.0  # seconds to suggest to a caller who is too early

router = APIRouter()


@router.api_route("/videos/{video_id}/content", methods=["GET", "HEAD"])
async def content(
    video_id: VideoId,
    request: Request,
    have: PartsOf,
    variant: Annotated[str, Query(max_length=32)] = "video",
) -> Response:
    """The MP4, whole or in part. Opened by an API key or by a signed link."""
    owner = await _owner(request, have, video_id)
    task = await have.tasks.get(owner, video_id)
    if task is None:
        raise VideoNotFound(video_id)
    if variant != "video":
        raise InvalidRequest("variant must be video.", param="variant")
    return _stream(request, have, _content(task))


async def _owner(request: Request, have: Parts, video_id: str) -> str:
    """A good link wins over the header: clients attach the header to every URL they are given."""
    if "signature" in request.query_params:
        signed = have.links.check(request.query_params, video_id)
        if signed is not None and await have.keys.live(signed.id):
            request.scope["state"]["key"] = signed.id
            return signed.id
        if "authorization" not in request.headers:
            raise NotAuthenticated
    return (await authenticate(request, have.keys)).id


def _content(task: Task) -> Content:
    if task.content is not None and task.state is TaskState.SUCCEEDED:
        return task.content
    if task.state is TaskState.FAILED:
        reason = task.failure.message if task.failure else "the reason is not known"
        raise VideoNotReady(f"The video '{task.id}' failed and has no content: {reason}")
    raise VideoNotReady(f"The video '{task.id}' is not completed yet; ask again later.", POLL_AFTER)


def _stream(request: Request, have: Parts, content: Content) -> Response:
    etag = f'"{content.sha256[:32]}"'
    headers = {
        "accept-ranges": "bytes",
        "etag": etag,
        "cache-control": "private, no-cache",
        "content-disposition": f'attachment; filename="{content.key.rsplit("/", 1)[-1]}"',
        "x-content-type-options": "nosniff",
        "content-security-policy": "sandbox",
    }
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    start, end, status = 0, content.length, 200
    if (part := _part(request, content.length, etag)) is not None:
        start, end = part
        status = 206
        headers["content-range"] = f"bytes {start}-{end - 1}/{content.length}"
    headers["content-length"] = str(end - start)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=content.mime)
    body: AsyncIterator[bytes] = have.storage.read(content.key, start, end)
    return StreamingResponse(body, status, headers, content.mime)


def _part(request: Request, length: int, etag: str) -> tuple[int, int] | None:
    if request.headers.get("if-range", etag) != etag:
        return None
    try:
        return parse_range(request.headers.get("range"), length)
    except Unsatisfiable:
        raise NotServed(
            416,
            f"The range lies outside the video's {length} bytes.",
            "range_not_satisfiable",
            {"content-range": f"bytes */{length}"},
        ) from None

"""Stream a finished video, or a picture of it, to its caller, in constant memory."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from videogate.engine import figures
from videogate.engine.results import VIDEO, File
from videogate.media.storage import Gone, Piece
from videogate.task.errors import NotAuthenticated, NotServed, VideoExpired, VideoNotFound
from videogate.web.auth import authenticate
from videogate.web.deps import Parts, PartsOf
from videogate.web.ranges import Unsatisfiable, holds, parse_range
from videogate.web.routes.videos import VideoId

router = APIRouter()


@router.api_route("/videos/{video_id}/content", methods=["GET", "HEAD"])
async def content(
    video_id: VideoId,
    request: Request,
    have: PartsOf,
    variant: Annotated[str, Query(max_length=32)] = VIDEO,
) -> Response:
    """The MP4 or a picture of it, whole or in part. Opened by an API key or by a signed link."""
    owner = await _owner(request, have, video_id, variant)
    task = await have.tasks.get(owner, video_id)
    if task is None:
        raise VideoNotFound(video_id)
    file = await have.results.find(task, variant)
    if have.redirect and request.method == "GET" and (link := await have.results.link(file)):
        return RedirectResponse(link, 302, {"cache-control": "private, no-store"})
    try:
        return await _stream(request, have, file)
    except Gone:
        raise VideoExpired(video_id) from None


async def _owner(request: Request, have: Parts, video_id: str, variant: str) -> str:
    """A good link wins over the header: clients attach the header to every URL they are given."""
    if "signature" in request.query_params:
        signed = have.links.check(request.query_params, video_id, variant)
        if signed is not None and await have.keys.live(signed.id):
            request.scope["state"]["key"] = signed.id
            return signed.id
        if "authorization" not in request.headers:
            figures.not_let_in("bad_link")
            raise NotAuthenticated
    return (await authenticate(request, have.keys)).id


async def _stream(request: Request, have: Parts, file: File) -> Response:
    etag = f'"{file.sha256[:32]}"'
    headers = {
        "accept-ranges": "bytes",
        "etag": etag,
        "cache-control": "private, no-cache",
        "content-disposition": f'attachment; filename="{file.name}"',
        "x-content-type-options": "nosniff",
        "content-security-policy": "sandbox",
    }
    if holds(request.headers.getlist("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    start, end, status = 0, file.length, 200
    if (part := _part(request, file.length, etag)) is not None:
        start, end = part
        status = 206
        headers["content-range"] = f"bytes {start}-{end - 1}/{file.length}"
    headers["content-length"] = str(end - start)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=file.mime)
    pieces = await have.results.read(file, start, end)
    return StreamingResponse(_counted(pieces), status, headers, file.mime)


async def _counted(pieces: AsyncIterator[Piece]) -> AsyncIterator[Piece]:
    async for piece in pieces:
        yield piece
        figures.streamed(len(piece))


def _part(request: Request, length: int, etag: str) -> tuple[int, int] | None:
    if request.headers.get("if-range", etag) != etag:
        return None
    try:
        return parse_range(request.headers.get("range"), length)
    except Unsatisfiable:
        raise NotServed(
            416,
            f"The range lies outside the file's {length} bytes.",
            "range_not_satisfiable",
            {"content-range": f"bytes */{length}"},
        ) from None

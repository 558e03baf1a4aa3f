"""What the vendor modules share: one way through which every call goes, faults included.

A vendor module holds, in this order: NAME, PREFIX (where it is served beside others), ROOT (where it is served
alone), `environment` (what points a gateway at it), ERRORS (its own words for faults), `routes`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from hashlib import sha256
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response

from videogate.simulator.faults import BY_VENDOR, Fault
from videogate.simulator.transport import BrokenOff, Dropped, Hung
from videogate.simulator.world import Job, World

Handler = Callable[[Request, Fault | None], Awaitable[Response]]
Errors = Mapping[str, Callable[[], Response]]  # of throttle, refuse, moderate_submit, error, expire

_PAGE = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


class Refused(Exception):
    """Ends a call with an answer of the vendor's own."""

    def __init__(self, answer: Response) -> None:
        super().__init__()
        self.answer = answer


def guarded(world: World, vendor: str, op: str, handler: Handler, errors: Errors) -> Callable[[Request], Any]:
    """An endpoint: the handler, struck by whatever fault is switched on for this vendor and operation."""

    async def answer(request: Request, fault: Fault | None) -> Response:
        try:
            return await handler(request, fault)
        except Refused as refused:
            return refused.answer
        except ClientDisconnect:
            return Dropped()

    async def endpoint(request: Request) -> Response:
        world.calls[f"{vendor}.{op}"] += 1
        fault = world.faults.take(vendor, op)
        if fault is None or fault.mode in BY_VENDOR:
            return await answer(request, fault)
        if fault.mode == "slow":
            return await _wait(world, fault) or await answer(request, None)
        if fault.mode == "late":
            await request.body()  # there is nothing to read any more once the connection is closed
            world.later(_late(world, fault, partial(answer, request, None)))
            return Dropped()
        right = await answer(request, None) if fault.effective else None
        if right is None and fault.mode != "drop_before":
            # Read what the client sends, or it sees its own sending fail instead of the answer.
            await request.body()
        return _instead(world, fault, right, errors)

    return endpoint


async def _late(world: World, fault: Fault, handle: Callable[[], Awaitable[Response]]) -> None:
    if await _wait(world, fault) is None:
        await handle()


async def _wait(world: World, fault: Fault) -> Response | None:
    """Let the fault's delay pass. What to answer instead, if the simulator ends meanwhile."""
    try:
        async with asyncio.timeout(fault.delay):
            await world.closing.wait()
    except TimeoutError:
        return None
    return Dropped()


def _instead(world: World, fault: Fault, right: Response | None, errors: Errors) -> Response:  # noqa: C901 (a table)
    match fault.mode:
        case "drop_before" | "drop_after":
            return Dropped()
        case "hang":
            return Hung(world.closing)
        case "half" | "truncate":
            return BrokenOff(right or JSONResponse({}))
        case "html":
            return HTMLResponse(_PAGE, 502)
        case "html_200" | "not_mp4":
            return HTMLResponse(_PAGE * 20)
        case "junk":
            return Response(b'{"output": {', media_type="application/json")
        case "no_id":
            return JSONResponse({"note": "accepted"})
        case "redirect":
            return RedirectResponse(fault.location, 307)
        case "error_before" | "error_after":
            return errors["error"]()
    answer = errors[fault.mode]()
    if fault.retry_after is not None:
        answer.headers["retry-after"] = f"{fault.retry_after:g}"
    return answer


async def witnessed(request: Request) -> dict[str, Any]:
    """What the ledger keeps of a request: the caller's own reference, if any, and the body's SHA-256."""
    reference = request.headers.get("idempotency-key")
    return {"idempotency_key": reference, "digest": sha256(await request.body()).hexdigest()}


async def film(world: World, job: Job) -> Response:
    """The job's result: a file, with ranges."""
    path = await world.films.get(job.width, job.height, job.seconds, f"{job.vendor} {job.prompt}")
    return FileResponse(path, media_type="video/mp4")


def here(request: Request) -> str:
    """Where a vendor is served, as the client sees it: the base of the links that it gives out."""
    return f"{request.url.scheme}://{request.url.netloc}{request.scope.get('root_path', '')}"


def whole(text: str | None, usual: int) -> int | None:
    """A whole number in a query, `usual` if it is not there, None if it is no number."""
    if text is None:
        return usual
    return int(text) if text.isascii() and text.isdigit() else None


Unreadable = (HTTPException, ValueError)  # what Starlette and json raise for a body that is not what it says

"""Where vendors tell us that a job has changed."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import JSONResponse, Response

from videogate.engine.callbacks import PATH, Heard
from videogate.task.errors import NotServed
from videogate.web.deps import PartsOf

Part = Annotated[str, Path(max_length=64)]

router = APIRouter(prefix=PATH, include_in_schema=False)


@router.post("/{vendor}/{client_ref}/{token}")
async def callback(vendor: Part, client_ref: Part, token: Part, request: Request, have: PartsOf) -> Response:
    """Take a vendor's notice. It is believed only so far that the vendor is asked sooner."""
    heard = await have.callbacks.hear(vendor, client_ref, token, dict(request.headers), await request.body())
    if heard is Heard.UNKNOWN:
        raise NotServed(404, "There is no such callback.", "route_not_found")
    if heard is Heard.UNSIGNED:
        raise NotServed(401, "The signature of this callback is not the vendor's.", "invalid_signature")
    return JSONResponse({"received": True})

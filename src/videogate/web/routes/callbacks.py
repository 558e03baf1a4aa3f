"""Where vendors tell us that a job has changed."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import JSONResponse, Response

from videogate.engine.callbacks import PATH, hear
from videogate.task.errors import NotServed
from videogate.vendorkit.contract import Notice
from videogate.web.deps import PartsOf

Part = Annotated[str, Path(max_length=64)]

router = APIRouter(prefix=PATH, include_in_schema=False)


@router.post("/{vendor}/{client_ref}/{token}")
async def callback(vendor: Part, client_ref: Part, token: Part, request: Request, have: PartsOf) -> Response:
    """Take a vendor's notice. It is believed only so far that the vendor is asked sooner."""
    called = have.shop.vendors.get(vendor)
    if called is None or not have.callbacks.genuine(called, client_ref, token):
        raise NotServed(404, "There is no such callback.", "route_not_found")
    url = have.callbacks.url(called, client_ref) or str(request.url)
    notice = Notice(url, dict(request.headers), await request.body())
    if not await hear(have.shop, called, client_ref, notice, have.wake):
        raise NotServed(401, "The signature of this callback is not the vendor's.", "invalid_signature")
    return JSONResponse({"received": True})

"""Webhook endpoints of the caller's own key, and what became of the deliveries to them."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import JSONResponse, Response

from videogate.engine.webhooks import Wanted
from videogate.task.errors import InvalidRequest
from videogate.web.body import read_body
from videogate.web.deps import CallerOf, PartsOf
from videogate.wire import webhooks as wire

LISTED = 20
MOST_LISTED = 100

EndpointId = Annotated[str, Path(max_length=64)]
DeliveryId = Annotated[str, Path(max_length=64)]
After = Annotated[str | None, Query(max_length=64)]
Limit = Annotated[int, Query(ge=1, le=MOST_LISTED)]

router = APIRouter()


@router.get("/webhook_event_types")
async def event_types(_who: CallerOf) -> Response:
    """What can be told of."""
    return _answer(wire.event_types())


@router.post("/webhook_endpoints")
async def create(request: Request, have: PartsOf, who: CallerOf) -> Response:
    """Make an endpoint for the caller's videos. Its secret is in this answer and in no other."""
    async with read_body(request) as body:
        made = await have.webhooks.add(who.id, _wanted(body))
    return _answer(wire.endpoint(made, secret=True))


@router.get("/webhook_endpoints")
async def list_endpoints(have: PartsOf, who: CallerOf, after: After = None, limit: Limit = LISTED) -> Response:
    """The caller's endpoints, newest first."""
    found, has_more = await have.webhooks.page(who.id, after=after or None, limit=limit)
    return _answer(wire.page([wire.endpoint(each) for each in found], has_more=has_more))


@router.get("/webhook_endpoints/{endpoint_id}")
async def get(endpoint_id: EndpointId, have: PartsOf, who: CallerOf) -> Response:
    """One endpoint."""
    return _answer(wire.endpoint(await have.webhooks.get(endpoint_id, who.id)))


@router.post("/webhook_endpoints/{endpoint_id}")
async def change(endpoint_id: EndpointId, request: Request, have: PartsOf, who: CallerOf) -> Response:
    """Change what the body names; what it does not name stays."""
    async with read_body(request) as body:
        return _answer(wire.endpoint(await have.webhooks.change(endpoint_id, who.id, _wanted(body))))


@router.delete("/webhook_endpoints/{endpoint_id}")
async def remove(endpoint_id: EndpointId, have: PartsOf, who: CallerOf) -> Response:
    """Forget an endpoint with its deliveries."""
    await have.webhooks.remove(endpoint_id, who.id)
    return _answer(wire.removed(endpoint_id))


@router.post("/webhook_endpoints/{endpoint_id}/rotate_secret")
async def rotate(endpoint_id: EndpointId, request: Request, have: PartsOf, who: CallerOf) -> Response:
    """Give an endpoint a new secret, which is in this answer and in no other."""
    async with read_body(request) as body:
        keep_old = wire.read_switch(body, "keep_old_secret_active_for_24_hours") or False
    rotated = await have.webhooks.rotate(endpoint_id, who.id, keep_old=keep_old)
    return _answer(wire.endpoint(rotated, secret=True))


@router.post("/webhook_endpoints/{endpoint_id}/test")
async def test(endpoint_id: EndpointId, request: Request, have: PartsOf, who: CallerOf) -> Response:
    """Send a made-up event at once, and say what status the endpoint answered."""
    async with read_body(request) as body:
        kind = wire.read_text(body, "event_type") or ""
    tested = await have.webhooks.test(endpoint_id, who.id, kind)
    if tested.status is None:
        raise InvalidRequest(f"The endpoint could not be told: {tested.error}.", code="endpoint_not_reached")
    return _answer(wire.tested(endpoint_id, kind, tested.status))


@router.get("/webhook_endpoints/{endpoint_id}/deliveries")
async def deliveries(
    endpoint_id: EndpointId, have: PartsOf, who: CallerOf, after: After = None, limit: Limit = LISTED
) -> Response:
    """What an endpoint was told, newest first, and what became of it."""
    found, has_more = await have.webhooks.deliveries(who.id, endpoint_id=endpoint_id, after=after or None, limit=limit)
    return _answer(wire.page([wire.delivery(each) for each in found], has_more=has_more))


@router.post("/webhook_endpoints/{endpoint_id}/deliveries/{delivery_id}/resend")
async def resend(endpoint_id: EndpointId, delivery_id: DeliveryId, have: PartsOf, who: CallerOf) -> Response:
    """Send a delivery again, under the same id."""
    return _answer(wire.delivery(await have.webhooks.again(delivery_id, who.id, endpoint_id=endpoint_id)))


def _wanted(body: Mapping[str, Any]) -> Wanted:
    return Wanted(
        url=wire.read_text(body, "url", longest=wire.LINK_LENGTH),
        name=wire.read_text(body, "name"),
        events=wire.read_types(body),
        enabled=wire.read_switch(body, "enabled"),
    )


def _answer(body: dict[str, Any]) -> Response:
    return JSONResponse(body, headers={"cache-control": "no-store"})

"""Webhook endpoints and deliveries as JSON, in OpenAI's form; what it has no word for stands beside it."""

from collections.abc import Mapping, Sequence
from typing import Any

from videogate.task.errors import InvalidRequest
from videogate.task.webhook import TYPES, Delivery, DeliveryState, Endpoint
from videogate.wire.fields import Upload

LINK_LENGTH = 2_048  # characters
NAME_LENGTH = 255
HINT = 4  # last characters of a secret that tell it from others


def read_text(body: Mapping[str, Any], field: str, *, longest: int = NAME_LENGTH) -> str | None:
    """A short text of a body; None if it is not there. Raises InvalidRequest."""
    value = body.get(field)
    if value is None or value == "":
        return None
    good = isinstance(value, str) and len(value) <= longest and value.isprintable()
    if not good:
        message = f"{field} must be a text of at most {longest} characters."
        raise InvalidRequest(message, param=field, code="invalid_type")
    return str(value).strip()


def read_types(body: Mapping[str, Any]) -> list[str] | None:
    """The types of events that an endpoint wants; None if the body has none. Raises InvalidRequest."""
    value = body.get("event_types")
    if value is None:
        return None
    types = value if isinstance(value, list) else [value]
    if any(isinstance(each, Upload) or not isinstance(each, str) for each in types):
        raise InvalidRequest("event_types must be a list of texts.", param="event_types", code="invalid_type")
    return types


def read_switch(body: Mapping[str, Any], field: str) -> bool | None:
    """A yes or no of a body; None if it is not there. Raises InvalidRequest."""
    value = body.get(field)
    if value is None or value == "":
        return None
    if isinstance(value, bool) or (isinstance(value, str) and value in {"true", "false"}):
        return value in {True, "true"}
    raise InvalidRequest(f"{field} must be true or false.", param=field, code="invalid_type")


def endpoint(found: Endpoint, *, secret: bool = False) -> dict[str, Any]:
    """An endpoint; with its secret only where that has just been made."""
    body = {
        "id": found.id,
        "object": "webhook_endpoint",
        "created_at": int(found.created_at),
        "updated_at": int(found.updated_at),
        "name": found.name,
        "url": found.url,
        "event_types": list(found.events),
        "signing_secret_hint": f"…{found.secret[-HINT:]}",
        "enabled": found.disabled_at is None,
        "disabled_reason": found.disabled_why,
    }
    return {**body, "signing_secret": found.secret} if secret else body


def removed(endpoint_id: str) -> dict[str, Any]:
    """The answer to a removal."""
    return {"id": endpoint_id, "object": "webhook_endpoint.deleted", "deleted": True}


def tested(endpoint_id: str, kind: str, status: int) -> dict[str, Any]:
    """What an endpoint answered to a made-up event."""
    return {
        "object": "webhook_endpoint.test",
        "webhook_endpoint_id": endpoint_id,
        "event_type": kind,
        "status_code": status,
        "success": True,  # of the test: OpenAI's word for having an answer
    }


def delivery(found: Delivery) -> dict[str, Any]:
    """A delivery, with what became of its last try."""
    pending = found.state is DeliveryState.PENDING
    return {
        "id": found.id,
        "object": "webhook_delivery",
        "webhook_endpoint_id": found.endpoint_id,
        "event_id": found.event_id,
        "event_type": found.type,
        "video_id": found.task_id,
        "status": found.state.value,
        "tries": found.tries,
        "last_status_code": found.last_status,
        "last_error": found.last_error,
        "created_at": int(found.created_at),
        "delivered_at": None if found.delivered_at is None else int(found.delivered_at),
        "next_try_at": int(found.due_at) if pending else None,
    }


def page(data: Sequence[dict[str, Any]], *, has_more: bool) -> dict[str, Any]:
    """A page of rendered things."""
    return {
        "object": "list",
        "data": list(data),
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": has_more,
    }


def event_types() -> dict[str, Any]:
    """What can be told of."""
    return {"object": "list", "data": list(TYPES.values())}

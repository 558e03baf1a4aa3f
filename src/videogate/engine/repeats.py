"""Whether two requests are the same one: the fingerprint of what was asked, and old keys forgotten."""

import json
from dataclasses import fields
from hashlib import sha256
from typing import Any

from videogate.engine.shop import Shop, log
from videogate.store.tasks import KEY_KEPT
from videogate.task.model import Source, TaskSpec

_ASKED = tuple(each.name for each in fields(TaskSpec))
FORGET_EVERY = 3_600.0  # seconds


def fingerprint(spec: TaskSpec) -> str:
    """Equal for requests that ask for the same, in whichever form they came. `spec` is not yet fitted to a model.

    A picture counts by its role and its bytes, or its link: the name of its file is new with every try. A video that it
    begins with counts by what is to be made of it and its id, or its bytes.
    """
    pictures = [_present({"role": each.role, "url": each.url, "sha256": each.sha256}) for each in spec.pictures]
    # What was not given is left out: a field that a later version adds changes no fingerprint of today.
    given = {name: getattr(spec, name) for name in _ASKED}
    asked = _present({**given, "pictures": pictures, "source": _source(spec.source)})
    text = json.dumps(asked, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return sha256(text.encode()).hexdigest()


def _source(source: Source | None) -> dict[str, Any]:
    """The video that it begins with, by our id or by its bytes."""
    if source is None:
        return {}
    film = source.film.sha256 if source.film else None
    return _present({"rework": source.rework, "video_id": source.video_id, "sha256": film})


def _present(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in (None, [], {})}


def key_digest(key: str) -> str:
    """What is stored in the place of a caller's idempotency key."""
    return sha256(key.encode()).hexdigest()


async def forget_keys(shop: Shop) -> float:
    """Forget old idempotency keys. Returns the seconds to wait for the next time."""
    if forgotten := await shop.tasks.forget_keys(shop.clock() - KEY_KEPT):
        log.info("keys_forgotten", keys=forgotten)
    return FORGET_EVERY

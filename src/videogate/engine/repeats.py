"""Whether two requests are the same one: the fingerprint of what was asked, and old keys forgotten."""

import asyncio
import json
from contextlib import suppress
from dataclasses import asdict
from hashlib import sha256
from typing import Any

from videogate.engine.shop import Shop, log
from videogate.store.tasks import KEY_KEPT
from videogate.task.model import TaskSpec

FORGET_EVERY = 3_600.0  # seconds


def fingerprint(spec: TaskSpec) -> str:
    """Equal for requests that ask for the same, in whichever form they came. `spec` is not yet fitted to a model.

    A picture counts by its role and its bytes, or its link: the name of its file is new with every try.
    """
    pictures = [_present({"role": each.role, "url": each.url, "sha256": each.sha256}) for each in spec.pictures]
    # What was not given is left out: a field that a later version adds changes no fingerprint of today.
    asked = _present({**asdict(spec), "pictures": pictures})
    text = json.dumps(asked, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return sha256(text.encode()).hexdigest()


def _present(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in (None, [], {})}


def key_digest(key: str) -> str:
    """What is stored in the place of a caller's idempotency key."""
    return sha256(key.encode()).hexdigest()


class Forgetter:
    """Forgets old idempotency keys until told to stop. One per process."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """Begin no further round."""
        self._stopped.set()

    async def run(self) -> None:
        """Forget now and every hour, until `stop`."""
        while not self._stopped.is_set():
            try:
                if forgotten := await self._shop.tasks.forget_keys(self._shop.clock() - KEY_KEPT):
                    log.info("keys_forgotten", keys=forgotten)
            except Exception:  # noqa: BLE001 (the loop outlives a database that is away)
                log.exception("forgetting_failed")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), FORGET_EVERY)

"""Kling's callbacks: a task's changes of state, posted to where its creator said, and signed.

https://kling.ai/document-api/get-started/callbacks, read 2026-11-23; signatures as in Standard Webhooks.
"""

import asyncio
import hmac
import json
import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import httpx

from videogate.simulator.callbacks import STEP, Followers
from videogate.simulator.world import Job, Stage, World

_MARK = "whsec_"

Look = Callable[[Stage], dict[str, Any]]


def secret_of(key: str) -> str:
    """The secret that signs a key's callbacks."""
    return _MARK + b64encode(key.encode()).decode()


def signature(secret: str, name: str, moment: str, body: bytes) -> str:
    """The webhook-signature of the message `name`, sent at `moment` (seconds since the epoch)."""
    text = f"{name}.{moment}.".encode() + body
    return "v1," + b64encode(hmac.digest(b64decode(secret.removeprefix(_MARK)), text, sha256)).decode()


class Callbacks:
    """Follows jobs in the background, and tells their listeners."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._secret = secret_of(world.options.key)
        self._followers = Followers(world)

    def follow(self, job: Job, url: str, look: Look) -> None:
        """Tell `url` what `look` says at each change of the job, if it is on this machine, until the simulator closes.

        Each change is told once: how often the vendor tries is not documented.
        """
        self._followers.follow(job, url, lambda client: self._tell(client, job, url, look))

    async def _tell(self, client: httpx.AsyncClient, job: Job, url: str, look: Look) -> None:
        await self._post(client, url, look(Stage.QUEUED))
        await _until(lambda: job.begins)
        if job.begins < job.ends:
            await self._post(client, url, look(Stage.RUNNING))
        await _until(lambda: job.ends)
        await self._post(client, url, look(job.ends_as))

    async def _post(self, client: httpx.AsyncClient, url: str, record: dict[str, Any]) -> None:
        name, moment, body = self._world.uuid(), str(int(time.time())), json.dumps(record).encode()
        headers = {
            "content-type": "application/json",
            "webhook-id": name,
            "webhook-timestamp": moment,
            "webhook-signature": signature(self._secret, name, moment, body),
        }
        try:
            await client.post(url, content=body, headers=headers)
        except httpx.HTTPError:
            return


async def _until(moment: Callable[[], float]) -> None:
    while (left := moment() - time.time()) > 0:  # noqa: ASYNC110 (what it waits for is the time)
        await asyncio.sleep(min(STEP, left))

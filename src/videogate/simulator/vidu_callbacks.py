"""Vidu's callbacks: a task's changes of state, posted to where its creator said, and signed.

https://platform.vidu.com/docs/callback-signature, read 2026-11-23.
"""

import asyncio
import hmac
import json
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from email.utils import formatdate
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import httpx

from videogate.simulator.callbacks import STEP, Followers
from videogate.simulator.world import Job, Stage, World

ACCESS_KEY = "vidu"
RETRIES = 3  # of what a task ended as; `processing` is told once
RETRY_SECONDS = 0.3  # no page says how far apart

Look = Callable[[], dict[str, Any]]


def signature(key: str, url: str, date: str, signed: Mapping[str, str], method: str = "POST") -> str:
    """The X-HMAC-SIGNATURE of a call to `url`; `signed` are the headers that it covers, in order."""
    parts = urlsplit(url)
    headers = "".join(f"{name}:{value}\n" for name, value in signed.items())
    text = "\n".join((method, parts.path or "/", parts.query, ACCESS_KEY, date, headers))
    return b64encode(hmac.digest(key.encode(), text.encode(), sha256)).decode()


class Callbacks:
    """Follows jobs in the background, and tells their listeners."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._followers = Followers(world)

    def follow(self, job: Job, url: str, look: Look) -> None:
        """Tell `url` what `look` says when the job changes, if it is on this machine, until the simulator closes."""
        self._followers.follow(job, url, lambda client: self._tell(client, job, url, look))

    async def _tell(self, client: httpx.AsyncClient, job: Job, url: str, look: Look) -> None:
        told = False
        while (stage := job.stage()[0]) in (Stage.QUEUED, Stage.RUNNING):
            if stage is Stage.RUNNING and not told:
                told = True
                await self._post(client, url, look())
            next_change = job.begins if stage is Stage.QUEUED else job.ends
            await asyncio.sleep(max(0.001, min(STEP, next_change - time.time())))
        for _ in range(1 + RETRIES):
            if await self._post(client, url, look()):
                return
            await asyncio.sleep(RETRY_SECONDS)

    async def _post(self, client: httpx.AsyncClient, url: str, body: dict[str, Any]) -> bool:
        """Whether the listener took it."""
        date, nonce = formatdate(usegmt=True), self._world.uuid()
        signed = {"Date": date, "x-request-nonce": nonce}
        headers = {
            **signed,
            "Content-Type": "application/json",
            "X-HMAC-SIGNED-HEADERS": ";".join(signed),
            "X-HMAC-SIGNATURE": signature(self._world.options.key, url, date, signed),
            "X-HMAC-ALGORITHM": "hmac-sha256",
            "X-HMAC-ACCESS-KEY": ACCESS_KEY,
        }
        try:
            answer = await client.post(url, content=json.dumps(body), headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL):
            return False
        return answer.is_success

"""Vidu's callbacks: a task's changes of state, posted to where its creator said, and signed.

https://platform.vidu.com/docs/callback-signature, read 2026-11-23.
"""

import asyncio
import hmac
import json
import ssl
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from email.utils import formatdate
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import httpx

from videogate.simulator.world import Job, Stage, World

ACCESS_KEY = "vidu"
# A simulator calls nobody but who runs on its own machine.
LOOPBACK = frozenset({"127.0.0.1", "localhost"})
RETRIES = 3  # of what a task ended as; `processing` is told once
RETRY_SECONDS = 0.3  # no page says how far apart
PATIENCE = 5.0  # seconds for the listener to answer
_STEP = 0.1  # seconds between looks: a fault or a cancellation ends a job before its time

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
        self._followers: set[asyncio.Task[None]] = set()

    def follow(self, job: Job, url: str, look: Look) -> None:
        """Tell `url` what `look` says when the job changes, if it is on this machine, until the simulator closes."""
        if _host(url) not in LOOPBACK:
            return
        follower = asyncio.create_task(self._follow(job, url, look), name=f"callbacks of {job.id}")
        self._followers.add(follower)
        follower.add_done_callback(self._followers.discard)

    async def _follow(self, job: Job, url: str, look: Look) -> None:
        work = asyncio.create_task(self._tell(job, url, look))
        over = asyncio.create_task(self._world.closing.wait())
        try:
            await asyncio.wait({work, over}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            work.cancel()
            over.cancel()

    async def _tell(self, job: Job, url: str, look: Look) -> None:
        told = False
        # It trusts no certificate: nobody has one for his own machine.
        async with httpx.AsyncClient(
            verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), trust_env=False, timeout=PATIENCE
        ) as client:
            while (stage := job.stage()[0]) in (Stage.QUEUED, Stage.RUNNING):
                if stage is Stage.RUNNING and not told:
                    told = True
                    await self._post(client, url, look())
                next_change = job.begins if stage is Stage.QUEUED else job.ends
                await asyncio.sleep(max(0.001, min(_STEP, next_change - time.time())))
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


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""

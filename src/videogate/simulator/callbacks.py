"""What vendors that call back share: following a job in the background, without outliving the simulator."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable

import httpx

from videogate.simulator.world import Job, World

# A simulator calls nobody but who runs on its own machine.
LOOPBACK = frozenset({"127.0.0.1", "localhost"})
PATIENCE = 5.0  # seconds for the listener to answer
STEP = 0.1  # seconds between looks: a fault or a cancellation ends a job before its time

Tell = Callable[[httpx.AsyncClient], Awaitable[None]]


class Followers:
    """Runs what tells a job's listener, until the simulator closes."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._running: set[asyncio.Task[None]] = set()

    def follow(self, job: Job, url: str, tell: Tell) -> None:
        """Run `tell` with a client, if `url` is on this machine."""
        if _host(url) not in LOOPBACK:
            return
        follower = asyncio.create_task(self._follow(tell), name=f"callbacks of {job.id}")
        self._running.add(follower)
        follower.add_done_callback(self._running.discard)

    async def _follow(self, tell: Tell) -> None:
        work = asyncio.create_task(_with_client(tell))
        over = asyncio.create_task(self._world.closing.wait())
        try:
            await asyncio.wait({work, over}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            work.cancel()
            over.cancel()


async def _with_client(tell: Tell) -> None:
    # It trusts no certificate: nobody has one for his own machine.
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    async with httpx.AsyncClient(verify=trust, trust_env=False, timeout=PATIENCE) as client:
        await tell(client)


def _host(url: str) -> str:
    # The sender's own parser, so that what is checked is what is called.
    try:
        return httpx.URL(url).host
    except httpx.InvalidURL:
        return ""

"""The simulator as a server: every vendor module of this package, and the admin routes."""

import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib import import_module
from pkgutil import iter_modules
from socket import socket
from types import FrameType, ModuleType

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp

from videogate.simulator.options import Options
from videogate.simulator.world import World

ADMIN = "/_simulator"


def vendors() -> dict[str, ModuleType]:
    """The vendor modules of this package by name: those that have a NAME."""
    package = __name__.rpartition(".")[0]
    found = sys.modules[package].__path__
    modules = [import_module(f"{package}.{each.name}") for each in iter_modules(found) if not each.name.startswith("_")]
    return {module.NAME: module for module in modules if hasattr(module, "NAME")}


def environment(base_url: str, key: str = "simulator") -> dict[str, str]:
    """The VIDEOGATE_* variables that point a gateway at a simulator of all vendors."""
    pairs: dict[str, str] = {}
    for module in vendors().values():
        pairs |= module.environment(base_url.rstrip("/") + module.PREFIX, key)
    return pairs


def create_app(options: Options) -> ASGIApp:
    """The simulator as an ASGI application, for uvicorn: faults break its connections off.

    Raises ValueError for an unknown `only`.
    """
    served = _served(options)
    return _app(World(options, served), served)


def serve(options: Options, host: str = "127.0.0.1", port: int = 9000) -> None:
    """Serve until a signal; prints where it listens, and what points a gateway at it. Port 0 picks a free one.

    Raises ValueError for an unknown `only`, SystemExit where it cannot listen.
    """
    served = _served(options)
    world = World(options, served)
    config = uvicorn.Config(
        _app(world, served),
        host=host,
        port=port,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    _Server(config, world, served).run()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, world: World, served: Mapping[str, ModuleType]) -> None:
        super().__init__(config)
        self._world = world
        self._served = served

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.started:
            return
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        options = self._world.options
        pairs: dict[str, str] = {}
        for module in self._served.values():
            pairs |= module.environment(url + (module.ROOT if options.only else module.PREFIX), options.key)
        lines = [f"simulator ready on {url}", *(f"  {name}={value}" for name, value in pairs.items())]
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        self._world.closing.set()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # Uvicorn would raise the signal again after a clean end; an end that was asked for is exit code 0.
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


def _served(options: Options) -> dict[str, ModuleType]:
    modules = vendors()
    if options.only is None:
        return modules
    if options.only not in modules:
        raise ValueError(f"there is no vendor {options.only!r}; there are {', '.join(sorted(modules))}")
    return {options.only: modules[options.only]}


def _app(world: World, served: Mapping[str, ModuleType]) -> ASGIApp:
    alone = world.options.only is not None
    mounts: list[BaseRoute] = [
        Mount(module.ROOT if alone else module.PREFIX, routes=module.routes(world)) for module in served.values()
    ]

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        world.films.close()

    return Starlette(routes=[Mount(ADMIN, routes=_admin(world)), *mounts], lifespan=lifespan)


def _admin(world: World) -> list[BaseRoute]:
    """What a test asks for: `faults` to switch on; `stats`, the calls by vendor and operation; the `ledger` of what was
    accepted; `looks`, how often each job was found by a poll.
    """

    async def faults(request: Request) -> Response:
        if request.method == "DELETE":
            world.faults.clear()
        elif request.method == "POST":
            try:
                world.faults.add(await request.json())
            except ValueError as error:
                return JSONResponse({"error": str(error)}, 400)
        return JSONResponse(world.faults.all())

    async def stats(_request: Request) -> Response:
        return JSONResponse(dict(world.calls))

    async def ledger(_request: Request) -> Response:
        return JSONResponse(world.ledger.lines)

    async def looks(_request: Request) -> Response:
        return JSONResponse(world.looks())

    return [
        Route("/faults", faults, methods=["GET", "POST", "DELETE"]),
        Route("/stats", stats),
        Route("/ledger", ledger),
        Route("/looks", looks),
    ]

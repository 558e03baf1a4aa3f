"""`videogate serve`: the gateway."""

import gc
import logging
import signal
import sys
from time import monotonic
from types import FrameType
from typing import Annotated

import typer
import uvicorn

from videogate.app import Application, create_app
from videogate.cli.common import plain_errors
from videogate.settings import Role, environment, lend_to_libraries, read_settings

GRACE = 20  # seconds that open connections get after a signal to stop


class Server(uvicorn.Server):
    """uvicorn, which tells the engine of a signal and says when it listens.

    Args:
        config: uvicorn's.
        application: what is served.
        delay: seconds from a signal to the end, in which all goes on and `/health/ready` answers 503.
    """

    def __init__(self, config: uvicorn.Config, application: Application, delay: float) -> None:
        super().__init__(config)
        self._application = application
        self._delay = delay
        self._end: tuple[float, int] | None = None  # when to end (monotonic), and the signal that asked for it

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Be no longer ready, and after the delay begin nothing more. Asked again, die at once: it loses nothing."""
        if self._end is not None:
            signal.signal(sig, signal.SIG_DFL)
            signal.raise_signal(sig)
        self._end = monotonic() + self._delay, sig
        self._application.announce()
        if not self._delay:
            self._leave(sig)

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second."""
        if self._end is not None and not self.should_exit and monotonic() >= self._end[0]:
            self._leave(self._end[1])
        return await super().on_tick(counter)

    def _leave(self, sig: int) -> None:
        """Claim nothing more from this moment on; connections may finish."""
        self._application.stop()
        super().handle_exit(sig, None)

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        """Start, then print the address for people and scripts that wait for it. Raises what keeps it from that."""
        try:
            await super().startup(sockets)  # type: ignore[arg-type]
        except SystemExit as ended:
            refusal = self._application.refusal()
            raise refusal or ended  # noqa: B904 (a refusal's own cause is what its reader needs)
        if self.started:
            gc.collect()
            gc.freeze()  # what is here now stays: each later search for garbage would look through all of it
            gc.set_threshold(20_000, 20, 20)  # by default a burst of requests is searched through again and again
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            sys.stdout.write(f"videogate ready on http://{host}:{port}\n")
            sys.stdout.flush()


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 picks a free one.")] = None,
    role: Annotated[Role | None, typer.Option(help="On PostgreSQL: answer callers, work for them, or both.")] = None,
    keyless: Annotated[bool, typer.Option("--keyless", help="Start although nobody has a key yet.")] = False,
) -> None:
    """Run the gateway. Settings come from VIDEOGATE_* variables and from .env."""
    with plain_errors():
        settings = read_settings()
        if role is not None:
            settings = settings.model_copy(update={"role": role})
        lend_to_libraries()
        application = create_app(settings, environment(), keyless=keyless)
        config = uvicorn.Config(
            application.asgi,
            host=settings.host if host is None else host,
            port=settings.port if port is None else port,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE,
        )
        # What can be said in a sentence needs no traceback of uvicorn's.
        logging.getLogger("uvicorn.error").addFilter(lambda _: application.refusal() is None)
        server = Server(config, application, settings.drain_delay)
        # uvicorn hands the signal on once it has shut down; a drained server ends with 0.
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, lambda *_: None)
        server.run()
        if not server.started:
            raise typer.Exit(2)

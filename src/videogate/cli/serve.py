"""`videogate serve`: the gateway."""

import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Annotated

import typer
import uvicorn

from videogate.app import create_app
from videogate.cli.common import plain_errors
from videogate.settings import environment, lend_to_libraries, read_settings

GRACE = 20  # seconds that open connections get after a signal to stop


class Server(uvicorn.Server):
    """uvicorn, which tells the engine of a signal at once and says when it listens."""

    def __init__(self, config: uvicorn.Config, stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._stop = stop

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Claim nothing more from this moment on; connections may finish."""
        self._stop()
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        """Start, then print the address for people and scripts that wait for it."""
        await super().startup(sockets)  # type: ignore[arg-type]
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            sys.stdout.write(f"videogate ready on http://{host}:{port}\n")
            sys.stdout.flush()


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 picks a free one.")] = None,
) -> None:
    """Run the gateway. Settings come from VIDEOGATE_* variables and from .env."""
    with plain_errors():
        settings = read_settings()
        lend_to_libraries()
        application = create_app(settings, environment())
        config = uvicorn.Config(
            application.asgi,
            host=settings.host if host is None else host,
            port=settings.port if port is None else port,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE,
        )
        server = Server(config, application.stop)
        # uvicorn hands the signal on once it has shut down; a drained server ends with 0.
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, lambda *_: None)
        server.run()
        if not server.started:
            raise typer.Exit(2)

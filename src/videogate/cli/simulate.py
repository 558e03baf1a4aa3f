"""`videogate simulate`: the vendors' protocols as a local server."""

from pathlib import Path
from typing import Annotated

import typer

from videogate import simulator


def simulate(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 picks a free one.")] = 9000,
    only: Annotated[str | None, typer.Option(help="Serve one vendor at the root, as its own SDK expects.")] = None,
    key: Annotated[str, typer.Option(help="The credential that every vendor accepts.")] = "simulator",
    ledger: Annotated[Path | None, typer.Option(help="Append every accepted job to this file.")] = None,
    render_seconds: Annotated[float, typer.Option(help="How long a job takes.")] = 2.0,
) -> None:
    """Serve simulated vendors, with real MP4s and switchable faults; no key is needed."""
    options = simulator.Options(only=only, key=key, ledger=ledger, render_seconds=render_seconds)
    simulator.serve(options, host=host, port=port)

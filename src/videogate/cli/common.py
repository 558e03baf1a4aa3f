"""What commands share."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from videogate.settings import ConfigurationError
from videogate.store.database import AlreadyRunning


@contextmanager
def plain_errors() -> Iterator[None]:
    """Say what is wrong with the set-up in one line, without a traceback."""
    try:
        yield
    except (ConfigurationError, AlreadyRunning) as error:
        sys.stderr.write(f"videogate: {error}\n")
        raise typer.Exit(2) from None

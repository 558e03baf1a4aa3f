"""What commands share."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from videogate.settings import ConfigurationError
from videogate.store.database import AlreadyRunning, DatabaseAway


def _in_words(error: Exception) -> str:
    why = str(error.__cause__).partition("\n")[0] if isinstance(error, DatabaseAway) and error.__cause__ else ""
    return f"{error} ({why})" if why else str(error)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Say what is wrong with the set-up in one line, without a traceback."""
    try:
        yield
    except (ConfigurationError, AlreadyRunning, DatabaseAway) as error:
        sys.stderr.write(f"videogate: {_in_words(error)}\n")
        raise typer.Exit(2) from None

"""Figures as Markdown."""

import os
import platform
import time
from collections.abc import Mapping


def heading(what: str) -> None:
    """Say when and on what a run was made."""
    machine = f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
    print(f"Run of {time.strftime('%Y-%m-%d')}: {what}, {machine}\n")


def row(figures: Mapping[str, float], *, first: bool) -> None:
    """Print a row of a table, the head before the first."""
    if first:
        print(f"| {' | '.join(figures)} |\n|{'---|' * len(figures)}")
    print(f"| {' | '.join(shown(value) for value in figures.values())} |", flush=True)


def shown(value: float) -> str:
    """A figure with as many digits as it deserves."""
    return f"{value:.2f}" if abs(value) < 10 and value != int(value) else f"{value:.0f}"  # noqa: PLR2004 (two digits)

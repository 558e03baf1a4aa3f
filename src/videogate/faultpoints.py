"""Named places where a test may strike: kill the process, stop it, make it fail.

In production nothing is armed and a passage costs one comparison. Only a launcher that imports this module can arm it;
no setting does.
"""

from collections.abc import Callable

_strike: Callable[[str], None] | None = None


def faultpoint(name: str) -> None:
    """Pass a place."""
    if _strike is not None:
        _strike(name)


def arm(strike: Callable[[str], None] | None) -> None:
    """Have `strike` called with the name of every place that is passed; None disarms."""
    global _strike  # noqa: PLW0603 (one per process, like the process itself)
    _strike = strike


def armed() -> bool:
    """Whether a test watches: for places that cost something to watch."""
    return _strike is not None

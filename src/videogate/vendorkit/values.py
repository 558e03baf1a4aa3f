"""Reading values out of vendors' JSON and callers' options, without trusting their types."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from math import isfinite, nan
from typing import Any

from videogate.task.errors import InvalidRequest

Read = Callable[[Any], Any]


def dig(value: Any, *path: str | int) -> Any:
    """The value at a path of keys and indexes, or None where the path leads nowhere."""
    for step in path:
        if isinstance(step, int):
            value = value[step] if isinstance(value, Sequence) and len(value) > step else None
        else:
            value = value.get(step) if isinstance(value, Mapping) else None
    return value


def text(value: Any) -> str | None:
    """A non-empty text; a number counts as one (ids and codes come as both)."""
    if isinstance(value, bool) or value in (None, ""):
        return None
    return str(value) if isinstance(value, str | int | float) else None


def moment(value: Any) -> float | None:
    """Seconds since the epoch of a time as ISO 8601 writes it; one without a zone counts as UTC."""
    try:
        parsed = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def as_bool(value: Any) -> bool:
    """A flag as JSON or as forms write it. Raises ValueError."""
    if isinstance(value, bool):
        return value
    words = {"true": True, "1": True, "false": False, "0": False}
    if str(value).strip().lower() in words:
        return words[str(value).strip().lower()]
    raise ValueError("must be true or false")


def as_int(value: Any) -> int:
    """A whole number as JSON or as forms write it. Raises ValueError."""
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError("must be a whole number")
    try:
        return int(value)
    except (TypeError, ValueError):
        raise ValueError("must be a whole number") from None


def as_number(value: Any) -> float:
    """A finite number as JSON or as forms write it. Raises ValueError."""
    try:
        number = float(value) if not isinstance(value, bool) else nan
    except (TypeError, ValueError):
        number = nan
    if not isfinite(number):
        raise ValueError("must be a number")
    return number


def as_text(value: Any) -> str:
    """A text. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError("must be a text")
    return value


def as_object(value: Any) -> Mapping[str, Any]:
    """An object. Raises ValueError."""
    if not isinstance(value, Mapping):
        raise ValueError("must be an object")
    return value


def list_of(read: Read) -> Read:
    """Reads a list, or its JSON text as forms write it, item by item; a single value counts as a list of one."""

    def read_list(value: Any) -> list[Any]:
        if isinstance(value, str) and value.lstrip().startswith("["):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                raise ValueError("must be a list") from None
        return [read(each) for each in (value if isinstance(value, list) else [value])]

    return read_list


def is_empty(value: Any) -> bool:
    """Whether a caller's option says nothing: null, or empty."""
    return value is None or value in ("", [], {})


def read_options(options: Mapping[str, Any], readers: Mapping[str, Read]) -> dict[str, Any]:
    """The given options in their proper types; an empty one is left out.

    Raises InvalidRequest, naming the option.
    """
    read = {}
    for key, value in options.items():
        if is_empty(value) or key not in readers:
            continue
        try:
            read[key] = readers[key](value)
        except ValueError as error:
            raise InvalidRequest(f"metadata.{key} {error}.", param=f"metadata.{key}") from None
    return read

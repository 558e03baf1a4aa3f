"""One reading of every body: brackets, repeated keys and JSON text become the same nested structure.

`metadata[a][b]=1`, `{"metadata": {"a": {"b": "1"}}}`, `{"metadata[a][b]": "1"}` and `metadata={"a": {"b": 1}}` mean the
same. Files take part under their field's name.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, BinaryIO

from videogate.task.errors import InvalidRequest

DEEPEST = 8
MOST_KEYS = 64
METADATA_LENGTH = 64 * 1024  # characters, data URLs aside

# Fields whose text may be JSON: clients that can only send text put objects there.
JSON_FIELDS = frozenset({"metadata", "input_reference", "video", "characters", "first_frame", "last_frame", "images"})

_KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_PART = re.compile(r"\[([^\[\]]*)\]")


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a multipart body, open. The client's file name and type are not kept: the bytes tell."""

    file: BinaryIO


Pair = tuple[str, str | Upload]


def from_pairs(pairs: Iterable[Pair]) -> dict[str, Any]:
    """Nest the fields of a form. Raises InvalidRequest for too many, too deep or contradictory ones."""
    tree: dict[str, Any] = {}
    for number, (key, value) in enumerate(pairs):
        if number >= MOST_KEYS:
            raise InvalidRequest(f"The form has more than {MOST_KEYS} fields.")
        _place(tree, _path(key), value, key)
    return {key: _opened(key, value) for key, value in tree.items()}


def from_json(text: str | bytes) -> dict[str, Any]:
    """Read a JSON body, whose names may have brackets, too.

    Raises InvalidRequest for what is no JSON object, repeats or contradicts a name, or holds NaN.
    """
    value = _parse(text, "The body")
    if not isinstance(value, dict):
        raise InvalidRequest("The body must be a JSON object.", code="invalid_json")
    if any(_bracketed(key) for key in value):
        value = _nested(value)
    return {key: _opened(key, each) for key, each in value.items()}


def _bracketed(key: str) -> bool:
    return "[" in key or "]" in key


def _nested(body: dict[str, Any]) -> dict[str, Any]:
    """A JSON body with brackets in its names, nested as a form of them is; a list under `name[]` is its items."""
    paths = {key: _path(key) if _bracketed(key) else [key] for key in body}
    whole = {tuple(path) for path in paths.values()}
    tree: dict[str, Any] = {}
    for key, path in paths.items():
        if any(tuple(path[:length]) in whole for length in range(1, len(path))):
            raise _contradiction(path[0])
        value = body[key]
        for each in value if path[-1] == "" and isinstance(value, list) else [value]:
            _place(tree, path, each, key)
        if _depth(tree) > DEEPEST + 1:
            raise InvalidRequest(f"{key[:60]} is nested deeper than {DEEPEST} levels.", param=path[0])
    return tree


def _contradiction(param: str) -> InvalidRequest:
    return InvalidRequest(f"{param} is given in two forms that contradict each other.", param=param)


def _path(key: str) -> list[str]:
    found = _KEY.fullmatch(key)
    if found is None:
        raise InvalidRequest(f"The field name {key[:60]!r} is not well-formed.", param=key[:60])
    return [found[1], *_PART.findall(found[2])]


def _place(tree: dict[str, Any], path: Sequence[str], value: Any, key: str) -> None:
    if len(path) > DEEPEST:
        raise InvalidRequest(f"{key[:60]} is nested deeper than {DEEPEST} levels.", param=path[0])
    node: Any = tree
    for here, following in zip(path, [*path[1:], None], strict=True):
        if following is None:
            _put(node, here, value, path[0])
            return
        node = _step(node, here, following, path[0])


def _step(node: Any, here: str, following: str, param: str) -> Any:
    empty: Any = [] if following == "" else {}
    if isinstance(node, list):
        node.append(empty)
        return empty
    child = node.setdefault(here, empty)
    if type(child) is not type(empty):
        raise _contradiction(param)
    return child


def _put(node: Any, here: str, value: Any, param: str) -> None:
    if isinstance(node, list):
        node.append(value)
    elif here not in node:
        node[here] = value
    elif isinstance(node[here], list):
        node[here].append(value)
    elif isinstance(node[here], dict):
        raise _contradiction(param)
    else:
        # A repeated key is a list, as browsers and curl send one.
        node[here] = [node[here], value]


def _opened(key: str, value: Any) -> Any:
    """JSON text in a field that may hold it, parsed; everything else as it is."""
    if key in JSON_FIELDS and isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        return _parse(value, key)
    return value


def _parse(text: str | bytes, what: str) -> Any:
    param = None if what == "The body" else what
    try:
        value = json.loads(text, object_pairs_hook=_without_repeats, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, json.JSONDecodeError | _BadJSON) else "it is not UTF-8 or too deep"
        raise InvalidRequest(f"{what} is not valid JSON: {reason}.", param=param, code="invalid_json") from error
    if _depth(value) > DEEPEST + 1:
        raise InvalidRequest(f"{what} is nested deeper than {DEEPEST} levels.", param=param)
    return value


class _BadJSON(ValueError):
    """JSON that Python would take and we do not."""


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for key, each in pairs:
        if key in value:
            raise _BadJSON(f"{key[:60]} is given twice")
        value[key] = each
    return value


def _no_constant(name: str) -> Any:
    raise _BadJSON(f"{name} is not a JSON number")


def _finite(digits: str) -> float:
    value = float(digits)
    if not isfinite(value):
        raise _BadJSON(f"{digits[:20]} is too large a number")
    return value


def _depth(value: Any, limit: int = DEEPEST + 2) -> int:
    if limit == 0 or not isinstance(value, dict | list):
        return 0
    children = value.values() if isinstance(value, dict) else value
    return 1 + max((_depth(each, limit - 1) for each in children), default=0)

"""Compose files as Compose reads them: YAML with its tags, and one file over another."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

TOP = Path(__file__).parents[1]
PLAIN = TOP / "docker" / "compose.yaml"
SCALE = TOP / "docker" / "compose.scale.yaml"
VARIABLE = re.compile(r"(?<!\$)\$\{(?P<name>[A-Z][A-Z0-9_]*)(?P<rest>[^}]*)\}")
_REPLACED = frozenset({"command", "entrypoint", "test"})  # the rest of a file's lists are added to


class Reset:
    """What `!reset` marks: nothing is left of it."""


class _Loader(yaml.SafeLoader):
    pass


_Loader.add_constructor("!reset", lambda _loader, _node: Reset())


def load(path: Path) -> dict[str, Any]:
    """A Compose file, without its extensions."""
    content = yaml.load(path.read_text("utf-8"), _Loader)
    return {key: value for key, value in content.items() if not key.startswith("x-")}


def merged(base: Any, over: Any, key: str = "") -> Any:
    """One file's part with another's over it: mappings join, lists grow, what is reset goes."""
    if isinstance(base, dict) and isinstance(over, dict):
        both = {name: merged(base[name], over[name], name) if name in base else over[name] for name in over}
        return {name: part for name, part in {**base, **both}.items() if not isinstance(part, Reset)}
    if isinstance(base, list) and isinstance(over, list) and key not in _REPLACED:
        return base + over
    return over


def scaled() -> dict[str, Any]:
    """The set-up of several gateways."""
    both: dict[str, Any] = merged(load(PLAIN), load(SCALE))
    return both


def texts(part: Any) -> Iterator[str]:
    """Every text in a part of a file."""
    if isinstance(part, dict):
        for value in part.values():
            yield from texts(value)
    elif isinstance(part, list):
        for value in part:
            yield from texts(value)
    elif isinstance(part, str):
        yield part


def seconds(text: str) -> float:
    """A length of time such as `120s`."""
    return float(text.removesuffix("s"))

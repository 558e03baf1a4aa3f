"""A Dockerfile as stages of instructions, as far as this project's goes; what it does not know it refuses."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_FROM = re.compile(r"(?P<image>\S+)(?: +AS +(?P<name>\S+))?", re.IGNORECASE)
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_META = frozenset({"LABEL", "EXPOSE", "STOPSIGNAL", "VOLUME"})  # they say something and change no file
KNOWN = _META | {"FROM", "RUN", "COPY", "ENV", "WORKDIR", "USER", "HEALTHCHECK", "CMD"}


class Refused(Exception):
    """The Dockerfile has something that this reader does not know."""


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction and what follows it."""

    word: str
    rest: str


@dataclass
class Stage:
    """One `FROM` and its steps."""

    image: str
    name: str
    steps: list[Step] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Copy:
    """A COPY: from where (a stage, or None for the build context), what, and to which place."""

    stage: str | None
    sources: tuple[str, ...]
    target: str


def read(text: str) -> list[Stage]:
    """The stages, in order. Raises Refused."""
    stages: list[Stage] = []
    for word, rest in _instructions(text):
        if word not in KNOWN:
            raise Refused(f"{word} is not known here")
        if word == "FROM":
            found = _FROM.fullmatch(rest)
            if found is None:
                raise Refused(f"FROM {rest}")
            stages.append(Stage(found["image"], found["name"] or str(len(stages))))
        elif not stages:
            raise Refused(f"{word} before FROM")
        else:
            stages[-1].steps.append(Step(word, rest))
    return stages


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    lines = (line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    for line in lines:
        whole = line
        while whole.endswith("\\"):
            whole = whole[:-1].rstrip() + " " + next(lines).strip()
        word, _, rest = whole.partition(" ")
        yield word.upper(), rest.strip()


def copy_of(rest: str) -> Copy:
    """What follows a COPY. Raises Refused for an option other than --from."""
    words = shlex.split(rest)
    options = [word for word in words if word.startswith("--")]
    paths = [word for word in words if not word.startswith("--")]
    stage = None
    for option in options:
        if not option.startswith("--from="):
            raise Refused(f"COPY {option}")
        stage = option.removeprefix("--from=")
    return Copy(stage, tuple(paths[:-1]), paths[-1])


def variables_of(rest: str, before: Mapping[str, str]) -> dict[str, str]:
    """What follows an ENV, with the variables before it filled in."""
    pairs = (word.partition("=") for word in shlex.split(rest))
    return {name: _VARIABLE.sub(lambda found: before.get(found[1] or found[2], ""), value) for name, _, value in pairs}


def command_of(rest: str) -> list[str]:
    """What follows a CMD, RUN or HEALTHCHECK's CMD: the list of its JSON form, or a shell's."""
    if rest.startswith("["):
        words: list[Any] = json.loads(rest)
        return [str(word) for word in words]
    return ["/bin/sh", "-c", rest]


def health_of(rest: str) -> tuple[dict[str, str], list[str]]:
    """What follows a HEALTHCHECK: its options, and the command."""
    options, found, command = rest.partition("CMD ")
    if not found:
        raise Refused(f"HEALTHCHECK {rest}")
    pairs = (word.removeprefix("--").partition("=") for word in options.split())
    return {name: value for name, _, value in pairs}, command_of(command)

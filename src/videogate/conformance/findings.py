"""How a check says what it saw: it ends quietly, or it raises one of these."""

import json
from collections.abc import Mapping
from typing import Any

import httpx

SHOWN = 200  # characters of a body in one line
ENVELOPE = frozenset({"message", "type", "param", "code"})


class Failed(Exception):
    """The claim does not hold; the text is what was seen."""


class Skipped(Exception):
    """The claim could not be looked at; the text is why."""


def expect(holds: object, seen: str) -> None:
    """Raise Failed with what was seen, unless it holds."""
    if not holds:
        raise Failed(seen)


def brief(answer: httpx.Response) -> str:
    """An answer in one line."""
    kind = answer.headers.get("content-type", "no content type")
    if "json" in kind or kind.startswith("text/"):
        text = " ".join(answer.content[: 4 * SHOWN].decode("utf-8", "replace").split())[:SHOWN]
    else:
        text = f"{kind}, {len(answer.content)} bytes"
    return f"{answer.status_code} {text}".rstrip()


def body(answer: httpx.Response) -> dict[str, Any]:
    """The JSON object of an answer. Raises Failed if it has none."""
    found = loose(answer)
    expect(found is not None, f"no JSON object: {brief(answer)}")
    return found or {}


def loose(answer: httpx.Response) -> dict[str, Any] | None:
    """The JSON object of an answer, if it has one."""
    try:
        found = json.loads(answer.content)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def accepted(answer: httpx.Response) -> dict[str, Any]:
    """The video of an answer to a create, whichever 2xx it is: another check looks at that. Raises Failed."""
    expect(answer.is_success, brief(answer))
    video = body(answer)
    expect(isinstance(video.get("id"), str) and video["id"], f"no id: {brief(answer)}")
    return video


def envelope(answer: httpx.Response, *statuses: int, param: str | None = None) -> dict[str, Any]:
    """The error of an answer: one of these statuses, OpenAI's four keys, and the parameter named. Raises Failed."""
    expect(answer.status_code in statuses, f"not {_either(statuses)}: {brief(answer)}")
    error = body(answer).get("error")
    if not isinstance(error, dict):
        raise Failed(f"no error object: {brief(answer)}")
    missing = sorted(ENVELOPE - error.keys())
    expect(not missing, f"error without {', '.join(missing)}: {brief(answer)}")
    expect(isinstance(error["message"], str) and error["message"], f"no message: {brief(answer)}")
    expect(isinstance(error["type"], str) and error["type"], f"no type: {brief(answer)}")
    for name in ("param", "code"):
        expect(isinstance(error[name], str | None), f"{name} is neither a string nor null: {brief(answer)}")
    if param is not None:
        expect(_names(error, param), f"param is not {param}: {brief(answer)}")
    return error


def taken_or_named(answer: httpx.Response, param: str) -> None:
    """A field that not every model takes: a video was made, or a 400 names the field. Raises Failed."""
    if answer.status_code == httpx.codes.BAD_REQUEST:
        envelope(answer, 400, param=param)
    else:
        accepted(answer)


def _names(error: Mapping[str, Any], param: str) -> bool:
    """Whether the error's `param` is the parameter or a part of it, as `input_reference.image_url` is."""
    named = str(error["param"])
    return named == param or named.startswith((f"{param}.", f"{param}["))


def _either(statuses: tuple[int, ...]) -> str:
    return " or ".join(map(str, statuses))

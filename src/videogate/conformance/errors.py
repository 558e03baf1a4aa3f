"""Errors: every one in OpenAI's envelope, and where it is the caller's the parameter is named."""

import json
from typing import Any

from videogate.conformance.check import Check
from videogate.conformance.client import of
from videogate.conformance.findings import Skipped, envelope, expect
from videogate.conformance.session import WATCHED, Session, unknown

HUGE = 64 * 1024 * 1024


def _refused(session: Session, param: str, statuses: tuple[int, ...], **fields: Any) -> None:
    """A create with these fields is refused, and its parameter is named."""
    sent = {name: value for name, value in session.fields("bad", **fields).items() if value is not None}
    envelope(session.create(json=sent), *statuses, param=param)


def _no_prompt(session: Session) -> None:
    _refused(session, "prompt", (400,), prompt=None)


def _no_prompt_form(session: Session) -> None:
    form = session.form("bad")
    del form["prompt"]
    envelope(session.create(files=form), 400, param="prompt")


def _model(session: Session) -> None:
    _refused(session, "model", (400, 404), model="no-such-model")


def _seconds(session: Session) -> None:
    _refused(session, "seconds", (400,), seconds="soon")


def _seconds_type(session: Session) -> None:
    _refused(session, "seconds", (400,), seconds=[4])


def _size(session: Session) -> None:
    _refused(session, "size", (400,), size="very large")


def _broken_json(session: Session) -> None:
    content = json.dumps(session.fields("bad"))[:-2]
    envelope(session.create({"content-type": "application/json"}, content=content), 400)


def _unknown_id(session: Session) -> None:
    missing = unknown(session.made(WATCHED))
    for method, rest in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
        envelope(session.client.send(method, of(missing, rest)), 404)


def _unknown_route(session: Session) -> None:
    envelope(session.client.get("/no-such-route"), 404)


def _wrong_method(session: Session) -> None:
    envelope(session.client.send("PATCH", "/videos"), 405, 404)


def _type(session: Session) -> None:
    for path in ("/no-such-route", of(unknown(session.made(WATCHED)))):
        kind = envelope(session.client.get(path), 404)["type"]
        expect(kind == "invalid_request_error", f"type {kind}")


def _huge(session: Session) -> None:
    if not session.target.huge:
        raise Skipped("--huge was not given")
    blocks = [bytes(1024 * 1024)] * (HUGE // 1024 // 1024)
    headers = {"content-type": "application/json", "content-length": str(HUGE)}
    envelope(session.client.send("POST", "/videos", headers=headers, content=blocks), 413)


NAMED = "OpenAI's SDKs show `param`; FastAPI's `detail` is lost in them."

CHECKS = (
    Check("errors.no-prompt", "JSON without a prompt is a 400 that names `prompt`.", NAMED, _no_prompt, surplus=1),
    Check(
        "errors.no-prompt-form",
        "A form without a prompt is a 400 that names `prompt`.",
        NAMED,
        _no_prompt_form,
        surplus=1,
    ),
    Check(
        "errors.model",
        "A model that is not there is a 400 or 404 that names `model`.",
        "Who mistyped it; servers of a single model may take any name.",
        _model,
        must=False,
        surplus=1,
    ),
    Check("errors.seconds", "`seconds` that is no number is a 400 that names it.", NAMED, _seconds, surplus=1),
    Check("errors.seconds-type", "A list in `seconds` is a 400 that names it.", NAMED, _seconds_type, surplus=1),
    Check("errors.size", "A `size` that is none is a 400 that names it.", NAMED, _size, surplus=1),
    Check("errors.broken-json", "JSON that breaks off is a 400 in the envelope.", "SDKs.", _broken_json, surplus=1),
    Check(
        "errors.unknown-id",
        "GET, DELETE and content of an id that nobody has are 404s in the envelope.",
        "new-api and SDKs.",
        _unknown_id,
        shared=(WATCHED,),
    ),
    Check("errors.unknown-route", "A route that is not there is a 404 in the envelope.", "SDKs.", _unknown_route),
    Check(
        "errors.wrong-method", "A method that a route does not take is a 405 in the envelope.", "SDKs.", _wrong_method
    ),
    Check(
        "errors.type",
        "The `type` of a caller's mistake is invalid_request_error.",
        "LiteLLM maps by it.",
        _type,
        must=False,
        shared=(WATCHED,),
    ),
    Check(
        "errors.huge-body",
        "A body of 64 MiB is a 413 in the envelope.",
        "Clients that send a film by mistake.",
        _huge,
        must=False,
    ),
)

"""Create forms: every way in which clients write the same request."""

import json
from typing import Any

import httpx

from videogate.conformance.check import Check
from videogate.conformance.findings import accepted, brief, expect
from videogate.conformance.session import JSON, UNICODE, WATCHED, Session


def _understood(session: Session, answer: httpx.Response, name: str) -> None:
    """The video was made from what was sent: where the answer repeats the prompt, it is the right one."""
    video = accepted(answer)
    prompt = session.prompt(name)
    expect(video.get("prompt") in (None, prompt), f"the prompt {prompt!r} came back as {video.get('prompt')!r}")


def _multipart(session: Session) -> None:
    _understood(session, session.shared(WATCHED).created, WATCHED)


def _status(session: Session) -> None:
    answer = session.shared(WATCHED).created
    expect(answer.status_code == httpx.codes.OK, brief(answer))


def _json(session: Session) -> None:
    _understood(session, session.shared(JSON).created, JSON)


def _unicode(session: Session) -> None:
    _understood(session, session.shared(UNICODE).created, UNICODE)


def _number(session: Session) -> None:
    fields = session.fields("number", seconds=session.target.seconds)
    _understood(session, session.create(json=fields), "number")


def _urlencoded(session: Session) -> None:
    _understood(session, session.create(data=session.fields("urlencoded")), "urlencoded")


def _called_form(session: Session) -> None:
    content = json.dumps(session.fields("called-form"))
    headers = {"content-type": "application/x-www-form-urlencoded"}
    _understood(session, session.create(headers, content=content), "called-form")


def _chunked(session: Session) -> None:
    body, kind = session.client.multipart(session.form("chunked"))
    blocks = [body[start : start + 64] for start in range(0, len(body), 64)]
    _understood(session, session.create({"content-type": kind}, content=blocks), "chunked")


def _expect(session: Session) -> None:
    answer = session.create({"expect": "100-continue"}, files=session.form("expect"))
    _understood(session, answer, "expect")


def _metadata_brackets(session: Session) -> None:
    nested = {"metadata[check]": "yes", "metadata[nested][deep]": "1", "metadata[list][]": "one"}
    _understood(session, session.create(files=session.form("metadata-brackets", **nested)), "metadata-brackets")


def _metadata_text(session: Session) -> None:
    form = session.form("metadata-text", metadata='{"check": "yes", "nested": {"deep": 1}}')
    _understood(session, session.create(files=form), "metadata-text")


def _unknown_field(session: Session) -> None:
    more: dict[str, Any] = {"conformance_check": "yes"}
    _understood(session, session.create(files=session.form("unknown-field", **more)), "unknown-field")


CHECKS = (
    Check(
        "create.multipart",
        "A multipart form of texts makes a video.",
        "OpenAI's SDKs send every create so.",
        _multipart,
        shared=(WATCHED,),
    ),
    Check(
        "create.status",
        "A create is answered with 200, not with 201 or 202.",
        "new-api and OpenAI's .NET SDK take any other code for a failure.",
        _status,
        shared=(WATCHED,),
    ),
    Check("create.json", "A JSON body makes a video.", "The reference; LobeHub, older SDKs.", _json, shared=(JSON,)),
    Check(
        "create.unicode",
        "A prompt in any script is understood, and comes back as it was sent where it is repeated.",
        "Everybody who does not write English.",
        _unicode,
        shared=(UNICODE,),
    ),
    Check(
        "create.seconds-number",
        "`seconds` may be a JSON number.",
        "Clients of other gateways; OpenAI itself wants a string.",
        _number,
        must=False,
        videos=1,
    ),
    Check(
        "create.urlencoded",
        "An urlencoded form makes a video.",
        "curl -d, HTML forms.",
        _urlencoded,
        must=False,
        videos=1,
    ),
    Check(
        "create.json-called-form",
        "A JSON body is read although it is labelled as a form.",
        "curl -d '{…}' without a header.",
        _called_form,
        must=False,
        videos=1,
    ),
    Check(
        "create.chunked",
        "A body without a length, in chunks, is read.",
        "OpenAI's Node SDK, when a file is streamed.",
        _chunked,
        videos=1,
    ),
    Check("create.expect", "`Expect: 100-continue` is honoured.", "curl, for large bodies.", _expect, videos=1),
    Check(
        "create.metadata-brackets",
        "`metadata[key]`, nested and with lists, does no harm in a form.",
        "OpenAI's Python SDK, for `extra_body`.",
        _metadata_brackets,
        must=False,
        videos=1,
    ),
    Check(
        "create.metadata-text",
        "`metadata` may be a JSON text in a form.",
        "new-api and its clients.",
        _metadata_text,
        must=False,
        videos=1,
    ),
    Check(
        "create.unknown-field",
        "A field that nobody knows does not stop a create.",
        "Clients written for another server of the format.",
        _unknown_field,
        must=False,
        videos=1,
    ),
)

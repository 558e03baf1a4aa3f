"""Keys: who may see what."""

import httpx

from videogate.conformance.check import Check
from videogate.conformance.client import Headers, of
from videogate.conformance.findings import body, brief, envelope, expect
from videogate.conformance.session import JSON, WATCHED, Session, unknown

ROUTES = (("GET", ""), ("GET", "/content"), ("DELETE", ""))


def _refused(session: Session, headers: Headers) -> None:
    for method, path in (("GET", "/videos"), ("GET", of(session.made(WATCHED))), ("POST", "/videos")):
        envelope(session.client.send(method, path, headers=headers), 401)


def _no_key(session: Session) -> None:
    _refused(session, {"authorization": None})


def _wrong_key(session: Session) -> None:
    _refused(session, {"authorization": "Bearer not-a-key-of-anybody"})


def _content(session: Session) -> None:
    path = of(session.made(WATCHED), "/content")
    for key in (None, "Bearer not-a-key-of-anybody"):
        envelope(session.client.send("GET", path, headers={"authorization": key}), 401)


def _azure(session: Session) -> None:
    headers = {"authorization": None, "api-key": session.target.key}
    answer = session.client.send("GET", of(session.made(WATCHED)), headers=headers)
    expect(answer.status_code == httpx.codes.OK, brief(answer))


def _foreign(session: Session) -> None:
    stranger = session.stranger
    known = session.made(JSON)
    missing = unknown(known)
    for method, rest in ROUTES:
        foreign, nobody = (session.client.send(method, of(each, rest), headers=stranger) for each in (known, missing))
        envelope(foreign, 404)
        expect(_alike(foreign, known) == _alike(nobody, missing), f"{brief(foreign)}, of nobody: {brief(nobody)}")


def _alike(answer: httpx.Response, video_id: str) -> tuple[int, str]:
    """An answer without what differs between any two: the id asked for, and the request's."""
    text = answer.text.replace(video_id, "ID")
    request_id = answer.headers.get("x-request-id")
    return answer.status_code, text.replace(request_id, "REQUEST") if request_id else text


def _foreign_list(session: Session) -> None:
    stranger = session.stranger
    ours = session.made(WATCHED)
    answer = session.client.get("/videos", {"limit": 100}, headers=stranger)
    expect(answer.status_code == httpx.codes.OK and isinstance(body(answer).get("data"), list), brief(answer))
    expect(ours not in answer.text, "it lists the first caller's video")


CHECKS = (
    Check(
        "access.no-key",
        "Without a key every route is a 401 in the envelope.",
        "OpenAI's SDKs raise AuthenticationError by it.",
        _no_key,
        shared=(WATCHED,),
    ),
    Check(
        "access.wrong-key",
        "With a wrong key every route is a 401 in the envelope.",
        "OpenAI's SDKs.",
        _wrong_key,
        shared=(WATCHED,),
    ),
    Check(
        "access.content",
        "Content without a key, or with a wrong one, is a 401 in the envelope.",
        "Whoever owns a video.",
        _content,
        shared=(WATCHED,),
    ),
    Check(
        "access.azure-header",
        "The key is also taken from an `api-key` header.",
        "Azure's clients.",
        _azure,
        must=False,
        shared=(WATCHED,),
    ),
    Check(
        "access.foreign-id",
        "Another caller's video answers exactly as one that does not exist, on GET, content and DELETE.",
        "Whoever owns a video.",
        _foreign,
        shared=(JSON,),
    ),
    Check(
        "access.foreign-list",
        "A list shows the caller's own videos only.",
        "Whoever owns a video.",
        _foreign_list,
        shared=(WATCHED,),
    ),
)

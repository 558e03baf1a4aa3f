"""Retries and deletes: what happens to a request that comes again, and to a video that is not wanted any more."""

import httpx

from videogate.conformance.check import Check
from videogate.conformance.client import of
from videogate.conformance.findings import Skipped, accepted, body, brief, envelope, expect
from videogate.conformance.lists import ids, page
from videogate.conformance.session import KEYED, WATCHED, Session
from videogate.conformance.watch import BROKEN, DONE


def _same_video(first: str, again: httpx.Response) -> None:
    """The repeated create gave the first one's video."""
    other = accepted(again)["id"]
    expect(other == first, "a second video was made")


def _keyed(session: Session) -> None:
    _same_video(session.made(KEYED), session.keyed(KEYED))


def _reused(session: Session) -> None:
    session.made(KEYED)
    envelope(session.keyed("another"), 400, 409, 422)


def _retried(session: Session) -> None:
    fields = session.fields("retried")
    first = session.create(json=fields)
    video_id = accepted(first)["id"]
    _same_video(video_id, session.create({"x-stainless-retry-count": "1"}, json=fields))


def _under_way(session: Session) -> None:
    made = accepted(session.create(json=session.fields("under-way")))
    if str(made.get("status")).lower() in DONE | BROKEN:
        raise Skipped("the video had ended before one could ask")
    answer = session.delete(made["id"])
    expect(answer.is_success, brief(answer))


def _deleted(session: Session) -> None:
    video_id = session.made(WATCHED) if session.finished else ""
    answer = session.delete(video_id)
    expect(answer.status_code == httpx.codes.OK, brief(answer))
    told = body(answer)
    right = (told.get("id"), told.get("object"), told.get("deleted")) == (video_id, "video.deleted", True)
    expect(right, brief(answer))


def _gone(session: Session) -> None:
    video_id = _removed(session)
    for rest in ("", "/content"):
        envelope(session.client.get(of(video_id, rest)), 404)


def _removed(session: Session) -> str:
    """The id of the watched video, deleted: by the check before, or now."""
    video_id = session.made(WATCHED)
    if session.finished and not session.is_deleted(video_id):
        session.delete(video_id)
    return video_id


def _not_listed(session: Session) -> None:
    video_id = _removed(session)
    expect(video_id not in ids(page(session)), "it is still listed")


def _twice(session: Session) -> None:
    envelope(session.delete(_removed(session)), 404)


CHECKS = (
    Check(
        "retries.idempotency-key",
        "An equal create with the same `Idempotency-Key` gets the video of the first.",
        "Whoever pays: an SDK's create can become three jobs.",
        _keyed,
        must=False,
        surplus=1,
        shared=(KEYED,),
    ),
    Check(
        "retries.key-reuse",
        "The same key with another request is an error, and makes nothing.",
        "Whoever pays.",
        _reused,
        must=False,
        surplus=1,
        shared=(KEYED,),
    ),
    Check(
        "retries.sdk-retry",
        "A create that `x-stainless-retry-count` calls a retry gets the video of the try before.",
        "OpenAI's SDKs send again by themselves, and never a key.",
        _retried,
        must=False,
        videos=1,
        surplus=1,
    ),
    Check(
        "delete.under-way",
        "A video that has not ended can be deleted.",
        "Whoever changed his mind; OpenAI itself refused that.",
        _under_way,
        must=False,
        videos=1,
    ),
    Check(
        "delete.answer",
        "DELETE is a 200 with the id, `video.deleted` and true.",
        "OpenAI's Python SDK fails on a 204.",
        _deleted,
        shared=(WATCHED,),
    ),
    Check(
        "delete.gone",
        "GET and content of a deleted video are 404s in the envelope.",
        "Everybody.",
        _gone,
        shared=(WATCHED,),
    ),
    Check("delete.not-listed", "A deleted video is not listed.", "Everybody.", _not_listed, shared=(WATCHED,)),
    Check(
        "delete.twice",
        "A second DELETE is a 404 in the envelope.",
        "Clean-up scripts.",
        _twice,
        must=False,
        shared=(WATCHED,),
    ),
)

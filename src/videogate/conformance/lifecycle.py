"""Lifecycle: what a client sees that looks at a video until it ends."""

from itertools import pairwise
from typing import Any

import httpx

from videogate.conformance.answer import shown, whole_number
from videogate.conformance.check import Check
from videogate.conformance.client import of
from videogate.conformance.findings import body, brief, expect
from videogate.conformance.session import WATCHED, Session
from videogate.conformance.watch import DONE

ORDER = ("queued", "in_progress", "completed", "failed")
UNCHANGED = ("created_at", "model", "prompt", "object")
COMPLETE = 100
OFTEN = 20


def _running(session: Session) -> list[dict[str, Any]]:
    """The video, look by look, as long as it had not ended."""
    watch = session.watch
    return [video for video, word in zip(watch.videos, watch.words, strict=True) if word in ORDER[:2]]


def _words(session: Session) -> None:
    strange = sorted({str(video.get("status")) for video in session.watch.videos} - {*ORDER})
    expect(not strange, f"status {', '.join(strange)}")


def _completes(session: Session) -> None:
    watch = session.watch
    error = watch.videos[-1].get("error")
    expect(watch.word in DONE, f"after {len(watch.looks)} looks it is {watch.word}, its error {error}")


def _forward(session: Session) -> None:
    for before, after in pairwise(word for word in session.watch.words if word in ORDER):
        expect(ORDER.index(before) <= ORDER.index(after), f"{before} became {after}")


def _looks(session: Session) -> None:
    for answer in session.watch.looks:
        expect(answer.status_code == httpx.codes.OK, brief(answer))


def _same_id(session: Session) -> None:
    ids = {str(video.get("id")) for video in session.watch.videos}
    expect(len(ids) == 1, f"ids {', '.join(sorted(ids))}")


def _unchanged(session: Session) -> None:
    for before, after in pairwise(session.watch.videos):
        for name in UNCHANGED:
            expect(before.get(name) == after.get(name), f"{name} {before.get(name)!r} became {after.get(name)!r}")


def _monotone(session: Session) -> None:
    values: list[Any] = [video.get("progress") for video in session.watch.videos]
    for value in values:
        expect(whole_number(value) and 0 <= value <= COMPLETE, f"progress {value!r}")
    for before, after in pairwise(values):
        expect(before <= after, f"progress {before} became {after}")


def _progress_tells(session: Session) -> None:
    for video in _running(session):
        expect(video.get("progress") != COMPLETE, f"{shown(video, 'progress')} while {video['status']}")
    expect(session.finished.get("progress") == COMPLETE, f"{shown(session.finished, 'progress')} at the end")


def _completed_at(session: Session) -> None:
    for video in _running(session):
        expect(video.get("completed_at") is None, f"{shown(video, 'completed_at')} while {video['status']}")
    ended, began = session.finished.get("completed_at"), session.finished.get("created_at")
    sound = isinstance(ended, int | float) and isinstance(began, int | float) and ended >= began
    expect(sound, f"{shown(session.finished, 'completed_at')}, {shown(session.finished, 'created_at')}")


def _repeated(session: Session) -> None:
    path = of(session.made(WATCHED))
    for number in range(OFTEN):
        answer = session.client.get(path)
        expect(answer.status_code == httpx.codes.OK, f"look {number + 1} of {OFTEN}: {brief(answer)}")


def _slash(session: Session) -> None:
    video_id = session.made(WATCHED)
    for path in (of(video_id, "/"), "/videos/"):
        answer = session.client.send("GET", path, follow=True)
        expect(answer.status_code == httpx.codes.OK, f"{path.replace(video_id, 'ID')}: {brief(answer)}")


def _any_headers(session: Session) -> None:
    headers = {"content-type": "application/json", "accept": "application/binary, */*;q=0.1"}
    video = body(session.client.send("GET", of(session.made(WATCHED)), headers=headers))
    expect(video.get("object"), f"{video}")


CHECKS = tuple(
    Check(f"lifecycle.{name}", claim, needed_by, look, must=must, shared=(WATCHED,))
    for name, claim, needed_by, look, must in (
        (
            "words",
            "`status` is queued, in_progress, completed or failed, and nothing else.",
            "On any other word OpenAI's Python SDK stops polling, its Go SDK fails, new-api waits until it refunds.",
            _words,
            True,
        ),
        ("completes", "A plain text request ends as completed.", "Everybody.", _completes, True),
        ("forward", "The status never goes back.", "Clients that act on a change.", _forward, True),
        ("looks", "Every look until the end is a 200.", "OpenAI's SDKs raise, new-api refunds.", _looks, True),
        ("same-id", "The id never changes.", "Clients that store the create's id.", _same_id, True),
        ("unchanged", "created_at, model and prompt never change.", "Clients that cache.", _unchanged, True),
        (
            "progress",
            "`progress` is an integer from 0 to 100 that never falls.",
            "Progress bars; typed clients.",
            _monotone,
            True,
        ),
        (
            "progress-end",
            "`progress` is 100 at the end, and below it before.",
            "Clients that wait for 100.",
            _progress_tells,
            False,
        ),
        (
            "completed-at",
            "`completed_at` is null until the end, and then not before created_at.",
            "The reference.",
            _completed_at,
            False,
        ),
        (
            "repeated-get",
            f"{OFTEN} looks in a row are all 200: none is throttled or refused.",
            "OpenAI's Python SDK polls every second.",
            _repeated,
            True,
        ),
        ("trailing-slash", "A slash at the end of a path changes nothing.", "Clients that join URLs.", _slash, False),
        (
            "any-headers",
            "A GET with a content type, no body and any `Accept` is answered in JSON.",
            "OpenAI's SDKs send such headers.",
            _any_headers,
            True,
        ),
    )
)

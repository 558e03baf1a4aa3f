"""A stored task as callers read it, and errors as they read them."""

from dataclasses import replace
from typing import Any

import pytest

from videogate.task import errors as ours
from videogate.task.errors import Failure, FailureCode, VideogateError
from videogate.task.model import Adjustment, Page, Task
from videogate.task.state import LIVE, TaskState
from videogate.wire import errors, video
from videogate.wire.dialect import Dialect

TYPES: dict[str, tuple[type, ...]] = {
    "id": (str,),
    "object": (str,),
    "model": (str,),
    "status": (str,),
    "progress": (int,),
    "created_at": (int,),
    "completed_at": (int, type(None)),
    "expires_at": (int, type(None)),
    "prompt": (str,),
    "size": (str,),
    "seconds": (str,),
    "quality": (str,),
    "remixed_from_video_id": (str, type(None)),
    "error": (dict, type(None)),
    "url": (str, type(None)),
}
FAILURE = Failure(FailureCode.MODERATION_BLOCKED, "not this", "E7", "nope")


def task(state: TaskState, **changes: Any) -> Task:
    values: dict[str, Any] = {
        "id": "video_1",
        "owner": "alice",
        "state": state,
        "vendor": "maker",
        "account": "maker@x",
        "model": "sora-2",
        "vendor_model": "film-1",
        "prompt": "a",
        "size": "720x1280",
        "seconds": "4",
        "progress": 40,
        "adjustments": (),
        "failure": FAILURE if state is TaskState.FAILED else None,
        "created_at": 1000.9,
        "deadline_at": 2000.0,
        "completed_at": 1500.5 if state is TaskState.SUCCEEDED else None,
        "started_at": None,
        "content": None,
        "request_id": "req_1",
        "deleted": False,
        "fence": 0,
        "troubles": 0,
        "misses": 0,
    }
    return Task(**{**values, **changes})


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize("state", TaskState)
def test_every_field_is_there_with_its_type(state: TaskState, dialect: Dialect) -> None:
    """In both dialects and every state the object has all fields, in the right types, and nothing internal."""
    body = video.video(task(state), dialect, "https://g.test/x" if state is TaskState.SUCCEEDED else None)

    assert body.keys() == TYPES.keys()
    for name, kinds in TYPES.items():
        assert type(body[name]) in kinds, name
    assert (body["completed_at"] is not None) == (state is TaskState.SUCCEEDED)
    assert (body["created_at"], body["object"], body["status"]) == (1000, "video", dialect.status(state))


@pytest.mark.parametrize("state", TaskState)
def test_a_task_that_waits_says_why(state: TaskState) -> None:
    """Words about waiting are shown while there is something to wait for, in both dialects."""
    bodies = [video.video(task(state, waiting="the vendor is busy"), dialect, None) for dialect in Dialect]

    shown = {body.get("status_detail") for body in bodies}
    assert shown == ({"the vendor is busy"} if state in LIVE else {None})


def test_the_dialects_differ_in_words_only() -> None:
    """A task is the same in both dialects but for its status."""
    for state in TaskState:
        one, other = (video.video(task(state), dialect, None) for dialect in Dialect)
        assert {name for name in one if one[name] != other[name]} <= {"status"}


def test_a_failure_is_told_in_our_words_and_the_vendors() -> None:
    """The error has our code and message as texts, and beside them what the vendor said."""
    body = video.video(task(TaskState.FAILED), Dialect.OPENAI, None)

    assert body["error"] == {
        "code": "moderation_blocked",
        "message": "not this",
        "vendor_code": "E7",
        "vendor_message": "nope",
    }
    plain = replace(FAILURE, vendor_code=None, vendor_message=None)
    assert video.video(task(TaskState.FAILED, failure=plain), Dialect.OPENAI, None)["error"] == {
        "code": "moderation_blocked",
        "message": "not this",
    }


def test_adjustments_are_shown_when_there_are_some() -> None:
    """What was fitted is reported, field by field."""
    fitted = task(TaskState.INTENT, adjustments=(Adjustment("seconds", "5", "4", "why"),))

    assert video.video(fitted, Dialect.GATEWAY, None)["adjustments"] == [
        {"field": "seconds", "requested": "5", "used": "4", "reason": "why"}
    ]


def test_lists_name_their_ends() -> None:
    """A page says its first and last id and whether more follow; an empty one says so too."""
    full = Page((task(TaskState.INTENT, id="video_a"), task(TaskState.INTENT, id="video_b")), has_more=True)
    bodies = [{"id": "video_a"}, {"id": "video_b"}]

    assert video.video_list(full, bodies) == {
        "object": "list",
        "data": bodies,
        "first_id": "video_a",
        "last_id": "video_b",
        "has_more": True,
    }
    assert video.video_list(Page((), has_more=False), []) == {
        "object": "list",
        "data": [],
        "first_id": None,
        "last_id": None,
        "has_more": False,
    }


@pytest.mark.parametrize(
    ("error", "status", "kind", "code", "param", "headers"),
    [
        (ours.InvalidRequest("m", param="size"), 400, "invalid_request_error", "invalid_value", "size", {}),
        (
            ours.NotAuthenticated(),
            401,
            "invalid_request_error",
            "invalid_api_key",
            None,
            {"www-authenticate": "Bearer"},
        ),
        (ours.VideoNotFound("video_1"), 404, "invalid_request_error", "video_not_found", "video_id", {}),
        (ours.VideoNotFound("video_1", "video"), 404, "invalid_request_error", "video_not_found", "video", {}),
        (ours.VideoExpired("video_1"), 404, "invalid_request_error", "video_expired", "video_id", {}),
        (ours.VideoExpired("video_1", "video"), 404, "invalid_request_error", "video_expired", "video", {}),
        (ours.CharacterNotFound("char_1"), 404, "invalid_request_error", "character_not_found", "character_id", {}),
        (ours.VideoNotReady("m"), 400, "invalid_request_error", "video_not_ready", "video_id", {}),
        (
            ours.VideoNotReady("m", 4.2),
            400,
            "invalid_request_error",
            "video_not_ready",
            "video_id",
            {"retry-after": "5"},
        ),
        (ours.NotServed(413, "m", "big"), 413, "invalid_request_error", "big", None, {}),
        (ours.NotServed(405, "m", "no", {"allow": "GET"}), 405, "invalid_request_error", "no", None, {"allow": "GET"}),
        (ours.NotServed(429, "m", "slow"), 429, "rate_limit_error", "slow", None, {}),
        (ours.CallerGone(), 499, "invalid_request_error", "client_closed_request", None, {}),
        (ours.Busy("m", 2.1), 503, "server_error", "busy", None, {"retry-after": "3"}),
        (ours.VendorError("secret"), 500, "server_error", "internal_error", None, {}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_the_error_table(
    error: VideogateError, status: int, kind: str, code: str, param: str | None, headers: dict[str, str]
) -> None:
    """Every error of ours has its status, type, code and headers, in an envelope with all four keys."""
    rendered = errors.render(error)

    assert rendered.status == status
    assert rendered.headers == headers
    told = rendered.body["error"]
    assert told.keys() == {"message", "type", "param", "code"}
    assert (told["type"], told["code"], told["param"]) == (kind, code, param)
    assert told["message"]
    assert "secret" not in told["message"]


def test_every_error_is_rendered() -> None:
    """No error class of ours is left out of the table but those that callers never meet."""

    def below(kind: type[VideogateError]) -> set[type[VideogateError]]:
        return {kind}.union(*(below(each) for each in kind.__subclasses__() if each.__module__ == ours.__name__))

    vendors = below(ours.VendorError)
    met = {
        ours.InvalidRequest,
        ours.NotAuthenticated,
        ours.VideoNotFound,
        ours.VideoNotReady,
        ours.VideoExpired,
        ours.CharacterNotFound,
        ours.NotServed,
        ours.CallerGone,
        ours.Busy,
    }
    assert below(VideogateError) == {VideogateError, *vendors, *met}

"""A stored task as the JSON that callers read. The same fields in both dialects."""

from dataclasses import asdict
from typing import Any

from videogate.task.errors import Failure
from videogate.task.model import Deleted, Page, Task
from videogate.task.state import LIVE, TaskState
from videogate.wire.dialect import Dialect


def video(task: Task, dialect: Dialect, url: str | None) -> dict[str, Any]:
    """The video object. `url` is the signed link to the content, if there is content."""
    body: dict[str, Any] = {
        "id": task.id,
        "object": "video",
        "model": task.model,
        "status": dialect.status(task.state),
        "progress": task.progress,
        "created_at": int(task.created_at),
        "completed_at": _time(task.completed_at) if task.state is TaskState.SUCCEEDED else None,
        "expires_at": _time(task.expires_at),
        "prompt": task.prompt,
        "size": task.size,
        "seconds": task.seconds,
        "quality": "standard",
        "remixed_from_video_id": task.remixed_from,
        "error": _error(task.failure) if task.failure else None,
        "url": url,
    }
    if task.adjustments:
        body["adjustments"] = [asdict(each) for each in task.adjustments]
    if task.waiting and task.state in LIVE:
        body["status_detail"] = task.waiting
    return body


def video_list(page: Page, videos: list[dict[str, Any]]) -> dict[str, Any]:
    """A page of videos."""
    return {
        "object": "list",
        "data": videos,
        "first_id": page.tasks[0].id if page.tasks else None,
        "last_id": page.tasks[-1].id if page.tasks else None,
        "has_more": page.has_more,
    }


def deleted(gone: Deleted) -> dict[str, Any]:
    """The answer to a delete; it says what becomes of the bill, where that is a question."""
    body = {"id": gone.task.id, "object": "video.deleted", "deleted": True}
    return {**body, "status_detail": gone.bill} if gone.bill else body


def _error(failure: Failure) -> dict[str, Any]:
    body: dict[str, Any] = {"code": failure.code.value, "message": failure.message}
    if failure.vendor_code or failure.vendor_message:
        body |= {"vendor_code": failure.vendor_code, "vendor_message": failure.vendor_message}
    return body


def _time(value: float | None) -> int | None:
    return None if value is None else int(value)

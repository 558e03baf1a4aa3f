"""Server-sent events: a task's changes as a stream that a browser can take up again where it broke off."""

import json
from collections.abc import Mapping
from typing import Any

from videogate.task.state import PHASES, TaskState

HEARTBEAT = b": still here\n\n"
HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


def message(event_id: int, state: TaskState, video: Mapping[str, Any]) -> bytes:
    """One change: `video.queued`, `video.in_progress`, `video.completed` or `video.failed`, with the video object."""
    data = json.dumps(video, ensure_ascii=False, separators=(",", ":"))
    return f"id: {event_id}\nevent: video.{PHASES[state]}\ndata: {data}\n\n".encode()


def last_event_id(headers: Mapping[str, str]) -> int:
    """Where a stream is taken up; what is no id of ours begins it anew."""
    text = headers.get("last-event-id", "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0  # noqa: PLR2004 (of 64 bits)

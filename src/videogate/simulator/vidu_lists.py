"""Vidu's list of tasks: its filters and pages.

https://platform.vidu.com/docs/tasks-list, read 2026-11-23.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from starlette.datastructures import QueryParams

from videogate.simulator.vendor import whole
from videogate.simulator.vidu_models import Invalid
from videogate.simulator.world import Job

LISTED_SECONDS = 7 * 86_400.0  # how far back the list looks by itself
PAGE, MOST_A_PAGE = 10, 100


def select(query: QueryParams, jobs: Sequence[Job], state: Callable[[Job], str]) -> tuple[list[Job], str]:
    """The page of `jobs` (oldest first) that is asked for, newest first, and the next page's token. Raises Invalid."""
    # The page spells it `paper.page`.
    page, size = whole(query.get("pager.page", query.get("paper.page")), 0), whole(query.get("pager.pagesz"), PAGE)
    if page is None or not size or size > MOST_A_PAGE:
        raise Invalid("PageSizeOutOfRange")
    now = time.time()
    first, last = _moment(query, "created_at.from", now - LISTED_SECONDS), _moment(query, "created_at.to", now)
    found = [job for job in reversed(jobs) if first <= job.created <= last and _wanted(query, job, state(job))]
    begin = page * size
    if token := query.get("pager.page_token"):
        begin = next((place + 1 for place, job in enumerate(found) if job.id == token), len(found))
    shown = found[begin : begin + size]
    return shown, shown[-1].id if len(found) > begin + size else ""


def clock(moment: float) -> str:
    """A time as Vidu writes it."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _wanted(query: QueryParams, job: Job, state: str) -> bool:
    """Whether a job passes the filters; each is a list, by commas or by being there twice."""
    shown: Mapping[str, Any] = {
        "task_ids": job.id,
        "states": state,
        "model_versions": job.model.removeprefix("vidu"),
        "resolutions": job.details["used"].get("resolution"),
        "templates": None,
    }
    asked = {name: [word for text in query.getlist(name) for word in text.split(",") if word] for name in shown}
    return all(not words or shown[name] in words for name, words in asked.items())


def _moment(query: QueryParams, name: str, usual: float) -> float:
    text = query.get(name)
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        raise Invalid("FieldInvalid", [name]) from None
    if moment is None:
        return usual
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()

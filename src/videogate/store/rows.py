"""Rows into values and back."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from enum import StrEnum
from typing import Any

from sqlalchemy import BindParameter, Column, ColumnElement, RowMapping, bindparam

from videogate.task.errors import Failure, FailureCode
from videogate.task.frames import Frame
from videogate.task.model import (
    Adjustment,
    Attempt,
    Content,
    Film,
    Fit,
    Fitted,
    Picture,
    Receipt,
    Rework,
    Role,
    Source,
    Task,
    TaskSpec,
)
from videogate.task.state import AttemptState, TaskState

_SPEC = tuple(each.name for each in fields(TaskSpec))
Row = Mapping[str, Any] | RowMapping
MICRO = 1_000_000


def among(column: Column[Any], states: Iterable[StrEnum]) -> ColumnElement[bool]:
    """Whether a row is in one of these states, as literals: a partial index wants a condition like its own."""
    literals: BindParameter[list[str]] = bindparam(
        None, sorted(state.value for state in states), expanding=True, literal_execute=True
    )
    return column.in_(literals)


def micros(seconds: float) -> int:
    """Seconds since the epoch as stored."""
    return round(seconds * MICRO)


def seconds(value: int) -> float:
    """A stored time as seconds since the epoch."""
    return value / MICRO


def maybe_seconds(value: int | None) -> float | None:
    """A stored time that may not have come yet."""
    return None if value is None else seconds(value)


def maybe_micros(value: float | None) -> int | None:
    """A time that may not have come yet, as stored."""
    return None if value is None else micros(value)


def to_task(row: Row) -> Task:
    """A row of `task`."""
    return Task(
        id=row["id"],
        owner=row["owner"],
        state=TaskState(row["state"]),
        vendor=row["vendor"],
        account=row["account"],
        model=row["model"],
        vendor_model=row["vendor_model"],
        prompt=row["prompt"],
        size=row["size"],
        seconds=row["seconds"],
        progress=row["progress"],
        adjustments=tuple(Adjustment(**each) for each in row["adjustments"]),
        failure=to_failure(row["failure"]),
        created_at=seconds(row["created_at"]),
        deadline_at=seconds(row["deadline_at"]),
        completed_at=maybe_seconds(row["completed_at"]),
        started_at=maybe_seconds(row["started_at"]),
        content=_to_content(row),
        request_id=row["request_id"],
        deleted=row["deleted"],
        fence=row["fence"],
        troubles=row["troubles"],
        misses=row["misses"],
        waiting=row["waiting"],
        expires_at=maybe_seconds(row["expires_at"]),
        due_at=seconds(row["due_at"]),
        remixed_from=row["remixed_from"],
        traceparent=row["traceparent"],
    )


def _to_content(row: Row) -> Content | None:
    if row["content_key"] is None:
        return None
    return Content(row["content_key"], row["content_length"], row["content_sha256"], row["content_mime"])


def to_failure(value: Mapping[str, Any] | None) -> Failure | None:
    """A stored failure."""
    if value is None:
        return None
    return Failure(FailureCode(value["code"]), value["message"], value["vendor_code"], value["vendor_message"])


def to_attempt(row: Row) -> Attempt:
    """A row of `attempt`."""
    receipt = Receipt(row["vendor_task_id"], row["handle"] or {}) if row["vendor_task_id"] else None
    return Attempt(row["id"], row["task_id"], row["number"], row["client_ref"], AttemptState(row["state"]), receipt)


def from_spec(spec: TaskSpec) -> dict[str, Any]:
    """A request as stored."""
    parts = {
        "pictures": [asdict(each) for each in spec.pictures],
        "source": asdict(spec.source) if spec.source else None,
        "options": dict(spec.options),
    }
    # `asdict` of the whole copies each value deeply, which for a plain request is most of its time.
    return {name: getattr(spec, name) for name in _SPEC} | parts


def to_spec(value: Mapping[str, Any]) -> TaskSpec:
    """A stored request."""
    pictures = tuple(
        Picture(**{**each, "role": Role(each["role"]), "frame": _to_frame(each["frame"])}) for each in value["pictures"]
    )
    source = _to_source(value.get("source"))
    return TaskSpec(**{**value, "fit": Fit(value["fit"]), "pictures": pictures, "source": source})


def _to_source(value: Mapping[str, Any] | None) -> Source | None:
    if value is None:
        return None
    film = Film(**value["film"]) if value["film"] else None
    return Source(Rework(value["rework"]), value["video_id"], film)


def to_fitted(value: Mapping[str, Any]) -> Fitted:
    """A stored fit."""
    adjustments = tuple(Adjustment(**each) for each in value["adjustments"])
    return Fitted(**{**value, "frame": _to_frame(value["frame"]), "adjustments": adjustments})


def _to_frame(value: Mapping[str, int] | None) -> Frame | None:
    return Frame(**value) if value else None

"""Webhooks: who is told what, and what became of it. Times are seconds since the epoch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256

from videogate.task.state import TaskState

TYPES: Mapping[TaskState, str] = {TaskState.SUCCEEDED: "video.completed", TaskState.FAILED: "video.failed"}
"""What receivers are told of, in OpenAI's words, by the state that a task came to."""


class DeliveryState(StrEnum):
    """Where a delivery is."""

    PENDING = "pending"  # to be sent, for the first time or again
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A receiver of the videos of one key, `owner`, or of all keys if that is None.

    `old_secret` signs beside `secret` until `old_secret_until`: after a rotation a receiver may still have it.
    """

    id: str
    owner: str | None
    name: str
    url: str
    events: tuple[str, ...]
    secret: str = field(repr=False)
    created_at: float
    updated_at: float
    old_secret: str | None = field(default=None, repr=False)
    old_secret_until: float = 0.0
    disabled_at: float | None = None
    disabled_why: str | None = None

    def secrets(self, now: float) -> tuple[str, ...]:
        """What signs a message, the newest first."""
        old = self.old_secret if now < self.old_secret_until else None
        return (self.secret,) if old is None else (self.secret, old)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one receiver: an endpoint, or the link that came with the task's own request, `url`.

    `id` is the `webhook-id` of every try. `owner` is the key whose endpoint or whose task's link it is; None: the
    operator's own endpoint. `tries` counts all there were, `failures` those since it was last begun.
    """

    id: str
    endpoint_id: str | None
    url: str | None
    owner: str | None
    task_id: str
    event_number: int
    event_at: float
    type: str
    state: DeliveryState
    tries: int
    failures: int
    due_at: float
    last_status: int | None
    last_error: str | None
    created_at: float
    delivered_at: float | None

    @property
    def event_id(self) -> str:
        """The event's id for receivers: one for all who are told of it."""
        return event_id(self.task_id, self.event_number)


@dataclass(frozen=True, slots=True)
class Letter:
    """A delivery that is to be sent now; without an endpoint it goes to the link of its task's request."""

    delivery: Delivery
    endpoint: Endpoint | None

    @property
    def url(self) -> str:
        """Where it goes."""
        return self.endpoint.url if self.endpoint else self.delivery.url or ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a try came to. `due_at` is that of the next one, where there is one; `disable` says why there are to be no
    more to this endpoint at all.
    """

    state: DeliveryState
    failures: int
    status: int | None
    error: str | None
    due_at: float
    disable: str | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery whose time has come. `target` is what it shares its lines with."""

    id: str
    target: str
    owner: str | None
    due_at: float


def event_id(task_id: str, number: int) -> str:
    """An event's id for receivers: it tells nothing, and is the same whenever it is asked for."""
    return "evt_" + sha256(f"{task_id}\n{number}".encode()).hexdigest()[:32]

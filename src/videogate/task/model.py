"""The values that travel through the gateway: what was asked for, what is stored, what a vendor said."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from videogate.task.errors import Failure
from videogate.task.frames import Frame
from videogate.task.state import AttemptState, TaskState


class Fit(StrEnum):
    """What to do with a size or length that the model cannot make."""

    NEAREST = "nearest"  # make the closest and report it in `adjustments`
    STRICT = "strict"  # answer 400 with the allowed values


class Role(StrEnum):
    """What a picture is for."""

    REFERENCE = "reference"  # `input_reference`: the model decides (its first frame, where it has one)
    FIRST_FRAME = "first_frame"
    LAST_FRAME = "last_frame"


@dataclass(frozen=True, slots=True)
class Picture:
    """One input image: either a link that the vendor will open, or a file of ours (`key` in the input spool).

    `mime`, `frame`, `length` (bytes) and `sha256` are known for files only; they come from the bytes, never from the
    client's words.
    """

    role: Role
    url: str | None = None
    key: str | None = None
    mime: str | None = None
    frame: Frame | None = None
    length: int | None = None
    sha256: str | None = None


class Rework(StrEnum):
    """What may be made of a finished video."""

    REMIX = "remix"
    EDIT = "edit"
    EXTEND = "extend"


@dataclass(frozen=True, slots=True)
class Film:
    """A video that a caller sent: a file of ours (`key` in the input spool), its type told by its bytes."""

    key: str
    mime: str
    length: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Source:
    """The video that another is made from: one of the caller's own here by its id, or else a file."""

    rework: Rework
    video_id: str | None = None
    film: Film | None = None

    @property
    def param(self) -> str:
        """Where a request says which video it is."""
        return "video_id" if self.rework is Rework.REMIX else "video"


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """What a caller asked for, normalised but not yet fitted to a model.

    `size`, `seconds`, `resolution` and `aspect_ratio` are the caller's own texts; `options` is everything else: the
    flat or nested `metadata` and unknown top-level fields. `source` is there for a video made from a video; `model` may
    then be empty, which is the source's own.
    """

    model: str
    prompt: str
    size: str | None = None
    seconds: str | None = None
    resolution: str | None = None
    aspect_ratio: str | None = None
    fit: Fit = Fit.NEAREST
    pictures: tuple[Picture, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    source: Source | None = None
    callback_url: str | None = None  # who is to be told when it has ended, beside the webhook endpoints

    @property
    def files(self) -> tuple[Picture | Film, ...]:
        """Every input that may lie in the spool."""
        film = self.source.film if self.source else None
        return (*self.pictures, film) if film else self.pictures


@dataclass(frozen=True, slots=True)
class Character:
    """Somebody or something that an upstream keeps, for videos to show. The time is since the epoch."""

    id: str
    name: str
    created_at: int


@dataclass(frozen=True, slots=True)
class Adjustment:
    """Something that was asked for and is made differently."""

    field: str
    requested: str
    used: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Fitted:
    """What will be made: `size` and `seconds` as the caller will read them, `frame`, `tier` and `ratio` for the vendor.

    `frame` is None where the picture decides the shape and its size is not known, or where the upstream decides.
    `added` is what of `seconds` an extension adds to its source.
    """

    size: str
    seconds: str
    frame: Frame | None = None
    tier: int | None = None
    ratio: str | None = None
    way: str = ""  # which of the model's ways was chosen
    adjustments: tuple[Adjustment, ...] = ()
    added: str | None = None


RESULT = "result"  # in a handle: the vendor's id of the finished video


@dataclass(frozen=True, slots=True)
class Receipt:
    """A vendor's acceptance: its id for the job, and what else it takes to find that job again.

    Once the job is done the handle has the vendor's id of the video too, where that is another.
    """

    vendor_task_id: str
    handle: Mapping[str, str] = field(default_factory=dict)

    @property
    def result(self) -> str | None:
        """The vendor's id of the finished video, if it told one."""
        return self.handle.get(RESULT)


class Sight(StrEnum):
    """What a look at a vendor's job showed."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    MISSING = "missing"  # the vendor says that it knows no such job


@dataclass(frozen=True, slots=True)
class Artifact:
    """Where a result can be had. `url` is absolute, or a path below the vendor's base URL.

    A vendor's credentials travel only when `url` is on the vendor's own host. `id` is the vendor's for the video, where
    it makes others from it by that.
    """

    url: str
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at a vendor's job. `artifact` is set exactly when it succeeded, `failure` exactly when it failed."""

    sight: Sight
    word: str  # the vendor's own status word, for the log
    progress: int | None = None
    artifact: Artifact | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """A stored task. Times are seconds since the epoch, UTC."""

    id: str
    owner: str
    state: TaskState
    vendor: str
    account: str
    model: str  # as the caller named it
    vendor_model: str  # as the vendor is asked for it
    prompt: str
    size: str
    seconds: str
    progress: int
    adjustments: tuple[Adjustment, ...]
    failure: Failure | None
    created_at: float
    deadline_at: float
    completed_at: float | None
    started_at: float | None  # when the vendor accepted it
    content: "Content | None"
    request_id: str
    deleted: bool
    fence: int
    troubles: int  # polls or fetches in a row that told nothing
    misses: int  # looks in a row at which the vendor knew no such job
    waiting: str | None = None  # why nothing happens just now, in words for the caller
    expires_at: float | None = None  # until when its content is kept; None: for ever, or there is none
    due_at: float = 0.0  # when it is next looked after
    remixed_from: str | None = None  # the video that it is a remix of
    traceparent: str | None = None  # of the request, for what is done for it later

    def kept(self, now: float) -> bool:
        """Whether its content can be had."""
        return self.content is not None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class Content:
    """A finished video in our storage."""

    key: str
    length: int
    sha256: str
    mime: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """One line of the money ledger."""

    id: int
    task_id: str
    number: int
    client_ref: str
    state: AttemptState
    receipt: Receipt | None


@dataclass(frozen=True, slots=True)
class NewTask:
    """All that one durable transaction writes when a request is accepted."""

    id: str
    owner: str
    spec: TaskSpec
    fitted: Fitted
    vendor: str
    account: str
    vendor_model: str
    client_ref: str
    created_at: float
    deadline_at: float
    request_id: str
    traceparent: str | None = None  # of the request, if it is traced
    fingerprint: str | None = None  # of the request as asked
    tries: int = 0  # which try of the caller's own client this is, counted from 0
    idempotency: str | None = None  # digest of the caller's idempotency key

    @property
    def trying(self) -> "Trying":
        """By what an earlier try of the same request is recognised."""
        return Trying(self.owner, self.created_at, self.fingerprint, self.tries, self.idempotency)


@dataclass(frozen=True, slots=True)
class Trying:
    """One try of a request, in the words of NewTask; the time is since the epoch."""

    owner: str
    at: float
    fingerprint: str | None
    tries: int
    idempotency: str | None


@dataclass(frozen=True, slots=True)
class Added:
    """What came of a NewTask: its task, or the one that an earlier try of the same request made."""

    task: Task
    new: bool


@dataclass(frozen=True, slots=True)
class Deleted:
    """What came of a delete: the task as it was, and what its owner must know of the bill, if anything."""

    task: Task
    bill: str | None


@dataclass(frozen=True, slots=True)
class Repeat:
    """What a caller said about repeating a request: its idempotency key, and how often its client tried before."""

    key: str | None = None
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a caller's tasks."""

    tasks: tuple[Task, ...]
    has_more: bool

"""The states of a task and of a submit attempt, and the moves each may make.

A task is what the caller sees; an attempt is one line of the money ledger: one possible payment to a vendor. The
tables below are the whole protocol: the store asks them before every write, so a move that is not listed cannot happen.
"""

from enum import StrEnum


class TaskState(StrEnum):
    """Where a task is in its life."""

    INTENT = "intent"  # durable here, nothing sent yet
    SUBMITTING = "submitting"  # a send is under way, or its outcome is not known
    SUBMITTED = "submitted"  # the vendor gave an id
    RUNNING = "running"  # the vendor says it is working
    FETCHING = "fetching"  # the vendor is done, we are copying the result
    SUCCEEDED = "succeeded"  # the result is in our storage and verified
    FAILED = "failed"
    CANCELLED = "cancelled"  # the caller deleted it before it ended


class AttemptState(StrEnum):
    """What is known of one submit."""

    PREPARED = "prepared"  # durable, not a byte sent
    SENDING = "sending"  # durable before the first byte leaves
    ACCEPTED = "accepted"  # the vendor's id is stored
    REJECTED = "rejected"  # surely refused, nothing was created
    NOT_SENT = "not_sent"  # surely not delivered, another attempt may follow
    UNKNOWN = "unknown"  # may have been paid for: never sent again
    NOT_CREATED = "not_created"  # an unknown one that turned out never to have reached the vendor
    NEEDS_REVIEW = "needs_review"  # an unknown one that no look-up settled
    WRITTEN_OFF = "written_off"  # a person closed a review


TASK_MOVES: dict[TaskState, frozenset[TaskState]] = {
    TaskState.INTENT: frozenset({TaskState.SUBMITTING, TaskState.FAILED, TaskState.CANCELLED}),
    TaskState.SUBMITTING: frozenset({TaskState.SUBMITTED, TaskState.INTENT, TaskState.FAILED, TaskState.CANCELLED}),
    TaskState.SUBMITTED: frozenset({TaskState.RUNNING, TaskState.FETCHING, TaskState.FAILED, TaskState.CANCELLED}),
    TaskState.RUNNING: frozenset({TaskState.FETCHING, TaskState.FAILED, TaskState.CANCELLED}),
    # Back to running when the result's link died before we had it: a poll asks the vendor for a new one.
    TaskState.FETCHING: frozenset({TaskState.SUCCEEDED, TaskState.RUNNING, TaskState.FAILED, TaskState.CANCELLED}),
    TaskState.SUCCEEDED: frozenset(),
    # Only late evidence for an attempt under review reopens a failed task: the video was paid for and exists.
    TaskState.FAILED: frozenset({TaskState.SUBMITTED}),
    TaskState.CANCELLED: frozenset(),
}

ATTEMPT_MOVES: dict[AttemptState, frozenset[AttemptState]] = {
    AttemptState.PREPARED: frozenset({AttemptState.SENDING, AttemptState.NOT_SENT}),
    AttemptState.SENDING: frozenset(
        {AttemptState.ACCEPTED, AttemptState.REJECTED, AttemptState.NOT_SENT, AttemptState.UNKNOWN}
    ),
    AttemptState.UNKNOWN: frozenset({AttemptState.ACCEPTED, AttemptState.NOT_CREATED, AttemptState.NEEDS_REVIEW}),
    AttemptState.NEEDS_REVIEW: frozenset({AttemptState.ACCEPTED, AttemptState.WRITTEN_OFF}),
    AttemptState.ACCEPTED: frozenset(),
    AttemptState.REJECTED: frozenset(),
    AttemptState.NOT_SENT: frozenset(),
    # A sender that was paused for hours may still bring a receipt.
    AttemptState.NOT_CREATED: frozenset({AttemptState.ACCEPTED}),
    AttemptState.WRITTEN_OFF: frozenset(),
}


class Phase(StrEnum):
    """What callers see of a state, in OpenAI's words."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"


PHASES: dict[TaskState, Phase] = {
    TaskState.INTENT: Phase.QUEUED,
    TaskState.SUBMITTING: Phase.QUEUED,
    TaskState.SUBMITTED: Phase.QUEUED,
    TaskState.RUNNING: Phase.IN_PROGRESS,
    TaskState.FETCHING: Phase.IN_PROGRESS,
    TaskState.SUCCEEDED: Phase.COMPLETED,
    TaskState.FAILED: Phase.FAILED,
    TaskState.CANCELLED: Phase.FAILED,
}

ENDED = frozenset({TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED})
LIVE = frozenset(TaskState) - ENDED

MAYBE_PAID = frozenset({AttemptState.SENDING, AttemptState.UNKNOWN, AttemptState.ACCEPTED})
"""At most one attempt of a task is in one of these: the first invariant, held by a partial unique index."""

UNSETTLED = frozenset({AttemptState.SENDING, AttemptState.UNKNOWN, AttemptState.NEEDS_REVIEW})
"""What became of these is not known."""


def sources(target: TaskState) -> frozenset[TaskState]:
    """The states from which a task may move to `target`."""
    return frozenset(state for state, targets in TASK_MOVES.items() if target in targets)


def attempt_sources(target: AttemptState) -> frozenset[AttemptState]:
    """The states from which an attempt may move to `target`."""
    return frozenset(state for state, targets in ATTEMPT_MOVES.items() if target in targets)

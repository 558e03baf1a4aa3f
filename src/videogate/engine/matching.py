"""Which of the jobs that a vendor shows is a lost submit's: pure decisions.

A reference of ours decides alone. Without one a job is bound only where no mistake can cost anything: it is alike in
all that the vendor shows, nobody else may claim it, and whoever might is owed the very same video.
"""

from collections.abc import Collection, Sequence

from videogate.store.lost import LostSubmit
from videogate.task.state import AttemptState
from videogate.vendorkit.tracing import Sighting

EARLY = 120.0  # seconds that a vendor's clock may be behind ours
LATE = 420.0  # seconds from the submit within which a job of it is created: its time-out, a delay, a clock ahead


def by_reference(lost: LostSubmit, seen: Sequence[Sighting]) -> Sighting | None:
    """The job that bears the attempt's own reference."""
    return next((each for each in seen if each.client_ref == lost.client_ref), None)


def may_be(lost: LostSubmit, seen: Sighting) -> bool:
    """Whether a job could be this submit's, going by what is shown of it."""
    if seen.client_ref is not None:
        return seen.client_ref == lost.client_ref
    in_time = seen.created_at is None or -EARLY <= seen.created_at - lost.sent_at <= LATE
    right_model = seen.model is None or seen.model == lost.model
    right_source = seen.remix_of is None or seen.remix_of == lost.remix_of
    return in_time and right_model and right_source and (seen.prompt is None or _same(seen.prompt, lost.prompt))


def by_likeness(
    lost: LostSubmit, seen: Sequence[Sighting], *, like: Sequence[LostSubmit], bound: Collection[str]
) -> Sighting | None:
    """The job to bind, if it is safe to.

    Args:
        lost: the submit.
        seen: the vendor's jobs.
        like: every open attempt with the same model and prompt, `lost` among them.
        bound: the vendor's ids of jobs that belong to an attempt already.
    """
    free = [each for each in seen if each.receipt.vendor_task_id not in bound and may_be(lost, each)]
    if not free or not lost.prompt.strip():
        return None
    if any(each.prompt is None or each.created_at is None for each in free):
        return None  # one that shows too little, at least for now, may be it as well
    rivals = [each for each in like if any(may_be(each, job) for job in free)]
    if any(rival.state is AttemptState.SENDING for rival in rivals):
        return None  # its answer may still come and name one of these jobs
    if lost.fingerprint is None or any(rival.fingerprint != lost.fingerprint for rival in rivals):
        return None  # alike in what is shown, different in what is not: a wrong picture would be sold
    if len(free) > len(rivals):
        return None  # somebody else uses this account
    return min(free, key=lambda each: abs((each.created_at or 0.0) - lost.sent_at))


def _same(shown: str, asked: str) -> bool:
    return shown.strip() == asked.strip()

"""Observe: one look at a vendor's job, and what follows from it."""

from contextlib import suppress

from videogate.engine import schedule, spans
from videogate.engine.figures import count
from videogate.engine.gates import WELL, Went, went
from videogate.engine.shop import Shop, drop_inputs, tell
from videogate.faultpoints import faultpoint
from videogate.store.claims import Claim
from videogate.task.errors import Failure, FailureCode, Throttled, VendorError
from videogate.task.model import Artifact, Observation, Receipt, Sight
from videogate.task.state import TaskState
from videogate.traces import Span
from videogate.vendorkit.contract import Vendor

LEASE = 30.0  # seconds; longer than a poll may take
MISSES = 3  # definite not-founds in a row before a job counts as lost


async def observe(shop: Shop, claim: Claim) -> Went:
    """Look once. Only a documented end, repeated not-founds or the deadline end the task.

    Returns how the vendor's call went.
    """
    receipt = claim.attempt.receipt
    if receipt is None:
        raise RuntimeError(f"{claim.task.id} is {claim.task.state} without a receipt")
    vendor = shop.vendors[claim.task.vendor]
    with spans.look(vendor, claim) as span:
        return await _look(shop, claim, vendor, receipt, span)


async def _look(shop: Shop, claim: Claim, vendor: Vendor, receipt: Receipt, span: Span) -> Went:
    try:
        if claim.task.deleted and claim.task.state is TaskState.SUBMITTED and vendor.cancels:
            await _cancel(vendor, receipt)
        seen = await vendor.poll(receipt)
    except VendorError as error:
        span.failed(spans.kind_of(error))
        await _learned_nothing(shop, claim, error)
        return went(error)
    span.say({"videogate.sight": seen.sight.value})
    faultpoint("poll.recording")
    match seen.sight:
        case Sight.SUCCEEDED if seen.artifact is not None:
            await _succeeded(shop, claim, seen.artifact)
        case Sight.FAILED if seen.failure is not None:
            await shop.ledger.failed(claim, seen.failure, now=shop.clock())
            tell("vendor_failed", claim, TaskState.FAILED, code=seen.failure.code, vendor_code=seen.failure.vendor_code)
            await drop_inputs(shop, claim)
        case Sight.MISSING:
            await _missing(shop, claim)
        case _:
            await _alive(shop, claim, seen)
    faultpoint("poll.recorded")
    return WELL


async def _cancel(vendor: Vendor, receipt: Receipt) -> None:
    """Stop what nobody wants any more, if it has not begun. What that came to, the look shows."""
    with suppress(VendorError):
        await vendor.cancel(receipt)


async def _succeeded(shop: Shop, claim: Claim, artifact: Artifact) -> None:
    now = shop.clock()
    if claim.task.deleted:
        await shop.ledger.cancelled(claim, now=now)
        tell("finished_unwanted", claim, TaskState.CANCELLED)
        await drop_inputs(shop, claim)
        return
    # A result whose link keeps dying is fetched at growing intervals.
    wait = _pause(shop, claim, claim.task.troubles) if claim.task.troubles else 0.0
    await shop.ledger.fetching(claim, artifact, due_at=now + wait)
    tell("vendor_succeeded", claim, TaskState.FETCHING)


async def _alive(shop: Shop, claim: Claim, seen: Observation) -> None:
    now = shop.clock()
    if await _past_deadline(shop, claim, f"{claim.task.vendor} still says {seen.word!r}"):
        return
    elapsed, usual = now - (claim.task.started_at or now), shop.usual_seconds(claim.task)
    state = TaskState.RUNNING if seen.sight is Sight.RUNNING else claim.task.state
    guess = schedule.estimated_progress(elapsed=elapsed, usual=usual) if state is TaskState.RUNNING else 0
    progress = min(99, guess if seen.progress is None else seen.progress)
    wait = schedule.next_look(floor=shop.floor(claim.task), usual=usual, elapsed=elapsed, jitter=shop.jitter())
    due_at = min(now + wait, max(now, claim.task.deadline_at))
    await shop.ledger.observed(claim, state, progress, due_at=due_at)
    if state is not claim.task.state:
        tell("vendor_running", claim, state, word=seen.word)
    else:
        count("vendor_unchanged", vendor=claim.task.vendor)


async def _missing(shop: Shop, claim: Claim) -> None:
    misses = claim.task.misses + 1
    if misses >= MISSES:
        failure = Failure(
            FailureCode.VENDOR_LOST,
            f"{claim.task.vendor} no longer knows this job; it was accepted as "
            f"{claim.attempt.receipt.vendor_task_id if claim.attempt.receipt else '?'}.",
        )
        await shop.ledger.failed(claim, failure, now=shop.clock())
        tell("vendor_lost", claim, TaskState.FAILED)
        await drop_inputs(shop, claim)
        return
    wait = _pause(shop, claim, misses)
    why = f"{claim.task.vendor} does not find the job just now; it is asked again."
    due_at = shop.clock() + wait
    await shop.ledger.postponed(claim, due_at=due_at, troubles=claim.task.troubles, misses=misses, waiting=why)
    tell("vendor_missing", claim, misses=misses, again_in=round(wait, 2))


async def _learned_nothing(shop: Shop, claim: Claim, error: VendorError) -> None:
    if await _past_deadline(shop, claim, error.message):
        return
    troubles = claim.task.troubles + 1
    wait = _pause(shop, claim, troubles, error.retry_after if isinstance(error, Throttled) else None)
    due_at = shop.clock() + wait
    await shop.ledger.postponed(
        claim, due_at=due_at, troubles=troubles, misses=claim.task.misses, waiting=error.message
    )
    tell("poll_trouble", claim, why=error.message, vendor_code=error.vendor_code, again_in=round(wait, 2))


async def _past_deadline(shop: Shop, claim: Claim, last_word: str) -> bool:
    now = shop.clock()
    if now < claim.task.deadline_at:
        return False
    failure = Failure(
        FailureCode.DEADLINE,
        f"The video was not finished before its deadline; last heard: {last_word}. The vendor may still bill it.",
    )
    await shop.ledger.failed(claim, failure, now=now)
    tell("deadline", claim, TaskState.FAILED, last=last_word)
    await drop_inputs(shop, claim)
    return True


def _pause(shop: Shop, claim: Claim, troubles: int, retry_after: float | None = None) -> float:
    return schedule.after_trouble(
        floor=shop.floor(claim.task), troubles=troubles, jitter=shop.jitter(), retry_after=retry_after
    )

"""Reconcile: find out what became of submits whose answers were lost. Nothing is ever sent again here.

Each vendor is searched on its own, so that one which hangs keeps nobody else's videos waiting.
"""

from math import inf

from videogate.engine import matching, schedule
from videogate.engine.figures import count
from videogate.engine.shop import Shop, log, tell
from videogate.store.claims import Claim
from videogate.store.lost import LostSubmit
from videogate.task.errors import Failure, FailureCode, Unavailable, VendorError
from videogate.task.state import AttemptState, TaskState
from videogate.vendorkit.contract import Vendor
from videogate.vendorkit.tracing import Lost, Sighting, Trace

LEASE = 30.0  # seconds
SEARCH_LEASE = 120.0  # seconds; longer than a round of one vendor's searches should take
SOON = 0.02  # seconds between rounds while there is more to do
TICK = 1.0  # seconds between looks at what is due
CLOSER = 100  # records that one search opens, at most
REFERENCE = "vg"  # how our references begin


async def settle(shop: Shop, claim: Claim) -> None:
    """A submit whose sender is gone, or paused past its lease: the request may have left, so the search begins."""
    if claim.attempt.state is AttemptState.SENDING:
        await lost_track(shop, claim, "the sender stopped before it recorded an outcome", "")
    else:
        await shop.ledger.left_to_search(claim)


async def lost_track(shop: Shop, claim: Claim, why: str, evidence: str) -> None:
    """Record that an outcome is not known, and have it looked for."""
    vendor = shop.vendors[claim.task.vendor]
    wait = 0.0
    if vendor.tracing.by is not Trace.NOTHING:
        wait = schedule.next_lookup(floor=shop.floor(claim.task), looks=0)
    await shop.ledger.unknown(claim, f"{why}\n{evidence}".strip(), look_at=shop.clock() + wait)
    tell("outcome_unknown", claim, TaskState.SUBMITTING, why=why)


async def search_round(shop: Shop, vendor: Vendor) -> float:
    """Search a vendor if something is due there. Returns the seconds to wait for the next round."""
    next_at = await shop.lost.next_at(vendor.name)
    if next_at is None:
        return TICK
    if next_at <= shop.clock():
        await search(shop, vendor)
        return SOON
    return min(TICK, next_at - shop.clock())


async def search(shop: Shop, vendor: Vendor) -> None:
    """Look once for every submit of a vendor whose look-up is due."""
    due = await shop.lost.due(vendor.name, now=shop.clock(), lease=SEARCH_LEASE)
    pages: dict[str, list[Sighting]] = {}  # one search serves all that ask for the same
    for lost in due:
        if vendor.tracing.by is Trace.NOTHING or lost.account != vendor.account or lost.model not in vendor.models:
            await _not_found(shop, vendor, lost, answered=False)
            continue
        try:
            found = await _look(shop, vendor, lost, pages, since=min(each.sent_at for each in due))
        except VendorError as error:
            tell_lost("looked_up", lost, result="not_understood", why=error.message)
            await _not_found(shop, vendor, lost, answered=False)
            continue
        if found is None:
            await _not_found(shop, vendor, lost, answered=True)
        else:
            await _found(shop, lost, found)


async def _look(
    shop: Shop, vendor: Vendor, lost: LostSubmit, pages: dict[str, list[Sighting]], *, since: float
) -> Sighting | None:
    asked = Lost(lost.client_ref, lost.model, lost.way, lost.prompt, lost.sent_at)
    place = vendor.search_call(asked, "").path
    if place not in pages:
        pages[place] = await vendor.search(asked, since=since - matching.EARLY)
        await _alarm_of_strangers(shop, vendor, pages[place])
    seen = pages[place]
    if vendor.tracing.by is Trace.REFERENCE and (found := matching.by_reference(lost, seen)):
        return found
    bound = await shop.lost.bound(vendor.account, {each.receipt.vendor_task_id for each in seen})
    seen = [each for each in seen if each.receipt.vendor_task_id not in bound and matching.may_be(lost, each)]
    closer = pages[place] = await _closer(vendor, lost, seen, pages[place])
    if vendor.tracing.by is Trace.REFERENCE:
        return matching.by_reference(lost, closer)
    return matching.by_likeness(lost, closer, like=await shop.lost.like(lost), bound=bound)


async def _closer(
    vendor: Vendor, lost: LostSubmit, candidates: list[Sighting], every: list[Sighting]
) -> list[Sighting]:
    """All sightings, those that may be it with what their own records show; the likeliest moments first."""
    vague = [each for each in candidates if (each.client_ref, each.prompt) == (None, None)]
    if len(vague) > CLOSER and vendor.tracing.by is Trace.REFERENCE:
        raise Unavailable(f"{vendor.name} has more jobs of that moment than can be opened")  # so none is surely absent
    vague.sort(key=lambda each: abs((each.created_at or inf) - lost.sent_at))
    known = {each.receipt.vendor_task_id: await vendor.look_closer(each) for each in vague[:CLOSER]}
    return [known.get(each.receipt.vendor_task_id, each) for each in every]


async def _found(shop: Shop, lost: LostSubmit, found: Sighting) -> None:
    now = shop.clock()
    if await shop.ledger.accepted(lost.attempt_id, found.receipt, now=now, due_at=now):
        job = found.receipt.vendor_task_id
        tell_lost("looked_up", lost, TaskState.SUBMITTED, result="found", accepted_as=job, vendor_task_id=job)


async def _not_found(shop: Shop, vendor: Vendor, lost: LostSubmit, *, answered: bool) -> None:
    """What follows from a look that did not find the job; `answered`: its vendor could be asked, and said no."""
    now = shop.clock()
    looks = lost.looks + answered
    later = now + schedule.next_lookup(floor=vendor.config.poll_interval, looks=max(looks, 1))
    look_at = later if later < lost.sent_at + vendor.tracing.seconds else None
    over = now - lost.sent_at >= shop.terms.unknown_window or vendor.tracing.by is Trace.NOTHING
    if answered:
        tell_lost("looked_up", lost, result="absent")
    if lost.state is not AttemptState.UNKNOWN or not over:
        await shop.lost.look_later(lost, looks=looks, look_at=look_at)
    elif answered and vendor.tracing.by is Trace.REFERENCE:
        await shop.lost.not_created(lost, _never_received(lost), now=now, look_at=look_at)
        tell_lost("not_created", lost, TaskState.FAILED)
        await _ended(shop, lost)
    else:
        await shop.lost.review(lost, _nobody_knows(vendor), now=now, look_at=look_at)
        tell_lost("needs_review", lost, TaskState.FAILED, result="review")
        await _ended(shop, lost)


async def _ended(shop: Shop, lost: LostSubmit) -> None:
    spec, _ = await shop.tasks.request(lost.task_id)
    await shop.inputs.drop(spec.files)


async def _alarm_of_strangers(shop: Shop, vendor: Vendor, seen: list[Sighting]) -> None:
    """A job that bears a reference like ours and is in no ledger: another gateway's, or a restored backup lost it."""
    refs = {each.client_ref for each in seen if each.client_ref and each.client_ref.startswith(REFERENCE)}
    for stranger in refs - await shop.lost.known(vendor.account, refs):
        log.warning("foreign_job", vendor=vendor.name, client_ref=stranger)
        count("foreign_job", vendor=vendor.name)


def tell_lost(event: str, lost: LostSubmit, to: TaskState | None = None, **facts: object) -> None:
    """Log one step of a search, under the ids of the task's other lines, and count it; `to` is where the task goes."""
    moves = {"state_to": to.value} if to else {}
    log.info(
        event,
        task=lost.task_id,
        request_id=lost.request_id,
        vendor=lost.vendor,
        model=lost.model,
        client_ref=lost.client_ref,
        **moves,
        **facts,
    )
    count(event, vendor=lost.vendor, **facts)


def _nobody_knows(vendor: Vendor) -> Failure:
    searched = {
        Trace.NOTHING: f"{vendor.name} has no way to ask for a job without its id.",
        Trace.REFERENCE: f"{vendor.name} could not be asked for it since.",
        Trace.LIKENESS: f"Among the jobs that {vendor.name} lists, none is surely this one.",
    }[vendor.tracing.by]
    return Failure(
        FailureCode.UNKNOWN_OUTCOME,
        f"The request was sent to {vendor.name} but its answer was lost, so it is not known whether the vendor made "
        f"and billed a video. {searched} It was not sent again. Look in the vendor's console before you repeat it.",
    )


def _never_received(lost: LostSubmit) -> Failure:
    return Failure(
        FailureCode.NOT_RECEIVED,
        f"The request was sent to {lost.vendor} but its answer was lost. {lost.vendor}, asked for it by our reference, "
        "knows no such job: nothing was made or billed. It was not sent again; you may repeat it.",
    )

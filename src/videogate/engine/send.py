"""Send: one prepared attempt goes to its vendor, once."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from videogate.engine import schedule, spans
from videogate.engine.gates import WELL, Went, went
from videogate.engine.reconcile import lost_track
from videogate.engine.shop import NETWORK_PAUSE, Shop, drop_inputs, tell
from videogate.engine.sources import order_source
from videogate.faultpoints import faultpoint
from videogate.store.claims import Claim
from videogate.task.errors import (
    Busy,
    Failure,
    FailureCode,
    InvalidRequest,
    NotDelivered,
    OutcomeUnknown,
    Refused,
    Throttled,
    Unavailable,
    VendorError,
)
from videogate.task.model import Receipt
from videogate.task.state import TaskState
from videogate.traces import Span
from videogate.vendorkit.client import SUBMIT_SECONDS, Prepared
from videogate.vendorkit.contract import Vendor
from videogate.vendorkit.order import Order, OrderPicture

T = TypeVar("T")

LEASE = 90.0  # seconds; longer than reading the inputs and the submit together
AWAY_PAUSE = 1.0  # seconds between tries to record an outcome
INPUT_SECONDS = 45.0  # for reading all inputs: a link that trickles must not outlast the lease


async def send(shop: Shop, claim: Claim) -> Went | None:
    """Carry out one attempt: build the request, make `sending` durable, send it once, record the outcome.

    Returns how the vendor's call went; None if there was none.
    """
    vendor = shop.vendors[claim.task.vendor]
    if shop.clock() >= claim.task.deadline_at:
        await too_late(shop, claim)
        return None
    try:
        prepared = vendor.prepare(await _order(shop, vendor, claim))
    except InvalidRequest as error:
        await _give_up(shop, claim, Failure(FailureCode.INVALID_REQUEST, error.message))
    except Unavailable as error:
        await _retry_inputs(shop, claim, error)
    except Busy as error:
        wait = schedule.after_trouble(floor=NETWORK_PAUSE, troubles=claim.task.troubles, jitter=shop.jitter())
        await shop.ledger.postponed(claim, due_at=shop.clock() + wait, troubles=claim.task.troubles + 1)
        tell("input_unreadable", claim, why=str(error), again_in=round(wait, 2))
    else:
        with spans.submit(vendor, claim) as span:
            return await _send_once(shop, claim, vendor, prepared, span)
    return None


async def too_late(shop: Shop, claim: Claim) -> None:
    """End a task whose deadline came before it could be sent."""
    words = f"The video could not be handed to {claim.task.vendor} before its deadline; nothing was sent or paid."
    await _give_up(shop, claim, Failure(FailureCode.DEADLINE, words))


async def _send_once(shop: Shop, claim: Claim, vendor: Vendor, prepared: Prepared, span: Span) -> Went | None:
    now = shop.clock()
    if not await shop.ledger.begin_send(claim, now=now, deadline=now + SUBMIT_SECONDS):
        span.failed("overtaken")
        tell("send_overtaken", claim)
        return None
    tell("sending", claim, TaskState.SUBMITTING, client_ref=claim.attempt.client_ref)
    faultpoint("submit.sending")
    if shop.clock() - now > SUBMIT_SECONDS:
        # This process was paused in between: others may have taken the silence for its end. Nothing has left yet.
        await _send_later(shop, claim, NotDelivered("the sender was paused before it sent"))
        return None
    try:
        receipt = await _call(vendor, prepared, span)
    except Refused as error:
        await _kept(claim, partial(shop.ledger.rejected, claim, error.failure, now=shop.clock()))
        tell("rejected", claim, TaskState.FAILED, code=error.failure.code, vendor_code=error.vendor_code)
        await drop_inputs(shop, claim)
        return went(error)
    except (NotDelivered, Throttled) as error:
        await _send_later(shop, claim, error)
        return went(error)
    except OutcomeUnknown as error:
        await _kept(claim, partial(lost_track, shop, claim, error.message, error.evidence))
        return went(error)
    except Exception as error:
        # Whatever it is, the request may have left: only an answer we understand could say more.
        await _kept(claim, partial(lost_track, shop, claim, f"unexpected {type(error).__name__}", ""))
        raise
    await _accepted(shop, claim, receipt)
    return WELL


async def _call(vendor: Vendor, prepared: Prepared, span: Span) -> Receipt:
    try:
        receipt = await vendor.submit(prepared)
    except VendorError as error:
        span.failed(spans.kind_of(error))
        raise
    span.say({"videogate.vendor_task_id": receipt.vendor_task_id})
    return receipt


async def _accepted(shop: Shop, claim: Claim, receipt: Receipt) -> None:
    now = shop.clock()
    wait = schedule.first_look(floor=shop.floor(claim.task), usual=shop.usual_seconds(claim.task), jitter=shop.jitter())
    write = partial(shop.ledger.accepted, claim.attempt.id, receipt, now=now, due_at=now + wait)
    bound = await _kept(claim, write, accepted_as=receipt.vendor_task_id)
    faultpoint("submit.accepted")
    tell(
        "accepted" if bound else "accepted_twice",
        claim,
        TaskState.SUBMITTED,
        accepted_as=receipt.vendor_task_id,
        look_in=round(wait, 2),
    )


async def _kept(claim: Claim, write: Callable[[], Awaitable[T]], **facts: object) -> T:
    """Record an outcome however long the database is away: with some vendors it can be learned only once."""
    while True:
        try:
            return await write()
        except Busy as error:
            tell("not_recorded_yet", claim, None, why=str(error), **facts)
            await asyncio.sleep(AWAY_PAUSE)


async def _send_later(shop: Shop, claim: Claim, error: VendorError) -> None:
    wait = schedule.after_trouble(
        floor=NETWORK_PAUSE,
        troubles=claim.task.troubles,
        jitter=shop.jitter(),
        retry_after=error.retry_after if isinstance(error, Throttled) else None,
    )
    now = shop.clock()
    due_at = min(now + wait, max(now, claim.task.deadline_at))  # nobody waits past the end to learn of it
    write = partial(shop.ledger.not_sent, claim, error.message, now=now, due_at=due_at)
    await _kept(claim, partial(write, client_ref=shop.new_id("vg")))
    tell("not_sent", claim, TaskState.INTENT, why=error.message, vendor_code=error.vendor_code, again_in=round(wait, 2))


async def _retry_inputs(shop: Shop, claim: Claim, error: Unavailable) -> None:
    """An input link could not be read just now; nothing was sent."""
    troubles = claim.task.troubles + 1
    if troubles >= 4:  # noqa: PLR2004 (a link that fails four times is broken)
        failure = Failure(FailureCode.INPUT_UNREADABLE, f"An input could not be read: {error.message}.")
        await _give_up(shop, claim, failure)
        return
    wait = schedule.after_trouble(floor=NETWORK_PAUSE, troubles=troubles, jitter=shop.jitter())
    why = f"An input could not be read: {error.message}. It is tried again."
    await shop.ledger.postponed(claim, due_at=shop.clock() + wait, troubles=troubles, waiting=why)
    tell("input_unreadable", claim, why=error.message, again_in=round(wait, 2))


async def _give_up(shop: Shop, claim: Claim, failure: Failure) -> None:
    if not await shop.ledger.given_up(claim, failure, now=shop.clock()):
        tell("send_overtaken", claim)
        return  # somebody else may be sending these very inputs
    tell("given_up", claim, TaskState.FAILED, code=failure.code)
    await drop_inputs(shop, claim)


async def _order(shop: Shop, vendor: Vendor, claim: Claim) -> Order:
    spec, fitted = await shop.tasks.request(claim.task.id)
    offered = vendor.models.get(claim.task.vendor_model)
    model = next((way for way in offered.ways if way.way == fitted.way), None) if offered else None
    if model is None:
        raise InvalidRequest(f"The model {claim.task.vendor_model} is no longer offered here.", param="model")
    try:
        async with asyncio.timeout(INPUT_SECONDS):
            pictures = [
                OrderPicture(picture.role, *await shop.inputs.ready(picture, as_link=model.pictures.as_link))
                for picture in spec.pictures
            ]
    except TimeoutError as error:
        raise Unavailable(f"reading took more than {INPUT_SECONDS:g} seconds") from error
    return Order(
        client_ref=claim.attempt.client_ref,
        model=model,
        prompt=spec.prompt,
        fitted=fitted,
        asked_size=spec.size,
        asked_seconds=spec.seconds,
        callback_url=shop.callback_url(vendor, claim.attempt.client_ref),
        pictures=tuple(pictures),
        options=spec.options,
        source=await order_source(shop, vendor, claim, spec, model),
    )

"""Send: one prepared attempt goes to its vendor, once."""

from videogate.engine import schedule
from videogate.engine.shop import NETWORK_PAUSE, Shop, drop_inputs, tell
from videogate.store.ledger import Claim
from videogate.task.errors import (
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
from videogate.vendorkit.client import SUBMIT_SECONDS, Prepared
from videogate.vendorkit.contract import Order, OrderPicture, Vendor

LEASE = 90.0  # seconds; longer than reading the inputs and the submit together


async def send(shop: Shop, claim: Claim) -> None:
    """Carry out one attempt: build the request, make `sending` durable, send it once, record the outcome."""
    vendor = shop.vendors[claim.task.vendor]
    if shop.clock() >= claim.task.deadline_at:
        await _give_up(shop, claim, _too_late(claim))
        return
    try:
        prepared = vendor.prepare(await _order(shop, vendor, claim))
    except InvalidRequest as error:
        await _give_up(shop, claim, Failure(FailureCode.INVALID_REQUEST, error.message))
    except Unavailable as error:
        await _retry_inputs(shop, claim, error)
    else:
        await _send_once(shop, claim, vendor, prepared)


async def _send_once(shop: Shop, claim: Claim, vendor: Vendor, prepared: Prepared) -> None:
    now = shop.clock()
    if not await shop.ledger.begin_send(claim, now=now, deadline=now + SUBMIT_SECONDS):
        tell("send_overtaken", claim)
        return
    tell("sending", claim, TaskState.SUBMITTING)
    try:
        receipt = await vendor.submit(prepared)
    except Refused as error:
        await shop.ledger.rejected(claim, error.failure, now=shop.clock())
        tell("rejected", claim, TaskState.FAILED, code=error.failure.code, vendor_code=error.vendor_code)
        await drop_inputs(shop, claim)
    except (NotDelivered, Throttled) as error:
        await _send_later(shop, claim, error)
    except OutcomeUnknown as error:
        await _unknown(shop, claim, error.message, error.evidence)
    except Exception as error:
        # Whatever it is, the request may have left: only an answer we understand could say more.
        await _unknown(shop, claim, f"unexpected {type(error).__name__}", "")
        raise
    else:
        await _accepted(shop, claim, receipt)


async def _accepted(shop: Shop, claim: Claim, receipt: Receipt) -> None:
    now = shop.clock()
    wait = schedule.first_look(floor=shop.floor(claim.task), usual=shop.usual_seconds(claim.task), jitter=shop.jitter())
    await shop.ledger.accepted(claim.attempt.id, receipt, now=now, due_at=now + wait)
    tell("accepted", claim, TaskState.SUBMITTED, accepted_as=receipt.vendor_task_id, look_in=round(wait, 2))


async def _send_later(shop: Shop, claim: Claim, error: VendorError) -> None:
    wait = schedule.after_trouble(
        floor=NETWORK_PAUSE,
        troubles=claim.task.troubles,
        jitter=shop.jitter(),
        retry_after=error.retry_after if isinstance(error, Throttled) else None,
    )
    now = shop.clock()
    await shop.ledger.not_sent(claim, error.message, now=now, due_at=now + wait, client_ref=shop.new_id("vg"))
    tell("not_sent", claim, TaskState.INTENT, why=error.message, vendor_code=error.vendor_code, again_in=round(wait, 2))


async def _unknown(shop: Shop, claim: Claim, why: str, evidence: str) -> None:
    due_at = shop.clock() + shop.terms.unknown_window
    await shop.ledger.unknown(claim, f"{why}\n{evidence}".strip(), due_at=due_at)
    tell("outcome_unknown", claim, TaskState.SUBMITTING, why=why)


async def _retry_inputs(shop: Shop, claim: Claim, error: Unavailable) -> None:
    """An input link could not be read just now; nothing was sent."""
    troubles = claim.task.troubles + 1
    if troubles >= 4:  # noqa: PLR2004 (a link that fails four times is broken)
        failure = Failure(FailureCode.INPUT_UNREADABLE, f"An input could not be read: {error.message}.")
        await _give_up(shop, claim, failure)
        return
    wait = schedule.after_trouble(floor=NETWORK_PAUSE, troubles=troubles, jitter=shop.jitter())
    await shop.ledger.postponed(claim, due_at=shop.clock() + wait, troubles=troubles)
    tell("input_unreadable", claim, why=error.message, again_in=round(wait, 2))


async def _give_up(shop: Shop, claim: Claim, failure: Failure) -> None:
    if not await shop.ledger.given_up(claim, failure, now=shop.clock()):
        tell("send_overtaken", claim)
        return  # somebody else may be sending these very inputs
    tell("given_up", claim, TaskState.FAILED, code=failure.code)
    await drop_inputs(shop, claim)


def _too_late(claim: Claim) -> Failure:
    return Failure(
        FailureCode.DEADLINE,
        f"The video could not be handed to {claim.task.vendor} before its deadline; nothing was sent or paid.",
    )


async def _order(shop: Shop, vendor: Vendor, claim: Claim) -> Order:
    spec, fitted = await shop.tasks.request(claim.task.id)
    offered = vendor.models.get(claim.task.vendor_model)
    model = next((way for way in offered.ways if way.way == fitted.way), None) if offered else None
    if model is None:
        raise InvalidRequest(f"The model {claim.task.vendor_model} is no longer offered here.", param="model")
    pictures = [
        OrderPicture(picture.role, *await shop.inputs.ready(picture, as_link=model.pictures.as_link))
        for picture in spec.pictures
    ]
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
    )

"""Settle: an attempt whose outcome nobody recorded, or that came back unknown. Nothing is ever sent here."""

from videogate.engine.shop import Shop, drop_inputs, tell
from videogate.store.ledger import Claim
from videogate.task.errors import Failure, FailureCode
from videogate.task.state import AttemptState, TaskState

LEASE = 30.0  # seconds


async def settle(shop: Shop, claim: Claim) -> None:
    """Move a submit that hangs in the air one step: a dead sender's to unknown, an old unknown one to review."""
    now = shop.clock()
    if claim.attempt.state is AttemptState.SENDING:
        # Its sender's lease has run out: dead, or paused past it. The request may have left.
        due_at = (claim.sent_at or now) + shop.terms.unknown_window
        await shop.ledger.unknown(claim, "the sender stopped before it recorded an outcome", due_at=due_at)
        tell("outcome_unknown", claim, TaskState.SUBMITTING, why="sender gone")
        return
    await shop.ledger.review(claim, _in_plain_words(claim), now=now)
    tell("needs_review", claim, TaskState.FAILED)
    await drop_inputs(shop, claim)


def _in_plain_words(claim: Claim) -> Failure:
    return Failure(
        FailureCode.UNKNOWN_OUTCOME,
        f"The request was sent to {claim.task.vendor} but its answer was lost, so it is not known whether the vendor "
        "made and billed a video. It was not sent again. Look in the vendor's console before you repeat it.",
    )

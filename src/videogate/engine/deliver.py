"""Fetch: copy a finished result to our storage, verify it, and only then complete the task."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from time import perf_counter

from videogate.engine import figures, schedule, spans
from videogate.engine.gates import WELL, Went, went
from videogate.engine.shop import Shop, drop_inputs, tell
from videogate.media.intake import Received, receive
from videogate.media.probe import Film, NotAFilm, probe
from videogate.media.storage import StorageAway
from videogate.store.claims import Claim
from videogate.task.errors import Busy, Failure, FailureCode, LinkExpired, Throttled, VendorError
from videogate.task.model import Content
from videogate.task.state import TaskState
from videogate.traces import Span

MIME = "video/mp4"
LEASE = 60.0  # seconds, renewed while the download runs
RENEW = 15.0


async def fetch(shop: Shop, claim: Claim) -> Went | None:
    """Download, verify, keep, complete. Whatever fails on the way is tried again while the deadline allows.

    Returns how the download went; None if there was none, or the trouble was ours.
    """
    if claim.task.deleted:
        await shop.ledger.cancelled(claim, now=shop.clock())
        tell("fetch_unwanted", claim, TaskState.CANCELLED)
        await drop_inputs(shop, claim)
        return None
    with spans.fetch(shop.vendors[claim.task.vendor], claim) as span:
        return await _fetch(shop, claim, span)


async def _fetch(shop: Shop, claim: Claim, span: Span) -> Went | None:
    try:
        async with _renewed(shop, claim):
            content, film = await _copy(shop, claim)
    except VendorError as error:
        span.failed(spans.kind_of(error))
        await _again(shop, claim, error, ask_vendor=isinstance(error, LinkExpired))
        return went(error)
    except (NotAFilm, OSError, StorageAway) as error:
        span.failed(type(error).__name__)
        await _again(shop, claim, error, ask_vendor=isinstance(error, NotAFilm))
        return WELL if isinstance(error, NotAFilm) else None
    else:
        done = await _complete(shop, claim, content, film)
        facts = {"bytes": content.length, "size": str(film.frame), "seconds": film.seconds_text}
        span.say({"videogate.bytes": content.length})
        tell("completed" if done else "fetch_overtaken", claim, TaskState.SUCCEEDED, **facts)
        if done:
            figures.finished(claim.task.vendor, claim.task.vendor_model, shop.clock() - claim.task.created_at)
        if done and claim.task.started_at is not None:
            shop.history.add(claim.task.vendor, claim.task.vendor_model, shop.clock() - claim.task.started_at)
        await drop_inputs(shop, claim)
        if done and await shop.tasks.get(claim.task.owner, claim.task.id) is None:
            with suppress(StorageAway):  # deleted by its owner while the download ran; the sweeper comes too
                await shop.storage.remove_video(content.key)
        return WELL


async def _complete(shop: Shop, claim: Claim, content: Content, film: Film) -> bool:
    now, kept = shop.clock(), shop.terms.retention
    return await shop.ledger.succeeded(
        claim,
        content,
        size=str(film.frame),
        seconds=film.seconds_text,
        now=now,
        expires_at=now + kept if kept else None,
    )


async def _copy(shop: Shop, claim: Claim) -> tuple[Content, Film]:
    if claim.artifact is None:
        raise LinkExpired("no link is stored")
    received: Received | None = None
    began = perf_counter()
    try:
        async with shop.vendors[claim.task.vendor].open(claim.artifact) as download:
            received = await receive(download, shop.storage.spool, f"{claim.task.id}-{claim.fence}")
        film = await asyncio.to_thread(probe, received.path)
        key = shop.storage.key(claim.task.id)
        await shop.storage.keep(key, received.path, MIME)
        figures.kept(received.length, perf_counter() - began)
        return Content(key, received.length, received.sha256, MIME), film
    finally:
        if received is not None:
            received.path.unlink(missing_ok=True)


async def _again(shop: Shop, claim: Claim, error: Exception, *, ask_vendor: bool) -> None:
    now, troubles = shop.clock(), claim.task.troubles + 1
    if now >= claim.task.deadline_at:
        failure = Failure(
            FailureCode.DEADLINE,
            f"{claim.task.vendor} made the video, but it could not be downloaded before the deadline: {error}.",
        )
        await shop.ledger.failed(claim, failure, now=now)
        tell("deadline", claim, TaskState.FAILED, last=str(error))
        await drop_inputs(shop, claim)
        return
    wish = error.retry_after if isinstance(error, Throttled) else None
    wait = schedule.after_trouble(
        floor=shop.floor(claim.task), troubles=troubles, jitter=shop.jitter(), retry_after=wish
    )
    # What the disk or the store says names places of ours.
    reason = "the gateway's storage failed" if isinstance(error, OSError | StorageAway) else str(error)
    why = f"The video is made, but could not be copied yet: {reason}."
    if ask_vendor:
        await shop.ledger.look_again(claim, due_at=now + wait, troubles=troubles, waiting=why)
    else:
        await shop.ledger.postponed(claim, due_at=now + wait, troubles=troubles, waiting=why)
    state = TaskState.RUNNING if ask_vendor else TaskState.FETCHING
    said = error.why if isinstance(error, StorageAway) else str(error)
    tell("fetch_trouble", claim, state, why=said, again_in=round(wait, 2))


@asynccontextmanager
async def _renewed(shop: Shop, claim: Claim) -> AsyncIterator[None]:
    """Keep the lease alive; cancel the work when it was lost to somebody else."""
    work = asyncio.current_task()

    async def renew() -> None:
        while True:
            await asyncio.sleep(RENEW)
            try:
                kept = await shop.ledger.extend(claim, shop.clock() + LEASE)
            except Busy:
                continue  # while the database is away, nobody else can take the task either
            if not kept:
                tell("lease_lost", claim)
                if work is not None:
                    work.cancel()
                return

    renewal = asyncio.create_task(renew(), name=f"renew-{claim.task.id}")
    try:
        yield
    finally:
        renewal.cancel()
        with suppress(asyncio.CancelledError):
            await renewal

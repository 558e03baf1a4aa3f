"""Sweep: files of results that are kept no longer, and files that are nobody's."""

from collections.abc import Collection
from time import time

from videogate.engine.shop import Shop, log

SOON = 0.05  # seconds between rounds while there is more to do
LONGEST = 60.0  # seconds between looks at what expires
STRAYS_EVERY = 3_600.0  # seconds


async def sweep_expired(shop: Shop) -> float:
    """Remove the files of results whose time is over. Returns the seconds to wait for the next round.

    The row names its file until that is gone, so a round that dies half-way is done again.
    """
    now = shop.clock()
    expired = await shop.kept.expired(now)
    for each in expired:
        await shop.storage.remove_video(each.key)
    if expired:
        await shop.kept.removed([each.task_id for each in expired], now)
        log.info("results_removed", results=len(expired))
        return SOON
    next_at = await shop.kept.next_at()
    # What is completed while we wait expires no sooner than its retention.
    longest = min(LONGEST, shop.terms.retention or LONGEST)
    return longest if next_at is None else min(longest, max(SOON, next_at - now))


async def sweep_strays(shop: Shop) -> float:
    """Remove files that no task has: a crash between a file and its row left them. Returns the seconds to wait.

    A file is written while its task is open or has a result, and the rows are read after the names of the files: one
    that is being written is never taken for nobody's.
    """
    removed = 0
    async for keys in shop.storage.listing():
        removed += await _remove_strays(shop, keys)
    if removed:
        log.info("strays_removed", files=removed)
    return STRAYS_EVERY


async def sweep_inputs(shop: Shop) -> float:
    """Remove input files that no task needs, where several processes share them. Returns the seconds to wait."""
    removed = await shop.inputs.sweep_shared(shop.ledger.inputs_in_use, time() - STRAYS_EVERY)
    if removed:
        log.info("inputs_removed", files=removed)
    return STRAYS_EVERY


async def _remove_strays(shop: Shop, keys: Collection[str]) -> int:
    owned = await shop.kept.owners({shop.storage.task_id(key) for key in keys})
    strays = [key for key in keys if shop.storage.task_id(key) not in owned]
    await shop.storage.remove(*strays)
    return len(strays)

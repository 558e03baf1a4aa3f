"""Delete: forget a task for its owner, remove its files, and stop its vendor where that can be done."""

import asyncio

from videogate.engine.shop import Shop, log
from videogate.media.storage import StorageAway
from videogate.task.errors import VendorError, VideoNotFound
from videogate.task.model import Content, Deleted, Task
from videogate.task.state import ENDED, TaskState

CANCEL_SECONDS = 5.0  # that a caller waits for the vendor's answer; the poller asks again later

# What the owner must know of the bill, by where the task was.
_BILLS = {
    TaskState.INTENT: "Nothing was sent to {vendor}; nothing will be billed.",
    TaskState.SUBMITTING: "The request was on its way to {vendor}, which will bill the video if it makes it.",
    TaskState.FETCHING: "{vendor} has made the video already and will bill it.",
}
_CANCELLED = "{vendor} has cancelled the job."
_NOT_CANCELLED = "{vendor} does not cancel a job that has begun; it goes on there and will be billed."
_NO_CANCEL = "{vendor} cannot cancel a job; it goes on there and will be billed."
_NO_ANSWER = "{vendor} could not be asked to cancel the job; it may still be billed."


async def forget(shop: Shop, owner: str, task_id: str) -> Deleted:
    """Forget a task for its owner. From now on nobody sees it, whatever becomes of the rest.

    Raises VideoNotFound.
    """
    task = await shop.tasks.delete(owner, task_id, shop.clock())
    if task is None:
        raise VideoNotFound(task_id)
    bill = await _bill(shop, task)
    log.info("task_deleted", task=task.id, owner=owner, state_from=task.state.value, bill=bill)
    if task.content:
        await _remove(shop, task, task.content)
    if task.state is TaskState.INTENT:
        spec, _ = await shop.tasks.request(task.id)
        await shop.inputs.drop(spec.files)
    return Deleted(task, bill)


async def _remove(shop: Shop, task: Task, content: Content) -> None:
    try:
        await shop.storage.remove_video(content.key)
    except StorageAway as error:
        log.warning("removal_postponed", task=task.id, why=error.why)  # the sweeper does it
        return
    await shop.kept.removed([task.id], shop.clock())


async def _bill(shop: Shop, task: Task) -> str | None:
    if task.state in ENDED:
        return None
    words = _BILLS.get(task.state) or await _cancel(shop, task)
    return words.format(vendor=task.vendor)


async def _cancel(shop: Shop, task: Task) -> str:
    """Ask the vendor to stop. What it answered, in words."""
    vendor, receipt = shop.vendors.get(task.vendor), await shop.tasks.receipt(task.id)
    if vendor is None or receipt is None:
        return _NO_ANSWER
    if not vendor.cancels:
        return _NO_CANCEL
    try:
        async with asyncio.timeout(CANCEL_SECONDS):
            return _CANCELLED if await vendor.cancel(receipt) else _NOT_CANCELLED
    except (VendorError, TimeoutError) as error:
        log.warning("cancel_failed", task=task.id, vendor=task.vendor, why=str(error))
        return _NO_ANSWER

"""What goes on beside the poller: searches for lost submits, webhooks, the removal of what is kept no longer."""

from collections.abc import Awaitable, Callable
from functools import partial

from videogate.engine.poller import Poller
from videogate.engine.reconcile import search_round
from videogate.engine.repeats import forget_keys
from videogate.engine.rounds import Rounds
from videogate.engine.shop import Shop, log
from videogate.engine.sweep import sweep_expired, sweep_inputs, sweep_strays
from videogate.engine.tell import Teller
from videogate.store.workers import WorkerStore

BEAT = 3.0  # seconds


def upkeep(shop: Shop, teller: Teller) -> list[Rounds]:
    """Every such work of a worker, not yet running. Each vendor is searched apart: one that hangs holds up none."""
    vendors = shop.vendors.values()
    searches = [Rounds(f"search {vendor.name}", partial(search_round, shop, vendor)) for vendor in vendors]
    others: tuple[Callable[[Shop], Awaitable[float]], ...] = (forget_keys, sweep_expired, sweep_strays, sweep_inputs)
    telling = [Rounds("webhooks", teller.round), Rounds("forget webhooks", teller.forget)]
    return searches + telling + [Rounds(work.__name__, partial(work, shop)) for work in others]


def beats(shop: Shop, follow_clock: Callable[[], Awaitable[None]], workers: WorkerStore, poller: Poller) -> Rounds:
    """Tell the other workers of one database that this one lives, share the vendors with them, follow one clock."""

    async def beat() -> float:
        await follow_clock()
        heard = await workers.beat(shop.clock())
        poller.share(heard.workers)
        if heard.voided:
            log.warning("took_over", leases=heard.voided)
            poller.wake()
        return BEAT

    return Rounds("beat", beat)


def follows(follow_clock: Callable[[], Awaitable[None]]) -> Rounds:
    """Follow the clock of the others, in a process that works for no vendor."""

    async def look() -> float:
        await follow_clock()
        return BEAT

    return Rounds("clock", look)

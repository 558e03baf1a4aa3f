"""What goes on beside the poller: searches for lost submits, webhooks, the removal of what is kept no longer."""

from collections.abc import Awaitable, Callable
from functools import partial

from videogate.engine.reconcile import search_round
from videogate.engine.repeats import forget_keys
from videogate.engine.rounds import Rounds
from videogate.engine.shop import Shop
from videogate.engine.sweep import sweep_expired, sweep_strays
from videogate.engine.tell import Teller


def upkeep(shop: Shop, teller: Teller) -> list[Rounds]:
    """Every such work of one process, not yet running. Each vendor is searched apart: one that hangs holds up none."""
    vendors = shop.vendors.values()
    searches = [Rounds(f"search {vendor.name}", partial(search_round, shop, vendor)) for vendor in vendors]
    others: tuple[Callable[[Shop], Awaitable[float]], ...] = (forget_keys, sweep_expired, sweep_strays)
    telling = [Rounds("webhooks", teller.round), Rounds("forget webhooks", teller.forget)]
    return searches + telling + [Rounds(work.__name__, partial(work, shop)) for work in others]

"""Tell: turn the log of moves into deliveries, and send those that are due.

All of it happens beside the tasks, in a round of its own with connections and threads of its own: a receiver that is
down, slow or redirecting costs other receivers little and tasks nothing. A letter is sent at least once: one whose
outcome was not recorded is sent again under the same id.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from time import monotonic
from urllib.parse import urlsplit

from videogate.engine import figures, letters, schedule
from videogate.engine.shop import log
from videogate.media.fetch import SafeFetcher
from videogate.store.deliveries import KEPT, DeliveryStore
from videogate.task.errors import InvalidRequest, VendorError
from videogate.task.webhook import Delivery, DeliveryState, Due, Letter, Outcome

TICK = 0.5  # seconds between looks at the log and at what is due
LEASE = 60.0  # seconds; longer than any try
DRAIN = 2.0  # seconds that tries under way get when the process ends
FORGET_EVERY = 3_600.0  # seconds
SOON = 1.0  # seconds, while there is more to forget

LINES = 64  # tries at once
LINES_OF_OWNER = 16
LINES_OF_TARGET = 2

_REDIRECTS = "it redirects, which is not followed"


class Teller:
    """Sends webhooks.

    Args:
        store: the deliveries.
        fetcher: opens receivers' links.
        server_secret: what the secrets of keys follow from.
        live: whether a key still counts; nobody is told in the name of one that does not.
        clock: seconds since the epoch.
        jitter: a number from -1 to 1.
    """

    def __init__(
        self,
        store: DeliveryStore,
        fetcher: SafeFetcher,
        server_secret: bytes,
        live: Callable[[str], Awaitable[bool]],
        clock: Callable[[], float],
        jitter: Callable[[], float],
    ) -> None:
        self._store = store
        self._fetcher = fetcher
        self._secret = server_secret
        self._live = live
        self._clock = clock
        self._jitter = jitter
        self._sending: dict[asyncio.Task[None], Due] = {}

    async def recover(self) -> None:
        """Take over what a process that died was sending. Only for who is alone with the database."""
        if released := await self._store.release():
            log.info("webhooks_recovered", deliveries=released)

    async def round(self) -> float:
        """One look at the log and at what is due. Returns the seconds to wait for the next."""
        if await self._store.behind() and (made := await self._store.dispatch(self._clock())):
            log.info("webhooks_made", deliveries=made)
        await self._begin()
        if not self._sending:
            return TICK
        await asyncio.wait(self._sending, timeout=TICK, return_when=asyncio.FIRST_COMPLETED)
        return 0.0

    async def forget(self) -> float:
        """Forget old deliveries. Returns the seconds to wait for the next time."""
        forgotten = await self._store.forget(self._clock() - KEPT)
        return SOON if forgotten else FORGET_EVERY

    async def drain(self) -> None:
        """Give tries under way a moment, then break them off, to be sent again by who comes next."""
        if not self._sending:
            return
        _, late = await asyncio.wait(self._sending, timeout=DRAIN)
        ids = [self._sending[work].id for work in late]
        for work in late:
            work.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        await self._store.release(ids)

    async def _begin(self) -> None:
        now = self._clock()
        picked = self._pick(await self._store.due(now, self._room))
        if not picked:
            return
        by_id = {due.id: due for due in picked}
        for letter in await self._store.claim(by_id, now=now, until=now + LEASE):
            work = asyncio.create_task(self._send(letter), name=f"webhook {letter.delivery.id}")
            self._sending[work] = by_id[letter.delivery.id]
            work.add_done_callback(self._sending.pop)

    def _room(self, target: str) -> int:
        return LINES_OF_TARGET - sum(each.target == target for each in self._sending.values())

    def _pick(self, due: Sequence[Due]) -> list[Due]:
        """What there are lines for. No key takes so many that none are left for others."""
        lines = LINES - len(self._sending)
        owners = Counter(each.owner for each in self._sending.values())
        picked: list[Due] = []
        for each in due:
            if len(picked) < lines and owners[each.owner] < LINES_OF_OWNER:
                owners[each.owner] += 1
                picked.append(each)
        return picked

    async def _send(self, letter: Letter) -> None:
        began = monotonic()
        try:
            outcome = await self._try(letter)
            if await self._store.settle(letter.delivery, outcome, self._clock()):
                _report(letter, outcome, monotonic() - began)
        except Exception:  # noqa: BLE001 (its lease runs out, and it is sent again)
            log.exception("webhook_not_recorded", delivery=letter.delivery.id)

    async def _try(self, letter: Letter) -> Outcome:
        delivery = letter.delivery
        if delivery.owner is not None and not await self._live(delivery.owner):
            return _given_up(delivery, None, "its API key was revoked")
        now, content = self._clock(), letters.body_of(delivery)
        headers = letters.headers(delivery.id, content, letters.secrets_of(letter, self._secret, now), now)
        status, error = await post(self._fetcher, letter.url, content, headers)
        return judge(delivery, status, error, now=self._clock(), jitter=self._jitter())


async def post(
    fetcher: SafeFetcher, url: str, content: bytes, headers: dict[str, str]
) -> tuple[int | None, str | None]:
    """Try a receiver: the status that it answered, or what kept us from it; and in words what is wrong, if anything."""
    try:
        status = await fetcher.post(url, content, headers)
    except (InvalidRequest, VendorError) as error:
        return None, error.message
    return status, _wrong(status)


def judge(delivery: Delivery, status: int | None, error: str | None, *, now: float, jitter: float) -> Outcome:
    """What a try comes to. A receiver that says it is gone is believed; everything else may pass."""
    if error is None:
        return Outcome(DeliveryState.DELIVERED, 0, status, None, now)
    if status == HTTPStatus.GONE:
        return _given_up(delivery, status, error, disable="it answered 410, which says that it is gone")
    failures = delivery.failures + 1
    wait = schedule.next_tell(failures=failures, jitter=jitter)
    if wait is None:
        return _given_up(delivery, status, error)
    return Outcome(DeliveryState.PENDING, failures, status, error, now + wait)


def _given_up(delivery: Delivery, status: int | None, error: str, disable: str | None = None) -> Outcome:
    return Outcome(DeliveryState.GIVEN_UP, delivery.failures + 1, status, error, delivery.due_at, disable)


def _wrong(status: int) -> str | None:
    if 200 <= status < 300:  # noqa: PLR2004 (the class of success)
        return None
    return f"it answered {status}" if status >= 400 else f"it answered {status}: {_REDIRECTS}"  # noqa: PLR2004


_EVENTS = {
    DeliveryState.DELIVERED: ("webhook_delivered", "delivered"),
    DeliveryState.PENDING: ("webhook_failed", "failed"),
    DeliveryState.GIVEN_UP: ("webhook_given_up", "given_up"),
}


def _report(letter: Letter, outcome: Outcome, seconds: float) -> None:
    # Of a link no more than its host: the rest may let in whoever reads it.
    delivery = letter.delivery
    event, result = _EVENTS[outcome.state]
    log.info(
        event,
        delivery=delivery.id,
        endpoint=delivery.endpoint_id,
        host=urlsplit(letter.url).hostname,
        task=delivery.task_id,
        type=delivery.type,
        tries=delivery.tries,
        status=outcome.status,
        why=outcome.error,
        ms=round(seconds * 1000),
    )
    figures.told(result)
    if outcome.disable and delivery.endpoint_id:
        log.warning("webhook_endpoint_disabled", endpoint=delivery.endpoint_id, why=outcome.disable)

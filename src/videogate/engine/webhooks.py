"""Webhooks: what callers and the operator do with endpoints and deliveries, and which links a request may name."""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, replace
from secrets import token_hex
from time import monotonic
from typing import TypeVar
from urllib.parse import urlsplit

from videogate.engine import letters
from videogate.engine.shop import log
from videogate.engine.tell import post
from videogate.media.fetch import SafeFetcher
from videogate.media.links import UnsafeLink
from videogate.store.deliveries import DeliveryStore
from videogate.store.endpoints import EndpointStore
from videogate.task.errors import Busy, InvalidRequest, NotServed
from videogate.task.webhook import TYPES, Delivery, Endpoint

T = TypeVar("T")

MOST = 20  # endpoints of one owner
GRACE = 86_400.0  # seconds that an old secret signs too, where that is asked for
TESTS_AT_ONCE = 2  # of one endpoint
BY_HAND = "it was switched off"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an endpoint is to be; what is None stays as it is."""

    url: str | None = None
    name: str | None = None
    events: Collection[str] | None = None
    enabled: bool | None = None


@dataclass(frozen=True, slots=True)
class Tested:
    """What an endpoint said to a made-up event: a status, or what kept us from it, in words."""

    status: int | None
    error: str | None
    seconds: float


class Webhooks:
    """The verbs. `whose` is the key that asks, for its own alone; None is the operator, for all.

    Args:
        endpoints, deliveries: the stores.
        fetcher: opens receivers' links.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        endpoints: EndpointStore,
        deliveries: DeliveryStore,
        fetcher: SafeFetcher,
        clock: Callable[[], float],
    ) -> None:
        self._endpoints = endpoints
        self._deliveries = deliveries
        self._fetcher = fetcher
        self._clock = clock
        self._testing: Counter[str] = Counter()

    async def add(self, owner: str | None, wanted: Wanted) -> Endpoint:
        """Make an endpoint for the videos of a key, or of all keys. Raises InvalidRequest."""
        url = self._good(wanted.url or "", "url")
        now = self._clock()
        new = Endpoint(
            id="we_" + token_hex(16),
            owner=owner,
            name=wanted.name or urlsplit(url).hostname or "",
            url=url,
            events=_types(TYPES.values() if wanted.events is None else wanted.events),
            secret=letters.new_secret(),
            created_at=now,
            updated_at=now,
        )
        if not await self._endpoints.add(new, MOST):
            raise InvalidRequest(f"There are {MOST} webhook endpoints already; remove one first.", code="too_many")
        log.info("webhook_endpoint_made", endpoint=new.id, owner=owner, host=urlsplit(url).hostname)
        return new

    async def get(self, endpoint_id: str, whose: str | None) -> Endpoint:
        """One endpoint. Raises NotServed."""
        return _there(await self._endpoints.get(endpoint_id, whose), endpoint_id)

    async def page(self, whose: str | None, *, after: str | None, limit: int) -> tuple[list[Endpoint], bool]:
        """Endpoints, the newest first, and whether there are more. Raises InvalidRequest."""
        return _known(await self._endpoints.page(whose, after=after, limit=limit), after)

    async def change(self, endpoint_id: str, whose: str | None, wanted: Wanted) -> Endpoint:
        """Change an endpoint. Raises InvalidRequest and NotServed."""
        url = None if wanted.url is None else self._good(wanted.url, "url")
        events = None if wanted.events is None else _types(wanted.events)
        now = self._clock()

        def edit(old: Endpoint) -> Endpoint:
            changed = replace(old, url=url or old.url, name=wanted.name or old.name, events=events or old.events)
            if wanted.enabled is True:
                changed = replace(changed, disabled_at=None, disabled_why=None)
            elif wanted.enabled is False and old.disabled_at is None:
                changed = replace(changed, disabled_at=now, disabled_why=BY_HAND)
            return old if changed == old else replace(changed, updated_at=now)

        return _there(await self._endpoints.change(endpoint_id, whose, edit), endpoint_id)

    async def rotate(self, endpoint_id: str, whose: str | None, *, keep_old: bool) -> Endpoint:
        """Give an endpoint a new secret. With `keep_old` the old one signs beside it for a day. Raises NotServed."""
        now, secret = self._clock(), letters.new_secret()

        def edit(old: Endpoint) -> Endpoint:
            kept = (old.secret, now + GRACE) if keep_old else (None, 0.0)
            return replace(old, secret=secret, old_secret=kept[0], old_secret_until=kept[1], updated_at=now)

        return _there(await self._endpoints.change(endpoint_id, whose, edit), endpoint_id)

    async def remove(self, endpoint_id: str, whose: str | None) -> None:
        """Forget an endpoint with its deliveries. Raises NotServed."""
        if not await self._endpoints.remove(endpoint_id, whose):
            raise _no_endpoint(endpoint_id)
        log.info("webhook_endpoint_removed", endpoint=endpoint_id)

    async def test(self, endpoint_id: str, whose: str | None, kind: str) -> Tested:
        """Tell an endpoint of an event that did not happen, now and once. Raises InvalidRequest, NotServed and Busy."""
        (kind,) = _types([kind], "event_type")
        endpoint = await self.get(endpoint_id, whose)
        if self._testing[endpoint.id] >= TESTS_AT_ONCE:
            raise Busy("This endpoint is being tested already.")
        self._testing[endpoint.id] += 1
        try:
            return await self._test(endpoint, kind)
        finally:
            self._testing[endpoint.id] -= 1

    async def _test(self, endpoint: Endpoint, kind: str) -> Tested:
        now, began = self._clock(), monotonic()
        content = letters.body(kind, "evt_" + token_hex(16), now, "video_" + token_hex(16))
        headers = letters.headers("wh_" + token_hex(16), content, endpoint.secrets(now), now)
        status, error = await post(self._fetcher, endpoint.url, content, headers)
        tested = Tested(status, error, monotonic() - began)
        log.info("webhook_tested", endpoint=endpoint.id, status=status, why=error, ms=round(tested.seconds * 1000))
        return tested

    async def deliveries(
        self, whose: str | None, *, endpoint_id: str | None = None, after: str | None = None, limit: int
    ) -> tuple[list[Delivery], bool]:
        """Deliveries, the newest first, and whether there are more. Raises InvalidRequest and NotServed."""
        if endpoint_id is not None:
            await self.get(endpoint_id, whose)
        page = await self._deliveries.page(whose, endpoint_id=endpoint_id, after=after, limit=limit)
        return _known(page, after)

    async def again(self, delivery_id: str, whose: str | None, *, endpoint_id: str | None = None) -> Delivery:
        """Send a delivery again, whatever became of it: at once, then on the whole schedule, under the same id.

        Raises InvalidRequest and NotServed.
        """
        endpoint = await self._deliveries.endpoint_of(delivery_id)
        if endpoint is not None and endpoint.disabled_at is not None and whose in (None, endpoint.owner):
            raise InvalidRequest("The endpoint is disabled; enable it first.", code="endpoint_disabled")
        begun = await self._deliveries.again(delivery_id, whose, endpoint_id=endpoint_id, now=self._clock())
        if begun is None:
            message = f"No delivery with the id '{delivery_id[:80]}' exists."
            raise NotServed(404, message, "webhook_delivery_not_found")
        log.info("webhook_resent", delivery=delivery_id, endpoint=begun.endpoint_id)
        return begun

    def _good(self, url: str, param: str) -> str:
        return good_link(self._fetcher, url, param)


class CallbackRule:
    """Which links a request may name as its own receiver.

    Args:
        allowed: whether a key may name any.
        fetcher: judges them.
    """

    def __init__(self, allowed: Callable[[str], Awaitable[bool]], fetcher: SafeFetcher) -> None:
        self._allowed = allowed
        self._fetcher = fetcher

    async def check(self, owner: str, url: str) -> None:
        """Raises InvalidRequest for a key that may name none, and for a link that is not safe."""
        if not await self._allowed(owner):
            raise InvalidRequest(
                "This API key may not name a callback_url. The operator allows it with `videogate keys create NAME"
                " --callbacks`, or for the keys of the settings with VIDEOGATE_CALLBACK_URLS=true.",
                param="callback_url",
                code="callback_url_not_allowed",
            )
        good_link(self._fetcher, url, "callback_url")


def good_link(fetcher: SafeFetcher, url: str, param: str) -> str:
    """A receiver's link whose text is safe. Raises InvalidRequest, naming the parameter."""
    try:
        fetcher.check(url)
    except UnsafeLink as error:
        raise InvalidRequest(f"{param}: the link {error.problem}.", param=param, code=error.code) from error
    return url


def _types(wanted: Collection[str], param: str = "event_types") -> tuple[str, ...]:
    """Types of events in our order. Raises InvalidRequest for none and for others'."""
    if not wanted or not {*wanted} <= {*TYPES.values()}:
        raise InvalidRequest(f"{param}: this gateway tells of {' and '.join(TYPES.values())}.", param=param)
    return tuple(kind for kind in TYPES.values() if kind in wanted)


def _no_endpoint(endpoint_id: str) -> NotServed:
    message = f"No webhook endpoint with the id '{endpoint_id[:80]}' exists."
    return NotServed(404, message, "webhook_endpoint_not_found")


def _there(endpoint: Endpoint | None, endpoint_id: str) -> Endpoint:
    if endpoint is None:
        raise _no_endpoint(endpoint_id)
    return endpoint


def _known(page: T | None, after: str | None) -> T:
    if page is None:
        raise InvalidRequest(f"after: there is nothing with the id '{after}'.", param="after")
    return page

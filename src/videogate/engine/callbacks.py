"""Callbacks: a vendor's word that something changed. Always a hint: it brings the next look forward, nothing more."""

from collections.abc import Callable, Mapping
from enum import Enum, auto
from hmac import compare_digest

from videogate.engine.shop import Shop, log
from videogate.engine.signing import sign
from videogate.vendorkit.contract import Notice, Vendor

PATH = "/callbacks"


class Heard(Enum):
    """What became of a notice."""

    TAKEN = auto()
    UNKNOWN = auto()  # not an address that we gave out
    UNSIGNED = auto()  # the vendor does not vouch for it


class Addresses:
    """Where vendors may call us: an address of its own for each attempt, which nobody can guess.

    Args:
        secret: addresses are derived from it, so none is stored.
        public_url: how we are reached from outside; empty: not at all.
    """

    def __init__(self, secret: bytes, public_url: str) -> None:
        self._secret = secret
        self._public_url = public_url

    def url(self, vendor: Vendor, client_ref: str) -> str | None:
        """The address to give to a vendor with an attempt, or None."""
        if not (self._public_url and vendor.takes_callbacks):
            return None
        return f"{self._public_url}{PATH}/{vendor.name}/{client_ref}/{self._token(vendor.name, client_ref)}"

    def genuine(self, vendor: Vendor, client_ref: str, token: str) -> bool:
        """Whether we gave this address out."""
        return vendor.takes_callbacks and compare_digest(self._token(vendor.name, client_ref).encode(), token.encode())

    def _token(self, vendor: str, client_ref: str) -> str:
        return sign(self._secret, "callback", vendor, client_ref)[:32]


class Callbacks:
    """Takes vendors' notices. `wake` tells the poller that something is due."""

    def __init__(self, shop: Shop, addresses: Addresses, wake: Callable[[], None]) -> None:
        self._shop = shop
        self._addresses = addresses
        self._wake = wake

    async def hear(
        self, vendor_name: str, client_ref: str, token: str, headers: Mapping[str, str], content: bytes
    ) -> Heard:
        """Let a vouched notice bring the next look at its job forward. Says what became of the notice."""
        vendor = self._shop.vendors.get(vendor_name)
        if vendor is None or not self._addresses.genuine(vendor, client_ref, token):
            return Heard.UNKNOWN
        if not vendor.vouches(Notice(self._addresses.url(vendor, client_ref) or "", headers, content)):
            log.warning("callback_unsigned", vendor=vendor.name, client_ref=client_ref)
            return Heard.UNSIGNED
        hastened = await self._shop.ledger.hasten(vendor.account, client_ref, now=self._shop.clock())
        log.info("callback", vendor=vendor.name, client_ref=client_ref, hastened=hastened)
        if hastened:
            self._wake()
        return Heard.TAKEN

"""Characters: kept by the upstream, named here by ids that hold for one caller and one account alone."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import replace
from hmac import compare_digest
from typing import Any

from videogate.engine.shop import Shop, log
from videogate.engine.signing import sign
from videogate.media.inputs import FILM_HEAD, film_type
from videogate.task.errors import Busy, CharacterNotFound, FailureCode, InvalidRequest, Refused, VendorError
from videogate.task.model import Character, TaskSpec
from videogate.vendorkit.client import FilePart
from videogate.vendorkit.contract import Vendor

FIELD = "characters"
_HEAD = "char_"
_SIGNED = 24  # characters of a signature


class Characters:
    """The caller's side of characters. Nothing of them is stored here: an id of ours is the upstream's, signed.

    Args:
        shop: vendors.
        secret: what ids are signed with.
    """

    def __init__(self, shop: Shop, secret: bytes) -> None:
        self._shop = shop
        self._secret = secret

    async def make(self, owner: str, name: str, film: bytes) -> Character:
        """Make a character of a film. Raises InvalidRequest and Busy."""
        vendor = self._vendor()
        part = FilePart("video.mp4", film, film_type(film[:FILM_HEAD], "video"))
        try:
            made = await vendor.make_character(name, part)
        except Refused as error:
            raise InvalidRequest(error.message, param="video", code=error.failure.code.value) from error
        except VendorError as error:
            raise _busy(vendor, error) from error
        log.info("character_made", vendor=vendor.name, owner=owner)
        return replace(made, id=self._sign(owner, vendor, made.id))

    async def get(self, owner: str, character_id: str) -> Character:
        """One character of the caller's. Raises CharacterNotFound, InvalidRequest and Busy."""
        vendor = self._vendor()
        theirs = self._theirs(owner, vendor, character_id)
        if theirs is None:
            raise CharacterNotFound(character_id)
        try:
            found = await vendor.find_character(theirs)
        except Refused as error:
            if error.failure.code is FailureCode.MODEL_UNAVAILABLE:  # a 404
                raise CharacterNotFound(character_id) from error
            raise _busy(vendor, error) from error
        except VendorError as error:
            raise _busy(vendor, error) from error
        return replace(found, id=character_id)

    def named(self, owner: str, vendor: Vendor, spec: TaskSpec) -> TaskSpec:
        """A request whose characters bear their upstream's ids. Raises InvalidRequest and CharacterNotFound."""
        given = spec.options.get(FIELD)
        if not vendor.characters or given in (None, "", []):
            return spec
        if not isinstance(given, list) or not all(_id(each) for each in given):
            raise InvalidRequest("characters must be a list of objects with an id.", param=FIELD, code="invalid_type")
        named = [{"id": self._their(owner, vendor, each["id"])} for each in given]
        return replace(spec, options={**spec.options, FIELD: named})

    def _their(self, owner: str, vendor: Vendor, character_id: str) -> str:
        theirs = self._theirs(owner, vendor, character_id)
        if theirs is None:
            raise CharacterNotFound(character_id, FIELD)
        return theirs

    def _vendor(self) -> Vendor:
        for vendor in self._shop.vendors.values():
            if vendor.characters:
                return vendor
        raise InvalidRequest("No vendor that is on here keeps characters.", code="unsupported_input")

    def _sign(self, owner: str, vendor: Vendor, theirs: str) -> str:
        shown = urlsafe_b64encode(theirs.encode()).decode().rstrip("=")
        return f"{_HEAD}{self._signature(owner, vendor, theirs)}{shown}"

    def _theirs(self, owner: str, vendor: Vendor, character_id: str) -> str | None:
        """The upstream's id, if this one was given to this caller for a character of this account."""
        signed = character_id.removeprefix(_HEAD)
        try:
            theirs = urlsafe_b64decode(signed[_SIGNED:] + "==").decode()
        except ValueError:
            return None
        good = compare_digest(self._sign(owner, vendor, theirs).encode(), character_id.encode("utf-8", "replace"))
        return theirs if good else None

    def _signature(self, owner: str, vendor: Vendor, theirs: str) -> str:
        return sign(self._secret, "character", owner, vendor.account, theirs)[:_SIGNED]


def _id(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("id"), str) and bool(value["id"])


def _busy(vendor: Vendor, error: VendorError) -> Busy:
    return Busy(f"{vendor.name} could not be asked just now: {error.message}")

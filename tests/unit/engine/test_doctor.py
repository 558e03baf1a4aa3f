"""What the doctor makes of a vendor's answer, every vendor's, from recorded exchanges."""

from email.utils import formatdate

import httpx
import pytest

from contract.replay import NOW, VENDORS, open_vendor, recorded
from videogate.engine.doctor import Mark, vendor
from videogate.vendorkit.contract import Vendor

every_vendor = pytest.mark.parametrize("kind", VENDORS.values(), ids=VENDORS.keys())


async def marks(kind: type[Vendor], answer: httpx.Response | Exception) -> list[Mark]:
    """The marks of a vendor that answers so."""
    opened, wire = open_vendor(kind, answer)
    found = [each.mark for each in await vendor(opened)]
    assert len(wire.sent) == 1
    return found


@every_vendor
async def test_a_job_that_is_not_there_proves_the_credentials(kind: type[Vendor]) -> None:
    """The vendor's recorded "no such job" is a tick; without a date its clock cannot be told."""
    assert await marks(kind, recorded(kind.name)["poll_missing"].answer) == [Mark.GOOD, Mark.UNSURE]


@every_vendor
async def test_refused_credentials_are_found(kind: type[Vendor]) -> None:
    """The vendor's recorded refusal of a key is a cross."""
    assert (await marks(kind, recorded(kind.name)["submit_unauthorized"].answer))[0] is Mark.BAD


@every_vendor
async def test_throttling_and_foreign_answers_tell_nothing(kind: type[Vendor]) -> None:
    """Neither says whether the credentials are good."""
    assert (await marks(kind, recorded(kind.name)["submit_throttled"].answer))[0] is Mark.UNSURE
    assert (await marks(kind, httpx.Response(502, text="<html>bad gateway</html>")))[0] is Mark.UNSURE
    assert (await marks(kind, httpx.Response(401, text="<html>who are you</html>")))[0] is Mark.UNSURE


@every_vendor
async def test_a_vendor_that_is_away_is_found(kind: type[Vendor]) -> None:
    """There is one finding, and it is a cross."""
    assert await marks(kind, httpx.ConnectError("refused")) == [Mark.BAD]


@pytest.mark.parametrize(
    ("off", "mark"), [(0, Mark.GOOD), (-50, Mark.GOOD), (50, Mark.GOOD), (-70, Mark.BAD), (70, Mark.BAD)]
)
async def test_a_clock_that_is_off_is_found(off: int, mark: Mark) -> None:
    """More than a minute either way is a cross."""
    kind = next(iter(VENDORS.values()))
    answer = recorded(kind.name)["poll_missing"].answer
    answer.headers["date"] = formatdate(NOW + off, usegmt=True)
    assert (await marks(kind, answer))[1] is mark

"""What the contract promises about cancelling a job, held against recorded exchanges."""

import json
from collections.abc import Callable

import httpx
import pytest

from contract.replay import VENDORS, Exchange, open_vendor, recorded
from contract.test_vendor import FOREIGN, mutated, poll
from videogate.task.errors import FailureCode, NotUnderstood, Throttled, Unavailable, VendorError
from videogate.task.model import Receipt
from videogate.vendorkit.client import Reply
from videogate.vendorkit.contract import Vendor
from videogate.vendorkit.lines import PlainLine

NEEDED = {"cancel_done", "cancel_too_late", "cancel_unknown", "cancel_trouble", "poll_cancelled"}
CANCELLING = {name: kind for name, kind in VENDORS.items() if kind.cancels}
OTHERS = {name: kind for name, kind in VENDORS.items() if not kind.cancels}
every_cancelling = pytest.mark.parametrize("kind", CANCELLING.values(), ids=CANCELLING.keys())
every_other = pytest.mark.parametrize("kind", OTHERS.values(), ids=OTHERS.keys())
CANCELS = [exchange for name in CANCELLING for exchange in recorded(name).values() if exchange.cancel]
ANSWERS = [exchange for exchange in CANCELS if "cancelled" in exchange.expect]
STATUSES = (200, 201, 202, 204, 302, 400, 401, 403, 404, 408, 409, 410, 425, 429, 499, 500, 502, 503, 504)
MISPLACED = [(each, status) for each in ANSWERS for status in STATUSES if status != each.response["status"]]


async def cancel(kind: type[Vendor], answer: httpx.Response | Exception) -> bool:
    """Ask for a job to be cancelled and get this answer."""
    vendor, wire = open_vendor(kind, answer)
    try:
        return await vendor.cancel(Receipt("job-1"))
    finally:
        assert len(wire.sent) == 1, "a cancel is one call, whatever it is answered"


@every_cancelling
def test_the_cancels_that_decide_are_on_record(kind: type[Vendor]) -> None:
    """Done, too late, unknown and trouble are recorded for each vendor that cancels, and what a look then shows."""
    cases = recorded(kind.name)

    assert cases.keys() >= NEEDED
    assert (cases["cancel_done"].expect, cases["cancel_too_late"].expect) == ({"cancelled": True}, {"cancelled": False})
    assert not [case for case in ("cancel_unknown", "cancel_trouble") if "cancelled" in cases[case].expect]


@every_other
def test_no_other_is_asked_to_cancel(kind: type[Vendor]) -> None:
    """A vendor without a documented cancel has none on record, and nothing to ask."""
    vendor, _ = open_vendor(kind)

    assert not [exchange for exchange in recorded(kind.name).values() if exchange.cancel]
    with pytest.raises(NotImplementedError):
        vendor.cancel_call(Receipt("job-1"))
    with pytest.raises(NotImplementedError):
        vendor.read_cancel(Reply(200, {}, b"{}", ""))


@pytest.mark.parametrize("kind", VENDORS.values(), ids=VENDORS.keys())
def test_the_words_about_cancelling_agree_with_what_is_done(kind: type[Vendor]) -> None:
    """The page says that there is no call for it exactly where none is made."""
    assert kind.terms.cancel.startswith("no call for it") is not kind.cancels


@every_cancelling
async def test_a_cancelled_job_shows_as_cancelled(kind: type[Vendor]) -> None:
    """A look at the job that was cancelled ends its task for that reason."""
    seen = await poll(kind, recorded(kind.name)["poll_cancelled"].answer)

    assert seen.failure is not None
    assert seen.failure.code is FailureCode.VENDOR_CANCELLED
    assert recorded(kind.name)["poll_cancelled"].receipt == recorded(kind.name)["cancel_done"].receipt


@pytest.mark.parametrize("body", FOREIGN.values(), ids=FOREIGN.keys())
@every_cancelling
async def test_a_foreign_answer_cancels_nothing(kind: type[Vendor], body: bytes) -> None:
    """Whatever a proxy answers reads neither as cancelled nor as too late, unless it is the vendor's very answer."""
    done = recorded(kind.name)["cancel_done"].answer
    for status in STATUSES:
        if (status, body) != (done.status_code, done.content):
            with pytest.raises(VendorError):
                await cancel(kind, httpx.Response(status, content=body))


@pytest.mark.parametrize(("exchange", "status"), MISPLACED, ids=str)
async def test_an_answer_under_another_status_is_none(exchange: Exchange, status: int) -> None:
    """The vendor's words count under the status that it documents for them, and under no other."""
    with pytest.raises(VendorError):
        await cancel(VENDORS[exchange.vendor], httpx.Response(status, json=exchange.response["json"]))


@pytest.mark.parametrize("exchange", CANCELS, ids=str)
async def test_no_field_of_another_type_breaks_a_cancel(exchange: Exchange) -> None:
    """With any one value of its answer replaced, a cancel says what it said before or raises a VendorError."""
    kind = VENDORS[exchange.vendor]
    for body, _ in mutated(exchange.response["json"]):
        try:
            cancelled = await cancel(kind, httpx.Response(exchange.response["status"], text=body))
        except VendorError:
            continue
        assert {"cancelled": cancelled} == exchange.expect, body


@pytest.mark.parametrize("exchange", ANSWERS, ids=str)
async def test_more_than_the_documented_answer_is_not_cancelled(exchange: Exchange) -> None:
    """An answer that holds a job's record besides is never taken for the bare word that it is cancelled."""
    kind = VENDORS[exchange.vendor]
    record = recorded(kind.name)["poll_running"].response["json"]
    try:
        cancelled = await cancel(kind, httpx.Response(200, json={**exchange.response["json"], **record}))
    except NotUnderstood:
        cancelled = False

    assert not cancelled


@every_cancelling
async def test_a_throttled_cancel_passes_the_wish_on(kind: type[Vendor]) -> None:
    """429 on a cancel says when to ask again, and nothing about the job."""
    with pytest.raises(Throttled) as caught:
        await cancel(kind, recorded(kind.name)["submit_throttled"].answer)

    assert caught.value.retry_after == 7.0


@every_cancelling
async def test_refused_credentials_cancel_nothing(kind: type[Vendor]) -> None:
    """A wrong key is not "too late": the job may wait still."""
    with pytest.raises(NotUnderstood):
        await cancel(kind, recorded(kind.name)["submit_unauthorized"].answer)


@every_cancelling
@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ReadTimeout, httpx.ReadError, httpx.DecodingError])
async def test_a_dead_network_cancels_nothing(kind: type[Vendor], error: Callable[[str], Exception]) -> None:
    """A cancel that got no answer is Unavailable, whether it was carried out or not."""
    with pytest.raises(Unavailable):
        await cancel(kind, error("gone"))


@every_cancelling
async def test_a_cancel_may_be_repeated(kind: type[Vendor]) -> None:
    """Nothing is remembered between two cancels: the same call leaves again, and its own answer counts."""
    done, too_late = recorded(kind.name)["cancel_done"], recorded(kind.name)["cancel_too_late"]
    vendor, wire = open_vendor(kind, done.answer, too_late.answer)

    answers = [await vendor.cancel(Receipt(done.receipt or "")) for _ in range(2)]

    first, second = wire.sent
    assert answers == [True, False]
    assert (first.method, first.url, first.content) == (second.method, second.url, second.content)


@every_cancelling
async def test_a_cancel_goes_over_the_connections_of_polls(kind: type[Vendor]) -> None:
    """It needs nothing of the way that submits go, which must stay free for them."""
    done = recorded(kind.name)["cancel_done"]
    vendor, _ = open_vendor(kind, done.answer)
    submits = vendor.client._submits
    assert isinstance(submits, PlainLine)
    await submits._client.aclose()

    assert await vendor.cancel(Receipt(done.receipt or ""))


@every_cancelling
async def test_a_cancel_keeps_the_credential_to_itself(kind: type[Vendor]) -> None:
    """A server that repeats the key in its answer finds it in no text of ours."""
    vendor, _ = open_vendor(kind)
    key = vendor.config.api_key.get_secret_value()
    body = json.dumps(recorded(kind.name)["submit_throttled"].response["json"])
    words = str(recorded(kind.name)["submit_throttled"].response["json"]["message"])

    for status in (200, 400, 429, 500):
        with pytest.raises(VendorError) as caught:
            await cancel(kind, httpx.Response(status, text=body.replace(words, f"no {key}")))
        assert key not in f"{caught.value} {vars(caught.value)}"

"""What the contract promises about the search for lost submits, held against recorded exchanges."""

from itertools import pairwise

import httpx
import pytest

from contract.replay import VENDORS, Exchange, open_vendor, order_of, recorded
from contract.test_vendor import FOREIGN
from videogate.task.errors import VendorError
from videogate.vendorkit.contract import PAGES, Vendor
from videogate.vendorkit.tracing import Lost, Trace

NEEDED = {"search_found", "search_none"}
TRACED = {name: kind for name, kind in VENDORS.items() if kind.tracing.by is not Trace.NOTHING}
every_traced = pytest.mark.parametrize("kind", TRACED.values(), ids=TRACED.keys())
SEARCHES = [exchange for name in TRACED for exchange in recorded(name).values() if exchange.lost is not None]


def found(kind: type[Vendor]) -> Exchange:
    return recorded(kind.name)["search_found"]


@every_traced
def test_the_searches_that_decide_are_on_record(kind: type[Vendor]) -> None:
    """Found and not found are recorded for each vendor that can be searched, and for how long it can be."""
    assert recorded(kind.name).keys() >= NEEDED
    assert kind.tracing.seconds > 0


@pytest.mark.parametrize("kind", [kind for name, kind in VENDORS.items() if name not in TRACED])
def test_no_other_is_searched(kind: type[Vendor]) -> None:
    """A vendor without a look-up has no search on record, and nothing to ask."""
    assert not [case for case in recorded(kind.name) if case.startswith("search")]
    assert kind.tracing.seconds == 0


@pytest.mark.parametrize("status", [200, 400, 404, 500, 502])
@pytest.mark.parametrize("body", FOREIGN.values(), ids=FOREIGN.keys())
@every_traced
async def test_a_foreign_answer_is_not_nothing(kind: type[Vendor], status: int, body: bytes) -> None:
    """Whatever a proxy or a broken server answers, it never reads as "there is no such job"."""
    vendor, _ = open_vendor(kind, httpx.Response(status, content=body))

    with pytest.raises(VendorError):
        await vendor.search(Lost(**(found(kind).lost or {})), since=0.0)


@every_traced
async def test_throttled_and_refused_searches_say_nothing(kind: type[Vendor]) -> None:
    """A search that the vendor throttles, or refuses for its credentials, tells nothing about the job."""
    for case in ("submit_throttled", "submit_unauthorized"):
        vendor, _ = open_vendor(kind, recorded(kind.name)[case].answer)
        with pytest.raises(VendorError):
            await vendor.search(Lost(**(found(kind).lost or {})), since=0.0)


@pytest.mark.parametrize("exchange", SEARCHES, ids=str)
async def test_a_search_changes_nothing(exchange: Exchange) -> None:
    """A search is a GET without a body."""
    vendor, wire = open_vendor(VENDORS[exchange.vendor], exchange.answer, **exchange.config)

    await vendor.search(Lost(**(exchange.lost or {})), since=0.0)

    assert [(request.method, request.content) for request in wire.sent] == [("GET", b"")]


@pytest.mark.parametrize("kind", VENDORS.values(), ids=VENDORS.keys())
async def test_a_found_job_is_polled_like_an_accepted_one(kind: type[Vendor]) -> None:
    """What a receipt keeps beside the id follows from model and way too, for a job that is found without a receipt."""
    for exchange in recorded(kind.name).values():
        if exchange.asked is None or "receipt" not in exchange.expect:
            continue
        vendor, _ = open_vendor(kind, exchange.answer, **exchange.config)
        order = order_of(vendor, exchange.asked)
        receipt = await vendor.submit(vendor.prepare(order))
        assert vendor.handle(order.model.name, order.model.way) == receipt.handle


@pytest.mark.parametrize(
    ("name", "pages"),
    [
        ("sora", [{"data": [{"id": f"v{n}", "created_at": 1e9 - n}], "has_more": True} for n in range(PAGES + 1)]),
        ("vidu", [{"tasks": [{"id": f"{n}"}], "next_page_token": f"{n}"} for n in range(PAGES + 1)]),
        (
            "wanxiang",
            [{"data": [{"task_id": f"{n}"}], "page_no": n + 1, "total_page": PAGES + 9} for n in range(PAGES + 1)],
        ),
    ],
)
async def test_a_list_without_end_says_nothing(name: str, pages: list[object]) -> None:
    """Each page is asked for after the one before; a search that cannot see the end has not seen everything."""
    kind = VENDORS[name]
    vendor, wire = open_vendor(kind, *(httpx.Response(200, json=page) for page in pages))

    with pytest.raises(VendorError, match="more jobs"):
        await vendor.search(Lost(**(found(kind).lost or {})), since=0.0)
    assert len(wire.sent) == PAGES
    assert all(one.url != next_one.url for one, next_one in pairwise(wire.sent))


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("vidu", {"state": "processing"}),
        ("vidu", {"code": 404, "reason": "TaskNotFound", "message": "gone"}),
        ("wanxiang", {"output": {"task_id": "another", "task_status": "SUCCEEDED", "orig_prompt": "a cat"}}),
        ("wanxiang", {"code": "InvalidApiKey", "message": "no"}),
        ("sora", {"error": {"message": "no", "code": "x"}}),
    ],
)
async def test_what_is_no_record_is_not_understood(name: str, answer: object) -> None:
    """An answer that is not the job's own record adds nothing to a sighting."""
    exchange = recorded(name)["search_found"]
    vendor, _ = open_vendor(VENDORS[name], exchange.answer, httpx.Response(200, json=answer))
    (seen,) = await vendor.search(Lost(**(exchange.lost or {})), since=0.0)

    with pytest.raises(VendorError):
        await vendor.look_closer(seen)

"""One suite for every vendor: what the contract promises, held against recorded exchanges."""

import json
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from contract.replay import (
    BASE,
    EXCHANGES,
    VENDORS,
    Exchange,
    Opened,
    open_vendor,
    order_of,
    play,
    recorded,
    secrets,
    shown,
)
from videogate.task.errors import (
    FailureCode,
    InvalidRequest,
    NotDelivered,
    NotUnderstood,
    OutcomeUnknown,
    Refused,
    Throttled,
    Unavailable,
    VendorError,
)
from videogate.task.model import Artifact, Observation, Receipt, Sight
from videogate.vendorkit.client import Prepared
from videogate.vendorkit.contract import Vendor
from videogate.vendorkit.facts import Choices, FrameTable, PictureFrames, Span, TierLengths

NEEDED = {
    "submit_accepted",
    "submit_rejected",
    "submit_moderated",
    "submit_unauthorized",
    "submit_throttled",
    "poll_queued",
    "poll_running",
    "poll_succeeded",
    "poll_failed",
    "poll_missing",
}
EVERY = [exchange for name in VENDORS for exchange in recorded(name).values()]
POLLS = [each for each in EVERY if each.receipt is not None and not each.closer and not each.cancel]
RECORDS = [exchange for exchange in POLLS if exchange.expect.get("sight") not in (None, "missing")]

PAGE = "<html><body>upstream error</body></html>"
# Bodies that no vendor documents, on every status.
FOREIGN: dict[str, bytes] = {
    "a page": PAGE.encode(),
    "nothing": b"",
    "a list": b"[]",
    "null": b"null",
    "a number": b"5",
    "a text": b'"queued"',
    "half an object": b'{"id": "video_',
    "an empty object": b"{}",
    "a foreign object": b'{"message": "no Route matched with those values"}',
    "too deep": b"[" * 100_000,
    "not UTF-8": b'{"id": "\xff\xfe"}',
}
TERMINAL = {Sight.SUCCEEDED, Sight.FAILED, Sight.MISSING}

every_vendor = pytest.mark.parametrize("kind", VENDORS.values(), ids=VENDORS.keys())


def accepted(kind: type[Vendor]) -> Exchange:
    return recorded(kind.name)["submit_accepted"]


async def submit(kind: type[Vendor], answer: httpx.Response | Exception) -> Receipt:
    """Submit the recorded request and get this answer."""
    vendor, wire = open_vendor(kind, answer)
    try:
        return await vendor.submit(vendor.prepare(order_of(vendor, accepted(kind).asked or {})))
    finally:
        assert len(wire.sent) == 1, "a submit is one call, whatever it is answered"


async def poll(kind: type[Vendor], answer: httpx.Response | Exception, **settings: Any) -> Observation:
    """Look at a job and get this answer."""
    vendor, wire = open_vendor(kind, answer, **settings)
    try:
        return await vendor.poll(Receipt("job-1"))
    finally:
        assert len(wire.sent) == 1, "a poll is one call, whatever it is answered"


# What is on record


@every_vendor
def test_a_vendor_bears_its_files_name(kind: type[Vendor]) -> None:
    """Discovery, settings and recordings agree on the name."""
    assert kind.name == kind.__module__.rpartition(".")[2]
    assert VENDORS[kind.name] is kind


def test_each_vendor_has_a_name_of_its_own_in_traces() -> None:
    """Whoever reads traces tells the vendors apart; the names are words joined by dots, as the conventions ask."""
    names = [kind.provider for kind in VENDORS.values()]

    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9]+(\.[a-z0-9]+)*", name) for name in names)


def test_every_folder_of_exchanges_has_a_vendor() -> None:
    """No recordings are left of a vendor that is gone, and no vendor is without."""
    assert {folder.name for folder in EXCHANGES.iterdir()} == set(VENDORS)


@every_vendor
def test_the_cases_that_decide_are_on_record(kind: type[Vendor]) -> None:
    """No vendor is here on hope."""
    assert recorded(kind.name).keys() >= NEEDED


@pytest.mark.parametrize("exchange", EVERY, ids=str)
async def test_what_is_sent_and_what_is_made_of_the_answer(exchange: Exchange) -> None:
    """Method, path, headers and body are those on record, in one call; the answer means what the record says."""
    kind = VENDORS[exchange.vendor]
    vendor, wire = open_vendor(kind, exchange.answer, **exchange.config)

    outcome = await play(vendor, exchange)

    assert [shown(request, kind) for request in wire.sent] == [exchange.request]
    assert outcome == exchange.expect
    assert exchange.source.startswith("https://")
    assert "read 2026-" in exchange.source


@every_vendor
async def test_a_whole_life_makes_the_recorded_calls_and_none_beyond(kind: type[Vendor]) -> None:
    """From submit to result every recorded call is made once: a hidden poll costs, too."""
    life = [recorded(kind.name)[case] for case in ("submit_accepted", "poll_queued", "poll_running", "poll_succeeded")]
    vendor, wire = open_vendor(kind, *(exchange.answer for exchange in life))

    outcomes = [await play(vendor, exchange) for exchange in life]

    assert outcomes == [exchange.expect for exchange in life]
    assert [shown(request, kind) for request in wire.sent] == [exchange.request for exchange in life]
    assert not wire.answers


# The outcome of a submit


@every_vendor
@pytest.mark.parametrize("status", [200, 201, 202])
async def test_an_id_with_any_2xx_is_a_receipt(kind: type[Vendor], status: int) -> None:
    """A job that was created counts as created, whichever success the server answers with."""
    exchange = accepted(kind)

    receipt = await submit(kind, httpx.Response(status, json=exchange.response["json"]))

    assert receipt.vendor_task_id == exchange.expect["receipt"]


@every_vendor
@pytest.mark.parametrize("missing", [None, "", [], {}, True, "gone"])
async def test_a_2xx_without_an_id_is_an_unknown_outcome(kind: type[Vendor], missing: Any) -> None:
    """A job may exist and be paid for: it is neither refused nor sent again, and the answer is kept."""
    exchange = accepted(kind)
    body = swapped(exchange.response["json"], exchange.expect["receipt"], missing)

    with pytest.raises(OutcomeUnknown) as caught:
        await submit(kind, httpx.Response(200, json=body))

    assert caught.value.evidence


@every_vendor
@pytest.mark.parametrize("status", [400, 403, 404, 413, 415, 422])
async def test_a_documented_refusal_is_final(kind: type[Vendor], status: int) -> None:
    """The vendor's own error body under a status that says so means that nothing was created."""
    body = recorded(kind.name)["submit_rejected"].response["json"]

    with pytest.raises(Refused) as caught:
        await submit(kind, httpx.Response(status, json=body))

    assert caught.value.failure.vendor_code
    assert caught.value.failure.message


@every_vendor
@pytest.mark.parametrize("status", [401, 403])
async def test_refused_credentials_are_told_apart(kind: type[Vendor], status: int) -> None:
    """An operator sees that the key is wrong, not the request."""
    body = recorded(kind.name)["submit_unauthorized"].response["json"]

    with pytest.raises(Refused) as caught:
        await submit(kind, httpx.Response(status, json=body))

    assert caught.value.failure.code is FailureCode.VENDOR_CREDENTIALS


@every_vendor
async def test_throttling_is_a_later_not_a_no(kind: type[Vendor]) -> None:
    """429 in the vendor's words created nothing; the wish to wait is passed on."""
    with pytest.raises(Throttled) as caught:
        await submit(kind, recorded(kind.name)["submit_throttled"].answer)

    assert caught.value.retry_after == 7.0


@every_vendor
@pytest.mark.parametrize("case", ["submit_rejected", "submit_unauthorized", "submit_throttled"])
@pytest.mark.parametrize("status", [408, 409, 425, 500, 502, 503, 504])
async def test_a_status_that_leaves_it_open_is_an_unknown_outcome(kind: type[Vendor], status: int, case: str) -> None:
    """Even the vendor's own error body does not say under these that nothing was created."""
    with pytest.raises(OutcomeUnknown):
        await submit(kind, httpx.Response(status, json=recorded(kind.name)[case].response["json"]))


@every_vendor
@pytest.mark.parametrize("status", [200, 201, 302, 400, 401, 403, 404, 413, 422, 429, 500, 503])
@pytest.mark.parametrize("body", FOREIGN.values(), ids=FOREIGN.keys())
async def test_a_foreign_body_is_an_unknown_outcome(kind: type[Vendor], status: int, body: bytes) -> None:
    """Whatever a proxy answers, it is not the vendor's word: never a receipt, never a refusal, never a KeyError."""
    with pytest.raises(OutcomeUnknown):
        await submit(kind, httpx.Response(status, content=body))


@every_vendor
async def test_a_host_that_cannot_be_reached_got_nothing(kind: type[Vendor]) -> None:
    """A refused connection may be tried again."""
    with pytest.raises(NotDelivered):
        await submit(kind, httpx.ConnectError("refused"))


@every_vendor
@pytest.mark.parametrize("error", [httpx.ReadTimeout, httpx.ReadError, httpx.RemoteProtocolError, httpx.WriteError])
async def test_a_connection_that_dies_leaves_the_outcome_unknown(
    kind: type[Vendor], error: Callable[[str], Exception]
) -> None:
    """The request may have been carried out."""
    with pytest.raises(OutcomeUnknown):
        await submit(kind, error("gone"))


# What a poll says


@every_vendor
@pytest.mark.parametrize("body", FOREIGN.values(), ids=FOREIGN.keys())
@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 410, 422])
async def test_a_foreign_answer_to_a_poll_is_not_understood(kind: type[Vendor], status: int, body: bytes) -> None:
    """A page, a list or nothing says nothing about the job."""
    with pytest.raises(NotUnderstood):
        await poll(kind, httpx.Response(status, content=body))


@every_vendor
@pytest.mark.parametrize("body", [*FOREIGN.values(), None], ids=[*FOREIGN.keys(), "the vendor's error"])
@pytest.mark.parametrize("status", [408, 409, 425, 500, 502, 503, 504])
async def test_trouble_on_the_way_of_a_poll_is_unavailable(kind: type[Vendor], status: int, body: bytes | None) -> None:
    """A failing server says nothing about the job."""
    content = json.dumps(recorded(kind.name)["submit_rejected"].response["json"]).encode() if body is None else body

    with pytest.raises(Unavailable):
        await poll(kind, httpx.Response(status, content=content))


@every_vendor
async def test_a_throttled_poll_passes_the_wish_on(kind: type[Vendor]) -> None:
    """429 on a poll slows the poller and says nothing about the job."""
    with pytest.raises(Throttled) as caught:
        await poll(kind, recorded(kind.name)["submit_throttled"].answer)

    assert caught.value.retry_after == 7.0


@every_vendor
async def test_a_429_of_a_proxy_is_unavailable(kind: type[Vendor]) -> None:
    """A page instead of the vendor's words under 429 is trouble like any other."""
    with pytest.raises(Unavailable):
        await poll(kind, httpx.Response(429, text=PAGE))


@every_vendor
@pytest.mark.parametrize("case", ["submit_rejected", "submit_unauthorized"])
@pytest.mark.parametrize("status", [400, 401, 403])
async def test_an_error_is_no_job(kind: type[Vendor], status: int, case: str) -> None:
    """A refused poll never ends the job it asks about: the key may be put right, the job goes on."""
    with pytest.raises(NotUnderstood):
        await poll(kind, httpx.Response(status, json=recorded(kind.name)[case].response["json"]))


@every_vendor
@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ReadTimeout, httpx.ReadError, httpx.DecodingError])
async def test_a_dead_network_says_nothing_about_a_job(kind: type[Vendor], error: Callable[[str], Exception]) -> None:
    """A poll that got no answer is Unavailable, the same for all."""
    with pytest.raises(Unavailable):
        await poll(kind, error("gone"))


@pytest.mark.parametrize("exchange", RECORDS, ids=str)
@pytest.mark.parametrize("word", ["ABRACADABRA", "completed-ish", "", None, 5, [], {}, True])
async def test_a_word_that_is_not_documented_is_not_guessed(exchange: Exchange, word: Any) -> None:
    """A state never seen before is not understood, above all not an end."""
    body = swapped(exchange.response["json"], exchange.expect["word"], word)
    answer = httpx.Response(200, json=body)

    with pytest.raises(NotUnderstood):
        await poll(VENDORS[exchange.vendor], answer, **exchange.config)


@pytest.mark.parametrize("exchange", POLLS, ids=str)
async def test_no_field_of_another_type_breaks_a_poll(exchange: Exchange) -> None:
    """With any one value of a job's record replaced, a poll gives an observation or a VendorError, nothing else.

    Nor does a job end otherwise than the record says, unless its status word is what was replaced.
    """
    kind = VENDORS[exchange.vendor]
    word, sight = exchange.expect.get("word"), exchange.expect.get("sight")
    for body, replaced in mutated(exchange.response["json"]):
        try:
            seen = await poll(kind, httpx.Response(exchange.response["status"], text=body), **exchange.config)
        except VendorError:
            continue
        assert seen.sight not in TERMINAL or seen.sight == sight or replaced == word, body
        assert (seen.artifact is not None) == (seen.sight is Sight.SUCCEEDED), body
        assert (seen.failure is not None) == (seen.sight is Sight.FAILED), body
        assert seen.progress is None or 0 <= seen.progress <= 100, body


@pytest.mark.parametrize("exchange", [each for each in EVERY if each.asked], ids=str)
async def test_no_field_of_another_type_breaks_a_submit(exchange: Exchange) -> None:
    """With any one value of its answer replaced, a submit gives a receipt or a VendorError, nothing else."""
    kind = VENDORS[exchange.vendor]
    for body, _ in mutated(exchange.response["json"]):
        try:
            receipt = await submit(kind, httpx.Response(exchange.response["status"], text=body))
        except VendorError:
            continue
        assert receipt.vendor_task_id, body


@every_vendor
async def test_a_success_without_a_result_is_not_understood(kind: type[Vendor]) -> None:
    """No job is completed of which nobody knows where the video is."""
    exchange = recorded(kind.name)["poll_succeeded"]
    bare = without_links_and_ids(exchange.response["json"])

    with pytest.raises(NotUnderstood):
        await poll(kind, httpx.Response(200, json=bare))


# What never leaves


@every_vendor
def test_what_is_unknown_never_reaches_the_wire(kind: type[Vendor]) -> None:
    """Options that a model does not name are reported, not sent: by the engine, and by the vendor file alone."""
    vendor, _ = open_vendor(kind)
    stray = {
        "no_such_option": "stray-1",
        "input": {"base_url": "stray-2"},
        "headers": {"x": "stray-3"},
        "path": "stray-4",
    }
    asked = {**(accepted(kind).asked or {}), "options": stray}

    order = order_of(vendor, asked)
    unfiltered = replace(order, options=stray)

    assert b"stray" not in vendor.prepare(order).content
    assert b"stray" not in vendor.prepare(unfiltered).content
    reported = {adjustment.field for adjustment in order.fitted.adjustments}
    assert {"metadata.no_such_option", "metadata.headers", "metadata.path"} <= reported


@every_vendor
def test_a_picture_too_many_is_refused_before_any_call(kind: type[Vendor]) -> None:
    """No model gets more pictures than it takes, and the refusal names the field."""
    vendor, wire = open_vendor(kind)
    for name, model in vendor.models.items():
        most = max(way.pictures.most for way in model.ways)
        pictures = [{"role": "reference", "url": f"https://example.com/{n}.png"} for n in range(most + 1)]
        needed = dict.fromkeys(model.required_options, "https://example.com/x")

        with pytest.raises(InvalidRequest) as caught:
            order_of(vendor, {"model": name, "prompt": "x", "pictures": pictures, "options": needed})

        assert caught.value.param == "input_reference", name
    assert not wire.sent


@every_vendor
def test_metadata_never_changes_the_model(kind: type[Vendor]) -> None:
    """The model is the one that was checked and priced."""
    vendor, _ = open_vendor(kind)
    for options in ({"model": "dearer"}, *({group: {"model": "dearer"}} for group in kind.option_groups)):
        with pytest.raises(InvalidRequest):
            order_of(vendor, {**(accepted(kind).asked or {}), "options": options})


@every_vendor
async def test_no_text_of_ours_holds_a_credential(kind: type[Vendor]) -> None:
    """Not even where the vendor, or its network, repeats the key: in no error, no evidence, no repr."""
    keys = "; ".join(secrets(kind).values())
    echoed = f"Incorrect key provided: {keys}. See https://example.com/x?Signature=c2VjcmV0."
    answers: list[httpx.Response | Exception] = [
        httpx.Response(400, json=echoing(recorded(kind.name)["submit_rejected"], echoed)),
        httpx.Response(429, json=echoing(recorded(kind.name)["submit_throttled"], echoed)),
        httpx.Response(500, text=echoed),
        httpx.Response(200, text=echoed * 50),
        httpx.ReadError(echoed),
        httpx.ConnectError(echoed),
    ]
    told = []
    for answer in answers:
        with pytest.raises(VendorError) as caught:
            await submit(kind, answer)
        told.append(f"{caught.value} {caught.value!r} {vars(caught.value)}")
        with pytest.raises(VendorError) as caught:
            await poll(kind, answer)
        told.append(f"{caught.value} {caught.value!r} {vars(caught.value)}")
    failed = recorded(kind.name)["poll_failed"]
    told.append(repr(await poll(kind, httpx.Response(200, json=echoing(failed, echoed)))))
    vendor, _ = open_vendor(kind)
    told += [repr(each) for each in (vendor, vendor.client, vendor.config, vendor.account, vars(vendor))]
    told += [str(vendor.config), vendor.config.model_dump_json(), repr(vendor.config.model_dump())]

    for secret in (*secrets(kind).values(), "c2VjcmV0"):
        assert not [text for text in told if secret in text]


@every_vendor
async def test_a_request_holds_the_credential_only_on_the_wire(kind: type[Vendor]) -> None:
    """A prepared request may be logged; the one that leaves proves who we are."""
    vendor, wire = open_vendor(kind, accepted(kind).answer)
    prepared = vendor.prepare(order_of(vendor, accepted(kind).asked or {}))

    await vendor.submit(prepared)

    assert not [secret for secret in secrets(kind).values() if secret in repr(prepared)]
    assert dict(vendor.authorize(prepared)).items() <= dict(wire.sent[0].headers).items()


@every_vendor
@pytest.mark.parametrize(
    "url",
    [
        "https://cdn.example.com/v.mp4",
        "https://api.vendor.test.example.com/v.mp4",
        "https://api.vendor.test@example.com/v.mp4",
        "https://api.vendor.test:8443/v.mp4",
        "http://api.vendor.test/v.mp4",
        "https://vendor.test/v.mp4",
    ],
)
def test_no_credential_goes_to_another_host(kind: type[Vendor], url: str) -> None:
    """A result's link is the vendor's choice; a key travels to the vendor's own origin alone."""
    assert opened(kind, url) == (url, {}, "https://api.vendor.test:443")


@every_vendor
@pytest.mark.parametrize("url", [f"{BASE}/v.mp4", "https://API.vendor.test:443/v.mp4", "/jobs/1/content"])
def test_the_vendors_own_origin_gets_the_credential(kind: type[Vendor], url: str) -> None:
    """Where the vendor itself serves the result, it knows us; a path is below the base URL."""
    absolute = url if "://" in url else BASE + url
    vendor, _ = open_vendor(kind)

    headers = dict(vendor.authorize(Prepared("GET", absolute, {}, b"")))

    assert headers
    assert opened(kind, url) == (absolute, headers, "https://api.vendor.test:443")


@every_vendor
@pytest.mark.parametrize("url", ["https://example.com:port/v.mp4", "https://[::1/v.mp4"])
def test_a_link_that_is_none_is_unavailable(kind: type[Vendor], url: str) -> None:
    """A link that cannot be read ends in our own error."""
    with pytest.raises(Unavailable):
        opened(kind, url)


# The facts


@every_vendor
def test_the_facts_of_every_model_are_whole(kind: type[Vendor]) -> None:
    """Names agree, something can be made, what is required is known, and the page is named."""
    vendor, _ = open_vendor(kind)
    assert vendor.models
    for name, model in ((name, way) for name, offered in vendor.models.items() for way in offered.ways):
        assert model.name == name
        assert model.required_options <= model.options, name
        assert not model.options & kind.picture_options.keys(), name
        assert model.usual_seconds > 0
        assert model.source.startswith("https://"), name
        assert all(0 <= least <= most for least, most in model.pictures.counts.values()), name
        match model.frames:
            case FrameTable() as table:
                assert table.all(), name
            case PictureFrames(tiers):
                assert tiers, name
        match model.lengths:
            case Choices(allowed):
                assert allowed, name
                assert min(allowed) > 0, name
            case Span(least, most):
                assert 0 < least <= most, name
            case TierLengths(by_tier):
                assert isinstance(model.frames, FrameTable | PictureFrames), name
                assert by_tier.keys() == set(model.frames.tiers), name
    for offered in vendor.models.values():
        assert len({way.way for way in offered.ways}) == len(offered.ways), offered.name


@every_vendor
def test_the_settings_need_a_credential_and_a_sane_host(kind: type[Vendor]) -> None:
    """A vendor is off until its credentials are set, and its own host is spoken to in TLS."""
    fields = kind.Config.model_fields

    assert secrets(kind)
    with pytest.raises(ValidationError):
        kind.Config.model_validate({})
    assert str(fields["base_url"].default).startswith("https://")


# Helpers


def opened(kind: type[Vendor], url: str) -> tuple[str, dict[str, str], str]:
    """What the opener is given for a result's link."""
    vendor, _ = open_vendor(kind)
    vendor.open(Artifact(url))
    opener = vendor.client._opener
    assert isinstance(opener, Opened)
    (call,) = opener.calls
    return call


def swapped(body: Any, old: Any, new: Any) -> Any:
    """The body with every value that is `old` replaced; `gone` takes it out."""
    found = _swap(body, old, new)
    assert found != body, f"{old!r} is nowhere in the recorded answer"
    return found


def _swap(body: Any, old: Any, new: Any) -> Any:
    if isinstance(body, dict):
        kept = {key: value for key, value in body.items() if not (new == "gone" and value == old)}
        return {key: _swap(value, old, new) for key, value in kept.items()}
    # A word may be a number on the wire: some vendors say it with a code.
    return new if type(body) in (str, int) and str(body) == old else body


def mutated(body: Any) -> Iterator[tuple[str, Any]]:
    """The body with one value replaced, in every place and by everything that JSON has; and the value replaced."""
    junk = [None, True, 0, -1, 1.5, 10**400, float("inf"), "", "x", "http://", [], [None], {}, {"a": 1}]
    for path in _paths(body):
        for value in junk:
            copy = deepcopy(body)
            node = copy
            for step in path[:-1]:
                node = node[step]
            old, node[path[-1]] = node[path[-1]], value
            yield json.dumps(copy), old


def _paths(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (*above, key)
        yield from _paths(value[key], (*above, key))


def without_links_and_ids(body: Any) -> Any:
    """The body without anything that could lead to the result."""
    if isinstance(body, dict):
        return {
            key: without_links_and_ids(value) for key, value in body.items() if "id" not in key and "url" not in key
        }
    return [without_links_and_ids(each) for each in body] if isinstance(body, list) else body


def echoing(exchange: Exchange, words: str) -> Any:
    """The recorded answer with its message replaced."""
    expected = exchange.expect.get("refused") or exchange.expect.get("failure")
    message = expected["vendor_message"] if expected else None
    body = exchange.response["json"]
    return _swap(body, message or _message(body), words)


def _message(body: Any) -> str:
    """The words in an answer; empty where a failed job's record has none but a code."""
    inner = (_message(each) for each in body.values() if isinstance(each, dict))
    return str(body.get("message") or next(inner, ""))

"""Videos made from videos, and characters: who can, who is told what, in the words of the vendors' own pages.

Written out once more from https://platform.openai.com/docs/api-reference/videos,
https://app.klingai.com/cn/dev/document-api (video-extend), https://platform.vidu.com/docs/video-extension and
https://help.aliyun.com/zh/model-studio/ (wan2.7-videoedit), read 2026-11-23.
"""

import json
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from contract.replay import VENDORS, Exchange, open_vendor, order_of, recorded, shown
from contract.test_vendor import FOREIGN
from videogate.engine.characters import Characters
from videogate.task.errors import (
    Busy,
    CharacterNotFound,
    FailureCode,
    InvalidRequest,
    Refused,
    Throttled,
    VendorError,
)
from videogate.task.model import Character, Fit
from videogate.vendorkit.client import FilePart
from videogate.vendorkit.facts import Told

SORA = ("sora-2", "sora-2-pro", "sora-2-2025-10-06", "sora-2-2025-12-08", "sora-2-pro-2025-10-06")
# Vendor, model, what it makes of a video, how it is told which, whether of another model's too, whether of a file.
ABLE = {
    *(("sora", name, "remix", "job", False, False) for name in SORA),
    *(("sora", name, rework, "job", False, True) for name in SORA for rework in ("edit", "extend")),
    *(("kling", name, "extend", "result", False, False) for name in ("kling-v1", "kling-v1-5", "kling-v1-6")),
    *(("vidu", name, "extend", "result", True, False) for name in ("viduq2-pro", "viduq2-turbo")),
    ("wanxiang", "wan2.7-videoedit", "edit", "link", False, False),
}
EVERY = [exchange for name in VENDORS for exchange in recorded(name).values() if (exchange.asked or {}).get("source")]
FILM = FilePart("video.mp4", b"\0\0\0\x18ftypisom", "video/mp4")
MADE = {"id": "char_1", "name": "Bob", "created_at": 1795431200}
JOB = {"rework": "remix", "size": "1280x720", "seconds": "8", "receipt": "job-1"}


def body_of(vendor: str, asked: dict[str, Any]) -> dict[str, Any]:
    """The JSON that leaves for a request."""
    opened, _ = open_vendor(VENDORS[vendor])
    return dict(opened.submit_call(order_of(opened, {"prompt": "x", **asked})).json)


def test_who_makes_what_of_a_video() -> None:
    """No model is missing that its page says can, and none is invented."""
    found = set()
    for name, kind in VENDORS.items():
        vendor, _ = open_vendor(kind)
        for model in vendor.models.values():
            rules = [way.from_video for way in model.ways if way.from_video]
            found |= {(name, model.name, each.rework, each.told, each.any_model, each.as_file) for each in rules}

    assert found == ABLE


@pytest.mark.parametrize(("vendor", "model", "rework"), sorted({each[:3] for each in ABLE}))
def test_each_is_on_record(vendor: str, model: str, rework: str) -> None:
    """Nobody makes anything of a video on hope: each vendor has an exchange for each thing that it makes."""
    assert [each for each in EVERY if each.vendor == vendor and (each.asked or {})["source"]["rework"] == rework]


@pytest.mark.parametrize("exchange", [each for each in EVERY if "link" not in (each.asked or {})["source"]], ids=str)
async def test_no_id_of_ours_leaves(exchange: Exchange) -> None:
    """A vendor is told its own id of the video, never ours."""
    kind = VENDORS[exchange.vendor]
    vendor, wire = open_vendor(kind, exchange.answer, **exchange.config)
    order = order_of(vendor, exchange.asked or {})
    with suppress(Refused):
        await vendor.submit(vendor.prepare(order))
    sent = wire.sent[0].content + wire.sent[0].url.raw_path
    source, rule = order.source, order.model.from_video

    assert source is not None
    assert rule is not None
    told = source.job if rule.told is Told.JOB else source.result or ""
    assert told.encode() in sent
    assert b"video_1" not in sent


@pytest.mark.parametrize("flavour", ["vllm", "sglang"])
def test_servers_without_these_routes_offer_nothing(flavour: str) -> None:
    """Two servers of the format make videos from nothing but words and pictures, and keep no characters."""
    vendor, _ = open_vendor(VENDORS["sora"], flavour=flavour)

    assert not [way for model in vendor.models.values() for way in model.ways if way.from_video]
    assert not vendor.characters
    assert not [model for model in vendor.models.values() if "characters" in model.options]


# Sizes and lengths


@pytest.mark.parametrize(
    ("vendor", "asked", "size", "seconds", "added"),
    [
        ("sora", {"model": "sora-2", "source": JOB}, "1280x720", "8", None),
        ("sora", {"model": "sora-2", "source": {**JOB, "rework": "edit"}}, "1280x720", "8", None),
        ("sora", {"model": "sora-2", "seconds": "12", "source": {**JOB, "rework": "extend"}}, "1280x720", "20", "12"),
        ("sora", {"model": "sora-2", "source": {**JOB, "rework": "extend", "seconds": "5.1"}}, "1280x720", "9.1", "4"),
        ("kling", {"model": "kling-v1", "source": {**JOB, "rework": "extend"}}, "1280x720", "13", "5"),
        ("vidu", {"model": "viduq2-pro", "source": {**JOB, "rework": "extend"}}, "1280x720", "12", "4"),
        (
            "vidu",
            {"model": "viduq2-pro", "resolution": "1080P", "source": {**JOB, "rework": "extend"}},
            "1920x1080",
            "12",
            "4",
        ),
        ("wanxiang", {"model": "wan2.7-videoedit", "source": {**JOB, "rework": "edit"}}, "1280x720", "8", None),
    ],
)
def test_what_is_told_of_the_video_to_come(
    vendor: str, asked: dict[str, Any], size: str, seconds: str, added: str | None
) -> None:
    """It has its source's size and length; an extension is as long as its source and what is added together."""
    opened, _ = open_vendor(VENDORS[vendor])
    fitted = order_of(opened, {"prompt": "x", **asked}).fitted

    assert (fitted.size, fitted.seconds, fitted.added, fitted.adjustments) == (size, seconds, added, ())


@pytest.mark.parametrize(
    ("words", "field"),
    [({"size": "720x1280"}, "size"), ({"aspect_ratio": "1:1"}, "aspect_ratio"), ({"seconds": "4"}, "seconds")],
)
def test_what_a_remix_cannot_change_is_reported(words: dict[str, str], field: str) -> None:
    """A size or length beside the source's own is not sent; it is reported, and refused under `strict`."""
    opened, _ = open_vendor(VENDORS["sora"])
    asked = {"model": "sora-2", "prompt": "x", "source": JOB, **words}

    assert [each.field for each in order_of(opened, asked).fitted.adjustments] == [field]
    assert body_of("sora", asked) == {"prompt": "x"}
    with pytest.raises(InvalidRequest) as caught:
        order_of(opened, {**asked, "fit": Fit.STRICT})
    assert caught.value.param == field


def test_the_sources_own_size_in_other_words_is_no_change() -> None:
    """`720P`, `1280*720` and `16:9` of a source that has them are what is made."""
    opened, _ = open_vendor(VENDORS["sora"])
    for words in ({"size": "720P"}, {"size": "1280*720"}, {"resolution": "720P", "aspect_ratio": "16:9"}):
        asked = {"model": "sora-2", "prompt": "x", "source": JOB, "seconds": "8", **words}
        assert not order_of(opened, asked).fitted.adjustments


def test_an_extension_goes_on_as_its_source_was_made() -> None:
    """Kling's takes no model, mode, length or shape; Vidu's no option of a new video's."""
    source = {**JOB, "rework": "extend", "handle": {"result": "v-1"}}
    options = {"seed": 1, "sound": "on", "audio": True, "bgm": True, "watermark": True, "mode": "pro", "style": "anime"}

    assert body_of("kling", {"model": "kling-v1", "source": source, "options": options}).keys() == {
        "external_task_id",
        "video_id",
        "prompt",
    }
    del options["mode"]
    assert body_of("vidu", {"model": "viduq2-pro", "source": source, "options": options}).keys() == {
        "model",
        "duration",
        "video_creation_id",
        "resolution",
        "payload",
        "prompt",
    }


def test_a_request_without_a_video_has_no_way_of_one() -> None:
    """Whoever names no video gets a plain one, and one cannot ask for the other by `metadata.action`."""
    opened, _ = open_vendor(VENDORS["kling"])
    with pytest.raises(InvalidRequest, match=r"one of text, image, frames\.$"):
        order_of(opened, {"model": "kling-v1", "prompt": "x", "options": {"action": "extend"}})
    for name, kind in VENDORS.items():
        vendor, _ = open_vendor(kind)
        for model in vendor.models.values():
            assert model.ways_to(None), name


# Characters


@pytest.mark.parametrize("flavour", ["openai", "gateway"])
async def test_a_character_is_made_and_found(flavour: str) -> None:
    """A name and a film go up as a form; what comes back is id, name and time."""
    vendor, wire = open_vendor(
        VENDORS["sora"], httpx.Response(200, json=MADE), httpx.Response(200, json=MADE), flavour=flavour
    )

    assert await vendor.make_character("Bob", FILM) == Character("char_1", "Bob", 1795431200)
    assert await vendor.find_character("char/1") == Character("char_1", "Bob", 1795431200)
    made, found = (shown(request, VENDORS["sora"]) for request in wire.sent)
    assert (made["method"], made["path"], made["form"]) == ("POST", "/videos/characters", {"name": "Bob"})
    assert [(each["field"], each["mime"]) for each in made["files"]] == [("video", "video/mp4")]
    assert (found["method"], found["path"]) == ("GET", "/videos/characters/char%2F1")


@pytest.mark.parametrize("body", [*FOREIGN.values(), b'{"id": "char_1"}', b'{"id": "", "created_at": 1}'])
@pytest.mark.parametrize("status", [200, 404, 502])
async def test_what_is_no_character_is_none(status: int, body: bytes) -> None:
    """An answer that is not the documented one says nothing of a character."""
    vendor, _ = open_vendor(VENDORS["sora"], httpx.Response(status, content=body))

    with pytest.raises(VendorError):
        await vendor.find_character("char_1")


async def test_a_refused_character_has_the_upstreams_words() -> None:
    """Refusal and throttling are told apart, in the upstream's own words."""
    rejected, throttled = (recorded("sora")[case].answer for case in ("submit_rejected", "submit_throttled"))
    vendor, _ = open_vendor(VENDORS["sora"], rejected, throttled, httpx.Response(404, json=_error("gone")))

    with pytest.raises(Refused) as refused:
        await vendor.make_character("Bob", FILM)
    assert refused.value.failure.vendor_message
    with pytest.raises(Throttled):
        await vendor.make_character("Bob", FILM)
    with pytest.raises(Refused) as gone:
        await vendor.find_character("char_1")
    assert gone.value.failure.code is FailureCode.MODEL_UNAVAILABLE


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(404, json={"error": {"message": "gone"}}), CharacterNotFound),
        (httpx.Response(401, json={"error": {"message": "key"}}), Busy),
        (httpx.Response(429, json={"error": {"message": "slow", "code": "rate_limit_exceeded"}}), Busy),
        (httpx.Response(500, text="oops"), Busy),
        (httpx.Response(200, text="oops"), Busy),
        (httpx.ConnectError("away"), Busy),
    ],
)
async def test_what_callers_read_when_a_character_cannot_be_had(
    answer: httpx.Response | Exception, error: type[Exception]
) -> None:
    """Only the upstream's own 404 is one; whatever says nothing about the character is a 503 to try again."""
    vendor, _ = open_vendor(VENDORS["sora"], httpx.Response(200, json=MADE), answer)
    shop: Any = SimpleNamespace(vendors={"sora": vendor})
    characters = Characters(shop, b"secret")
    made = await characters.make("alice", "Bob", FILM.content)

    with pytest.raises(error):
        await characters.get("alice", made.id)


async def test_characters_beside_a_picture_are_json_text() -> None:
    """With a file the request is a form, and nested values in a form are JSON text."""
    options = {"characters": [{"id": "char_1"}]}
    picture = {"role": "reference", "file": {"mime": "image/png", "frame": "720x1280", "base64": "iVBORw0KGgo="}}
    vendor, wire = open_vendor(VENDORS["sora"], httpx.Response(200, json={"id": "video_1"}))
    asked = {"model": "sora-2", "prompt": "x", "options": options, "pictures": [picture]}
    await vendor.submit(vendor.prepare(order_of(vendor, asked)))

    form = shown(wire.sent[0], VENDORS["sora"])["form"]
    assert json.loads(form["characters"]) == options["characters"]


def _error(message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}

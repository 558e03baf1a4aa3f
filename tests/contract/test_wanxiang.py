"""Every Wanxiang model says size, length, pictures and options where its own page wants them.

The expectations are written out here once more, from https://help.aliyun.com/zh/model-studio/text-to-video-api-reference
and its sister pages (read 2026-11-23): a slip in the vendor's tables must not hide in the tests.
"""

import json
from typing import Any

import pytest

from contract.replay import VENDORS, open_vendor, order_of
from videogate.task.errors import InvalidRequest
from videogate.task.model import Fit
from videogate.vendorkit.client import Reply
from videogate.vendorkit.contract import Vendor
from videogate.vendorkit.facts import Choices, OpenLength, Span

GENERATION = "/services/aigc/video-generation/video-synthesis"
IMAGE2VIDEO = "/services/aigc/image2video/video-synthesis"

P480 = ["832*480", "480*832", "624*624"]
P720 = ["1280*720", "720*1280", "960*960", "1088*832", "832*1088"]
P1080 = ["1920*1080", "1080*1920", "1440*1440", "1632*1248", "1248*1632"]
RATIOS = ["16:9", "9:16", "1:1", "4:3", "3:4"]
TO_15, TO_10 = list(range(2, 16)), list(range(2, 11))

# Model: how its size is said, what sizes or tiers it takes, the lengths it takes ([] where none is sent).
TEXT: dict[str, tuple[list[str], list[int]]] = {
    "wan2.6-t2v": (P720 + P1080, TO_15),
    "wan2.6-t2v-us": (P720 + P1080, [5, 10]),
    "wan2.5-t2v-preview": (P480 + P720 + P1080, [5, 10]),
    "wan2.2-t2v-plus": (P480 + P1080, []),
    "wanx2.1-t2v-turbo": (P480 + P720, []),
    "wan2.1-t2v-turbo": (P480 + P720, []),
    "wanx2.1-t2v-plus": (P720, []),
    "wan2.1-t2v-plus": (P720, []),
    "wan2.6-r2v": (P720 + P1080, TO_10),
    "wan2.6-r2v-flash": (P720 + P1080, TO_10),
}
PICTURE: dict[str, tuple[list[str], list[int]]] = {
    "wan2.7-i2v": (["720P", "1080P"], TO_15),
    "wan2.7-i2v-2026-04-25": (["720P", "1080P"], TO_15),
    "wan2.6-i2v": (["720P", "1080P"], TO_15),
    "wan2.6-i2v-flash": (["720P", "1080P"], TO_15),
    "wan2.6-i2v-us": (["720P", "1080P"], [5, 10, 15]),
    "wan2.5-i2v-preview": (["480P", "720P", "1080P"], [5, 10]),
    "wan2.2-i2v-flash": (["480P", "720P", "1080P"], []),
    "wan2.2-i2v-plus": (["480P", "1080P"], []),
    "wanx2.1-i2v-plus": (["720P"], []),
    "wan2.1-i2v-plus": (["720P"], []),
    "wanx2.1-i2v-turbo": (["480P", "720P"], [3, 4, 5]),
    "wan2.1-i2v-turbo": (["480P", "720P"], [3, 4, 5]),
    "wan2.2-kf2v-flash": (["480P", "720P", "1080P"], []),
    "wanx2.1-kf2v-plus": (["720P"], []),
    "wan2.1-kf2v-plus": (["720P"], []),
    "wan2.2-s2v": (["480P", "720P"], []),
    "wan2.7-videoedit": (["720P", "1080P"], []),
}
RATIO: dict[str, list[int]] = {
    "wan2.7-t2v": TO_15,
    "wan2.7-t2v-2026-04-25": TO_15,
    "wan2.7-t2v-2026-06-12": TO_15,
    "wan2.7-r2v": TO_10,
}
ON_IMAGE2VIDEO = {"wan2.2-kf2v-flash", "wanx2.1-kf2v-plus", "wan2.1-kf2v-plus", "wan2.2-s2v"}
# The field of `input` in which a model wants its (first) picture; "media" is the list of 2.7.
FIELDS = {
    **{name: "img_url" for name in PICTURE if "-i2v" in name and "2.7" not in name},
    **{name: "first_frame_url" for name in PICTURE if "-kf2v" in name},
    "wan2.2-s2v": "image_url",
    "wan2.6-r2v": "reference_urls",
    "wan2.6-r2v-flash": "reference_urls",
    "wan2.7-i2v": "media",
    "wan2.7-i2v-2026-04-25": "media",
    "wan2.7-r2v": "media",
    "wan2.7-videoedit": "media",
}
# Values for options, their place, and the form in which the page wants them.
OPTIONS: dict[str, tuple[str, Any, Any]] = {
    "negative_prompt": ("input", "blurry", "blurry"),
    "audio_url": ("input", "https://example.com/a.mp3", "https://example.com/a.mp3"),
    "template": ("input", "flying", "flying"),
    "reference_urls": ("input", "https://example.com/r.mp4", ["https://example.com/r.mp4"]),
    "prompt_extend": ("parameters", "false", False),
    "watermark": ("parameters", "true", True),
    "seed": ("parameters", "5", 5),
    "shot_type": ("parameters", "multi", "multi"),
    "audio": ("parameters", "1", True),
    "audio_setting": ("parameters", "origin", "origin"),
}
MEDIA = {"audio_url": "driving_audio", "video_url": "first_clip"}

LINK = "https://example.com/1.png"


@pytest.fixture
def vendor() -> Vendor:
    return open_vendor(VENDORS["wanxiang"])[0]


def sent(vendor: Vendor, name: str, *, picture: bool = True, **asked: Any) -> tuple[str, dict[str, Any]]:
    """Path and body of a request for a model, with the least that the model needs beside what is asked."""
    model = vendor.models[name]
    takes = picture and model.pictures.most
    needed = {key: f"https://example.com/{key}" for key in model.required_options}
    least = {"pictures": [{"role": "reference", "url": LINK}]} if takes else {}
    options = {**needed, **asked.pop("options", {})}
    order = order_of(
        vendor, {"model": name, "prompt": "a cat", "fit": Fit.STRICT, **least, **asked, "options": options}
    )
    call = vendor.submit_call(order)
    assert set(call.json) == {"model", "input", "parameters"}
    assert call.json["model"] == name
    json.dumps(call.json, allow_nan=False)
    return call.path, call.json


def test_the_models_are_those_of_the_pages(vendor: Vendor) -> None:
    """No model is missing, none is invented."""
    assert vendor.models.keys() == {*TEXT, *PICTURE, *RATIO}


@pytest.mark.parametrize("name", [*TEXT, *PICTURE, *RATIO])
def test_a_model_is_asked_on_its_own_path(vendor: Vendor, name: str) -> None:
    """First-and-last-frame and speech have a path of their own."""
    path, _ = sent(vendor, name)

    assert path == (IMAGE2VIDEO if name in ON_IMAGE2VIDEO else GENERATION)


@pytest.mark.parametrize("name", TEXT)
def test_a_size_is_sent_as_w_times_h(vendor: Vendor, name: str) -> None:
    """Every documented size is sent exactly, with an asterisk, and no other way of saying it beside it."""
    sizes, _ = TEXT[name]
    made = [sent(vendor, name, size=size)[1]["parameters"] for size in sizes]

    assert [each["size"] for each in made] == sizes
    assert not [each for each in made if {"resolution", "ratio"} & each.keys()]
    assert sorted(str(frame).replace("x", "*") for frame in vendor.models[name].frames.all()) == sorted(sizes)  # type: ignore[union-attr]


@pytest.mark.parametrize("name", PICTURE)
def test_a_resolution_is_sent_where_the_input_gives_the_shape(vendor: Vendor, name: str) -> None:
    """Every documented tier is sent in capitals, and neither size nor ratio."""
    tiers, _ = PICTURE[name]
    made = [sent(vendor, name, resolution=tier.lower())[1]["parameters"] for tier in tiers]

    assert [each["resolution"] for each in made] == tiers
    assert not [each for each in made if {"size", "ratio"} & each.keys()]
    assert [f"{tier}P" for tier in vendor.models[name].frames.tiers] == tiers  # type: ignore[union-attr]


@pytest.mark.parametrize("name", RATIO)
@pytest.mark.parametrize("tier", ["720P", "1080P"])
def test_27_is_told_resolution_and_ratio(vendor: Vendor, name: str, tier: str) -> None:
    """2.7 knows no `size`: every ratio of both tiers is said in two fields."""
    made = [sent(vendor, name, resolution=tier, aspect_ratio=ratio)[1]["parameters"] for ratio in RATIOS]

    assert [(each["resolution"], each["ratio"]) for each in made] == [(tier, ratio) for ratio in RATIOS]
    assert not [each for each in made if "size" in each]


def test_27_has_frames_of_its_own(vendor: Vendor) -> None:
    """4:3 differs from the older models' by a few pixels, and callers are told so."""
    for size, resolution in (("1104x832", "720P"), ("1248x1648", "1080P")):
        _, body = sent(vendor, "wan2.7-t2v", size=size)

        assert body["parameters"]["resolution"] == resolution
    with pytest.raises(InvalidRequest):
        sent(vendor, "wan2.7-t2v", size="1088x832")


@pytest.mark.parametrize("name", [*TEXT, *PICTURE, *RATIO])
def test_a_length_is_sent_where_the_model_has_a_choice(vendor: Vendor, name: str) -> None:
    """Every documented length is sent as a number; models with one length, or with none, are sent none."""
    lengths = RATIO[name] if name in RATIO else {**TEXT, **PICTURE}[name][1]
    rule = vendor.models[name].lengths
    made = [sent(vendor, name, seconds=str(each))[1]["parameters"]["duration"] for each in lengths]

    assert made == lengths
    match rule:
        case OpenLength() | Choices((5,)):
            assert not lengths
            assert "duration" not in sent(vendor, name)[1]["parameters"]
        case Choices(allowed):
            assert list(allowed) == lengths
        case Span(least, most):
            assert list(range(least, most + 1)) == lengths


def test_an_edited_film_is_cut_only_if_asked(vendor: Vendor) -> None:
    """Without a length the film keeps its own; speech never has one to ask for."""
    assert "duration" not in sent(vendor, "wan2.7-videoedit")[1]["parameters"]
    assert sent(vendor, "wan2.7-videoedit", seconds="7")[1]["parameters"]["duration"] == 7
    assert "duration" not in sent(vendor, "wan2.2-s2v", seconds="7")[1]["parameters"]


@pytest.mark.parametrize("name", FIELDS)
def test_a_picture_goes_to_the_models_own_field(vendor: Vendor, name: str) -> None:
    """The link is passed on as it is, in the one field that the model reads."""
    _, body = sent(vendor, name)
    given, field = body["input"], FIELDS[name]

    kind = "first_frame" if "i2v" in name else "reference_image"
    film = [{"type": "video", "url": "https://example.com/video_url"}] if name == "wan2.7-videoedit" else []
    held = {"media": [{"type": kind, "url": LINK}, *film], "reference_urls": [LINK]}
    assert given[field] == held.get(field, LINK)
    pictures = {"img_url", "image_url", "first_frame_url", "last_frame_url", "reference_urls", "media", "video_url"}
    assert set(given) - {"prompt", "audio_url"} == {field} & pictures


@pytest.mark.parametrize("name", sorted({*TEXT, *RATIO} - set(FIELDS)))
def test_text_to_video_takes_no_picture(vendor: Vendor, name: str) -> None:
    """A picture for a model that takes none is refused, with models that do."""
    with pytest.raises(InvalidRequest, match=r"takes no picture.*i2v"):
        sent(vendor, name, pictures=[{"role": "reference", "url": LINK}])


@pytest.mark.parametrize("name", [*TEXT, *PICTURE, *RATIO])
def test_every_option_goes_to_its_place_in_its_type(vendor: Vendor, name: str) -> None:
    """What a form can only say as text is sent in the documented type, in `input` or `parameters`."""
    for option in sorted(vendor.models[name].options - {"media", "video_url"}):
        place, text, value = OPTIONS[option]
        _, body = sent(vendor, name, picture=option != "reference_urls", options={option: text})

        if option in MEDIA and "media" in vendor.models[name].options:
            assert {"type": MEDIA[option], "url": value} in body["input"]["media"]
        else:
            assert body[place][option] == value
        elsewhere = "input" if place == "parameters" else "parameters"
        assert option not in body[elsewhere]


@pytest.mark.parametrize("name", [*TEXT, *PICTURE, *RATIO])
def test_an_empty_option_is_not_sent(vendor: Vendor, name: str) -> None:
    """An explicit null or an empty value means that nothing is asked for."""
    model = vendor.models[name]
    plain = sent(vendor, name)
    empties: list[Any] = [None, "", [], {}]
    for empty in empties:
        options = dict.fromkeys(sorted(model.options - model.required_options), empty)

        assert sent(vendor, name, options=options) == plain


def test_nothing_is_sent_that_was_not_asked_for(vendor: Vendor) -> None:
    """The vendor's own defaults stay the vendor's."""
    _, body = sent(vendor, "wan2.5-t2v-preview", size="832x480", seconds="5")

    assert body == {
        "model": "wan2.5-t2v-preview",
        "input": {"prompt": "a cat"},
        "parameters": {"size": "832*480", "duration": 5},
    }


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("seed", "abc"),
        ("seed", 1.5),
        ("seed", True),
        ("seed", [1]),
        ("seed", float("inf")),
        ("watermark", "maybe"),
        ("watermark", 2),
        ("prompt_extend", {"on": True}),
        ("negative_prompt", 5),
        ("audio_url", ["https://example.com/a.mp3"]),
    ],
)
def test_an_option_of_the_wrong_type_is_named(vendor: Vendor, option: str, value: Any) -> None:
    """The caller reads which option is wrong, in its own words."""
    with pytest.raises(InvalidRequest) as caught:
        sent(vendor, "wan2.5-t2v-preview", options={option: value})

    assert caught.value.param == f"metadata.{option}"
    assert option in caught.value.message


@pytest.mark.parametrize("value", ["[nonsense", [5], ["https://example.com/a.png"], "https://example.com/a.png", 7])
def test_media_must_be_objects(vendor: Vendor, value: Any) -> None:
    """A list of something else is refused by name."""
    with pytest.raises(InvalidRequest) as caught:
        sent(vendor, "wan2.7-i2v", options={"media": value})

    assert caught.value.param == "metadata.media"


def test_media_may_come_as_the_text_of_a_list(vendor: Vendor) -> None:
    """Forms say lists as JSON; a film needs no picture beside it."""
    media = [{"type": "first_clip", "url": "https://example.com/c.mp4"}]

    _, body = sent(vendor, "wan2.7-i2v", picture=False, options={"media": json.dumps(media)})
    _, short = sent(vendor, "wan2.7-i2v", picture=False, options={"video_url": media[0]["url"]})

    assert body["input"]["media"] == short["input"]["media"] == media


@pytest.mark.parametrize("name", ["wan2.7-i2v", "wan2.7-r2v", "wan2.6-r2v"])
def test_a_model_that_needs_some_input_is_not_asked_without(vendor: Vendor, name: str) -> None:
    """Where a picture or a film will do, neither is an error of the caller."""
    with pytest.raises(InvalidRequest) as caught:
        sent(vendor, name, picture=False)

    assert caught.value.param == "input_reference"


@pytest.mark.parametrize(("name", "option"), [("wan2.2-s2v", "audio_url"), ("wan2.7-videoedit", "video_url")])
def test_a_required_option_is_asked_for(vendor: Vendor, name: str, option: str) -> None:
    """Speech needs a sound, an edit a film: the caller is told before anything is sent."""
    with pytest.raises(InvalidRequest) as caught:
        order_of(vendor, {"model": name, "prompt": "x", "pictures": [{"role": "reference", "url": LINK}]})

    assert caught.value.param == f"metadata.{option}"


def test_speech_is_sent_no_prompt(vendor: Vendor) -> None:
    """The model reads none."""
    assert "prompt" not in sent(vendor, "wan2.2-s2v")[1]["input"]


@pytest.mark.parametrize("name", ["wan2.2-s2v", "wan2.6-r2v"])
def test_models_that_take_no_data_url_are_given_none(vendor: Vendor, name: str) -> None:
    """Their pages want links alone: a file is refused with that reason."""
    file = {"role": "reference", "file": {"mime": "image/png", "frame": "800x800", "base64": "iVBORw0KGgo="}}

    with pytest.raises(InvalidRequest, match="public link"):
        sent(vendor, name, pictures=[file])


def test_a_file_becomes_a_data_url_of_its_own_type(vendor: Vendor) -> None:
    """All four documented types are taken, bitmaps among them."""
    for mime in ("image/jpeg", "image/png", "image/bmp", "image/webp"):
        file = {"role": "reference", "file": {"mime": mime, "frame": "800x800", "base64": "iVBORw0KGgo="}}

        _, body = sent(vendor, "wan2.5-i2v-preview", pictures=[file])

        assert body["input"]["img_url"] == f"data:{mime};base64,iVBORw0KGgo="


@pytest.mark.parametrize(
    ("name", "asked", "resolved"),
    [
        ("wan2.5-t2v-preview", {}, False),
        ("wan2.5-t2v-preview", {"options": {"audio_url": "oss://k/a.mp3"}}, True),
        ("wan2.5-t2v-preview", {"prompt": "a cat at https://example.com/?x=oss://"}, False),
        ("wan2.5-i2v-preview", {"pictures": [{"role": "reference", "url": "oss://k/a.png"}]}, True),
        ("wan2.7-i2v", {"pictures": [{"role": "reference", "url": "oss://k/a.png"}]}, True),
        ("wan2.6-r2v", {"options": {"reference_urls": ["https://example.com/1.mp4", "oss://k/2.mp4"]}}, True),
    ],
)
def test_uploads_are_resolved_when_there_are_any(
    vendor: Vendor, name: str, asked: dict[str, Any], resolved: bool
) -> None:
    """The header that makes the vendor read `oss://` links is sent exactly with such a link, wherever it stands."""
    call = vendor.submit_call(order_of(vendor, {"model": name, "prompt": "a cat", **asked}))

    assert call.headers["x-dashscope-async"] == "enable"
    assert ("x-dashscope-ossresourceresolve" in call.headers) is resolved


@pytest.mark.parametrize(
    ("status", "code", "message", "ours", "later"),
    [
        (400, "DataInspectionFailed", "Output data may…", "moderation_blocked", False),
        (400, "IPInfringementSuspect", "", "moderation_blocked", False),
        (400, "CustomRoleBlocked", "", "moderation_blocked", False),
        (400, "FaqRuleBlocked", "", "moderation_blocked", False),
        (400, "InvalidParameter", "x does not comply with green network verification.", "moderation_blocked", False),
        (400, "InvalidParameter", "download image failed", "input_unreadable", False),
        (400, "InvalidParameter.DataInspection", "Unable to download the media resource", "input_unreadable", False),
        (400, "InvalidURL.ConnectionRefused", "", "input_unreadable", False),
        (400, "InvalidParameter", "url error, please check url！", "invalid_request", False),
        (400, "InvalidImage.NoHumanFace", "", "invalid_request", False),
        (400, "BadRequest.TooLarge", "", "invalid_request", False),
        (400, "Arrearage", "", "insufficient_balance", False),
        (401, "InvalidApiKey", "", "vendor_credentials_refused", False),
        (401, "NOT AUTHORIZED", "", "vendor_credentials_refused", False),
        (
            403,
            "AccessDenied",
            "current user api does not support synchronous calls.",
            "vendor_credentials_refused",
            False,
        ),
        (403, "AccessDenied.Unpurchased", "", "vendor_credentials_refused", False),
        (403, "Workspace.AccessDenied", "", "vendor_credentials_refused", False),
        (404, "WorkSpaceNotFound", "", "vendor_credentials_refused", False),
        (403, "Model.AccessDenied", "", "model_unavailable", False),
        (403, "Endpoint.AccessDenied", "", "model_unavailable", False),
        (404, "ModelNotFound", "", "model_unavailable", False),
        (403, "AllocationQuota.FreeTierOnly", "", "insufficient_balance", False),
        (429, "Throttling", "", "rate_limited", True),
        (429, "Throttling.BurstRate", "", "rate_limited", True),
        (429, "Throttling.AllocationQuota", "Allocated quota exceeded", "rate_limited", True),
        (429, "Throttling.AllocationQuota", "Free allocated quota exceeded.", "insufficient_balance", False),
        (429, "PrepaidBillOverdue", "", "insufficient_balance", False),
        (429, "NewKindOfLimit", "", "vendor_error", True),
        (500, "InternalError.Timeout", "", "vendor_error", False),
        (400, "NeverSeen", "", "vendor_error", False),
    ],
)
def test_the_documented_codes(vendor: Vendor, status: int, code: str, message: str, ours: str, later: bool) -> None:
    """A code says what went wrong by how it begins; the wording counts only where one code means several things."""
    body = json.dumps({"code": code, "message": message, "request_id": "r"}).encode()

    refusal = vendor.read_refusal(Reply(status, {}, body, ""))

    assert refusal is not None
    assert (refusal.failure.code.value, refusal.later) == (ours, later)
    assert (refusal.failure.vendor_code, refusal.failure.vendor_message) == (code, message)


@pytest.mark.parametrize(
    "body",
    [
        {"code": 400, "message": "a number is not DashScope's"},
        {"code": "", "message": "success"},
        {"code": "X"},
        {"message": "no Route matched"},
        {"code": "X", "message": None},
        {"error": {"code": "InvalidParameter", "message": "the other API's form"}},
        {"code": "", "message": "", "output": {"task_id": "t", "task_status": "PENDING"}},
        {"code": "X", "message": "x", "output": {"task_id": "t", "task_status": "PENDING"}},
    ],
)
def test_only_the_documented_form_is_a_refusal(vendor: Vendor, body: dict[str, Any]) -> None:
    """`code` and `message` are texts, and there is no task beside them."""
    assert vendor.read_refusal(Reply(400, {}, json.dumps(body).encode(), "")) is None

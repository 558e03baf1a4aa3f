"""Every Kling model is asked at the endpoint of its pictures, in the words of its own page, under a fresh token.

The expectations are written out here once more, from https://app.klingai.com/cn/dev/document-api, its page on
authentication among them, and https://kling.ai/document-api/capability-map-video (read 2026-11-23): a slip in the
vendor's tables must not hide in the tests.
"""

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from time import time
from typing import Any

import httpx
import jwt
import pytest
from pydantic import ValidationError
from standardwebhooks.webhooks import Webhook

from contract.replay import NOW, VENDORS, open_vendor, order_of, recorded
from videogate.task.errors import InvalidRequest, NotUnderstood, Refused, Throttled
from videogate.task.model import Adjustment, Fit, Receipt, Role, Sight
from videogate.vendorkit.client import Prepared, Reply
from videogate.vendorkit.contract import Notice, Vendor
from videogate.vendorkit.facts import Choices, Span
from videogate.vendorkit.order import Order, OrderPicture

TEXT, IMAGE, FRAMES, REFERENCES = "text", "image", "frames", "references"
OMNI = "/v1/videos/omni-video"
PATHS = {
    TEXT: "/v1/videos/text2video",
    IMAGE: "/v1/videos/image2video",
    FRAMES: "/v1/videos/image2video",
    REFERENCES: "/v1/videos/multi-image2video",
}
ON_OMNI = {"kling-video-o1", "kling-v3-omni"}

STD, PRO, BOTH, ALL = ("std",), ("pro",), ("std", "pro"), ("std", "pro", "4k")
FIVE, TWO = ["5"], ["5", "10"]
TO_10, TO_15 = [str(each) for each in range(3, 11)], [str(each) for each in range(3, 16)]
# Model: for each way its modes and lengths.
MODELS: dict[str, dict[str, tuple[tuple[str, ...], list[str]]]] = {
    "kling-v1": {TEXT: (BOTH, TWO), IMAGE: (BOTH, TWO), FRAMES: (BOTH, FIVE)},
    "kling-v1-5": {IMAGE: (BOTH, TWO), FRAMES: (PRO, TWO)},
    "kling-v1-6": {TEXT: (BOTH, TWO), IMAGE: (BOTH, TWO), FRAMES: (PRO, TWO), REFERENCES: (BOTH, TWO)},
    "kling-v2-master": {TEXT: (PRO, TWO), IMAGE: (PRO, TWO)},
    "kling-v2-1": {IMAGE: (BOTH, TWO), FRAMES: (PRO, TWO)},
    "kling-v2-1-master": {TEXT: (PRO, TWO), IMAGE: (PRO, TWO)},
    "kling-v2-5-turbo": {TEXT: (BOTH, TWO), IMAGE: (BOTH, TWO), FRAMES: (PRO, TWO)},
    "kling-v2-6": {TEXT: (BOTH, TWO), IMAGE: (BOTH, TWO), FRAMES: (PRO, TWO)},
    "kling-v3": {TEXT: (ALL, TO_15), IMAGE: (ALL, TO_15), FRAMES: (ALL, TO_15)},
    "kling-video-o1": dict.fromkeys((TEXT, IMAGE, FRAMES, REFERENCES), (BOTH, TO_10)),
    "kling-v3-omni": dict.fromkeys((TEXT, IMAGE, FRAMES, REFERENCES), (ALL, TO_15)),
}
WAYS = [(name, way) for name, ways in MODELS.items() for way in ways]
TOLD_A_RATIO = [(name, way) for name, way in WAYS if way in (TEXT, REFERENCES)]
SHAPED = [(name, way) for name, way in WAYS if way in (IMAGE, FRAMES)]
SIZES = {"1280x720": ("std", "16:9"), "720x1280": ("std", "9:16"), "960x960": ("std", "1:1")}
SIZES |= {"1920x1080": ("pro", "16:9"), "1080x1920": ("pro", "9:16"), "1440x1440": ("pro", "1:1")}
SIZES |= {"3840x2160": ("4k", "16:9"), "2160x3840": ("4k", "9:16"), "2880x2880": ("4k", "1:1")}
TIERS = {"std": "720P", "pro": "1080P", "4k": "2160P"}

START, END = "https://example.com/start.png", "https://example.com/end.png"
CAMERA: dict[str, Any] = {
    "type": "simple",
    "config": {"horizontal": 0, "vertical": 0, "pan": 0, "tilt": 0, "roll": 0, "zoom": 5},
}
MASKS = [{"mask": "https://example.com/mask.png", "trajectories": [{"x": 279, "y": 219}, {"x": 417, "y": 65}]}]
SHOTS = [{"index": 1, "prompt": "a door opens", "duration": "5"}]
FILM = [{"video_url": "https://example.com/film.mp4", "refer_type": "base", "keep_original_sound": "yes"}]
# Values for options as a form says them, and the field and form in which the page wants them.
OPTIONS: dict[str, tuple[Any, str, Any]] = {
    "negative_prompt": ("blurry", "negative_prompt", "blurry"),
    "cfg_scale": ("0.5", "cfg_scale", 0.5),
    "camera_control": (
        {"type": "simple", "config": dict.fromkeys(CAMERA["config"], "0") | {"zoom": "5"}},
        "camera_control",
        CAMERA,
    ),
    "static_mask": ("https://example.com/still.png", "static_mask", "https://example.com/still.png"),
    "dynamic_masks": (json.dumps(MASKS), "dynamic_masks", MASKS),
    "sound": ("true", "sound", "on"),
    "voice_list": ({"voice_id": "1"}, "voice_list", [{"voice_id": "1"}]),
    "element_list": (json.dumps([{"element_id": "2"}]), "element_list", [{"element_id": "2"}]),
    "multi_shot": ("1", "multi_shot", True),
    "shot_type": ("customize", "shot_type", "customize"),
    "multi_prompt": (json.dumps(SHOTS), "multi_prompt", SHOTS),
    "video_list": (json.dumps(FILM), "video_list", FILM),
    "watermark_info": ({"enabled": True}, "watermark_info", {"enabled": True}),
    "watermark": ("false", "watermark_info", {"enabled": False}),
}
MARKED, COMMON = {"watermark_info", "watermark"}, {"watermark_info", "watermark", "negative_prompt"}
SCALED, SPOKEN = {*COMMON, "cfg_scale"}, {*COMMON, "sound", "voice_list"}
SHOT = {*SPOKEN, "multi_shot", "shot_type", "multi_prompt", "element_list"}
READ = {
    "kling-v1": {*SCALED, "camera_control", "static_mask", "dynamic_masks"},
    "kling-v1-5": SCALED,
    "kling-v1-6": SCALED,
    "kling-v2-master": COMMON,
    "kling-v2-1": COMMON,
    "kling-v2-1-master": COMMON,
    "kling-v2-5-turbo": COMMON,
    "kling-v2-6": SPOKEN,
    "kling-v3": SHOT,
    "kling-video-o1": {*MARKED, "element_list", "video_list"},
    "kling-v3-omni": {*MARKED, "element_list", "video_list", "sound"},
}
# Masks are painted on a picture; an end frame excludes them and the camera; several pictures are never scaled.
UNREAD = {
    TEXT: {"static_mask", "dynamic_masks"},
    IMAGE: set[str](),
    FRAMES: {"static_mask", "dynamic_masks", "camera_control"},
    REFERENCES: {"cfg_scale"},
}

TASK = "867283741759111202"
PAIR = {"access_key": "AK_TEST", "secret_key": "SK_TEST"}
TOKEN = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"
    ".eyJpc3MiOiJBS19URVNUIiwiZXhwIjoxNzAwMDAxODAwLCJuYmYiOjE2OTk5OTk5OTV9"
    ".6L4y5-2k74trk6jmaKXDAvqPATo_9aKYSk-HhIQYesk"
)
LONG = "not-a-secret-" * 4  # as long as PyJWT wants a key to be
ANYTHING = Prepared("GET", "https://api.vendor.test/base/v1/videos/text2video/1", {}, b"")


@pytest.fixture
def vendor() -> Vendor:
    return open_vendor(VENDORS["kling"])[0]


def link(name: str, role: str = "reference") -> dict[str, Any]:
    return {"role": role, "url": f"https://example.com/{name}.png"}


def file(mime: str = "image/png", frame: str = "800x600", role: str = "reference") -> dict[str, Any]:
    return {"role": role, "file": {"mime": mime, "frame": frame, "base64": "iVBORw0KGgo="}}


PICTURES: dict[str, list[dict[str, Any]]] = {
    TEXT: [],
    IMAGE: [link("start")],
    FRAMES: [link("start", "first_frame"), link("end", "last_frame")],
    REFERENCES: [link("1"), link("2"), link("3")],
}


def order(vendor: Vendor, name: str, way: str, **asked: Any) -> Order:
    """An order for a model used in a way, with the least that it needs beside what is asked."""
    modes, lengths = MODELS[name][way]
    usual = {} if {"size", "resolution"} & asked.keys() else {"resolution": TIERS[modes[0]]}
    least = {"prompt": "a cat", "seconds": lengths[0], "fit": Fit.STRICT, "pictures": PICTURES[way]}
    found = order_of(vendor, {"model": name, **least, **usual, **asked})
    assert found.model.way == way
    return found


def sent(vendor: Vendor, name: str, way: str, **asked: Any) -> dict[str, Any]:
    """The body of a request for a model used in a way."""
    call = vendor.submit_call(order(vendor, name, way, **asked))
    assert (call.method, call.path) == ("POST", OMNI if name in ON_OMNI else PATHS[way])
    assert call.json["model_name"] == name
    assert "model" not in call.json  # is not read: the job would run on the oldest model
    json.dumps(call.json, allow_nan=False)
    return dict(call.json)


# Models, sizes, lengths


def test_the_models_are_those_of_the_pages(vendor: Vendor) -> None:
    """No model and no way of using one is missing, none is invented."""
    found = {name: [way.way for way in model.ways_to(None)] for name, model in vendor.models.items()}

    assert found == {name: list(ways) for name, ways in MODELS.items()}


@pytest.mark.parametrize(("name", "way"), TOLD_A_RATIO)
def test_a_size_is_said_as_mode_and_aspect_ratio(vendor: Vendor, name: str, way: str) -> None:
    """There is no width and no height: every size of a model is one of its modes, in one of three shapes."""
    modes, _ = MODELS[name][way]
    made = {size: told for size, told in SIZES.items() if told[0] in modes}
    bodies = [sent(vendor, name, way, size=size) for size in made]

    assert [(body["mode"], body["aspect_ratio"]) for body in bodies] == list(made.values())
    assert not [body for body in bodies if {"size", "width", "height", "resolution"} & body.keys()]
    for size in SIZES.keys() - made.keys():
        with pytest.raises(InvalidRequest):
            sent(vendor, name, way, size=size)


@pytest.mark.parametrize(
    ("size", "told"),
    [
        ("1024x1024", ("std", "1:1")),
        ("512x512", ("std", "1:1")),
        ("1792x1024", ("pro", "16:9")),
        ("1024x1792", ("pro", "9:16")),
        ("1080P", ("pro", "16:9")),
        (None, ("std", "9:16")),
    ],
)
def test_the_nearest_mode_and_shape_are_sent(vendor: Vendor, size: str | None, told: tuple[str, str]) -> None:
    """A size that no model makes becomes the closest, not a square; none at all is the interface's own default."""
    body = vendor.submit_call(order_of(vendor, {"model": "kling-v1", "prompt": "a cat", "size": size})).json

    assert (body["mode"], body["aspect_ratio"]) == told


@pytest.mark.parametrize(("name", "way"), SHAPED)
def test_a_picture_gives_the_shape(vendor: Vendor, name: str, way: str) -> None:
    """With a picture only the mode is said; a ratio beside it is not documented."""
    modes, _ = MODELS[name][way]
    bodies = [sent(vendor, name, way, resolution=TIERS[mode]) for mode in modes]

    assert [body["mode"] for body in bodies] == list(modes)
    assert not [body for body in bodies if "aspect_ratio" in body]


@pytest.mark.parametrize(("name", "way"), WAYS)
def test_a_length_is_sent_as_a_text(vendor: Vendor, name: str, way: str) -> None:
    """Every documented length is sent as a string, and no other is taken."""
    _, lengths = MODELS[name][way]
    model = next(each for each in vendor.models[name].ways if each.way == way)

    assert [sent(vendor, name, way, seconds=each)["duration"] for each in lengths] == lengths
    match model.lengths:
        case Choices(allowed):
            assert [str(each) for each in allowed] == lengths
        case Span(least, most):
            assert [str(each) for each in range(least, most + 1)] == lengths
        case _:
            pytest.fail("every length is documented")


def test_a_length_among_the_options_is_a_text_too(vendor: Vendor) -> None:
    """A number in `metadata.duration` does not travel as one."""
    asked = {"model": "kling-v2-6", "prompt": "a cat", "options": {"duration": 10}}

    assert vendor.submit_call(order_of(vendor, asked)).json["duration"] == "10"


@pytest.mark.parametrize("word", ["pro", "PRO"])
def test_the_vendors_word_for_a_resolution_is_understood(vendor: Vendor, word: str) -> None:
    """`metadata.mode=pro` makes 1080P, in the caller's eyes as well."""
    words = {"mode": word}
    asked = order_of(vendor, {"model": "kling-v1-6", "prompt": "a cat", "seconds": "5", "options": words})

    assert (asked.fitted.tier, asked.fitted.size) == (1080, "1920x1080")
    assert not asked.fitted.adjustments
    assert vendor.submit_call(asked).json["mode"] == "pro"


def test_a_resolution_of_the_request_wins_over_the_mode(vendor: Vendor) -> None:
    """The interface's own field says more than the vendor's word for it."""
    asked = order(vendor, "kling-v1-6", TEXT, resolution="720P", options={"mode": "pro"})

    assert vendor.submit_call(asked).json["mode"] == "std"


def test_a_mode_that_there_is_not_is_named(vendor: Vendor) -> None:
    """The caller reads which words there are."""
    with pytest.raises(InvalidRequest, match="std, pro, 4k") as caught:
        order_of(vendor, {"model": "kling-v1", "prompt": "a cat", "options": {"mode": "ultra"}})

    assert caught.value.param == "metadata.mode"


@pytest.mark.parametrize("name", ["kling-v2-master", "kling-v2-1-master"])
@pytest.mark.parametrize("asked", [{}, {"size": "1280x720"}, {"options": {"mode": "std"}}, {"resolution": "720P"}])
@pytest.mark.parametrize("way", [TEXT, IMAGE])
def test_a_master_is_always_asked_for_pro(vendor: Vendor, name: str, asked: dict[str, Any], way: str) -> None:
    """Its one class is 1080P; who asks for less is told so."""
    found = order_of(vendor, {"model": name, "prompt": "a cat", "pictures": PICTURES[way], **asked})

    assert vendor.submit_call(found).json["mode"] == "pro"
    assert not asked or {each.field for each in found.fitted.adjustments} & {"size", "resolution"}


# Pictures


@pytest.mark.parametrize(
    ("name", "pictures", "way", "fields"),
    [
        ("kling-v1-6", [link("start")], IMAGE, {"image": START}),
        ("kling-v1-6", [link("start", "first_frame")], IMAGE, {"image": START}),
        ("kling-v1-6", [link("end", "last_frame")], FRAMES, {"image_tail": END}),
        ("kling-v1-6", PICTURES[FRAMES], FRAMES, {"image": START, "image_tail": END}),
        ("kling-v1-6", [link("start"), link("end")], FRAMES, {"image": START, "image_tail": END}),
        (
            "kling-v1-6",
            PICTURES[REFERENCES],
            REFERENCES,
            {"image_list": [{"image": f"https://example.com/{number}.png"} for number in (1, 2, 3)]},
        ),
        ("kling-video-o1", [link("start")], IMAGE, {"image_list": [{"image_url": START, "type": "first_frame"}]}),
        (
            "kling-video-o1",
            PICTURES[FRAMES],
            FRAMES,
            {"image_list": [{"image_url": START, "type": "first_frame"}, {"image_url": END, "type": "end_frame"}]},
        ),
        (
            "kling-video-o1",
            PICTURES[REFERENCES],
            REFERENCES,
            {"image_list": [{"image_url": f"https://example.com/{number}.png"} for number in (1, 2, 3)]},
        ),
    ],
)
def test_the_pictures_choose_the_endpoint(
    vendor: Vendor, name: str, pictures: list[dict[str, Any]], way: str, fields: dict[str, Any]
) -> None:
    """One goes to image2video, an end frame beside or instead of it too, several to multi-image2video; omni has all."""
    body = sent(vendor, name, way, pictures=pictures)

    assert {key: body[key] for key in ("image", "image_tail", "image_list") if key in body} == fields


@pytest.mark.parametrize("way", [IMAGE, FRAMES, REFERENCES])
@pytest.mark.parametrize("name", ["kling-v1-6", "kling-v3-omni"])
@pytest.mark.parametrize("mime", ["image/png", "image/jpeg"])
def test_a_file_is_bare_base64(vendor: Vendor, name: str, way: str, mime: str) -> None:
    """The head of a data URL would be refused: none is sent, wherever the picture goes."""
    roles = {IMAGE: ["first_frame"], FRAMES: ["first_frame", "last_frame"], REFERENCES: ["reference"] * 3}[way]
    body = json.dumps(sent(vendor, name, way, pictures=[file(mime, role=role) for role in roles]))

    assert body.count('"iVBORw0KGgo="') == len(roles)
    assert "data:" not in body
    assert mime not in body


@pytest.mark.parametrize(
    "picture",
    [
        file("image/webp"),
        file("image/gif"),
        file(frame="299x400"),
        file(frame="1000x399"),
        file(frame="300x751"),
    ],
)
def test_a_file_that_the_page_excludes_is_refused(vendor: Vendor, picture: dict[str, Any]) -> None:
    """JPEG and PNG, sides of 300 pixels at least, at most 2.5 times as long as wide."""
    with pytest.raises(InvalidRequest) as caught:
        sent(vendor, "kling-v1-6", IMAGE, pictures=[picture])

    assert (caught.value.param, caught.value.code) == ("input_reference", "unsupported_input")


@pytest.mark.parametrize("frame", ["300x300", "750x300", "300x750"])
def test_a_file_on_the_very_limit_is_taken(vendor: Vendor, frame: str) -> None:
    """The limits are the page's, not ours."""
    assert sent(vendor, "kling-v1-6", IMAGE, pictures=[file(frame=frame)])["image"] == "iVBORw0KGgo="


@pytest.mark.parametrize("key", ["image", "img_url", "first_frame_url"])
def test_a_link_in_the_vendors_own_key_is_a_picture(vendor: Vendor, key: str) -> None:
    """What callers of the vendor write in `image` chooses the endpoint like an upload."""
    body = sent(vendor, "kling-v2-1", IMAGE, pictures=[], options={key: START})

    assert body["image"] == START
    assert key == "image" or key not in body


@pytest.mark.parametrize("key", ["images", "image_list"])
def test_a_list_in_the_vendors_own_key_is_pictures(vendor: Vendor, key: str) -> None:
    """Several links are several pictures."""
    body = sent(vendor, "kling-v1-6", REFERENCES, pictures=[], options={key: [START, END, START]})

    assert body["image_list"] == [{"image": START}, {"image": END}, {"image": START}]


def test_pictures_in_a_form_we_do_not_read_are_refused(vendor: Vendor) -> None:
    """A video without the pictures that were asked for is not made instead."""
    with pytest.raises(InvalidRequest) as caught:
        sent(vendor, "kling-v1-6", TEXT, options={"image_list": [{"image": START}]})

    assert caught.value.param == "metadata.image_list"


@pytest.mark.parametrize("name", ["kling-v2-master", "kling-v2-1-master"])
@pytest.mark.parametrize("pictures", [[link("end", "last_frame")], PICTURES[FRAMES]])
def test_the_masters_have_no_end_frame(vendor: Vendor, name: str, pictures: list[dict[str, Any]]) -> None:
    """Neither alone nor beside a start."""
    with pytest.raises(InvalidRequest):
        order_of(vendor, {"model": name, "prompt": "a cat", "pictures": pictures})


@pytest.mark.parametrize("name", ["kling-video-o1", "kling-v3-omni"])
def test_omni_has_no_end_frame_alone(vendor: Vendor, name: str) -> None:
    """It does not silently become a picture of something else."""
    with pytest.raises(InvalidRequest):
        order_of(vendor, {"model": name, "prompt": "a cat", "pictures": [link("end", "last_frame")]})


@pytest.mark.parametrize("name", ["kling-v1-5", "kling-v2-1"])
def test_a_model_without_text_to_video_needs_a_picture(vendor: Vendor, name: str) -> None:
    """The caller hears it before the vendor does."""
    with pytest.raises(InvalidRequest) as caught:
        order_of(vendor, {"model": name, "prompt": "a cat"})

    assert caught.value.code == "missing_input"


def test_a_picture_needs_no_prompt(vendor: Vendor) -> None:
    """For image2video the text is optional, and an empty one is not sent; elsewhere it is needed."""
    assert "prompt" not in sent(vendor, "kling-v1", IMAGE, prompt="")
    for name, way in [("kling-v1", TEXT), ("kling-v1-6", REFERENCES), ("kling-video-o1", IMAGE)]:
        with pytest.raises(InvalidRequest) as caught:
            sent(vendor, name, way, prompt=" ")

        assert caught.value.param == "prompt"


# Options


@pytest.mark.parametrize(("name", "way"), WAYS)
def test_every_option_is_sent_in_its_type_where_it_is_read(vendor: Vendor, name: str, way: str) -> None:
    """What a form can only say as text is sent in the documented type, and only by models and ways that read it."""
    for option, (text, field, value) in OPTIONS.items():
        asked = order(vendor, name, way, options={option: text})
        body = vendor.submit_call(asked).json

        if option in READ[name] - UNREAD[way]:
            assert body[field] == value
            assert not asked.fitted.adjustments
        else:
            assert not {option, field} & body.keys()
            assert [each.field for each in asked.fitted.adjustments] == [f"metadata.{option}"]


@pytest.mark.parametrize("name", [name for name in MODELS if not name.startswith("kling-v1")])
def test_cfg_scale_is_for_the_first_generation(vendor: Vendor, name: str) -> None:
    """From 2.0 on it is not sent, and the caller reads so."""
    way = next(iter(MODELS[name]))
    asked = order(vendor, name, way, options={"cfg_scale": 0.5})

    assert "cfg_scale" not in vendor.submit_call(asked).json
    assert asked.fitted.adjustments == (Adjustment("metadata.cfg_scale", "0.5", None, f"{name} has no such option"),)


@pytest.mark.parametrize(("name", "way"), WAYS)
def test_an_empty_option_is_not_sent(vendor: Vendor, name: str, way: str) -> None:
    """An explicit null or an empty value means that nothing is asked for."""
    plain = sent(vendor, name, way)
    empties: list[Any] = [None, "", [], {}]
    for empty in empties:
        assert sent(vendor, name, way, options=dict.fromkeys(OPTIONS, empty)) == plain


def test_nothing_is_sent_that_was_not_asked_for(vendor: Vendor) -> None:
    """The vendor's own defaults stay the vendor's."""
    assert sent(vendor, "kling-v1", TEXT, size="1280x720") == {
        "model_name": "kling-v1",
        "prompt": "a cat",
        "mode": "std",
        "aspect_ratio": "16:9",
        "duration": "5",
        "external_task_id": "vg0123",
    }


@pytest.mark.parametrize(("said", "word"), [("on", "on"), ("off", "off"), (True, "on"), (False, "off"), ("0", "off")])
def test_sound_is_a_word(vendor: Vendor, said: Any, word: str) -> None:
    """A plain flag is put into the vendor's words."""
    assert sent(vendor, "kling-v2-6", TEXT, options={"sound": said})["sound"] == word


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("cfg_scale", "abc"),
        ("cfg_scale", float("nan")),
        ("cfg_scale", True),
        ("negative_prompt", 5),
        ("camera_control", "zoom"),
        ("camera_control", [CAMERA]),
        ("camera_control", {"type": "simple", "config": {"zoom": "far"}}),
        ("static_mask", {"mask": "x"}),
        ("dynamic_masks", "https://example.com/mask.png"),
        ("dynamic_masks", "[nonsense"),
        ("watermark", "maybe"),
        ("watermark_info", [True]),
    ],
)
def test_an_option_of_the_wrong_type_is_named(vendor: Vendor, option: str, value: Any) -> None:
    """The caller reads which option is wrong, in its own words."""
    with pytest.raises(InvalidRequest) as caught:
        sent(vendor, "kling-v1", IMAGE, options={option: value})

    assert caught.value.param == f"metadata.{option}"


# What is ours in a request


@pytest.mark.parametrize(("name", "way"), WAYS)
def test_the_id_of_the_attempt_always_travels(vendor: Vendor, name: str, way: str) -> None:
    """`external_task_id` is ours: one of the caller's own could be somebody else's, and is reported."""
    asked = order(vendor, name, way, options={"external_task_id": "video_123"})

    assert vendor.submit_call(replace(asked, client_ref="vg0456")).json["external_task_id"] == "vg0456"
    assert [each.field for each in asked.fitted.adjustments] == ["metadata.external_task_id"]


@pytest.mark.parametrize(("name", "way"), WAYS)
def test_a_callback_is_asked_for_only_where_we_can_be_reached(vendor: Vendor, name: str, way: str) -> None:
    """The URL is the order's; one of the caller's would tell the vendor to call elsewhere."""
    asked = order(vendor, name, way, options={"callback_url": "https://example.com/theirs"})
    called = replace(asked, callback_url="https://gate.example.com/callbacks/kling/0123")

    assert "callback_url" not in vendor.submit_call(asked).json
    assert vendor.submit_call(called).json["callback_url"] == called.callback_url


@pytest.mark.parametrize(("name", "way"), WAYS)
async def test_a_job_is_looked_for_where_it_was_created(name: str, way: str) -> None:
    """The receipt keeps the endpoint, and the look repeats it."""
    done = [recorded("kling")[case].answer for case in ("submit_accepted", "poll_running")]
    vendor, wire = open_vendor(VENDORS["kling"], *done)

    receipt = await vendor.submit(vendor.prepare(order(vendor, name, way)))
    await vendor.poll(receipt)

    path = OMNI if name in ON_OMNI else PATHS[way]
    assert receipt == Receipt(TASK, {"endpoint": path.rpartition("/")[2]})
    assert [request.url.path for request in wire.sent] == [f"/base{path}", f"/base{path}/{TASK}"]


def test_a_picture_of_both_kinds_goes_as_its_link(vendor: Vendor) -> None:
    """A link is passed on as it is, even where we hold the file too."""
    asked = order(vendor, "kling-v1", IMAGE)
    both = OrderPicture(Role.FIRST_FRAME, url=START, mime="image/png", read=lambda: b"a file")

    assert vendor.submit_call(replace(asked, pictures=(both,))).json["image"] == START


# Who we are


@dataclass
class Clock:
    """A clock that is set by hand."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now


def signed_by(clock: Clock, **pair: str) -> Vendor:
    vendor, _ = open_vendor(VENDORS["kling"], api_key=None, **(pair or PAIR))
    vendor.clock = clock
    return vendor


def token_of(vendor: Vendor) -> str:
    scheme, token = vendor.authorize(ANYTHING)["authorization"].split(" ")
    assert scheme == "Bearer"
    return token


def claims_of(token: str) -> dict[str, Any]:
    """The claims of a token of PAIR, whatever the time."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the documented example's key is short
        return dict(
            jwt.decode(
                token, PAIR["secret_key"], algorithms=["HS256"], options={"verify_exp": False, "verify_nbf": False}
            )
        )


def test_the_token_is_that_of_the_vector() -> None:
    """Header, claims, their order and the key's raw bytes are as documented; a short key warns nobody."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert token_of(signed_by(Clock())) == TOKEN


def test_a_server_accepts_the_token() -> None:
    """PyJWT verifies it as a server would, at the present time."""
    vendor = signed_by(Clock(time()), access_key="AK_TEST", secret_key=LONG)
    token = token_of(vendor)

    claims = jwt.decode(token, LONG, algorithms=["HS256"], issuer="AK_TEST")

    assert claims.keys() == {"iss", "exp", "nbf"}  # above all no `iat`
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT"}
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token, LONG + "x", algorithms=["HS256"])


@pytest.mark.parametrize("now", [NOW, NOW + 0.9, 0.0, 1.0, 2**31 + 0.5])
def test_the_claims_are_whole_seconds_around_now(now: float) -> None:
    """Valid from five seconds ago for half an hour, even on a clock that begins."""
    claims = claims_of(token_of(signed_by(Clock(now))))

    assert claims == {"iss": "AK_TEST", "exp": int(now) + 1800, "nbf": int(now) - 5}
    assert {type(claims[name]) for name in ("exp", "nbf")} == {int}


@pytest.mark.parametrize(("later", "same"), [(0, True), (1, True), (1499, True), (1500, False), (1800, False)])
def test_a_token_is_kept_for_25_minutes(later: float, same: bool) -> None:
    """It is made once, and anew long before it expires."""
    clock = Clock()
    vendor = signed_by(clock)
    first = token_of(vendor)
    clock.now += later

    assert (token_of(vendor) == first) is same


@pytest.mark.parametrize("jump", [-1, -6, -60, -1499, -1501, -86_400, 1_500, 86_400, 10**9, 1, 299, 1_499])
def test_no_jump_of_the_clock_leaves_a_token_that_is_not_valid(jump: float) -> None:
    """Set forward or back, the token that is sent is valid at that time, with minutes to spare."""
    clock = Clock()
    vendor = signed_by(clock)
    token_of(vendor)
    clock.now += jump

    claims = claims_of(token_of(vendor))

    assert claims["nbf"] <= clock.now
    assert 300 <= claims["exp"] - clock.now <= 1800


def test_tokens_go_on_after_a_jump() -> None:
    """One that was made after the clock was set back is kept like any other."""
    clock = Clock()
    vendor = signed_by(clock)
    tokens = [token_of(vendor)]
    for now in (NOW - 3600, NOW - 3600 + 1499, NOW - 3600 + 1500):
        clock.now = now
        tokens.append(token_of(vendor))

    assert tokens[0] != tokens[1] == tokens[2] != tokens[3]


def test_two_accounts_have_tokens_of_their_own() -> None:
    """What is kept is kept by a vendor, not by all."""
    mine, theirs = signed_by(Clock()), signed_by(Clock(), access_key="AK_OTHER", secret_key="SK_OTHER")

    assert token_of(mine) == token_of(mine) == TOKEN != token_of(theirs)


@pytest.mark.parametrize("more", [{}, PAIR, {"access_key": "AK_TEST"}])
def test_an_api_key_is_sent_as_it_is(more: dict[str, str]) -> None:
    """With an API key no token is made, whether or not there is a pair beside it."""
    settings = {"access_key": None, "secret_key": None, **more}
    vendor, _ = open_vendor(VENDORS["kling"], api_key="an-api-key", **settings)

    assert vendor.authorize(ANYTHING) == {"authorization": "Bearer an-api-key"}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"access_key": "AK_TEST"},
        {"secret_key": "SK_TEST"},
        {"webhook_secret": "whsec_dGVzdA=="},
        {"access_key": "AK_TEST", "webhook_secret": "whsec_dGVzdA=="},
    ],
)
def test_half_a_pair_is_no_credential(settings: dict[str, str]) -> None:
    """The operator reads what is missing, whichever half it is."""
    with pytest.raises(ValidationError, match="set ACCESS_KEY and SECRET_KEY, or API_KEY"):
        VENDORS["kling"].Config.model_validate(settings)


@pytest.mark.parametrize("settings", [PAIR, {"api_key": "an-api-key"}, {**PAIR, "api_key": "an-api-key"}])
def test_a_pair_or_a_key_is_enough(settings: dict[str, str]) -> None:
    """Either proves who we are, and the default host is that of the first region."""
    config = VENDORS["kling"].Config.model_validate(settings)

    assert config.base_url == "https://api-beijing.klingai.com"
    assert set(config.secrets) == set(settings.values())


# Errors


@pytest.mark.parametrize(
    ("status", "code", "ours", "later"),
    [
        (401, 1000, "vendor_credentials_refused", False),
        (401, 1001, "vendor_credentials_refused", False),
        (401, 1002, "vendor_credentials_refused", False),
        (401, 1003, "vendor_credentials_refused", False),
        (401, 1004, "vendor_credentials_refused", False),
        (429, 1100, "vendor_credentials_refused", False),
        (429, 1101, "insufficient_balance", False),
        (429, 1102, "insufficient_balance", False),
        (403, 1103, "model_unavailable", False),
        (400, 1200, "invalid_request", False),
        (400, 1201, "invalid_request", False),
        (404, 1202, "invalid_request", False),
        (404, 1203, "model_unavailable", False),
        (400, 1300, "moderation_blocked", False),
        (400, 1301, "moderation_blocked", False),
        (429, 1302, "rate_limited", True),
        (429, 1303, "rate_limited", True),
        (429, 1304, "vendor_credentials_refused", False),
        (429, 1399, "vendor_error", False),
        (400, 9999, "vendor_error", False),
    ],
)
def test_the_documented_codes(vendor: Vendor, status: int, code: int, ours: str, later: bool) -> None:
    """The number alone says what went wrong: the wording is not documented, and a status means several things."""
    body = json.dumps({"code": code, "message": "in words", "request_id": "r"}).encode()

    refusal = vendor.read_refusal(Reply(status, {}, body, ""))

    assert refusal is not None
    assert (refusal.failure.code.value, refusal.later) == (ours, later)
    assert (refusal.failure.vendor_code, refusal.failure.vendor_message) == (str(code), "in words")


@pytest.mark.parametrize("code", [1100, 1101, 1102, 1304])
async def test_a_429_about_the_account_is_final(code: int) -> None:
    """No waiting fills an account: the task fails at once, and its owner learns why."""
    answer = httpx.Response(429, json={"code": code, "message": "Account balance not enough", "request_id": "r"})
    vendor, _ = open_vendor(VENDORS["kling"], answer)

    with pytest.raises(Refused) as caught:
        await vendor.submit(vendor.prepare(order(vendor, "kling-v1", TEXT)))

    assert caught.value.failure.vendor_code == str(code)


@pytest.mark.parametrize("code", [1302, 1303])
async def test_a_429_about_the_rate_passes(code: int) -> None:
    """Too fast, or too many at once: the same request may go again later."""
    answer = httpx.Response(429, json={"code": code, "message": "parallel task over resource pack limit"})
    vendor, _ = open_vendor(VENDORS["kling"], answer)

    with pytest.raises(Throttled) as caught:
        await vendor.submit(vendor.prepare(order(vendor, "kling-v1", TEXT)))

    assert (caught.value.vendor_code, caught.value.retry_after) == (str(code), None)


@pytest.mark.parametrize(
    "body",
    [
        {"code": 0, "message": "SUCCEED", "data": {}},
        {"code": "1201", "message": "a text is not this vendor's"},
        {"code": True, "message": "x"},
        {"code": 1201.0, "message": "x"},
        {"code": 1201},
        {"code": 1201, "message": None},
        {"message": "no Route matched"},
        {"error": {"code": 1201, "message": "another API's form"}},
        {"code": 5000, "message": "Internal server error"},
        {"code": 5001, "message": "Service temporarily unavailable"},
        {"code": 5002, "message": "Internal server timeout"},
        {"code": 1201, "message": "x", "data": {"task_id": TASK, "task_status": "submitted"}},
    ],
)
@pytest.mark.parametrize("status", [200, 400])
def test_only_the_documented_form_is_a_refusal(vendor: Vendor, body: dict[str, Any], status: int) -> None:
    """A number and words, no task beside them, and no trouble inside, after which a job may well exist."""
    assert vendor.read_refusal(Reply(status, {}, json.dumps(body).encode(), "")) is None


# What a look shows


def record(word: Any, **more: Any) -> Reply:
    """A job's record as a reply."""
    body = {"code": 0, "message": "SUCCEED", "data": {"task_id": TASK, "task_status": word, **more}}
    return Reply(200, {}, json.dumps(body).encode(), "")


@pytest.mark.parametrize(
    ("words", "ours"),
    [
        ("Failure to pass the risk control system", "moderation_blocked"),
        ("failure to pass the RISK CONTROL system.", "moderation_blocked"),
        ("The resolution or aspect ratio of the input image is invalid.", "invalid_request"),
        ("Something else", "vendor_error"),
        ("", "vendor_error"),
        (None, "vendor_error"),
        (["risk control"], "vendor_error"),
    ],
)
def test_a_failed_job_is_told_by_its_sentence(vendor: Vendor, words: Any, ours: str) -> None:
    """There is no code in a job's record: moderation shows in the words, and others are nobody's fault that we know."""
    seen = vendor.read_observation(record("failed", task_status_msg=words))

    assert seen.sight is Sight.FAILED
    assert seen.failure is not None
    assert (seen.failure.code.value, seen.failure.vendor_code) == (ours, None)
    assert seen.failure.message


@pytest.mark.parametrize("word", ["succeed", "succeeded"])
def test_both_spellings_of_success_are_known(vendor: Vendor, word: str) -> None:
    """The two generations of the API spell it differently."""
    link = "https://v1-kling.klingai.com/output.mp4"
    seen = vendor.read_observation(record(word, task_result={"videos": [{"id": "v", "url": link, "duration": "5.1"}]}))

    assert (seen.sight, seen.artifact and seen.artifact.url) == (Sight.SUCCEEDED, link)


@pytest.mark.parametrize(
    "result",
    [None, {}, {"videos": []}, {"videos": [{"id": "v"}]}, {"videos": [{"url": ""}]}, {"images": [{"url": START}]}],
)
def test_a_success_needs_a_video(vendor: Vendor, result: Any) -> None:
    """A picture, or a video that is nowhere, is none."""
    with pytest.raises(NotUnderstood):
        vendor.read_observation(record("succeed", task_result=result))


@pytest.mark.parametrize("code", [1200, 1201, 1202, 1002, 1301, 1302, 5000])
def test_only_one_code_says_that_a_job_is_gone(vendor: Vendor, code: int) -> None:
    """Every other is about the question, not about the job."""
    gone = json.dumps({"code": 1203, "message": "The requested resource does not exist"}).encode()
    other = json.dumps({"code": code, "message": "something"}).encode()

    assert vendor.read_observation(Reply(404, {}, gone, "")).sight is Sight.MISSING
    with pytest.raises(NotUnderstood):
        vendor.read_observation(Reply(404, {}, other, ""))


# Callbacks

# The vendor's own example of a signature.
SECRET = "whsec_dGVzdHNlY3JldHRlc3RzZWNyZXR0ZXN0c2VjcmV0MTI="
CALLED_AT = 1_781_080_794
CALLED = {
    "webhook-id": "9876543210",
    "webhook-timestamp": str(CALLED_AT),
    "webhook-signature": "v1,UsKlJP00XoQyOn410NM9xv34sP+Gl0jnOO9Lcpr7NJ4=",
}
TOLD = b'{"id":"1234567890","status":"succeeded","message":"","create_time":1781080778802,"update_time":1781080794151}'


@pytest.fixture
def at_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's clock stands where the vendor's example was signed."""

    class Then(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Then":
            return cls.fromtimestamp(CALLED_AT, tz)

    monkeypatch.setattr("standardwebhooks.webhooks.datetime", Then)


def vouched(headers: Mapping[str, str], content: bytes = TOLD, secret: str | None = SECRET) -> bool:
    vendor, _ = open_vendor(VENDORS["kling"], webhook_secret=secret)
    return vendor.vouches(Notice("https://gate.example.com/callbacks/kling/0123", headers, content))


@pytest.mark.usefixtures("at_the_time")
def test_the_vendors_own_example_vouches() -> None:
    """Id, time and body are signed with the console's secret; another signature may stand beside ours."""
    other = "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

    assert vouched(CALLED)
    assert vouched({**CALLED, "webhook-signature": f"{other} {CALLED['webhook-signature']}"})


@pytest.mark.usefixtures("at_the_time")
@pytest.mark.parametrize(
    "changed",
    [
        {"webhook-id": "9876543211"},
        {"webhook-id": ""},
        {"webhook-timestamp": str(CALLED_AT + 1)},
        {"webhook-timestamp": str(CALLED_AT - 301)},
        {"webhook-timestamp": str(CALLED_AT + 301)},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": "nan"},
        {"webhook-timestamp": "1e400"},
        {"webhook-signature": ""},
        {"webhook-signature": "v1"},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1,not base64!"},
        {"webhook-signature": "v1,ÿ"},
        {"webhook-signature": "v2,UsKlJP00XoQyOn410NM9xv34sP+Gl0jnOO9Lcpr7NJ4="},
        {"webhook-signature": "v1,UsKlJP00XoQyOn410NM9xv34sP+Gl0jnOO9Lcpr8NJ4="},
    ],
)
def test_nothing_else_vouches(changed: dict[str, str]) -> None:
    """Whatever of it is changed, too old or missing, the notice is nobody's."""
    gone = {name: value for name, value in CALLED.items() if name not in changed}

    assert not vouched({**CALLED, **changed})
    assert not vouched(gone)


@pytest.mark.usefixtures("at_the_time")
def test_another_body_or_secret_does_not_vouch() -> None:
    """The signature is worth what the secret is worth, and holds for these bytes alone."""
    assert not vouched(CALLED, TOLD + b" ")
    assert not vouched(CALLED, b"\xff")
    assert not vouched(CALLED, secret="whsec_dGVzdA==")
    assert not vouched(CALLED, secret="whsec_")
    assert not vouched(CALLED, secret="whsec_ÿ")


@pytest.mark.parametrize(("age", "trusted"), [(0, True), (240, True), (-240, True), (360, False), (-360, False)])
def test_a_signature_is_fresh_for_five_minutes(age: float, trusted: bool) -> None:
    """A notice that somebody kept vouches for nothing."""
    at = datetime.now(UTC) - timedelta(seconds=age)
    headers = {"webhook-id": "1", "webhook-timestamp": str(int(at.timestamp()))}
    headers["webhook-signature"] = Webhook(SECRET).sign("1", at, TOLD.decode())

    assert vouched(headers) is trusted


def test_without_a_secret_the_url_must_do() -> None:
    """Signing is off in the console unless it was turned on."""
    assert vouched({}, secret=None)

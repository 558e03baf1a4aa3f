"""Every Vidu model is asked at the endpoint of its pictures, in that endpoint's fields and within its limits.

The expectations are written out here once more, from https://platform.vidu.com/docs/text-to-video and its sister pages
(read 2026-11-23): a slip in the vendor's tables must not hide in the tests.
"""

import json
from dataclasses import replace
from typing import Any

import pytest

from contract.replay import VENDORS, open_vendor, order_of
from videogate.task.errors import InvalidRequest, NotUnderstood
from videogate.task.model import Fit, Role, Sight
from videogate.vendorkit.client import Reply
from videogate.vendorkit.contract import Notice, Vendor
from videogate.vendorkit.order import Order, OrderPicture

TEXT, IMAGE, FRAMES, REFERENCES, SUBJECTS = "text", "image", "frames", "references", "subjects"
PATHS = {
    TEXT: "/ent/v2/text2video",
    IMAGE: "/ent/v2/img2video",
    FRAMES: "/ent/v2/start-end2video",
    REFERENCES: "/ent/v2/reference2video",
    SUBJECTS: "/ent/v2/reference2video",
}
THREE, FIVE = ["16:9", "9:16", "1:1"], ["16:9", "9:16", "1:1", "4:3", "3:4"]


def span(least: int, most: int, *resolutions: str) -> dict[str, list[int]]:
    return {each: list(range(least, most + 1)) for each in resolutions}


ALL, HIGH = ("540p", "720p", "1080p"), ("720p", "1080p")
ONE = {"1080p": [5]}
OLD = {"360p": [4], "720p": [4, 8], "1080p": [4]}
# Model: for each way the lengths of each resolution.
MODELS: dict[str, dict[str, dict[str, list[int]]]] = {
    "viduq3-pro": {way: span(1, 16, *ALL) for way in (TEXT, IMAGE, FRAMES)},
    "viduq3-turbo": {
        **{way: span(1, 16, *ALL) for way in (TEXT, IMAGE, FRAMES)},
        **{way: span(3, 16, *ALL) for way in (REFERENCES, SUBJECTS)},
    },
    "viduq3": {REFERENCES: span(3, 16, *ALL)},
    "viduq3-mix": {REFERENCES: span(3, 16, *HIGH)},
    "viduq3-pro-fast": {IMAGE: span(1, 16, *HIGH)},
    "viduq2": {way: span(1, 10, *ALL) for way in (TEXT, REFERENCES, SUBJECTS)},
    "viduq2-pro": {IMAGE: span(1, 10, *ALL), FRAMES: span(1, 8, *ALL), REFERENCES: span(1, 10, *ALL)},
    "viduq2-turbo": {IMAGE: span(1, 10, *ALL), FRAMES: span(1, 8, *ALL)},
    "viduq2-pro-fast": {IMAGE: span(1, 10, *HIGH), FRAMES: span(1, 8, *HIGH)},
    "viduq1": dict.fromkeys((TEXT, IMAGE, FRAMES, REFERENCES, SUBJECTS), ONE),
    "viduq1-classic": dict.fromkeys((IMAGE, FRAMES), ONE),
    "vidu2.0": {IMAGE: OLD, FRAMES: OLD, REFERENCES: {"360p": [4], "720p": [4]}},
    "vidu1.5": dict.fromkeys((TEXT, IMAGE, FRAMES, REFERENCES, SUBJECTS), OLD),
}
WAYS = [(name, way) for name, ways in MODELS.items() for way in ways]
# How many pictures an endpoint is sent here.
PICTURES = {TEXT: 0, IMAGE: 1, FRAMES: 2, REFERENCES: 3, SUBJECTS: 0}
SIZES = {"1920x1080": ("1080p", "16:9"), "1080x1920": ("1080p", "9:16"), "1080x1080": ("1080p", "1:1")}
SIZES |= {"1280x720": ("720p", "16:9"), "720x1280": ("720p", "9:16"), "720x720": ("720p", "1:1")}
SIZES |= {"960x540": ("540p", "16:9"), "540x960": ("540p", "9:16"), "540x540": ("540p", "1:1")}
SIZES |= {"640x360": ("360p", "16:9"), "360x640": ("360p", "9:16"), "360x360": ("360p", "1:1")}
SIZES |= {"1440x1080": ("1080p", "4:3"), "1080x1440": ("1080p", "3:4"), "960x720": ("720p", "4:3")}
SIZES |= {"720x960": ("720p", "3:4"), "720x540": ("540p", "4:3"), "540x720": ("540p", "3:4")}
CAT = {"name": "cat", "images": ["https://example.com/1.png"]}
# Values for options as a form says them, and the form in which the page wants them.
OPTIONS: dict[str, tuple[Any, Any]] = {
    "seed": ("5", 5),
    "movement_amplitude": ("small", "small"),
    "style": ("anime", "anime"),
    "bgm": ("true", True),
    "audio": ("false", False),
    "audio_type": ("speech_only", "speech_only"),
    "voice_id": ("v1", "v1"),
    "is_rec": ("1", True),
    "off_peak": ("true", True),
    "watermark": ("true", True),
    "wm_url": ("https://example.com/w.png", "https://example.com/w.png"),
    "wm_position": ("3", 3),
    "meta_data": ('{"Label": "1"}', '{"Label": "1"}'),
    "subjects": (json.dumps([CAT]), [CAT]),
    "auto_subjects": ("0", False),
    "videos": ("https://example.com/f.mp4", ["https://example.com/f.mp4"]),
}
ANYWHERE = {"seed", "movement_amplitude", "off_peak", "watermark", "wm_url", "wm_position", "meta_data"}
SPOKEN = {"audio", "audio_type", "voice_id"}
AT = {
    TEXT: {"style"},
    IMAGE: {"is_rec"},
    FRAMES: {"is_rec"},
    REFERENCES: set[str](),
    SUBJECTS: {"subjects", "auto_subjects"},
}

TOKEN = "vda_example_token_0001"  # invented; the signature of the example was computed with it
SIGNED = {
    "date": "Tue, 06 May 2025 12:09:42 GMT",
    "x-request-nonce": "123e4567-e89b-12d3-a456-426614174000",
    "x-hmac-signed-headers": "Date;x-request-nonce",
    "x-hmac-algorithm": "hmac-sha256",
    "x-hmac-access-key": "vidu",
    "x-hmac-signature": "2DgzCoPxf5U5Rdj9Osc79l4CJPNmAqtnsSytR4V+BPE=",
}
CALLED = "https://example.com/vidu/callback?name=james&age=36"


@pytest.fixture
def vendor() -> Vendor:
    return open_vendor(VENDORS["vidu"])[0]


def link(number: int) -> dict[str, str]:
    return {"role": "reference", "url": f"https://example.com/{number}.png"}


def order(vendor: Vendor, name: str, way: str, **asked: Any) -> Order:
    """An order for a model used in a way, with the least that it needs beside what is asked."""
    given = {"subjects": OPTIONS["subjects"][0]} if way == SUBJECTS else {}
    action = {"action": way} if len(MODELS[name]) > 1 else {}
    options = {**action, **given, **asked.pop("options", {})}
    least = {"pictures": [link(number) for number in range(PICTURES[way])]}
    found = order_of(
        vendor,
        {"model": name, "prompt": "a cat", "fit": Fit.STRICT, **least, **usual(name, way), **asked}
        | {"options": options},
    )
    assert found.model.way == way
    return found


def usual(name: str, way: str) -> dict[str, str]:
    """A resolution and a length that the model makes."""
    resolution, lengths = next(iter(MODELS[name][way].items()))
    return {"resolution": resolution, "seconds": str(lengths[0])}


def sent(vendor: Vendor, name: str, way: str, **asked: Any) -> dict[str, Any]:
    """The body of a request for a model used in a way."""
    call = vendor.submit_call(order(vendor, name, way, **asked))
    assert (call.method, call.path) == ("POST", PATHS[way])
    assert call.json["model"] == name
    json.dumps(call.json, allow_nan=False)
    return dict(call.json)


def ratios(name: str) -> list[str]:
    return FIVE if name.startswith(("viduq2", "viduq3")) else THREE


def options_of(name: str, way: str) -> set[str]:
    """What the pages of a model's endpoint list."""
    known = ANYWHERE | AT[way]
    known |= SPOKEN if name.startswith(("viduq2", "viduq3")) else set()
    known |= set() if name.startswith("viduq3") else {"bgm"}
    known |= {"videos"} if (name, way) == ("viduq2-pro", REFERENCES) else set()
    return known - ({"off_peak"} if name == "viduq3-mix" else set())


# What is asked


def test_the_models_are_those_of_the_pages(vendor: Vendor) -> None:
    """No model and no way to use one is missing, none is invented."""
    found = {name: {way.way for way in model.ways_to(None)} for name, model in vendor.models.items()}

    assert found == {name: set(ways) for name, ways in MODELS.items()}


@pytest.mark.parametrize(("name", "way"), WAYS)
def test_every_resolution_and_length_is_sent(vendor: Vendor, name: str, way: str) -> None:
    """Each documented pair is sent exactly: the resolution in small letters, the length as a whole number."""
    pairs = [(resolution, length) for resolution, lengths in MODELS[name][way].items() for length in lengths]
    made = [sent(vendor, name, way, resolution=resolution.upper(), seconds=str(length)) for resolution, length in pairs]

    assert [(each["resolution"], each["duration"]) for each in made] == pairs
    assert {type(each["duration"]) for each in made} == {int}


@pytest.mark.parametrize(("name", "way"), WAYS)
def test_no_other_length_is_sent(vendor: Vendor, name: str, way: str) -> None:
    """A length that the resolution does not have is refused under `strict`, and never sent."""
    for resolution, lengths in MODELS[name][way].items():
        for length in sorted(set(range(1, 20)) - set(lengths)):
            with pytest.raises(InvalidRequest):
                sent(vendor, name, way, resolution=resolution, seconds=str(length))


@pytest.mark.parametrize(("name", "way"), [each for each in WAYS if each[1] in (TEXT, REFERENCES, SUBJECTS)])
def test_a_size_becomes_resolution_and_ratio(vendor: Vendor, name: str, way: str) -> None:
    """The shorter side is the resolution, the shape is the ratio: for every size that the model makes."""
    sizes = [size for size, (lines, ratio) in SIZES.items() if lines in MODELS[name][way] and ratio in ratios(name)]
    for size in sizes:
        length = str(MODELS[name][way][SIZES[size][0]][0])
        body = sent(vendor, name, way, size=size, seconds=length, resolution=None)

        assert (body["resolution"], body["aspect_ratio"]) == SIZES[size]
    assert len(sizes) == len(MODELS[name][way]) * len(ratios(name))


@pytest.mark.parametrize(("name", "way"), [each for each in WAYS if each[1] in (IMAGE, FRAMES)])
def test_a_picture_gives_the_shape(vendor: Vendor, name: str, way: str) -> None:
    """Image and start-end take no ratio, whoever asks for one."""
    body = sent(vendor, name, way, aspect_ratio="1:1")

    assert "aspect_ratio" not in body
    assert "aspect_ratio" not in sent(vendor, name, way, options={"aspect_ratio": "9:16"})


@pytest.mark.parametrize(
    ("count", "way"), [(0, TEXT), (1, IMAGE), (2, FRAMES), (3, REFERENCES), (4, REFERENCES), (7, REFERENCES)]
)
def test_the_pictures_choose_the_endpoint(vendor: Vendor, count: int, way: str) -> None:
    """None, one, two and more go to an endpoint each, in the order in which they were given."""
    pictures = [link(number) for number in range(count)]
    call = vendor.submit_call(order_of(vendor, {"model": "viduq1", "prompt": "a cat", "pictures": pictures}))

    assert call.path == PATHS[way]
    assert call.json.get("images", []) == [picture["url"] for picture in pictures]


@pytest.mark.parametrize("count", [1, 2])
def test_an_action_makes_few_pictures_references(vendor: Vendor, count: int) -> None:
    """Who wants a reference of one or two pictures says so; the word itself is not sent."""
    asked = {"model": "viduq1", "prompt": "a cat", "options": {"action": "references"}}
    call = vendor.submit_call(order_of(vendor, {**asked, "pictures": [link(number) for number in range(count)]}))

    assert call.path == PATHS[REFERENCES]
    assert call.json["aspect_ratio"]
    assert len(call.json["images"]) == count
    assert "action" not in call.json


@pytest.mark.parametrize(("name", "count"), [("vidu2.0", 4), ("vidu1.5", 4), ("viduq1", 8), ("viduq3-pro", 3)])
def test_more_pictures_than_a_model_takes_are_refused(vendor: Vendor, name: str, count: int) -> None:
    """The old models refer to three pictures, the others to seven, and some to none."""
    with pytest.raises(InvalidRequest) as caught:
        order_of(vendor, {"model": name, "prompt": "x", "pictures": [link(number) for number in range(count)]})

    assert caught.value.param == "input_reference"


@pytest.mark.parametrize("name", [name for name, ways in MODELS.items() if TEXT not in ways])
def test_a_model_without_text_to_video_needs_a_picture(vendor: Vendor, name: str) -> None:
    """The caller reads which field to send."""
    with pytest.raises(InvalidRequest) as caught:
        order_of(vendor, {"model": name, "prompt": "a cat"})

    assert caught.value.param in ("input_reference", "reference")
    assert "viduq1" in caught.value.message


@pytest.mark.parametrize(("name", "way"), WAYS)
def test_a_prompt_is_needed_without_a_first_frame(vendor: Vendor, name: str, way: str) -> None:
    """Image and start-end make something of the pictures alone, and are then sent no empty prompt."""
    if way in (IMAGE, FRAMES):
        assert "prompt" not in sent(vendor, name, way, prompt="")
    else:
        with pytest.raises(InvalidRequest) as caught:
            sent(vendor, name, way, prompt=" ")

        assert caught.value.param == "prompt"


def test_viduq1_makes_one_length_and_one_resolution(vendor: Vendor) -> None:
    """The interface's own defaults become five seconds of 1080p, and callers are told."""
    made = order_of(vendor, {"model": "viduq1", "prompt": "a cat", "seconds": "4", "size": "720x1280"})
    body = vendor.submit_call(made).json

    assert (body["duration"], body["resolution"], body["aspect_ratio"]) == (5, "1080p", "9:16")
    assert {each.field: each.used for each in made.fitted.adjustments} == {"seconds": "5", "size": "1080x1920"}


@pytest.mark.parametrize(
    ("size", "seconds", "made"),
    [("1920x1080", "8", 4), ("1280x720", "8", 8), ("640x360", "8", 4), ("1280x720", "6", 4)],
)
def test_eight_seconds_are_made_at_720p_alone(vendor: Vendor, size: str, seconds: str, made: int) -> None:
    """The resolution that was asked for is kept, the length gives way, and callers are told."""
    asked = {"model": "vidu2.0", "prompt": "a cat", "size": size, "seconds": seconds, "pictures": [link(1)]}
    found = order_of(vendor, asked)
    body = vendor.submit_call(found).json

    assert (body["resolution"], body["duration"]) == (SIZES[size][0], made)
    assert ("seconds" in {each.field for each in found.fitted.adjustments}) is (int(seconds) != made)


def test_nothing_is_sent_that_was_not_asked_for(vendor: Vendor) -> None:
    """The vendor's own defaults stay the vendor's."""
    body = sent(vendor, "viduq2", TEXT, size="1280x720", seconds="5", resolution=None)

    assert body == {
        "model": "viduq2",
        "prompt": "a cat",
        "duration": 5,
        "resolution": "720p",
        "aspect_ratio": "16:9",
        "payload": "vg0123",
    }


@pytest.mark.parametrize(("name", "way"), WAYS)
def test_the_payload_is_ours(vendor: Vendor, name: str, way: str) -> None:
    """By it a lost submit is found; a caller's own is reported, not sent."""
    made = order(vendor, name, way, options={"payload": "mine", "callback_url": "https://example.com/mine"})
    body = vendor.submit_call(made).json

    assert body["payload"] == made.client_ref == "vg0123"
    assert "mine" not in json.dumps(body)
    assert {"metadata.payload", "metadata.callback_url"} <= {each.field for each in made.fitted.adjustments}


@pytest.mark.parametrize(("name", "way"), WAYS)
def test_a_callback_is_asked_for_where_we_can_be_reached(vendor: Vendor, name: str, way: str) -> None:
    """`callback_url` is the order's, and absent where the order has none."""
    made = order(vendor, name, way)

    assert "callback_url" not in vendor.submit_call(made).json
    assert vendor.submit_call(replace(made, callback_url=CALLED)).json["callback_url"] == CALLED


# Options


@pytest.mark.parametrize(("name", "way"), WAYS)
def test_every_option_is_sent_in_its_type(vendor: Vendor, name: str, way: str) -> None:
    """What a form can only say as text is sent in the documented type; the others are reported, not sent."""
    known = options_of(name, way)
    (model,) = (each for each in vendor.models[name].ways if each.way == way)
    made = order(vendor, name, way, options={option: said for option, (said, _) in OPTIONS.items()})
    body = vendor.submit_call(made).json

    assert model.options == known
    assert {option: body[option] for option in known} == {option: OPTIONS[option][1] for option in known}
    assert not body.keys() & (OPTIONS.keys() - known)
    dropped = {each.field.removeprefix("metadata.") for each in made.fitted.adjustments}
    assert dropped == OPTIONS.keys() - known


@pytest.mark.parametrize(("name", "way"), WAYS)
@pytest.mark.parametrize("empty", [None, "", [], {}])
def test_an_empty_option_is_not_sent(vendor: Vendor, name: str, way: str, empty: Any) -> None:
    """An explicit null or an empty value means that nothing is asked for."""
    options = dict.fromkeys(sorted(options_of(name, way) - {"subjects"}), empty)

    assert sent(vendor, name, way, options=options) == sent(vendor, name, way)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("seed", "abc"),
        ("seed", True),
        ("bgm", "maybe"),
        ("audio", 2),
        ("style", 5),
        ("meta_data", {"Label": "1"}),
        ("wm_position", 1.5),
        ("wm_url", ["https://example.com/w.png"]),
    ],
)
def test_an_option_of_the_wrong_type_is_named(vendor: Vendor, option: str, value: Any) -> None:
    """The caller reads which option is wrong, in its own words."""
    with pytest.raises(InvalidRequest) as caught:
        sent(vendor, "viduq2", TEXT, options={option: value})

    assert caught.value.param == f"metadata.{option}"


@pytest.mark.parametrize(("option", "value"), [("subjects", ["cat"]), ("subjects", "[nonsense"), ("subjects", 5)])
def test_subjects_must_be_objects(vendor: Vendor, option: str, value: Any) -> None:
    """A list of something else is refused by name."""
    with pytest.raises(InvalidRequest) as caught:
        sent(vendor, "viduq2", SUBJECTS, options={option: value})

    assert caught.value.param == "metadata.subjects"


def test_subjects_and_pictures_are_not_mixed(vendor: Vendor) -> None:
    """Subjects bring pictures of their own: beside references they are reported, and other pictures refused."""
    subjects = {"subjects": OPTIONS["subjects"][0]}

    assert "subjects" not in sent(vendor, "viduq2", REFERENCES, options=subjects)
    assert "images" not in sent(vendor, "viduq2", SUBJECTS)
    with pytest.raises(InvalidRequest, match="takes no picture"):
        sent(vendor, "viduq2", SUBJECTS, pictures=[link(1)])


# Pictures


@pytest.mark.parametrize("mime", ["image/jpeg", "image/png", "image/webp"])
def test_a_file_becomes_a_data_url_of_its_own_type(vendor: Vendor, mime: str) -> None:
    """The type stands before the base64: without it the vendor refuses the picture."""
    body = sent(vendor, "viduq1", IMAGE, pictures=[file("800x800", mime=mime)])

    assert body["images"] == [f"data:{mime};base64,iVBORw0KGgo="]


def file(frame: str, *, mime: str = "image/png") -> dict[str, Any]:
    return {"role": "reference", "file": {"mime": mime, "frame": frame, "base64": "iVBORw0KGgo="}}


@pytest.mark.parametrize(
    ("way", "frame", "taken"),
    [
        (IMAGE, "400x100", True),
        (IMAGE, "100x400", True),
        (IMAGE, "401x100", False),
        (IMAGE, "100x401", False),
        (REFERENCES, "128x128", True),
        (REFERENCES, "512x128", True),
        (REFERENCES, "127x128", False),
        (REFERENCES, "128x127", False),
        (REFERENCES, "513x128", False),
    ],
)
def test_the_shape_of_a_file_is_held_against_the_page(vendor: Vendor, way: str, frame: str, taken: bool) -> None:
    """From 1:4 to 4:1, and references of 128 pixels a side at least."""
    if taken:
        assert sent(vendor, "viduq1", way, pictures=[file(frame)])["images"]
    else:
        with pytest.raises(InvalidRequest) as caught:
            sent(vendor, "viduq1", way, pictures=[file(frame)])

        assert caught.value.param == "input_reference"


def test_other_types_are_refused(vendor: Vendor) -> None:
    """Only png, jpeg and webp are on the page."""
    with pytest.raises(InvalidRequest, match="jpeg, png, webp"):
        sent(vendor, "viduq1", IMAGE, pictures=[file("800x800", mime="image/bmp")])


def test_a_file_is_smaller_than_ten_megabytes(vendor: Vendor) -> None:
    """The limit is the one of base64, not the fifty of a link, which nobody but the vendor opens."""
    limits = {way.pictures.most_bytes for model in vendor.models.values() for way in model.ways if way.pictures.most}

    assert limits == {10_000_000 - 1}


def test_a_request_is_smaller_than_twenty_megabytes(vendor: Vendor) -> None:
    """Each picture may be small enough and all of them too much: a proxy's answer to that would say nothing."""
    made = order(vendor, "viduq1", FRAMES)
    pictures = [OrderPicture(role, mime="image/png", read=lambda: bytes(7_400_000)) for role in (Role.FIRST_FRAME,) * 2]
    too_many = [OrderPicture(role, mime="image/png", read=lambda: bytes(7_600_000)) for role in (Role.FIRST_FRAME,) * 2]

    assert len(vendor.prepare(replace(made, pictures=tuple(pictures))).content) < 20_000_000
    with pytest.raises(InvalidRequest) as caught:
        vendor.submit_call(replace(made, pictures=tuple(too_many)))
    assert caught.value.param == "input_reference"


# What is answered


@pytest.mark.parametrize(
    ("status", "reason", "ours", "later"),
    [
        (400, "BadRequest", "invalid_request", False),
        (400, "FieldLacking", "invalid_request", False),
        (400, "FieldUnwanted", "invalid_request", False),
        (400, "FieldItemCountOutOfRange", "invalid_request", False),
        (400, "FieldInvalid", "invalid_request", False),
        (400, "PageSizeOutOfRange", "invalid_request", False),
        (400, "ImageDownloadFailure", "input_unreadable", False),
        (400, "ImageFormatInvalid", "input_unreadable", False),
        (400, "ImageCheckFaceFailed", "invalid_request", False),
        (400, "OperationInProcess", "rate_limited", True),
        (400, "TaskPromptPolicyViolation", "moderation_blocked", False),
        (400, "AuditSubmitIllegal", "moderation_blocked", False),
        (400, "CreationPolicyViolation", "moderation_blocked", False),
        (400, "PhotoAuditNotPass", "moderation_blocked", False),
        (400, "AuditFailed", "moderation_blocked", False),
        (400, "CreditInsufficient", "insufficient_balance", False),
        (400, "ModelUnavailable", "model_unavailable", False),
        (400, "UserCancelled", "vendor_cancelled", False),
        (401, "Unauthorized", "vendor_credentials_refused", False),
        (403, "Forbidden", "vendor_credentials_refused", False),
        (404, "TaskNotFound", "vendor_error", False),
        (404, "NotFound", "vendor_error", False),
        (429, "QuotaExceeded", "rate_limited", True),
        (429, "TooManyRequests", "rate_limited", True),
        (429, "SystemThrottling", "rate_limited", True),
        (429, "NewKindOfLimit", "vendor_error", True),
        (429, "CreditInsufficient", "insufficient_balance", False),
        (400, "NeverSeen", "vendor_error", False),
    ],
)
def test_the_documented_reasons(vendor: Vendor, status: int, reason: str, ours: str, later: bool) -> None:
    """`reason` says what went wrong, or `code` where that is a text; the HTTP status says nothing more of it."""
    words = {"message": "as it says", "metadata": {"trace_id": "t"}}
    for body in ({"code": status, "reason": reason, **words}, {"code": reason, **words}):
        refusal = vendor.read_refusal(Reply(status, {}, json.dumps(body).encode(), ""))

        assert refusal is not None
        assert (refusal.failure.code.value, refusal.later) == (ours, later)
        assert (refusal.failure.vendor_code, refusal.failure.vendor_message) == (reason, "as it says")


@pytest.mark.parametrize(
    "body",
    [
        {"code": 400, "message": "a number is no reason"},
        {"code": 400, "reason": "", "message": "no reason"},
        {"code": 400, "reason": ["FieldInvalid"], "message": "invalid field"},
        {"code": 400, "reason": "FieldInvalid"},
        {"code": 400, "reason": "FieldInvalid", "message": None},
        {"message": "no Route matched"},
        {"error": {"code": "FieldInvalid", "message": "another API's form"}},
        {"code": 400, "reason": "FieldInvalid", "message": "and yet a task", "task_id": "1"},
        {"code": 499, "reason": "Canceled", "message": "request canceled by client"},
    ],
)
def test_only_the_documented_form_is_a_refusal(vendor: Vendor, body: dict[str, Any]) -> None:
    """A reason and a message, no task beside them; a call that was given up says nothing of what came of it."""
    assert vendor.read_refusal(Reply(400, {}, json.dumps(body).encode(), "")) is None


@pytest.mark.parametrize(
    ("reason", "ours"),
    [
        ("TaskPromptPolicyViolation", "moderation_blocked"),
        ("CreationPolicyViolation", "moderation_blocked"),
        ("UserCancelled", "vendor_cancelled"),
        ("CreditInsufficient", "insufficient_balance"),
        ("ImageDownloadFailure", "input_unreadable"),
        ("InternalServiceFailure", "vendor_error"),
        ("NeverSeen", "vendor_error"),
    ],
)
def test_a_failed_job_says_why_in_err_code(vendor: Vendor, reason: str, ours: str) -> None:
    """A record has a code and no sentence: the code is what callers read."""
    body = json.dumps({"state": "failed", "err_code": reason, "creations": []}).encode()

    seen = vendor.read_observation(Reply(200, {}, body, ""))

    assert seen.sight is Sight.FAILED
    assert seen.failure is not None
    assert (seen.failure.code.value, seen.failure.vendor_code) == (ours, reason)
    assert reason in seen.failure.message


@pytest.mark.parametrize("creations", [[], [{}], [{"url": ""}], [{"cover_url": "https://example.com/c.jpg"}], None])
def test_a_success_needs_a_creation(vendor: Vendor, creations: Any) -> None:
    """A cover is no video."""
    body = json.dumps({"state": "success", "err_code": "", "creations": creations}).encode()

    with pytest.raises(NotUnderstood):
        vendor.read_observation(Reply(200, {}, body, ""))


# Callbacks


def vouched(url: str = CALLED, **changed: str) -> bool:
    vendor, _ = open_vendor(VENDORS["vidu"], api_key=TOKEN)
    headers = {**SIGNED, **{name.replace("_", "-"): value for name, value in changed.items()}}
    return vendor.vouches(Notice(url, {name: value for name, value in headers.items() if value != "gone"}, b"{}"))


def test_a_signature_of_the_documented_form_vouches() -> None:
    """Path, query, date and the named headers are signed with the key that created the task."""
    assert vouched()
    assert vouched(x_hmac_signed_headers="gone")  # these two are the default


@pytest.mark.parametrize(
    "changed",
    [
        {"url": "https://example.com/vidu/callback?name=james&age=37"},
        {"url": "https://example.com/vidu/callback"},
        {"url": "https://example.com/vidu/other?name=james&age=36"},
        {"date": "Tue, 06 May 2025 12:09:43 GMT"},
        {"date": "gone"},
        {"x_request_nonce": "123e4567-e89b-12d3-a456-426614174001"},
        {"x_request_nonce": "gone"},
        {"x_hmac_signed_headers": "Date"},
        {"x_hmac_signed_headers": ""},
        {"x_hmac_signature": "gone"},
        {"x_hmac_signature": ""},
        {"x_hmac_signature": "ÿ"},
        {"x_hmac_signature": "2DgzCoPxf5U5Rdj9Osc79l4CJPNmAqtnsSytR4V+BPF="},
    ],
)
def test_nothing_else_vouches(changed: dict[str, str]) -> None:
    """Whatever of it is changed or missing, the notice is nobody's."""
    assert not vouched(**changed)


def test_another_key_does_not_vouch(vendor: Vendor) -> None:
    """The signature is worth what the key is worth."""
    assert not vendor.vouches(Notice(CALLED, SIGNED, b"{}"))

"""Wanxiang (通义万相): Alibaba Cloud Model Studio, DashScope's asynchronous video API.

Wire: https://help.aliyun.com/zh/model-studio/text-to-video-api-reference and its sister pages for image-to-video,
first-and-last-frame, digital human and reference-to-video; errors: https://help.aliyun.com/zh/model-studio/error-code.
Read 2026-11-23.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import urlencode

from pydantic import SecretStr

from videogate.task.errors import Failure, FailureCode, InvalidRequest, NotUnderstood
from videogate.task.frames import Frame
from videogate.task.model import Artifact, Observation, Receipt, Rework, Role, Sight
from videogate.vendorkit.client import Call, Prepared, Reply
from videogate.vendorkit.config import VendorConfig
from videogate.vendorkit.contract import Refusal, Vendor
from videogate.vendorkit.facts import (
    Choices,
    FrameRule,
    FrameTable,
    LengthRule,
    Limits,
    Model,
    OpenLength,
    PictureFrames,
    PictureRule,
    Span,
    Terms,
    Told,
    VideoRule,
)
from videogate.vendorkit.order import Order
from videogate.vendorkit.tracing import Found, Lost, Sighting, Trace, Tracing
from videogate.vendorkit.values import Read, as_bool, as_int, as_object, as_text, dig, list_of, read_options, text


class Config(VendorConfig):
    """Keys and hosts belong to a region; the default is Beijing."""

    api_key: SecretStr
    base_url: str = "https://dashscope.aliyuncs.com/api/v1"


# Exact sizes by tier, of text-to-video up to 2.6 and of 2.7.
FRAMES: Mapping[int, Mapping[str, Frame]] = {
    480: {"16:9": Frame(832, 480), "9:16": Frame(480, 832), "1:1": Frame(624, 624)},
    720: {
        "16:9": Frame(1280, 720),
        "9:16": Frame(720, 1280),
        "1:1": Frame(960, 960),
        "4:3": Frame(1088, 832),
        "3:4": Frame(832, 1088),
    },
    1080: {
        "16:9": Frame(1920, 1080),
        "9:16": Frame(1080, 1920),
        "1:1": Frame(1440, 1440),
        "4:3": Frame(1632, 1248),
        "3:4": Frame(1248, 1632),
    },
}
FRAMES_27: Mapping[int, Mapping[str, Frame]] = {
    720: {**FRAMES[720], "4:3": Frame(1104, 832), "3:4": Frame(832, 1104)},
    1080: {**FRAMES[1080], "4:3": Frame(1648, 1248), "3:4": Frame(1248, 1648)},
}

# A caller's option, the place of the request it goes to, and how it is read.
INPUT: Mapping[str, Read] = {
    "negative_prompt": as_text,
    "audio_url": as_text,
    "template": as_text,
    "reference_urls": list_of(as_text),
    "video_url": as_text,
    "media": list_of(as_object),
}
PARAMETERS: Mapping[str, Read] = {
    "prompt_extend": as_bool,
    "watermark": as_bool,
    "seed": as_int,
    "shot_type": as_text,
    "audio": as_bool,
    "audio_setting": as_text,
}
COMMON = frozenset({"negative_prompt", "prompt_extend", "watermark", "seed"})

MIMES = frozenset({"image/jpeg", "image/png", "image/bmp", "image/webp"})
# A data URL may have 10 MiB, which is base64 of three quarters of that.
DATA_URL_BYTES = 7 * 1024 * 1024


def _pictures(
    counts: Mapping[Role, tuple[int, int]], side: tuple[int, int] = (240, 8000), *, as_file: bool = True
) -> PictureRule:
    return PictureRule(counts, as_file=as_file, mimes=MIMES, most_bytes=DATA_URL_BYTES, side=side)


NO_PICTURE = PictureRule()
FIRST = _pictures({Role.FIRST_FRAME: (1, 1)})
FIRST_AND_LAST = _pictures({Role.FIRST_FRAME: (1, 1), Role.LAST_FRAME: (0, 1)}, side=(360, 2000))
PORTRAIT = _pictures({Role.FIRST_FRAME: (1, 1)}, side=(400, 7000), as_file=False)
REFERENCES_26 = _pictures({Role.REFERENCE: (0, 5)}, side=(240, 5000), as_file=False)
FRAMES_OR_CLIP = _pictures({Role.FIRST_FRAME: (0, 1), Role.LAST_FRAME: (0, 1)})
REFERENCES_27 = _pictures({Role.REFERENCE: (0, 5), Role.FIRST_FRAME: (0, 1)})

GENERATION = "/services/aigc/video-generation/video-synthesis"
IMAGE2VIDEO = "/services/aigc/image2video/video-synthesis"


@dataclass(frozen=True, slots=True)
class Family:
    """Models that are written alike.

    `size` is the way a picture size is said: `size` (W*H), `resolution` (720P), or `ratio` (both 720P and 16:9).
    `keys` says where in `input` a picture goes, by role. `media` is not None for models of 2.7 that have one list for
    pictures, sounds and films instead; it says as what an option goes there. `cuts`: a film gives the length, but a
    caller may ask for another. `from_video`: the `required` film may be a video of the caller's here.
    """

    pictures: PictureRule
    size: Literal["size", "resolution", "ratio"]
    options: frozenset[str]
    path: str = GENERATION
    keys: Mapping[Role, str] = field(default_factory=dict)
    media: Mapping[str, str] | None = None
    prompt: bool = True
    prompt_needed: bool = False
    cuts: bool = False
    required: frozenset[str] = frozenset()
    usual: float = 150.0
    from_video: VideoRule | None = None


_FRAME_KEYS = {Role.FIRST_FRAME: "first_frame_url", Role.LAST_FRAME: "last_frame_url"}

T2V = Family(NO_PICTURE, "size", COMMON, prompt_needed=True)
# The pages name the switch `audio` for the flash models of 2.6 only, but 2.5 is called with it, too.
T2V_25 = replace(T2V, options=COMMON | {"audio_url", "audio"})
T2V_26 = replace(T2V, options=COMMON | {"audio_url", "shot_type"})
T2V_27 = replace(T2V, size="ratio", options=COMMON | {"audio_url"})
I2V = Family(FIRST, "resolution", COMMON | {"template"}, keys={Role.FIRST_FRAME: "img_url"})
I2V_25 = replace(I2V, options=I2V.options | {"audio_url", "audio"})
I2V_26 = replace(I2V, options=I2V.options | {"audio_url", "shot_type"})
I2V_26_FLASH = replace(I2V_26, options=I2V_26.options | {"audio"})
I2V_27 = Family(
    FRAMES_OR_CLIP,
    "resolution",
    COMMON | {"audio_url", "video_url", "media"},
    media={"audio_url": "driving_audio", "video_url": "first_clip"},
)
KF2V = Family(FIRST_AND_LAST, "resolution", I2V.options, IMAGE2VIDEO, keys=_FRAME_KEYS)
S2V = Family(
    PORTRAIT,
    "resolution",
    frozenset({"audio_url"}),
    IMAGE2VIDEO,
    keys={Role.FIRST_FRAME: "image_url"},
    prompt=False,
    required=frozenset({"audio_url"}),
    usual=400.0,
)
R2V_26 = Family(
    REFERENCES_26,
    "size",
    frozenset({"negative_prompt", "watermark", "seed", "shot_type", "reference_urls"}),
    keys={Role.REFERENCE: "reference_urls"},
    prompt_needed=True,
)
R2V_26_FLASH = replace(R2V_26, options=R2V_26.options | {"audio"})
R2V_27 = Family(REFERENCES_27, "ratio", COMMON | {"media"}, media={}, prompt_needed=True)
# The film that is edited gives the shape.
EDIT_27 = Family(
    _pictures({Role.REFERENCE: (0, 5)}),
    "resolution",
    COMMON | {"audio_setting", "video_url"},
    media={"video_url": "video"},
    cuts=True,
    required=frozenset({"video_url"}),
    from_video=VideoRule(Rework.EDIT, Told.LINK),
)

FIVE = Choices((5,))
FIVE_OR_TEN = Choices((5, 10))

# Model, its family, its tiers, its lengths in seconds. Names without the x are the international region's.
MODELS: tuple[tuple[str, Family, tuple[int, ...], LengthRule], ...] = (
    ("wan2.7-t2v", T2V_27, (720, 1080), Span(2, 15)),
    ("wan2.7-t2v-2026-04-25", T2V_27, (720, 1080), Span(2, 15)),
    ("wan2.7-t2v-2026-06-12", T2V_27, (720, 1080), Span(2, 15)),
    ("wan2.6-t2v", T2V_26, (720, 1080), Span(2, 15)),
    ("wan2.6-t2v-us", T2V_26, (720, 1080), FIVE_OR_TEN),
    ("wan2.5-t2v-preview", T2V_25, (480, 720, 1080), FIVE_OR_TEN),
    ("wan2.2-t2v-plus", T2V, (480, 1080), FIVE),
    ("wanx2.1-t2v-turbo", T2V, (480, 720), FIVE),
    ("wan2.1-t2v-turbo", T2V, (480, 720), FIVE),
    ("wanx2.1-t2v-plus", T2V, (720,), FIVE),
    ("wan2.1-t2v-plus", T2V, (720,), FIVE),
    ("wan2.7-i2v", I2V_27, (720, 1080), Span(2, 15)),
    ("wan2.7-i2v-2026-04-25", I2V_27, (720, 1080), Span(2, 15)),
    ("wan2.6-i2v", I2V_26, (720, 1080), Span(2, 15)),
    ("wan2.6-i2v-flash", I2V_26_FLASH, (720, 1080), Span(2, 15)),
    ("wan2.6-i2v-us", I2V_26, (720, 1080), Choices((5, 10, 15))),
    ("wan2.5-i2v-preview", I2V_25, (480, 720, 1080), FIVE_OR_TEN),
    ("wan2.2-i2v-flash", I2V, (480, 720, 1080), FIVE),
    ("wan2.2-i2v-plus", I2V, (480, 1080), FIVE),
    ("wanx2.1-i2v-plus", I2V, (720,), FIVE),
    ("wan2.1-i2v-plus", I2V, (720,), FIVE),
    ("wanx2.1-i2v-turbo", I2V, (480, 720), Choices((3, 4, 5))),
    ("wan2.1-i2v-turbo", I2V, (480, 720), Choices((3, 4, 5))),
    ("wan2.2-kf2v-flash", KF2V, (480, 720, 1080), FIVE),
    ("wanx2.1-kf2v-plus", KF2V, (720,), FIVE),
    ("wan2.1-kf2v-plus", KF2V, (720,), FIVE),
    ("wan2.2-s2v", S2V, (480, 720), OpenLength()),
    ("wan2.6-r2v", R2V_26, (720, 1080), Span(2, 10)),
    ("wan2.6-r2v-flash", R2V_26_FLASH, (720, 1080), Span(2, 10)),
    ("wan2.7-r2v", R2V_27, (720, 1080), Span(2, 10)),  # up to 15 if no film is among the references
    ("wan2.7-videoedit", EDIT_27, (720, 1080), OpenLength()),
)
FAMILIES: Mapping[str, Family] = {name: family for name, family, _, _ in MODELS}

TERMS = Terms(
    title="Wanxiang (通义万相), Alibaba Cloud Model Studio",
    source="https://help.aliyun.com/zh/model-studio/text-to-video-api-reference",
    link="24 hours",
    record="24 hours",
    cancel="only while the job is PENDING",
    billing="each second of a finished video; failed jobs are not billed",
)

# Polls: 20 a second for a whole account. Submits: 2 a second for most models, 5 for the newest.
LIMITS = Limits(polls_per_second=15, submits_per_second=2, submits_at_once=4, polls_at_once=16, fetches_at_once=4)

# https://help.aliyun.com/zh/model-studio/manage-asynchronous-tasks; SUSPENDED is in the SDK only, and not final.
SIGHTS: Mapping[str, Sight] = {
    "PENDING": Sight.QUEUED,
    "RUNNING": Sight.RUNNING,
    "SUSPENDED": Sight.RUNNING,
    "SUCCEEDED": Sight.SUCCEEDED,
    "FAILED": Sight.FAILED,
    "CANCELED": Sight.FAILED,
    "UNKNOWN": Sight.MISSING,
}

# By the beginning of the code, the most telling first; wording varies and counts only where the code is shared.
CODES: tuple[tuple[str, FailureCode], ...] = (
    ("DataInspectionFailed", FailureCode.MODERATION_BLOCKED),
    ("IPInfringementSuspect", FailureCode.MODERATION_BLOCKED),
    ("CustomRoleBlocked", FailureCode.MODERATION_BLOCKED),
    ("FaqRuleBlocked", FailureCode.MODERATION_BLOCKED),
    ("InvalidParameter.DataInspection", FailureCode.INPUT_UNREADABLE),
    ("InvalidURL", FailureCode.INPUT_UNREADABLE),
    ("BadRequest.InputDownloadFailed", FailureCode.INPUT_UNREADABLE),
    ("InvalidApiKey", FailureCode.VENDOR_CREDENTIALS),
    ("NOT AUTHORIZED", FailureCode.VENDOR_CREDENTIALS),
    ("Arrearage", FailureCode.INSUFFICIENT_BALANCE),
    ("AllocationQuota.FreeTierOnly", FailureCode.INSUFFICIENT_BALANCE),
    ("CommodityNotPurchased", FailureCode.INSUFFICIENT_BALANCE),
    ("PrepaidBillOverdue", FailureCode.INSUFFICIENT_BALANCE),
    ("PostpaidBillOverdue", FailureCode.INSUFFICIENT_BALANCE),
    ("ModelNotFound", FailureCode.MODEL_UNAVAILABLE),
    ("Model.", FailureCode.MODEL_UNAVAILABLE),
    ("Endpoint.AccessDenied", FailureCode.MODEL_UNAVAILABLE),
    ("AccessDenied", FailureCode.VENDOR_CREDENTIALS),
    ("App.AccessDenied", FailureCode.VENDOR_CREDENTIALS),
    ("Workspace.AccessDenied", FailureCode.VENDOR_CREDENTIALS),
    ("WorkSpaceNotFound", FailureCode.VENDOR_CREDENTIALS),
    ("Throttling", FailureCode.RATE_LIMITED),
    ("Invalid", FailureCode.INVALID_REQUEST),
    ("BadRequest", FailureCode.INVALID_REQUEST),
)
WORDS: tuple[tuple[str, str, FailureCode], ...] = (
    ("InvalidParameter", "model not exist", FailureCode.MODEL_UNAVAILABLE),
    ("InvalidParameter", "green network", FailureCode.MODERATION_BLOCKED),
    ("InvalidParameter", "download", FailureCode.INPUT_UNREADABLE),
    ("Throttling.AllocationQuota", "free allocated quota", FailureCode.INSUFFICIENT_BALANCE),
)
_TOO_MANY = 429
PAGE = "100"  # jobs on a page of its list; more is not documented


class Wanxiang(Vendor):
    """One envelope for every model: `model`, `input`, `parameters`."""

    name = "wanxiang"
    provider = "alibaba.dashscope"
    Config = Config
    limits = LIMITS
    terms = TERMS
    codes = CODES
    picture_options = {  # noqa: RUF012 (a fact, declared ClassVar by the contract)
        "img_url": Role.FIRST_FRAME,
        "image_url": Role.FIRST_FRAME,
        "first_frame_url": Role.FIRST_FRAME,
        "last_frame_url": Role.LAST_FRAME,
    }
    cancels = True
    # Its list shows model and time, a finished job's record the prompt.
    tracing = Tracing(Trace.LIKENESS, seconds=86_400)
    option_groups = frozenset({"input", "parameters"})

    def offered(self) -> Mapping[str, Model]:
        return {name: _model(name, family, tiers, lengths) for name, family, tiers, lengths in MODELS}

    def authorize(self, prepared: Prepared) -> Mapping[str, str]:
        return {"authorization": f"Bearer {self.config.api_key.get_secret_value()}"}

    def submit_call(self, order: Order) -> Call:
        family = FAMILIES[order.model.name]
        given = _input(order, family)
        headers = {"x-dashscope-async": "enable"}
        if any(link.startswith("oss://") for link in _texts(given)):
            headers["x-dashscope-ossresourceresolve"] = "enable"
        body = {"model": order.model.name, "input": given, "parameters": _parameters(order, family)}
        return Call("POST", family.path, json=body, headers=headers)

    def read_receipt(self, reply: Reply, sent: Prepared) -> Receipt:
        if found := text(dig(reply.json(), "output", "task_id")):
            return Receipt(found)
        raise NotUnderstood("the answer holds no output.task_id")

    def poll_call(self, receipt: Receipt) -> Call:
        return Call("GET", f"/tasks/{receipt.vendor_task_id}")

    def read_observation(self, reply: Reply) -> Observation:
        body = reply.json()
        output = dig(body, "output")
        word = text(dig(output, "task_status"))
        sight = SIGHTS.get(word or "")
        if word is None or sight is None:
            said = word or text(dig(body, "code")) or ""
            raise NotUnderstood(f"the answer says {said[:40]!r}, which is no task status")
        return Observation(
            sight,
            word,
            artifact=_artifact(output) if sight is Sight.SUCCEEDED else None,
            failure=_failure(output, word) if sight is Sight.FAILED else None,
        )

    def cancel_call(self, receipt: Receipt) -> Call:
        return Call("POST", f"/tasks/{receipt.vendor_task_id}/cancel")

    def read_cancel(self, reply: Reply) -> bool:
        match reply.status, reply.json():
            # Alone: beside a code it is an error, beside an output the answer to something else.
            case 200, {"request_id": str(), **more} if not more:
                return True
            case 400, {"code": "UnsupportedOperation"}:
                return False
        raise NotUnderstood("the answer says neither that the task is cancelled nor that it is too late")

    def search_call(self, lost: Lost, page: str) -> Call:
        # By model and number alone: in which time zone its times are meant is not documented.
        query = {"model_name": lost.model, "page_no": page or "1", "page_size": PAGE}
        return Call("GET", f"/tasks/?{urlencode(query)}")

    def read_search(self, reply: Reply, lost: Lost) -> Found:
        body = reply.json()
        jobs, page, pages = body.get("data"), body.get("page_no"), body.get("total_page")
        if not isinstance(jobs, list):
            raise NotUnderstood("the answer holds no list of tasks")
        following = str(page + 1) if isinstance(page, int) and isinstance(pages, int) and page < pages else ""
        return Found(tuple(seen for job in jobs if (seen := _sighting(job))), following)

    def read_record(self, reply: Reply, sighting: Sighting) -> Sighting:
        output = dig(reply.json(), "output")
        if text(dig(output, "task_id")) != sighting.receipt.vendor_task_id:
            raise NotUnderstood("the answer is not this task's record")
        # Only a finished job shows its prompt; one that failed never will, cost nothing, and is nobody's.
        over = SIGHTS.get(text(dig(output, "task_status")) or "") in {Sight.SUCCEEDED, Sight.FAILED}
        return replace(sighting, prompt=text(dig(output, "orig_prompt")) or ("" if over else None))

    def read_refusal(self, reply: Reply) -> Refusal | None:
        body = reply.json_or_empty()
        code, message = body.get("code"), body.get("message")
        if not (isinstance(code, str) and code and isinstance(message, str)) or dig(body, "output", "task_id"):
            return None
        failure = _as_failure(code, message)
        # A 429 whose code we do not know created nothing either; one about money does not pass by waiting.
        later = failure.code is FailureCode.RATE_LIMITED or (
            reply.status == _TOO_MANY and failure.code is FailureCode.VENDOR_ERROR
        )
        return Refusal(failure, later)


def _model(name: str, family: Family, tiers: tuple[int, ...], lengths: LengthRule) -> Model:
    tables = FRAMES_27 if family.size == "ratio" else FRAMES
    frames: FrameRule = PictureFrames(tiers)
    if family.size != "resolution":
        frames = FrameTable({lines: tables[lines] for lines in tiers})
    usual = Model(
        name,
        frames=frames,
        lengths=lengths,
        pictures=family.pictures,
        usual_seconds=family.usual,
        prompt_needed=family.prompt_needed,
        abilities=frozenset({"sound"} if {"audio", "audio_url"} & family.options else ()),
        options=family.options,
        required_options=family.required,
        source="https://help.aliyun.com/zh/model-studio/",
    )
    if family.from_video is None:
        return usual
    options = family.options - family.required
    rework = replace(usual, way="edit", from_video=family.from_video, options=options, required_options=frozenset())
    return replace(usual, others=(rework,))


def _input(order: Order, family: Family) -> dict[str, Any]:
    given = read_options(order.options, INPUT)
    if order.source:
        given["video_url"] = order.source.link
    if order.prompt and family.prompt:
        given["prompt"] = order.prompt
    if family.media is not None:
        return _with_media(order, given, family.media)
    for role, key in family.keys.items():
        links = [picture.link() for picture in order.pictures if picture.role is role]
        if role is Role.REFERENCE:
            given[key] = _some([*links, *given.get(key, [])], order)
        elif links:
            given[key] = links[0]
    return given


# The names that 2.7 gives to what is in its `media` list.
_MEDIA = {
    Role.FIRST_FRAME: "first_frame",
    Role.LAST_FRAME: "last_frame",
    Role.REFERENCE: "reference_image",
}


def _with_media(order: Order, given: dict[str, Any], kinds: Mapping[str, str]) -> dict[str, Any]:
    media = [{"type": _MEDIA[picture.role], "url": picture.link()} for picture in order.pictures]
    media += [{"type": kind, "url": given.pop(key)} for key, kind in kinds.items() if key in given]
    media += given.pop("media", [])
    return {**given, "media": _some(media, order)}


def _some(inputs: list[Any], order: Order) -> list[Any]:
    if not inputs:
        raise InvalidRequest(f"{order.model.name} needs a picture: send input_reference.", param="input_reference")
    return inputs


def _texts(value: Any) -> Iterator[str]:
    """Every text in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(each)


def _parameters(order: Order, family: Family) -> dict[str, Any]:
    given = read_options(order.options, PARAMETERS)
    frame, tier = order.fitted.frame, order.fitted.tier
    if family.size == "size" and frame is not None:
        given["size"] = f"{frame.width}*{frame.height}"
    else:
        given["resolution"] = f"{tier}P"
    if family.size == "ratio":
        given["ratio"] = order.fitted.ratio
    # A model with one length needs no word about it.
    if order.model.lengths != FIVE and not isinstance(order.model.lengths, OpenLength):
        given["duration"] = int(order.fitted.seconds)
    elif family.cuts and order.asked_seconds:
        given["duration"] = round(float(order.asked_seconds))
    return given


def _sighting(job: Any) -> Sighting | None:
    found, created = text(dig(job, "task_id")), dig(job, "gmt_create")
    if found is None:
        return None
    at = created / 1000 if type(created) is int else None
    return Sighting(Receipt(found), model=text(dig(job, "model_name")), created_at=at)


def _artifact(output: Any) -> Artifact:
    link = text(dig(output, "video_url")) or text(dig(output, "results", "video_url"))
    if link is None:
        raise NotUnderstood("the task succeeded, but its record holds no video_url")
    return Artifact(link)


def _failure(output: Any, word: str) -> Failure:
    if word == "CANCELED":
        return Failure(FailureCode.VENDOR_CANCELLED, "The job was cancelled at the vendor.", word)
    return _as_failure(text(dig(output, "code")) or word, text(dig(output, "message")))


def _as_failure(code: str, message: str | None) -> Failure:
    words = message or "no reason was given"
    told = (ours for start, part, ours in WORDS if code.startswith(start) and part in words.lower())
    known = (ours for start, ours in CODES if code.startswith(start))
    ours = next(told, None) or next(known, FailureCode.VENDOR_ERROR)
    return Failure(ours, f"Wanxiang refused or failed: {words}", code, message)

"""Kling (可灵): the legacy generation of its API, `/v1/videos/*` with `model_name` in the body.

Wire: https://app.klingai.com/cn/dev/document-api (text-to-video, image-to-video, multi-image, omni, error codes),
read 2026-11-23.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import Any, Self
from urllib.parse import urlsplit
from warnings import catch_warnings, simplefilter

import jwt
from jwt.warnings import InsecureKeyLengthWarning
from pydantic import SecretStr, model_validator
from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook, WebhookVerificationError

from videogate.task.errors import Failure, FailureCode, NotUnderstood
from videogate.task.frames import Frame
from videogate.task.model import Artifact, Observation, Receipt, Rework, Role, Sight
from videogate.vendorkit.client import Call, Prepared, Reply
from videogate.vendorkit.config import VendorConfig
from videogate.vendorkit.contract import Notice, Refusal, Vendor
from videogate.vendorkit.facts import (
    Choices,
    FrameRule,
    FrameTable,
    LengthRule,
    Limits,
    Model,
    PictureFrames,
    PictureRule,
    SourceFrames,
    Span,
    Terms,
    Told,
    VideoRule,
    in_ways,
)
from videogate.vendorkit.order import Order, OrderPicture
from videogate.vendorkit.tracing import Found, Lost, Sighting, Trace, Tracing
from videogate.vendorkit.values import Read, as_bool, as_number, as_object, as_text, dig, list_of, read_options, text


class Config(VendorConfig):
    """Keys belong to a region; the default is Beijing. An API key does instead of the pair.

    `webhook_secret`: that of the console, where callbacks are signed; without it the unguessable URL must do.
    """

    access_key: SecretStr | None = None
    secret_key: SecretStr | None = None
    api_key: SecretStr | None = None
    webhook_secret: SecretStr | None = None
    base_url: str = "https://api-beijing.klingai.com"

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.api_key is None and (self.access_key is None or self.secret_key is None):
            raise ValueError("set ACCESS_KEY and SECRET_KEY, or API_KEY")
        return self


# `mode` is the resolution, `aspect_ratio` the shape; no page gives pixels, these are the tiers' usual ones.
FRAMES: Mapping[int, Mapping[str, Frame]] = {
    720: {"16:9": Frame(1280, 720), "9:16": Frame(720, 1280), "1:1": Frame(960, 960)},
    1080: {"16:9": Frame(1920, 1080), "9:16": Frame(1080, 1920), "1:1": Frame(1440, 1440)},
    2160: {"16:9": Frame(3840, 2160), "9:16": Frame(2160, 3840), "1:1": Frame(2880, 2880)},
}
MODES: Mapping[int, str] = {720: "std", 1080: "pro", 2160: "4k"}


def _switch(value: Any) -> str:
    """A flag in the vendor's words. Raises ValueError."""
    return value if value in ("on", "off") else ("on" if as_bool(value) else "off")


def _watermark(value: Any) -> Mapping[str, Any]:
    """The vendor's object, or a plain flag as other vendors have it. Raises ValueError."""
    return value if isinstance(value, Mapping) else {"enabled": as_bool(value)}


def _camera(value: Any) -> Mapping[str, Any]:
    """The vendor's object, whose numbers forms write as texts. Raises ValueError."""
    camera = as_object(value)
    config = camera.get("config")
    if not isinstance(config, Mapping):
        return camera
    numbers = {axis: as_number(each) if isinstance(each, str) else each for axis, each in config.items()}
    return {**camera, "config": numbers}


# A caller's option, and how it is read.
OPTIONS: Mapping[str, Read] = {
    "negative_prompt": as_text,
    "cfg_scale": as_number,
    "camera_control": _camera,
    "static_mask": as_text,
    "dynamic_masks": list_of(as_object),
    "sound": _switch,
    "voice_list": list_of(as_object),
    "element_list": list_of(as_object),
    "multi_shot": as_bool,
    "shot_type": as_text,
    "multi_prompt": list_of(as_object),
    "video_list": list_of(as_object),
    "watermark_info": _watermark,
    "watermark": _watermark,
}
ANY = frozenset({"watermark_info", "watermark"})
COMMON = ANY | {"negative_prompt"}
FIRST_GENERATION = COMMON | {"cfg_scale"}
SOUND = COMMON | {"sound", "voice_list"}
THIRD = SOUND | {"multi_shot", "shot_type", "multi_prompt", "element_list"}


def _pictures(counts: Mapping[Role, tuple[int, int]]) -> PictureRule:
    return PictureRule(
        counts, mimes=frozenset({"image/jpeg", "image/png"}), most_bytes=10_000_000, side=(300, 16_384), stretch=2.5
    )


NO_PICTURE = PictureRule()
FIRST = _pictures({Role.FIRST_FRAME: (1, 1)})
FIRST_AND_LAST = _pictures({Role.FIRST_FRAME: (0, 1), Role.LAST_FRAME: (1, 1)})
OMNI_FIRST_AND_LAST = _pictures({Role.FIRST_FRAME: (1, 1), Role.LAST_FRAME: (1, 1)})
REFERENCES = _pictures({Role.REFERENCE: (1, 4)})
OMNI_REFERENCES = _pictures({Role.REFERENCE: (1, 7)})

TEXT2VIDEO = "/v1/videos/text2video"
IMAGE2VIDEO = "/v1/videos/image2video"
MULTI_IMAGE = "/v1/videos/multi-image2video"
OMNI = "/v1/videos/omni-video"
VIDEO_EXTEND = "/v1/videos/video-extend"


@dataclass(frozen=True, slots=True)
class Way:
    """An endpoint used with certain pictures.

    `shaped`: a picture gives the shape, so no ratio is sent. `unread`: a model's options that mean nothing here.
    `from_video`: it goes on with a video, at that one's size and by the model that made it.
    """

    name: str
    path: str
    pictures: PictureRule
    shaped: bool = False
    prompt_needed: bool = False
    unread: frozenset[str] = frozenset()
    from_video: VideoRule | None = None


MASKS = frozenset({"static_mask", "dynamic_masks"})

TEXT = Way("text", TEXT2VIDEO, NO_PICTURE, prompt_needed=True, unread=MASKS)
IMAGE = Way("image", IMAGE2VIDEO, FIRST, shaped=True)
# An end frame, masks and a camera exclude each other.
TWO_FRAMES = Way("frames", IMAGE2VIDEO, FIRST_AND_LAST, shaped=True, unread=MASKS | {"camera_control"})
SEVERAL = Way("references", MULTI_IMAGE, REFERENCES, prompt_needed=True, unread=frozenset({"cfg_scale"}))
LONGER = Way(
    "extend",
    VIDEO_EXTEND,
    NO_PICTURE,
    unread=MASKS | ANY | {"camera_control"},
    from_video=VideoRule(Rework.EXTEND, Told.RESULT),
)
OMNI_TEXT = replace(TEXT, path=OMNI)
OMNI_IMAGE = replace(IMAGE, path=OMNI, prompt_needed=True)
OMNI_FRAMES = replace(TWO_FRAMES, path=OMNI, pictures=OMNI_FIRST_AND_LAST, prompt_needed=True)
OMNI_SEVERAL = replace(SEVERAL, path=OMNI, pictures=OMNI_REFERENCES)
WAYS: Mapping[str, Mapping[str, Way]] = {
    "legacy": {way.name: way for way in (TEXT, IMAGE, TWO_FRAMES, SEVERAL, LONGER)},
    "omni": {way.name: way for way in (OMNI_TEXT, OMNI_IMAGE, OMNI_FRAMES, OMNI_SEVERAL)},
}

FIVE = Choices((5,))
FIVE_OR_TEN = Choices((5, 10))
UP_TO_TEN = Span(3, 10)
UP_TO_FIFTEEN = Span(3, 15)
STD_PRO = (720, 1080)
# Which generations can be extended no page says for sure, but that the first can.
EXTENSION: tuple[str, tuple[int, ...], LengthRule] = ("extend", STD_PRO, FIVE)
PRO = (1080,)
ALL = (720, 1080, 2160)

# Model, its options, and its ways with the tiers and lengths of each.
MODELS: tuple[tuple[str, str, frozenset[str], tuple[tuple[str, tuple[int, ...], LengthRule], ...]], ...] = (
    (
        "kling-v1",
        "legacy",
        FIRST_GENERATION | MASKS | {"camera_control"},
        (("text", STD_PRO, FIVE_OR_TEN), ("image", STD_PRO, FIVE_OR_TEN), ("frames", STD_PRO, FIVE), EXTENSION),
    ),
    (
        "kling-v1-5",
        "legacy",
        FIRST_GENERATION,
        (("image", STD_PRO, FIVE_OR_TEN), ("frames", PRO, FIVE_OR_TEN), EXTENSION),
    ),
    (
        "kling-v1-6",
        "legacy",
        FIRST_GENERATION,
        (
            ("text", STD_PRO, FIVE_OR_TEN),
            ("image", STD_PRO, FIVE_OR_TEN),
            ("frames", PRO, FIVE_OR_TEN),
            ("references", STD_PRO, FIVE_OR_TEN),
            EXTENSION,
        ),
    ),
    ("kling-v2-master", "legacy", COMMON, (("text", PRO, FIVE_OR_TEN), ("image", PRO, FIVE_OR_TEN))),
    ("kling-v2-1", "legacy", COMMON, (("image", STD_PRO, FIVE_OR_TEN), ("frames", PRO, FIVE_OR_TEN))),
    ("kling-v2-1-master", "legacy", COMMON, (("text", PRO, FIVE_OR_TEN), ("image", PRO, FIVE_OR_TEN))),
    (
        "kling-v2-5-turbo",
        "legacy",
        COMMON,
        (("text", STD_PRO, FIVE_OR_TEN), ("image", STD_PRO, FIVE_OR_TEN), ("frames", PRO, FIVE_OR_TEN)),
    ),
    (
        "kling-v2-6",
        "legacy",
        SOUND,
        (("text", STD_PRO, FIVE_OR_TEN), ("image", STD_PRO, FIVE_OR_TEN), ("frames", PRO, FIVE_OR_TEN)),
    ),
    (
        "kling-v3",
        "legacy",
        THIRD,
        (("text", ALL, UP_TO_FIFTEEN), ("image", ALL, UP_TO_FIFTEEN), ("frames", ALL, UP_TO_FIFTEEN)),
    ),
    (
        "kling-video-o1",
        "omni",
        ANY | {"element_list", "video_list"},
        tuple((way, STD_PRO, UP_TO_TEN) for way in WAYS["omni"]),
    ),
    (
        "kling-v3-omni",
        "omni",
        ANY | {"element_list", "video_list", "sound"},
        tuple((way, ALL, UP_TO_FIFTEEN) for way in WAYS["omni"]),
    ),
)
GENERATIONS: Mapping[str, str] = {name: generation for name, generation, _, _ in MODELS}

TERMS = Terms(
    title="Kling (可灵)",
    source="https://app.klingai.com/cn/dev/document-api",
    link="30 days",
    record="30 days",
    cancel="no call for it",
    billing="units, told as `final_unit_deduction`; whether a failed job gets them back is not documented",
)

# No rate of submits or queries is documented; what is limited is the number of jobs at once, by the account's packs.
LIMITS = Limits(polls_per_second=10, submits_per_second=5, submits_at_once=4, polls_at_once=16, fetches_at_once=4)

# `succeed` is this generation's spelling, `succeeded` the newer one's.
SIGHTS: Mapping[str, Sight] = {
    "submitted": Sight.QUEUED,
    "processing": Sight.RUNNING,
    "succeed": Sight.SUCCEEDED,
    "succeeded": Sight.SUCCEEDED,
    "failed": Sight.FAILED,
}

# https://app.klingai.com/cn/dev/document-api/apiReference/commonInfo; a 429 is not always throttling.
CODES: Mapping[int, FailureCode] = {
    1000: FailureCode.VENDOR_CREDENTIALS,
    1001: FailureCode.VENDOR_CREDENTIALS,
    1002: FailureCode.VENDOR_CREDENTIALS,
    1003: FailureCode.VENDOR_CREDENTIALS,
    1004: FailureCode.VENDOR_CREDENTIALS,
    1100: FailureCode.VENDOR_CREDENTIALS,
    1101: FailureCode.INSUFFICIENT_BALANCE,
    1102: FailureCode.INSUFFICIENT_BALANCE,
    1103: FailureCode.MODEL_UNAVAILABLE,
    1200: FailureCode.INVALID_REQUEST,
    1201: FailureCode.INVALID_REQUEST,
    1202: FailureCode.INVALID_REQUEST,
    1203: FailureCode.MODEL_UNAVAILABLE,
    1300: FailureCode.MODERATION_BLOCKED,
    1301: FailureCode.MODERATION_BLOCKED,
    1302: FailureCode.RATE_LIMITED,
    1303: FailureCode.RATE_LIMITED,
    1304: FailureCode.VENDOR_CREDENTIALS,
}
MISSING = frozenset({"1203"})
# Trouble inside: nobody says whether a job came of the call, so these are no refusals.
TROUBLE = frozenset({5000, 5001, 5002})
# A failed job has no code, only a sentence.
WORDS: tuple[tuple[str, FailureCode], ...] = (
    ("risk control", FailureCode.MODERATION_BLOCKED),
    ("input image is invalid", FailureCode.INVALID_REQUEST),
)

TOKEN_SECONDS = 1_800
TOKEN_RENEWED = 1_500
TOKEN_SKEW = 5


class Kling(Vendor):
    """The endpoint follows from the pictures; a job is asked for where it was created."""

    name = "kling"
    provider = "kuaishou.kling"
    Config = Config
    limits = LIMITS
    terms = TERMS
    codes = tuple((str(code), ours) for code, ours in CODES.items())
    picture_options = {  # noqa: RUF012 (a fact, declared ClassVar by the contract)
        "image": Role.FIRST_FRAME,
        "image_tail": Role.LAST_FRAME,
        "img_url": Role.FIRST_FRAME,
        "first_frame_url": Role.FIRST_FRAME,
        "last_frame_url": Role.LAST_FRAME,
        "images": Role.REFERENCE,
        "image_list": Role.REFERENCE,
    }
    option_words = {  # noqa: RUF012 (likewise)
        "mode": ("resolution", {mode: f"{lines}P" for lines, mode in MODES.items()}),
    }
    # A job is asked for by its own id or by ours.
    tracing = Tracing(Trace.REFERENCE, seconds=30 * 86_400)
    takes_callbacks = True
    _token: tuple[str, float] = ("", -inf)

    def offered(self) -> Mapping[str, Model]:
        return {name: _model(name, WAYS[generation], options, ways) for name, generation, options, ways in MODELS}

    def authorize(self, prepared: Prepared) -> Mapping[str, str]:
        key: SecretStr | None = self.config.api_key
        return {"authorization": f"Bearer {key.get_secret_value() if key else self._fresh_token()}"}

    def submit_call(self, order: Order) -> Call:
        way = WAYS[GENERATIONS[order.model.name]][order.model.way]
        body = {"external_task_id": order.client_ref} | _subject(order)
        body |= {"prompt": order.prompt} if order.prompt else {}
        body |= {"callback_url": order.callback_url} if order.callback_url else {}
        body |= {"aspect_ratio": order.fitted.ratio} if order.fitted.ratio else {}
        return Call("POST", way.path, json=body | _images(order, way) | _options(order))

    def read_receipt(self, reply: Reply, sent: Prepared) -> Receipt:
        if found := text(dig(reply.json(), "data", "task_id")):
            return Receipt(found, {"endpoint": urlsplit(sent.url).path.rpartition("/")[2]})
        raise NotUnderstood("the answer holds no data.task_id")

    def poll_call(self, receipt: Receipt) -> Call:
        endpoint = receipt.handle.get("endpoint", "text2video")
        return Call("GET", f"/v1/videos/{endpoint}/{receipt.vendor_task_id}")

    def read_observation(self, reply: Reply) -> Observation:
        body = reply.json()
        word = text(dig(body, "data", "task_status"))
        if word is None and (code := text(dig(body, "code"))) in MISSING and self.read_refusal(reply):
            return Observation(Sight.MISSING, str(code))
        sight = SIGHTS.get(word or "")
        if word is None or sight is None or dig(body, "code") != 0:
            raise NotUnderstood(f"the answer says {(word or str(dig(body, 'code')))[:40]!r}, which is no task status")
        return Observation(
            sight,
            word,
            artifact=_artifact(body) if sight is Sight.SUCCEEDED else None,
            failure=_failure(body) if sight is Sight.FAILED else None,
        )

    @classmethod
    def handle(cls, model: str, way: str) -> Mapping[str, str]:
        return {"endpoint": WAYS[GENERATIONS[model]][way].path.rpartition("/")[2]}

    def search_call(self, lost: Lost, page: str) -> Call:
        return Call("GET", f"{WAYS[GENERATIONS[lost.model]][lost.way].path}/{lost.client_ref}")

    def read_search(self, reply: Reply, lost: Lost) -> Found:
        body = reply.json()
        if text(dig(body, "code")) in MISSING and self.read_refusal(reply):
            return Found()
        found = text(dig(body, "data", "task_id"))
        if found is None or dig(body, "code") != 0:
            raise NotUnderstood(f"the answer ({reply.status}) is neither a task nor the word that there is none")
        # It was asked for by our id; an answer that names another one is about another job.
        reference = text(dig(body, "data", "task_info", "external_task_id")) or lost.client_ref
        return Found((Sighting(Receipt(found, self.handle(lost.model, lost.way)), client_ref=reference),))

    def read_refusal(self, reply: Reply) -> Refusal | None:
        body = reply.json_or_empty()
        code, message = body.get("code"), body.get("message")
        if type(code) is not int or code == 0 or code in TROUBLE or not isinstance(message, str):
            return None
        if dig(body, "data", "task_id"):
            return None
        failure = _as_failure(CODES.get(code, FailureCode.VENDOR_ERROR), str(code), message)
        return Refusal(failure, later=failure.code is FailureCode.RATE_LIMITED)

    def vouches(self, notice: Notice) -> bool:
        if self.config.webhook_secret is None:
            return True
        try:
            signer = Webhook(self.config.webhook_secret.get_secret_value())
            signer.verify(notice.content, dict(notice.headers), json_parse=False)
        except (WebhookVerificationError, EmptyWebhookSecretError, ValueError):
            return False
        return True

    def _fresh_token(self) -> str:
        token, renewed = self._token
        now = self.clock()
        # A clock that was set back would make of a kept token one that is not valid yet.
        if not 0 <= now - renewed < TOKEN_RENEWED:
            claims = {"iss": self.config.access_key.get_secret_value()}
            claims |= {"exp": int(now) + TOKEN_SECONDS, "nbf": int(now) - TOKEN_SKEW}
            with catch_warnings():
                simplefilter("ignore", InsecureKeyLengthWarning)  # how long its keys are is the vendor's affair
                token = jwt.encode(claims, self.config.secret_key.get_secret_value(), algorithm="HS256")
            self._token = (token, now)
        return token


def _model(
    name: str, ways: Mapping[str, Way], options: frozenset[str], used: Iterable[tuple[str, tuple[int, ...], LengthRule]]
) -> Model:
    return in_ways(
        Model(
            name,
            frames=_frames(way, tiers),
            lengths=lengths,
            pictures=way.pictures,
            usual_seconds=180,
            prompt_needed=way.prompt_needed,
            abilities=frozenset({"sound"} & options),
            options=options - way.unread,
            source="https://app.klingai.com/cn/dev/document-api/apiReference/model/textToVideo",
            way=way.name,
            from_video=way.from_video,
        )
        for way, tiers, lengths in ((ways[word], tiers, lengths) for word, tiers, lengths in used)
    )


def _frames(way: Way, tiers: tuple[int, ...]) -> FrameRule:
    if way.from_video:
        return SourceFrames()
    return PictureFrames(tiers, multiple=2) if way.shaped else FrameTable({lines: FRAMES[lines] for lines in tiers})


def _subject(order: Order) -> dict[str, Any]:
    """Which video is to be made: by what and how, or on from which."""
    if order.source:
        return {"video_id": order.source.result}
    mode = MODES[order.fitted.tier or 720]
    return {"model_name": order.model.name, "mode": mode, "duration": order.fitted.seconds}


def _images(order: Order, way: Way) -> dict[str, Any]:
    if way.path == OMNI:
        kinds = {Role.FIRST_FRAME: {"type": "first_frame"}, Role.LAST_FRAME: {"type": "end_frame"}}
        images = [{"image_url": _image(picture), **kinds.get(picture.role, {})} for picture in order.pictures]
        return {"image_list": images} if images else {}
    if way.path == MULTI_IMAGE:
        return {"image_list": [{"image": _image(picture)} for picture in order.pictures]}
    keys = {Role.FIRST_FRAME: "image", Role.LAST_FRAME: "image_tail"}
    return {keys[picture.role]: _image(picture) for picture in order.pictures}


def _image(picture: OrderPicture) -> str:
    """A link, or base64 without the head of a data URL, which is refused."""
    return picture.url or picture.base64()


def _options(order: Order) -> dict[str, Any]:
    given = read_options(order.options, OPTIONS)
    if "watermark" in given:
        given["watermark_info"] = given.pop("watermark")
    return given


def _artifact(body: Mapping[str, Any]) -> Artifact:
    video = dig(body, "data", "task_result", "videos", 0)
    link = text(dig(video, "url"))
    if link is None:
        raise NotUnderstood("the task succeeded, but its record holds no video's url")
    return Artifact(link, text(dig(video, "id")))


def _failure(body: Mapping[str, Any]) -> Failure:
    words = text(dig(body, "data", "task_status_msg"))
    told = (ours for part, ours in WORDS if part in (words or "").lower())
    return _as_failure(next(told, FailureCode.VENDOR_ERROR), None, words)


def _as_failure(ours: FailureCode, code: str | None, message: str | None) -> Failure:
    return Failure(ours, f"Kling refused or failed: {message or 'no reason was given'}", code, message)

"""Vidu: the enterprise API, `/ent/v2`.

Wire: https://platform.vidu.com/docs/text-to-video and its sister pages for image, start-end and reference; errors:
https://platform.vidu.com/docs/error-code. Read 2026-11-23.
"""

from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from hmac import compare_digest
from hmac import new as hmac
from typing import Any
from urllib.parse import urlencode, urlsplit

from pydantic import SecretStr

from videogate.task.errors import Failure, FailureCode, InvalidRequest, NotUnderstood
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
    Span,
    Terms,
    TierLengths,
    Told,
    VideoRule,
    in_ways,
)
from videogate.vendorkit.order import Order
from videogate.vendorkit.tracing import Found, Lost, Sighting, Trace, Tracing
from videogate.vendorkit.values import (
    Read,
    as_bool,
    as_int,
    as_object,
    as_text,
    dig,
    list_of,
    moment,
    read_options,
    text,
)


class Config(VendorConfig):
    """Keys belong to a site; the default is China's."""

    api_key: SecretStr
    base_url: str = "https://api.vidu.cn"


# `resolution` is the shorter side, `aspect_ratio` the shape.
FRAMES: Mapping[int, Mapping[str, Frame]] = {
    360: {"16:9": Frame(640, 360), "9:16": Frame(360, 640), "1:1": Frame(360, 360)},
    540: {"16:9": Frame(960, 540), "9:16": Frame(540, 960), "1:1": Frame(540, 540)},
    720: {"16:9": Frame(1280, 720), "9:16": Frame(720, 1280), "1:1": Frame(720, 720)},
    1080: {"16:9": Frame(1920, 1080), "9:16": Frame(1080, 1920), "1:1": Frame(1080, 1080)},
}
# The later models have two shapes more.
SHAPES: Mapping[int, Mapping[str, Frame]] = {
    540: {**FRAMES[540], "4:3": Frame(720, 540), "3:4": Frame(540, 720)},
    720: {**FRAMES[720], "4:3": Frame(960, 720), "3:4": Frame(720, 960)},
    1080: {**FRAMES[1080], "4:3": Frame(1440, 1080), "3:4": Frame(1080, 1440)},
}

# A caller's option, and how it is read.
OPTIONS: Mapping[str, Read] = {
    "seed": as_int,
    "movement_amplitude": as_text,
    "style": as_text,
    "bgm": as_bool,
    "audio": as_bool,
    "audio_type": as_text,
    "voice_id": as_text,
    "is_rec": as_bool,
    "off_peak": as_bool,
    "watermark": as_bool,
    "wm_url": as_text,
    "wm_position": as_int,
    "meta_data": as_text,
    "subjects": list_of(as_object),
    "auto_subjects": as_bool,
    "videos": list_of(as_text),
}
COMMON = frozenset({"seed", "movement_amplitude", "off_peak", "watermark", "wm_url", "wm_position", "meta_data"})
MUSIC = COMMON | {"bgm"}
SOUND = COMMON | {"audio", "audio_type", "voice_id"}
SOUND_AND_MUSIC = SOUND | MUSIC


def _pictures(counts: Mapping[Role, tuple[int, int]], least: int = 1) -> PictureRule:
    # A file is base64 of less than 10 MB; a link, which only the vendor opens, may lead to 50.
    return PictureRule(counts, most_bytes=9_999_999, side=(least, 16_384), stretch=4)


NO_PICTURE = PictureRule()
FIRST = _pictures({Role.FIRST_FRAME: (1, 1)})
FIRST_AND_LAST = _pictures({Role.FIRST_FRAME: (1, 1), Role.LAST_FRAME: (1, 1)})
LAST = _pictures({Role.LAST_FRAME: (0, 1)})
REFERENCES = _pictures({Role.REFERENCE: (1, 7)}, least=128)
UP_TO_THREE = _pictures({Role.REFERENCE: (1, 3)}, least=128)
# A whole request is 20 MB at most; what is not pictures is small.
PICTURES_MOST = 19_900_000


@dataclass(frozen=True, slots=True)
class Way:
    """An endpoint used with certain pictures. `shaped`: a picture gives the shape, so no ratio is sent.

    `from_video`: it goes on with a video, and takes none of a model's options.
    """

    name: str
    path: str
    pictures: PictureRule
    options: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()
    shaped: bool = False
    prompt_needed: bool = False
    from_video: VideoRule | None = None


TEXT = Way("text", "/ent/v2/text2video", NO_PICTURE, frozenset({"style"}), prompt_needed=True)
IMAGE = Way("image", "/ent/v2/img2video", FIRST, frozenset({"is_rec"}), shaped=True)
TWO_FRAMES = Way("frames", "/ent/v2/start-end2video", FIRST_AND_LAST, frozenset({"is_rec"}), shaped=True)
SEVERAL = Way("references", "/ent/v2/reference2video", REFERENCES, prompt_needed=True)
FEW = replace(SEVERAL, pictures=UP_TO_THREE)
WITH_FILMS = replace(SEVERAL, options=frozenset({"videos"}))
# Subjects bring pictures of their own, beside which there must be no others.
SUBJECTS = replace(
    SEVERAL,
    name="subjects",
    pictures=NO_PICTURE,
    options=frozenset({"subjects", "auto_subjects"}),
    required=frozenset({"subjects"}),
)
# Any of the account's videos will do, whichever model made it.
LONGER = Way(
    "extend", "/ent/v2/extend", LAST, shaped=True, from_video=VideoRule(Rework.EXTEND, Told.RESULT, any_model=True)
)
PATHS: Mapping[str, str] = {way.name: way.path for way in (TEXT, IMAGE, TWO_FRAMES, SEVERAL, SUBJECTS, LONGER)}

FIVE = Choices((5,))
FOUR = Choices((4,))
FOUR_OR_EIGHT = Choices((4, 8))
# Eight seconds are made at 720p alone.
EIGHT_AT_720: LengthRule = TierLengths({360: FOUR, 720: FOUR_OR_EIGHT, 1080: FOUR})
UP_TO_SEVEN = Span(1, 7)
UP_TO_EIGHT = Span(1, 8)
UP_TO_TEN = Span(1, 10)
UP_TO_SIXTEEN = Span(1, 16)
THREE_TO_SIXTEEN = Span(3, 16)
FULL = (1080,)
FROM_360 = (360, 720, 1080)
FROM_540 = (540, 720, 1080)
FROM_720 = (720, 1080)

# Model, its options, and its ways with the tiers and lengths of each.
MODELS: tuple[tuple[str, frozenset[str], tuple[tuple[Way, tuple[int, ...], LengthRule], ...]], ...] = (
    (
        "viduq3-pro",
        SOUND,
        (
            (TEXT, FROM_540, UP_TO_SIXTEEN),
            (IMAGE, FROM_540, UP_TO_SIXTEEN),
            (TWO_FRAMES, FROM_540, UP_TO_SIXTEEN),
        ),
    ),
    (
        "viduq3-turbo",
        SOUND,
        (
            (TEXT, FROM_540, UP_TO_SIXTEEN),
            (IMAGE, FROM_540, UP_TO_SIXTEEN),
            (TWO_FRAMES, FROM_540, UP_TO_SIXTEEN),
            (SEVERAL, FROM_540, THREE_TO_SIXTEEN),
            (SUBJECTS, FROM_540, THREE_TO_SIXTEEN),
        ),
    ),
    ("viduq3", SOUND, ((SEVERAL, FROM_540, THREE_TO_SIXTEEN),)),
    ("viduq3-mix", SOUND - {"off_peak"}, ((SEVERAL, FROM_720, THREE_TO_SIXTEEN),)),
    ("viduq3-pro-fast", SOUND, ((IMAGE, FROM_720, UP_TO_SIXTEEN),)),
    (
        "viduq2",
        SOUND_AND_MUSIC,
        ((TEXT, FROM_540, UP_TO_TEN), (SEVERAL, FROM_540, UP_TO_TEN), (SUBJECTS, FROM_540, UP_TO_TEN)),
    ),
    (
        "viduq2-pro",
        SOUND_AND_MUSIC,
        (
            (IMAGE, FROM_540, UP_TO_TEN),
            (TWO_FRAMES, FROM_540, UP_TO_EIGHT),
            (WITH_FILMS, FROM_540, UP_TO_TEN),
            (LONGER, FROM_540, UP_TO_SEVEN),
        ),
    ),
    (
        "viduq2-turbo",
        SOUND_AND_MUSIC,
        ((IMAGE, FROM_540, UP_TO_TEN), (TWO_FRAMES, FROM_540, UP_TO_EIGHT), (LONGER, FROM_540, UP_TO_SEVEN)),
    ),
    ("viduq2-pro-fast", SOUND_AND_MUSIC, ((IMAGE, FROM_720, UP_TO_TEN), (TWO_FRAMES, FROM_720, UP_TO_EIGHT))),
    (
        "viduq1",
        MUSIC,
        tuple((way, FULL, FIVE) for way in (TEXT, IMAGE, TWO_FRAMES, SEVERAL, SUBJECTS)),
    ),
    ("viduq1-classic", MUSIC, ((IMAGE, FULL, FIVE), (TWO_FRAMES, FULL, FIVE))),
    (
        "vidu2.0",
        MUSIC,
        ((IMAGE, FROM_360, EIGHT_AT_720), (TWO_FRAMES, FROM_360, EIGHT_AT_720), (FEW, (360, 720), FOUR)),
    ),
    (
        "vidu1.5",
        MUSIC,
        (
            (TEXT, FROM_360, EIGHT_AT_720),
            (IMAGE, FROM_360, EIGHT_AT_720),
            (TWO_FRAMES, FROM_360, EIGHT_AT_720),
            (FEW, FROM_360, EIGHT_AT_720),
            (SUBJECTS, FROM_360, EIGHT_AT_720),
        ),
    ),
)

TERMS = Terms(
    title="Vidu",
    source="https://platform.vidu.com/docs",
    link="24 hours; an earlier page said one",
    record="not documented; its list goes back 7 days unless told otherwise",
    cancel="until the job is scheduled",
    billing="credits; whether a failed job gets them back is not documented",
)

# Five jobs run at once for an organisation, more wait in its queue; no rate of calls is published.
LIMITS = Limits(polls_per_second=10, submits_per_second=5, submits_at_once=4, polls_at_once=16, fetches_at_once=4)

# https://platform.vidu.com/docs/get-generation
SIGHTS: Mapping[str, Sight] = {
    "created": Sight.QUEUED,
    "queueing": Sight.QUEUED,
    "processing": Sight.RUNNING,
    "success": Sight.SUCCEEDED,
    "failed": Sight.FAILED,
}

# `reason` of a refusal, `err_code` of a failed job.
CODES: Mapping[str, FailureCode] = {
    "BadRequest": FailureCode.INVALID_REQUEST,
    "FieldLacking": FailureCode.INVALID_REQUEST,
    "FieldUnwanted": FailureCode.INVALID_REQUEST,
    "FieldItemCountOutOfRange": FailureCode.INVALID_REQUEST,
    "FieldInvalid": FailureCode.INVALID_REQUEST,
    "PageSizeOutOfRange": FailureCode.INVALID_REQUEST,
    "ImageDownloadFailure": FailureCode.INPUT_UNREADABLE,
    "ImageFormatInvalid": FailureCode.INPUT_UNREADABLE,
    "ImageSizeInvalid": FailureCode.INVALID_REQUEST,
    "CreationNotFound": FailureCode.INPUT_UNREADABLE,
    "ImageCheckBodyJointsFailed": FailureCode.INVALID_REQUEST,
    "ImageCheckFaceFailed": FailureCode.INVALID_REQUEST,
    "ImageObjectsUndetected": FailureCode.INVALID_REQUEST,
    "FaceDetectFailure": FailureCode.INVALID_REQUEST,
    "OperationInProcess": FailureCode.RATE_LIMITED,
    "TaskPromptPolicyViolation": FailureCode.MODERATION_BLOCKED,
    "AuditSubmitIllegal": FailureCode.MODERATION_BLOCKED,
    "CreationPolicyViolation": FailureCode.MODERATION_BLOCKED,
    "PhotoAuditNotPass": FailureCode.MODERATION_BLOCKED,
    "AuditFailed": FailureCode.MODERATION_BLOCKED,
    "CreditInsufficient": FailureCode.INSUFFICIENT_BALANCE,
    "ModelUnavailable": FailureCode.MODEL_UNAVAILABLE,
    "UserCancelled": FailureCode.VENDOR_CANCELLED,
    "Unauthorized": FailureCode.VENDOR_CREDENTIALS,
    "Forbidden": FailureCode.VENDOR_CREDENTIALS,
    "QuotaExceeded": FailureCode.RATE_LIMITED,
    "TooManyRequests": FailureCode.RATE_LIMITED,
    "SystemThrottling": FailureCode.RATE_LIMITED,
}
MISSING = frozenset({"TaskNotFound"})
# Says that the call was given up, not that nothing came of it.
TROUBLE = frozenset({"Canceled"})
_TOO_MANY = 429
PAGE = "100"  # jobs on a page of its list, the most there may be


class Vidu(Vendor):
    """The endpoint follows from the pictures; our id of the attempt travels as `payload`."""

    name = "vidu"
    provider = "shengshu.vidu"
    Config = Config
    limits = LIMITS
    terms = TERMS
    codes = tuple(CODES.items())
    picture_options = {  # noqa: RUF012 (a fact, declared ClassVar by the contract)
        "image": Role.FIRST_FRAME,
        "img_url": Role.FIRST_FRAME,
        "first_frame_url": Role.FIRST_FRAME,
        "last_frame_url": Role.LAST_FRAME,
        "images": Role.REFERENCE,
    }
    cancels = True
    # Our id travels as `payload`; the list may leave it out, the job's record does not.
    tracing = Tracing(Trace.REFERENCE, seconds=7 * 86_400)
    takes_callbacks = True

    def offered(self) -> Mapping[str, Model]:
        return {name: _model(name, options, ways) for name, options, ways in MODELS}

    def authorize(self, prepared: Prepared) -> Mapping[str, str]:
        return {"authorization": f"Token {self.config.api_key.get_secret_value()}"}

    def submit_call(self, order: Order) -> Call:
        body: dict[str, Any] = {"model": order.model.name, "duration": int(order.fitted.added or order.fitted.seconds)}
        body |= {"video_creation_id": order.source.result} if order.source else {}
        body |= {"resolution": f"{order.fitted.tier}p", "payload": order.client_ref}
        body |= {"prompt": order.prompt} if order.prompt else {}
        body |= {"callback_url": order.callback_url} if order.callback_url else {}
        body |= {"aspect_ratio": order.fitted.ratio} if order.fitted.ratio else {}
        body |= {"images": _images(order)} if order.pictures else {}
        return Call("POST", PATHS[order.model.way], json=body | read_options(order.options, OPTIONS))

    def read_receipt(self, reply: Reply, sent: Prepared) -> Receipt:
        if found := text(reply.json().get("task_id")):
            return Receipt(found)
        raise NotUnderstood("the answer holds no task_id")

    def poll_call(self, receipt: Receipt) -> Call:
        return Call("GET", f"/ent/v2/tasks/{receipt.vendor_task_id}/creations")

    def read_observation(self, reply: Reply) -> Observation:
        body = reply.json()
        word, reason = text(body.get("state")), text(body.get("reason"))
        if word is None and reason in MISSING and self.read_refusal(reply):
            return Observation(Sight.MISSING, str(reason))
        sight = SIGHTS.get(word or "")
        if word is None or sight is None:
            raise NotUnderstood(f"the answer says {(word or reason or '')[:40]!r}, which is no task state")
        return Observation(
            sight,
            word,
            artifact=_artifact(body) if sight is Sight.SUCCEEDED else None,
            failure=_failure(body) if sight is Sight.FAILED else None,
        )

    def cancel_call(self, receipt: Receipt) -> Call:
        job = receipt.vendor_task_id
        return Call("POST", f"/ent/v2/tasks/{job}/cancel", json={"id": job})

    def read_cancel(self, reply: Reply) -> bool:
        match reply.status, reply.json():
            case 200, body if not body:
                return True
            # The reason is everybody's, so the words must say it.
            case 400, {"reason": "BadRequest", "message": str(words)} if "can not cancel" in words:
                return False
        raise NotUnderstood("the answer says neither that the task is cancelled nor that it is too late")

    def search_call(self, lost: Lost, page: str) -> Call:
        query = {"pager.pagesz": PAGE} | ({"pager.page_token": page} if page else {})
        return Call("GET", f"/ent/v2/tasks?{urlencode(query)}")

    def read_search(self, reply: Reply, lost: Lost) -> Found:
        body = reply.json()
        jobs = body.get("tasks")
        if not isinstance(jobs, list):
            raise NotUnderstood("the answer holds no list of tasks")
        return Found(tuple(seen for job in jobs if (seen := _sighting(job))), text(body.get("next_page_token")) or "")

    def read_record(self, reply: Reply, sighting: Sighting) -> Sighting:
        body = reply.json()
        if text(body.get("state")) is None or not isinstance(body.get("payload"), str):
            raise NotUnderstood("the answer is no task's record with its payload")
        return replace(sighting, client_ref=body["payload"])

    def read_refusal(self, reply: Reply) -> Refusal | None:
        body = reply.json_or_empty()
        # Some of its products put the reason where the others have the status again.
        code, message = body.get("reason") or body.get("code"), body.get("message")
        if not (isinstance(code, str) and code and isinstance(message, str)) or body.get("task_id") or code in TROUBLE:
            return None
        failure = _as_failure(code, message)
        # A 429 whose reason we do not know created nothing either.
        later = failure.code is FailureCode.RATE_LIMITED or (
            reply.status == _TOO_MANY and failure.code is FailureCode.VENDOR_ERROR
        )
        return Refusal(failure, later)

    def vouches(self, notice: Notice) -> bool:
        names = notice.headers.get("x-hmac-signed-headers", "Date;x-request-nonce").split(";")
        url = urlsplit(notice.url)
        signed = "".join(f"{name}:{notice.headers.get(name.lower(), '')}\n" for name in names)
        parts = ("POST", url.path or "/", url.query, "vidu", notice.headers.get("date", ""), signed)
        digest = hmac(self.config.api_key.get_secret_value().encode(), "\n".join(parts).encode(), sha256).digest()
        return compare_digest(b64encode(digest), notice.headers.get("x-hmac-signature", "").encode())


def _model(name: str, options: frozenset[str], used: Iterable[tuple[Way, tuple[int, ...], LengthRule]]) -> Model:
    return in_ways(
        Model(
            name,
            frames=_frames(name, way, tiers),
            lengths=lengths,
            pictures=way.pictures,
            usual_seconds=90,
            prompt_needed=way.prompt_needed,
            abilities=frozenset({"sound"} if "audio" in options else ()),
            options=frozenset() if way.from_video else options | way.options,
            required_options=way.required,
            source="https://platform.vidu.com/docs",
            way=way.name,
            from_video=way.from_video,
        )
        for way, tiers, lengths in used
    )


def _frames(name: str, way: Way, tiers: tuple[int, ...]) -> FrameRule:
    tables = SHAPES if name.startswith(("viduq2", "viduq3")) else FRAMES
    return PictureFrames(tiers, multiple=2) if way.shaped else FrameTable({lines: tables[lines] for lines in tiers})


def _images(order: Order) -> list[str]:
    links = [picture.link() for picture in order.pictures]
    if sum(map(len, links)) > PICTURES_MOST:
        raise InvalidRequest(
            "Vidu takes at most 20 MB of pictures in one request, as base64: send smaller files, or links.",
            param="input_reference",
            code="unsupported_input",
        )
    return links


def _sighting(job: Any) -> Sighting | None:
    found = text(dig(job, "id")) or text(dig(job, "task_id"))
    if found is None:
        return None
    payload = dig(job, "payload")
    return Sighting(
        Receipt(found),
        client_ref=payload if isinstance(payload, str) else None,
        model=text(dig(job, "model")),
        created_at=moment(dig(job, "created_at")),
    )


def _artifact(body: Mapping[str, Any]) -> Artifact:
    creation = dig(body, "creations", 0)
    link = text(dig(creation, "url"))
    if link is None:
        raise NotUnderstood("the task succeeded, but its record holds no creation's url")
    return Artifact(link, text(dig(creation, "id")))


def _failure(body: Mapping[str, Any]) -> Failure:
    return _as_failure(text(body.get("err_code")) or "failed", None)


def _as_failure(code: str, message: str | None) -> Failure:
    return Failure(
        CODES.get(code, FailureCode.VENDOR_ERROR), f"Vidu refused or failed: {message or code}", code, message
    )

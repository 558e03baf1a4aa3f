"""Jimeng (即梦): Volcengine's visual API, one action that submits and one that looks.

Wire: https://www.volcengine.com/docs/85621/1792710 and its sister pages for each `req_key`; signature:
https://www.volcengine.com/docs/6369/67269; gateway errors: https://www.volcengine.com/docs/6369/68677.
Read 2026-11-23.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from hmac import new as hmac
from time import gmtime, strftime
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from pydantic import SecretStr

from videogate.task.errors import Failure, FailureCode, InvalidRequest, NotUnderstood
from videogate.task.frames import Frame
from videogate.task.model import Artifact, Observation, Receipt, Role, Sight
from videogate.vendorkit.client import Call, Prepared, Reply
from videogate.vendorkit.config import VendorConfig
from videogate.vendorkit.contract import Refusal, Vendor
from videogate.vendorkit.facts import Choices, FrameTable, LengthRule, Limits, Model, PictureRule, Terms, in_ways
from videogate.vendorkit.order import Order
from videogate.vendorkit.values import Read, as_int, as_text, dig, read_options, text


class Config(VendorConfig):
    """The pair of an access key; the secret one is used as it is shown, though it looks like base64."""

    access_key: SecretStr
    secret_key: SecretStr
    base_url: str = "https://visual.volcengineapi.com"


# Sizes by shape; the page of 3.0 Pro gives its own, 3.0 1080P is taken to be alike, no page gives those of 720P.
FRAMES_720: Mapping[str, Frame] = {
    "16:9": Frame(1248, 704),
    "9:16": Frame(704, 1248),
    "1:1": Frame(960, 960),
    "4:3": Frame(1120, 832),
    "3:4": Frame(832, 1120),
    "21:9": Frame(1504, 640),
}
FRAMES_1080: Mapping[str, Frame] = {
    "16:9": Frame(1920, 1088),
    "9:16": Frame(1088, 1920),
    "1:1": Frame(1440, 1440),
    "4:3": Frame(1664, 1248),
    "3:4": Frame(1248, 1664),
    "21:9": Frame(2176, 928),
}
FRAMES: Mapping[int, Mapping[str, Frame]] = {720: FRAMES_720, 1080: FRAMES_1080}
# A length is said in frames, 24 a second and one more.
FRAME_COUNTS: Mapping[str, int] = {"5": 121, "10": 241}

# A caller's option, and how it is read.
OPTIONS: Mapping[str, Read] = {
    "seed": as_int,
    "template_id": as_text,
    "camera_strength": as_text,
}
SEED = frozenset({"seed"})
CAMERA = frozenset({"template_id", "camera_strength"})


def _pictures(counts: Mapping[Role, tuple[int, int]]) -> PictureRule:
    return PictureRule(
        counts, mimes=frozenset({"image/jpeg", "image/png"}), most_bytes=4_700_000, side=(320, 4_096), stretch=3
    )


NO_PICTURE = PictureRule()
FIRST = _pictures({Role.FIRST_FRAME: (1, 1)})
FIRST_AND_LAST = _pictures({Role.FIRST_FRAME: (1, 1), Role.LAST_FRAME: (1, 1)})


@dataclass(frozen=True, slots=True)
class Way:
    """A `req_key` used with certain pictures. `ratio`: the shape is sent; `shaped`: the picture gives it; `counted`:
    the length is sent.
    """

    name: str
    pictures: PictureRule
    ratio: bool = False
    shaped: bool = False
    prompt_needed: bool = True
    options: frozenset[str] = SEED
    counted: bool = True
    required: frozenset[str] = frozenset()


TEXT = Way("text", NO_PICTURE, ratio=True)
IMAGE = Way("image", FIRST, shaped=True)
TWO_FRAMES = Way("frames", FIRST_AND_LAST, shaped=True)
RECAMERA = Way("recamera", FIRST, shaped=True, options=SEED | CAMERA, required=CAMERA)
PRO_IMAGE = replace(IMAGE, prompt_needed=False)
# The second generation has one length and no word for it.
OLD_TEXT = replace(TEXT, counted=False)
OLD_IMAGE = Way("image", FIRST, ratio=True, shaped=True, prompt_needed=False, counted=False)

FIVE: LengthRule = Choices((5,))
FIVE_OR_TEN: LengthRule = Choices((5, 10))

# Model, its tier, its lengths, and its ways with the `req_key` of each. The last three are names of other gateways for
# what the vendor splits by its pictures.
MODELS: tuple[tuple[str, int, LengthRule, tuple[tuple[Way, str], ...]], ...] = (
    ("jimeng_vgfm_t2v_l20", 720, FIVE, ((OLD_TEXT, "jimeng_vgfm_t2v_l20"),)),
    ("jimeng_vgfm_i2v_l20", 720, FIVE, ((OLD_IMAGE, "jimeng_vgfm_i2v_l20"),)),
    ("jimeng_t2v_v30", 720, FIVE_OR_TEN, ((TEXT, "jimeng_t2v_v30"),)),
    ("jimeng_i2v_first_v30", 720, FIVE_OR_TEN, ((IMAGE, "jimeng_i2v_first_v30"),)),
    ("jimeng_i2v_first_tail_v30", 720, FIVE_OR_TEN, ((TWO_FRAMES, "jimeng_i2v_first_tail_v30"),)),
    ("jimeng_i2v_recamera_v30", 720, FIVE_OR_TEN, ((RECAMERA, "jimeng_i2v_recamera_v30"),)),
    ("jimeng_t2v_v30_1080p", 1080, FIVE_OR_TEN, ((TEXT, "jimeng_t2v_v30_1080p"),)),
    ("jimeng_i2v_first_v30_1080", 1080, FIVE_OR_TEN, ((IMAGE, "jimeng_i2v_first_v30_1080"),)),
    ("jimeng_i2v_first_tail_v30_1080", 1080, FIVE_OR_TEN, ((TWO_FRAMES, "jimeng_i2v_first_tail_v30_1080"),)),
    ("jimeng_ti2v_v30_pro", 1080, FIVE_OR_TEN, ((TEXT, "jimeng_ti2v_v30_pro"), (PRO_IMAGE, "jimeng_ti2v_v30_pro"))),
    (
        "jimeng_v30",
        720,
        FIVE_OR_TEN,
        (
            (TEXT, "jimeng_t2v_v30"),
            (IMAGE, "jimeng_i2v_first_v30"),
            (TWO_FRAMES, "jimeng_i2v_first_tail_v30"),
        ),
    ),
    (
        "jimeng_v30_1080p",
        1080,
        FIVE_OR_TEN,
        (
            (TEXT, "jimeng_t2v_v30_1080p"),
            (IMAGE, "jimeng_i2v_first_v30_1080"),
            (TWO_FRAMES, "jimeng_i2v_first_tail_v30_1080"),
        ),
    ),
    ("jimeng_v30_pro", 1080, FIVE_OR_TEN, ((TEXT, "jimeng_ti2v_v30_pro"), (PRO_IMAGE, "jimeng_ti2v_v30_pro"))),
)
USES: Mapping[tuple[str, str], tuple[Way, str]] = {
    (name, way.name): (way, req_key) for name, _, _, ways in MODELS for way, req_key in ways
}

TERMS = Terms(
    title="Jimeng (即梦), Volcengine",
    source="https://www.volcengine.com/docs/85621",
    link="1 hour",
    record="12 hours",
    cancel="no call for it",
    billing="only when a video is returned",
)

# Free accounts run one job of a product at once, paid ones two, and one too many is refused; no rate of calls is
# published.
LIMITS = Limits(
    polls_per_second=5, submits_per_second=1, submits_at_once=2, polls_at_once=8, fetches_at_once=4, jobs_at_once=2
)

# `done` says only that it is over: the code beside it says how.
SIGHTS: Mapping[str, Sight] = {
    "in_queue": Sight.QUEUED,
    "generating": Sight.RUNNING,
    "done": Sight.SUCCEEDED,
    "not_found": Sight.MISSING,
    "expired": Sight.MISSING,
}
SUCCESS = 10_000
FIVE_DIGITS = range(SUCCESS + 1, 100_000)  # every other code; a proxy's own are HTTP's, of three
_TOO_MANY = 429

CODES: Mapping[str, FailureCode] = {
    "50218": FailureCode.MODERATION_BLOCKED,
    "50411": FailureCode.MODERATION_BLOCKED,
    "50412": FailureCode.MODERATION_BLOCKED,
    "50413": FailureCode.MODERATION_BLOCKED,
    "50511": FailureCode.MODERATION_BLOCKED,
    "50512": FailureCode.MODERATION_BLOCKED,
    "50513": FailureCode.MODERATION_BLOCKED,
    "50514": FailureCode.MODERATION_BLOCKED,
    "50516": FailureCode.MODERATION_BLOCKED,
    "50517": FailureCode.MODERATION_BLOCKED,
    "50518": FailureCode.MODERATION_BLOCKED,
    "50519": FailureCode.MODERATION_BLOCKED,
    "50520": FailureCode.VENDOR_ERROR,
    "50521": FailureCode.VENDOR_ERROR,
    "50522": FailureCode.VENDOR_ERROR,
    "50204": FailureCode.MODEL_UNAVAILABLE,
    "50215": FailureCode.INVALID_REQUEST,
    "50400": FailureCode.MODEL_UNAVAILABLE,
    "50429": FailureCode.RATE_LIMITED,
    "50430": FailureCode.RATE_LIMITED,
    "30403": FailureCode.MODEL_UNAVAILABLE,
    "30404": FailureCode.MODEL_UNAVAILABLE,
    # The gateway before the service, which knows requests and signatures.
    "MissingAuthenticationToken": FailureCode.VENDOR_CREDENTIALS,
    "MissingSignature": FailureCode.VENDOR_CREDENTIALS,
    "InvalidTimestamp": FailureCode.VENDOR_CREDENTIALS,
    "InvalidAccessKey": FailureCode.VENDOR_CREDENTIALS,
    "SignatureDoesNotMatch": FailureCode.VENDOR_CREDENTIALS,
    "InvalidAuthorization": FailureCode.VENDOR_CREDENTIALS,
    "InvalidCredential": FailureCode.VENDOR_CREDENTIALS,
    "InvalidSecretToken": FailureCode.VENDOR_CREDENTIALS,
    "LackPolicy": FailureCode.VENDOR_CREDENTIALS,
    "AccessDenied": FailureCode.VENDOR_CREDENTIALS,
}
# Codes with which a look at a job says that it failed: those of what was made, and of those who inspect it.
FAILED = frozenset(code for code, ours in CODES.items() if ours is FailureCode.MODERATION_BLOCKED) | {
    "50520",
    "50521",
    "50522",
}
# What a sibling product answers for a job that it has forgotten.
MISSING = frozenset({"50215"})
# Trouble inside: nobody says whether a job came of the call, so these are no refusals.
TROUBLE = frozenset({"50500", "50501", "InternalError", "FailToConnect", "InternalServiceTimeout"})

VERSION = "2022-08-31"
SUBMIT = f"/?Action=CVSync2AsyncSubmitTask&Version={VERSION}"
LOOK = f"/?Action=CVSync2AsyncGetResult&Version={VERSION}"
SCOPE = "cn-north-1/cv/request"


class Jimeng(Vendor):
    """One action for every `req_key`; a look repeats the one that was submitted."""

    name = "jimeng"
    provider = "bytedance.jimeng"
    Config = Config
    limits = LIMITS
    terms = TERMS
    codes = tuple(CODES.items())
    picture_options = {  # noqa: RUF012 (a fact, declared ClassVar by the contract)
        "image_urls": Role.REFERENCE,
        "img_url": Role.FIRST_FRAME,
        "first_frame_url": Role.FIRST_FRAME,
        "last_frame_url": Role.LAST_FRAME,
    }

    option_words = {  # noqa: RUF012 (likewise)
        "frames": ("seconds", {str(count): seconds for seconds, count in FRAME_COUNTS.items()}),
    }

    def offered(self) -> Mapping[str, Model]:
        return {name: _model(name, tier, lengths, (way for way, _ in ways)) for name, tier, lengths, ways in MODELS}

    def authorize(self, prepared: Prepared) -> Mapping[str, str]:
        access, secret = (key.get_secret_value() for key in (self.config.access_key, self.config.secret_key))
        return sign(prepared, access, secret, strftime("%Y%m%dT%H%M%SZ", gmtime(self.clock())))

    def submit_call(self, order: Order) -> Call:
        way, req_key = USES[order.model.name, order.model.way]
        body: dict[str, Any] = {"req_key": req_key}
        body |= {"prompt": order.prompt} if order.prompt else {}
        body |= {"aspect_ratio": order.fitted.ratio} if way.ratio and order.fitted.ratio else {}
        body |= {"frames": FRAME_COUNTS[order.fitted.seconds]} if way.counted else {}
        return Call("POST", SUBMIT, json=body | _images(order) | read_options(order.options, OPTIONS))

    def read_receipt(self, reply: Reply, sent: Prepared) -> Receipt:
        body = reply.json()
        found = text(dig(body, "data", "task_id"))
        if found and body.get("code") == SUCCESS:
            return Receipt(found, {"req_key": json.loads(sent.content)["req_key"]})
        raise NotUnderstood("the answer holds no data.task_id")

    def poll_call(self, receipt: Receipt) -> Call:
        req_key = receipt.handle.get("req_key", "jimeng_vgfm_t2v_l20")
        return Call("POST", LOOK, json={"req_key": req_key, "task_id": receipt.vendor_task_id})

    def read_observation(self, reply: Reply) -> Observation:
        body = reply.json()
        # The code comes first: what stands beside any but that of success is no record.
        if (refusal := self.read_refusal(reply)) is not None:
            return _ended(refusal.failure)
        word = text(dig(body, "data", "status")) if body.get("code") == SUCCESS else None
        sight = SIGHTS.get(word or "")
        if word is None or sight is None:
            told = word or text(body.get("code")) or ""
            raise NotUnderstood(f"the answer says {told[:40]!r}, which is no task status")
        return Observation(sight, word, artifact=_artifact(body) if sight is Sight.SUCCEEDED else None)

    @classmethod
    def handle(cls, model: str, way: str) -> Mapping[str, str]:
        return {"req_key": USES[model, way][1]}

    def read_refusal(self, reply: Reply) -> Refusal | None:
        body = reply.json_or_empty()
        code, message = _told(body)
        if code is None or code in TROUBLE or not isinstance(message, str) or dig(body, "data", "task_id"):
            return None
        failure = _as_failure(code, message)
        # A 429 whose code we do not know created nothing either.
        later = failure.code is FailureCode.RATE_LIMITED or (
            reply.status == _TOO_MANY and failure.code is FailureCode.VENDOR_ERROR
        )
        return Refusal(failure, later)


def _model(name: str, tier: int, lengths: LengthRule, used: Iterable[Way]) -> Model:
    return in_ways(
        Model(
            name,
            frames=FrameTable({tier: FRAMES[tier]}, shaped=way.shaped),
            lengths=lengths,
            pictures=way.pictures,
            usual_seconds=90,
            prompt_needed=way.prompt_needed,
            options=way.options,
            required_options=way.required,
            source="https://www.volcengine.com/docs/85621",
            way=way.name,
        )
        for way in used
    )


def _images(order: Order) -> dict[str, Any]:
    """Links or files, never both: the vendor has a field for each."""
    links = [picture.url for picture in order.pictures if picture.url]
    if links and len(links) < len(order.pictures):
        raise InvalidRequest("This model takes two links or two files, not one of each.", param="last_frame")
    files = [picture.base64() for picture in order.pictures if not picture.url]
    return {"image_urls": links} if links else ({"binary_data_base64": files} if files else {})


def _artifact(body: Mapping[str, Any]) -> Artifact:
    link = text(dig(body, "data", "video_url"))
    if link is None:
        raise NotUnderstood("the task is done, but its record holds no video_url")
    return Artifact(link)


def _told(body: Mapping[str, Any]) -> tuple[str | None, Any]:
    """Code and words of an error, the gateway's or the service's own; no code if it is neither."""
    error = dig(body, "ResponseMetadata", "Error")
    if error:
        code = dig(error, "Code")
        return (code if isinstance(code, str) and code else None), dig(error, "Message")
    code = body.get("code")
    return (str(code) if type(code) is int and code in FIVE_DIGITS else None), body.get("message")


def _ended(failure: Failure) -> Observation:
    """What an error says of the job that was looked at, if it speaks of that at all."""
    code = failure.vendor_code or ""
    if code in FAILED:
        return Observation(Sight.FAILED, code, failure=failure)
    if code in MISSING:
        return Observation(Sight.MISSING, code)
    raise NotUnderstood(f"the answer is an error, {code[:40]!r}, and no job's record")


def _as_failure(code: str, message: str) -> Failure:
    return Failure(CODES.get(code, FailureCode.VENDOR_ERROR), f"Jimeng refused or failed: {message}", code, message)


def sign(prepared: Prepared, access_key: str, secret_key: str, date: str) -> dict[str, str]:
    """The headers that sign a request: Volcengine's HMAC-SHA256, which is like AWS's but for label, scope and key.

    `date` is the UTC time as YYYYMMDDTHHMMSSZ. All of `Content-Type`, `Host` and the X- headers are signed.
    """
    url = urlsplit(prepared.url)
    host = url.netloc.removesuffix(":443").removesuffix(":80")
    digest = sha256(prepared.content).hexdigest()
    sent = {name: value for name, value in prepared.headers.items() if name == "content-type" or name.startswith("x-")}
    signed = {**sent, "host": host, "x-content-sha256": digest, "x-date": date}
    names = ";".join(sorted(signed))
    headers = "".join(f"{name}:{signed[name].strip()}\n" for name in sorted(signed))
    request = "\n".join((prepared.method, url.path or "/", canonical_query(url.query), headers, names, digest))
    scope = f"{date[:8]}/{SCOPE}"
    to_sign = "\n".join(("HMAC-SHA256", date, scope, sha256(request.encode()).hexdigest()))
    key = secret_key.encode()
    for step in scope.split("/"):
        key = hmac(key, step.encode(), sha256).digest()
    signature = hmac(key, to_sign.encode(), sha256).hexdigest()
    credential = f"Credential={access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {"x-date": date, "x-content-sha256": digest, "authorization": f"HMAC-SHA256 {credential}"}


def canonical_query(query: str) -> str:
    """A query sorted by name and encoded as the signature wants it: a space is %20."""
    pairs = sorted(parse_qsl(query, keep_blank_values=True), key=lambda pair: pair[0])
    return "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in pairs)

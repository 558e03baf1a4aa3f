"""Jimeng's video models: what each takes and makes, and the words for what it refuses.

https://www.volcengine.com/docs/85621/1777001 (3.0 Pro), /1792704 and /1785204 (3.0 720P), /1791184 (first and last
frame), /1785201 (camera moves), /1792711 and /1802721 (3.0 1080P), /1538636 and /1544774 (S2.0 Pro); read 2026-11-23.
"""

import asyncio
import json
import time
from base64 import b64decode
from binascii import Error as NotBase64
from dataclasses import dataclass
from math import log
from typing import Any
from urllib.parse import urlsplit

from starlette.responses import JSONResponse, Response

from videogate.simulator.jimeng_signature import request_id
from videogate.simulator.pictures import read_picture
from videogate.simulator.vendor import Refused

SUCCESS = 10000
BAD_INPUT = 50215  # for every field; no page says which code a field has
NO_ACCESS = 50400
CODES = {
    SUCCESS: (200, "Success"),
    BAD_INPUT: (400, "Input invalid for this service."),
    NO_ACCESS: (401, "Access Denied: Internal Error"),
    50412: (400, "Text Risk Not Pass"),
    50429: (429, "Request Has Reached API Limit, Please Try Later"),
    50430: (429, "Request Has Reached API Concurrent Limit, Please Try Later"),
    50500: (500, "Internal Error"),
    50516: (400, "Post Video Risk Not Pass"),
    50520: (400, "Risk Internal Error"),
}

_PRO = {
    "16:9": (1920, 1088),
    "4:3": (1664, 1248),
    "1:1": (1440, 1440),
    "3:4": (1248, 1664),
    "9:16": (1088, 1920),
    "21:9": (2176, 928),
}
# Assumed: the API's pages have no table for 720P. The consumer's app makes 1248x704 of 16:9; the rest is of its kind.
_720P = {
    "16:9": (1248, 704),
    "4:3": (1120, 832),
    "1:1": (960, 960),
    "3:4": (832, 1120),
    "9:16": (704, 1248),
    "21:9": (1504, 640),
}
_1080P = _PRO  # assumed: no table in the pages read
_S20 = {**_720P, "9:21": (640, 1504)}  # assumed, as is the list of ratios: what public clients send
FRAMES = {121: 5, 241: 10}  # and the seconds they are

LONGEST_PROMPT = 800  # characters
LONGEST_PROMPT_S20 = 150  # by a public client only, so under `strict`
LARGEST = 4_928_307  # bytes: 4.7 MB
SMALLEST, BIGGEST, SLIMMEST = 320, 4096, 3  # pixels a side, and how much longer one side may be
LINKED = (1280, 720)  # links are not followed; what they lead to counts as a picture of this size
_KINDS = frozenset({"jpeg", "png"})
_ALIKE = 0.02  # how far the first and the last picture's ratios may be apart
_LONGEST_MARK = 256

_TEMPLATES = (
    "hitchcock_dolly_in",
    "hitchcock_dolly_out",
    "robo_arm",
    "dynamic_orbit",
    "central_orbit",
    "crane_push",
    "quick_pull_back",
    "counterclockwise_swivel",
    "clockwise_swivel",
    "handheld",
    "rapid_push_pull",
)
_STRENGTHS = ("weak", "medium", "strong")


def answer(code: int, data: dict[str, Any] | None = None) -> Response:
    """An answer in the service's envelope."""
    status, message = CODES[code]
    name = request_id()
    body = {"code": code, "data": data, "message": message, "request_id": name, "status": code}
    # A Go duration, of no meaning.
    return JSONResponse(
        body | {"time_elapsed": f"{time.time_ns() % 10**8 / 10**6:.6f}ms"}, status, {"x-tt-logid": name}
    )


class Invalid(Refused):
    """A refusal with one of CODES."""

    def __init__(self, code: int = BAD_INPUT) -> None:
        super().__init__(answer(code))
        self.code = code


@dataclass(frozen=True, slots=True)
class Model:
    """One `req_key`.

    Attributes:
        sizes: what it makes, by ratio.
        pictures: how many it can take.
        prompted: whether there must be a prompt, whatever else there is.
        pictured: whether there must be all the pictures.
        framed: whether it takes `frames`, as all but S2.0 do.
        shaped: whether a picture shapes the film, whatever `aspect_ratio` says.
        moved: whether it takes a camera move.
    """

    name: str
    sizes: dict[str, tuple[int, int]]
    pictures: int = 0
    prompted: bool = True
    pictured: bool = True
    framed: bool = True
    shaped: bool = True
    moved: bool = False


MODELS = (
    Model("jimeng_vgfm_t2v_l20", _S20, framed=False),
    Model("jimeng_vgfm_i2v_l20", _S20, 1, prompted=False, framed=False, shaped=False),
    Model("jimeng_t2v_v30", _720P),
    Model("jimeng_i2v_first_v30", _720P, 1),
    Model("jimeng_i2v_first_tail_v30", _720P, 2),
    Model("jimeng_i2v_recamera_v30", _720P, 1, moved=True),
    Model("jimeng_t2v_v30_1080p", _1080P),
    Model("jimeng_i2v_first_v30_1080", _1080P, 1),
    Model("jimeng_i2v_first_tail_v30_1080", _1080P, 2),
    Model("jimeng_ti2v_v30_pro", _PRO, 1, prompted=False, pictured=False),
)
BY_NAME = {model.name: model for model in MODELS}
AT_ONCE = 2  # jobs of one model, for an account that pays


@dataclass(frozen=True, slots=True)
class Made:
    """What a request makes: pixels and seconds."""

    width: int
    height: int
    seconds: int


async def make(model: Model, body: dict[str, Any], *, strict: bool = False) -> Made:
    """Hold a request against its model's rules. Raises Invalid."""
    _words(model, body, strict=strict)
    # A model of text makes its film of the text, and is silent about pictures.
    sizes = await asyncio.to_thread(_pictures, model, body) if model.pictures else []
    prompt, asked = body.get("prompt"), body.get("aspect_ratio")
    if not prompt and (model.prompted or not sizes):
        raise Invalid
    if sizes and (model.shaped or not asked):
        ratio = _nearest(sizes[0], model)
    else:
        ratio = asked or "16:9"
        if not isinstance(ratio, str) or ratio not in model.sizes:
            raise Invalid
    return Made(*model.sizes[ratio], _seconds(model, body, strict=strict))


def tagged(text: Any) -> bool:
    """Whether a poll's `req_json` asks for a hidden mark in the film. Raises Invalid."""
    if text is None or text == "":
        return False
    try:
        wanted = json.loads(text)
    except (TypeError, ValueError):
        raise Invalid from None
    mark = wanted.get("aigc_meta") if isinstance(wanted, dict) else text
    if mark is None:
        return False
    if not isinstance(mark, dict) or not mark.get("producer_id") or not mark.get("content_propagator"):
        raise Invalid
    if any(not isinstance(value, str) or len(value) > _LONGEST_MARK for value in mark.values()):
        raise Invalid
    return True


def _words(model: Model, body: dict[str, Any], *, strict: bool) -> None:
    longest = LONGEST_PROMPT if model.framed or not strict else LONGEST_PROMPT_S20
    prompt, seed = body.get("prompt") or "", body.get("seed")
    if not isinstance(prompt, str) or len(prompt) > longest:
        raise Invalid
    if seed is not None and (type(seed) is not int or seed < -1):
        raise Invalid
    if model.moved and (body.get("template_id") not in _TEMPLATES or body.get("camera_strength") not in _STRENGTHS):
        raise Invalid


def _seconds(model: Model, body: dict[str, Any], *, strict: bool) -> int:
    frames = body.get("frames")
    if not model.framed:
        # Other gateways send it to S2.0 too.
        if frames is not None and strict:
            raise Invalid
        return FRAMES[121]
    if frames is None:
        return FRAMES[121]
    if type(frames) is not int or frames not in FRAMES:
        raise Invalid
    return FRAMES[frames]


def _pictures(model: Model, body: dict[str, Any]) -> list[tuple[int, int]]:
    """The sizes of the pictures that came. Raises Invalid."""
    files, links = body.get("binary_data_base64") or [], body.get("image_urls") or []
    if not isinstance(files, list) or not isinstance(links, list) or (files and links):
        raise Invalid
    sizes = [*map(_file, files), *map(_link, links)]
    if len(sizes) != model.pictures and (sizes or model.pictured):
        raise Invalid
    ratios = [width / height for width, height in sizes]
    if any(max(ratio, 1 / ratio) > SLIMMEST for ratio in ratios):
        raise Invalid
    if ratios and max(ratios) / min(ratios) > 1 + _ALIKE:
        raise Invalid
    return sizes


def _file(text: Any) -> tuple[int, int]:
    try:
        data = b64decode(text, validate=True)
        picture = read_picture(data)
    except (TypeError, NotBase64, ValueError):
        raise Invalid from None
    if picture.kind not in _KINDS or len(data) > LARGEST:
        raise Invalid
    if min(picture.width, picture.height) < SMALLEST or max(picture.width, picture.height) > BIGGEST:
        raise Invalid
    return picture.width, picture.height


def _link(url: Any) -> tuple[int, int]:
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
    except ValueError:
        raise Invalid from None
    # .invalid is the one domain that surely leads nowhere, RFC 6761.
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.hostname.endswith(".invalid"):
        raise Invalid
    return LINKED


def _nearest(size: tuple[int, int], model: Model) -> str:
    """The ratio to which a picture is cropped."""
    aspect = size[0] / size[1]

    def off(ratio: str) -> float:
        across, down = ratio.split(":")
        return abs(log(aspect * int(down) / int(across)))

    return min(model.sizes, key=off)

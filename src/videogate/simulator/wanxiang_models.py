"""DashScope's video models: sizes, lengths and limits, and what each reports as usage.

https://help.aliyun.com/zh/model-studio/text-to-video-api-reference and its sister pages for image-to-video,
first-and-last-frame, digital human and reference-to-video; rates: the same site's page of limits; read 2026-11-23.
"""

from dataclasses import dataclass
from math import floor, sqrt
from typing import Any
from uuid import uuid4

from starlette.responses import JSONResponse, Response

from videogate.simulator.vendor import Refused

# What `parameters.size` may say, by tier.
SIZES = {
    480: ("832*480", "480*832", "624*624"),
    720: ("1280*720", "720*1280", "960*960", "1088*832", "832*1088"),
    1080: ("1920*1080", "1080*1920", "1440*1440", "1632*1248", "1248*1632"),
}
# What 2.7 makes of `parameters.resolution` and `parameters.ratio`.
RATIOS = {
    720: {"16:9": (1280, 720), "9:16": (720, 1280), "1:1": (960, 960), "4:3": (1104, 832), "3:4": (832, 1104)},
    1080: {"16:9": (1920, 1080), "9:16": (1080, 1920), "1:1": (1440, 1440), "4:3": (1648, 1248), "3:4": (1248, 1648)},
}
AREAS = {480: 832 * 480, 720: 1280 * 720, 1080: 1920 * 1080}  # pixels
_MULTIPLE = 16


def error(status: int, code: str, message: str) -> Response:
    """An error in DashScope's form."""
    return JSONResponse({"code": code, "message": message, "request_id": str(uuid4())}, status)


class Invalid(Refused):
    """A refusal with a code and a message, at submit; `late`: the job is accepted, and then fails with it."""

    def __init__(self, code: str, message: str, status: int = 400, *, late: bool = False) -> None:
        super().__init__(error(status, code, message))
        self.code, self.message, self.late = code, message, late


@dataclass(frozen=True, slots=True)
class Model:
    """One model.

    Attributes:
        kind: what it makes a video of; `kf2v` is first and last frame, `s2v` a picture that speaks.
        generation: as in its name, 21 to 27.
        tiers, usual: lines of the resolutions it knows; the one it takes by itself.
        lengths: seconds it can make; 5 is usual.
        longest_prompt: characters; what is beyond is cut off.
        rate, at_once: submits a second; jobs at the same time.
    """

    name: str
    kind: str
    generation: int
    tiers: tuple[int, ...]
    usual: int
    lengths: tuple[int, ...] = (5,)
    longest_prompt: int = 1500
    rate: float = 5.0
    at_once: int = 5

    @property
    def group(self) -> str:
        """The path segment that serves it."""
        return "image2video" if self.kind in ("kf2v", "s2v") else "video-generation"


def _old(name: str, kind: str, generation: int, tiers: tuple[int, ...], usual: int, *lengths: int) -> Model:
    return Model(name, kind, generation, tiers, usual, lengths or (5,), 800, 2.0, 2)


_HIGH, _ALL = (720, 1080), (480, 720, 1080)
_TO_10, _TO_15 = tuple(range(2, 11)), tuple(range(2, 16))
# 2.1 is called wanx2.1 in China and wan2.1 elsewhere.
MODELS = (
    *(Model(f"wan2.7-t2v{day}", "t2v", 27, _HIGH, 1080, _TO_15, 5000) for day in ("", "-2026-04-25", "-2026-06-12")),
    Model("wan2.6-t2v", "t2v", 26, _HIGH, 1080, _TO_15),
    Model("wan2.6-t2v-us", "t2v", 26, _HIGH, 1080, (5, 10)),
    Model("wan2.5-t2v-preview", "t2v", 25, _ALL, 1080, (5, 10)),
    _old("wan2.2-t2v-plus", "t2v", 22, (480, 1080), 1080),
    *(_old(f"{wan}2.1-t2v-turbo", "t2v", 21, (480, 720), 720) for wan in ("wanx", "wan")),
    *(_old(f"{wan}2.1-t2v-plus", "t2v", 21, (720,), 720) for wan in ("wanx", "wan")),
    *(Model(f"wan2.7-i2v{day}", "i2v", 27, _HIGH, 1080, _TO_15, 5000) for day in ("", "-2026-04-25")),
    Model("wan2.6-i2v", "i2v", 26, _HIGH, 1080, _TO_15),
    Model("wan2.6-i2v-flash", "i2v", 26, _HIGH, 1080, _TO_15),
    Model("wan2.6-i2v-us", "i2v", 26, _HIGH, 1080, (5, 10, 15)),
    Model("wan2.5-i2v-preview", "i2v", 25, _ALL, 1080, (5, 10)),
    _old("wan2.2-i2v-flash", "i2v", 22, _ALL, 720),  # some copies of the page lack 1080P
    _old("wan2.2-i2v-plus", "i2v", 22, (480, 1080), 1080),
    *(_old(f"{wan}2.1-i2v-plus", "i2v", 21, (720,), 720) for wan in ("wanx", "wan")),
    *(_old(f"{wan}2.1-i2v-turbo", "i2v", 21, (480, 720), 720, 3, 4, 5) for wan in ("wanx", "wan")),
    _old("wan2.2-kf2v-flash", "kf2v", 22, _ALL, 720),
    _old("wanx2.1-kf2v-plus", "kf2v", 21, (720,), 720),
    Model("wan2.1-kf2v-plus", "kf2v", 21, (720,), 720, longest_prompt=800, rate=2.0, at_once=1),
    Model("wan2.2-s2v", "s2v", 22, (480, 720), 480, at_once=1),
    *(Model(f"wan2.6-r2v{speed}", "r2v", 26, _HIGH, 1080, _TO_10) for speed in ("", "-flash")),
    Model("wan2.7-r2v", "r2v", 27, _HIGH, 1080, _TO_15, 5000),
    Model("wan2.7-videoedit", "edit", 27, _HIGH, 1080, (0, *_TO_10), 5000),
)
BY_NAME = {model.name: model for model in MODELS}
USUAL_SECONDS = 5  # also the length of whatever is not given one: speech, and a video that is edited


@dataclass(frozen=True, slots=True)
class Made:
    """What a request makes: pixels, the tier's lines, seconds, and the ratio that was asked for, if one was."""

    width: int
    height: int
    tier: int
    seconds: int
    ratio: str | None


def make(model: Model, parameters: dict[str, Any], shape: tuple[int, int] | None, *, filmed: bool = False) -> Made:
    """Hold `parameters` against a model's tables.

    `shape` is the size of the picture that gives the video its shape, if one does; `filmed`: a video is among what it
    refers to. Raises Invalid.
    """
    seconds = _seconds(model, parameters, filmed=filmed)
    if model.kind in ("t2v", "r2v") and model.generation < 27:  # noqa: PLR2004
        return _listed(model, parameters, seconds)
    tier = _tier(model, parameters)
    if shape is not None:
        return Made(*_shaped(shape, tier), tier, seconds, None)
    ratio = parameters.get("ratio", "16:9")
    if not isinstance(ratio, str) or ratio not in RATIOS[tier]:
        raise Invalid("InvalidParameter", f"ratio must be one of {', '.join(RATIOS[tier])}; got {ratio!r}")
    return Made(*RATIOS[tier][ratio], tier, seconds, ratio)


def usage(model: Model, made: Made, *, filmed: bool = False) -> dict[str, Any]:
    """What a finished job reports: every generation its own keys."""
    size, seconds = f"{made.width}*{made.height}", made.seconds
    if model.kind == "s2v":
        return {"duration": float(seconds), "size": size, "fps": 16, "video_count": 1, "SR": made.tier}
    if model.generation >= 26:  # noqa: PLR2004
        seen = USUAL_SECONDS if filmed else 0
        known: dict[str, Any] = {"duration": float(seconds + seen), "input_video_duration": seen}
        known |= {"output_video_duration": seconds, "video_count": 1, "SR": made.tier}
        listed = model.kind in ("t2v", "r2v") and model.generation == 26  # noqa: PLR2004
        return known | ({"size": size} if listed else {}) | ({"ratio": made.ratio} if made.ratio else {})
    if model.kind == "t2v":
        return {"video_duration": seconds, "video_ratio": size, "video_count": 1}
    if model.generation == 21:  # noqa: PLR2004
        return {"video_duration": seconds, "video_ratio": "standard", "video_count": 1}
    duration = "video_duration" if model.kind == "kf2v" else "duration"
    return {duration: seconds, "video_count": 1, "SR": made.tier}


def _seconds(model: Model, parameters: dict[str, Any], *, filmed: bool) -> int:
    if model.kind == "s2v":
        return USUAL_SECONDS
    lengths = _TO_10 if model.kind == "r2v" and filmed else model.lengths
    asked = parameters.get("duration", 0 if 0 in lengths else USUAL_SECONDS)
    if not isinstance(asked, int) or isinstance(asked, bool) or asked not in lengths:
        allowed = ", ".join(str(each) for each in lengths)
        raise Invalid("InvalidParameter", f"duration must be one of {allowed}; got {asked!r}")
    return asked or USUAL_SECONDS


def _listed(model: Model, parameters: dict[str, Any], seconds: int) -> Made:
    size = parameters.get("size", SIZES[model.usual][0])
    tier = next((each for each in model.tiers if size in SIZES[each]), None)
    if tier is None:
        raise Invalid("InvalidParameter", f"The size is not match {size}")
    width, height = (int(side) for side in size.split("*"))
    return Made(width, height, tier, seconds, None)


def _tier(model: Model, parameters: dict[str, Any]) -> int:
    text = parameters.get("resolution", f"{model.usual}P")
    tier = next((each for each in model.tiers if text == f"{each}P"), None)
    if tier is None:
        allowed = ", ".join(f"{each}P" for each in model.tiers)
        raise Invalid("InvalidParameter", f"resolution must be one of {allowed}; got {text!r}")
    return tier


def _shaped(shape: tuple[int, int], tier: int) -> tuple[int, int]:
    """The picture's shape, the tier's pixels, sides in sixteens.

    The page gives one example (750x1000 at 720P makes 816x1104), which this meets. A picture of exactly 16:9 makes the
    tier's own size instead: 1080 lines are no multiple of sixteen, and yet what "1080P" is.
    """
    if shape[0] * 9 == shape[1] * 16 or shape[0] * 16 == shape[1] * 9:
        listed = SIZES[tier][0 if shape[0] > shape[1] else 1]
        width, height = (int(side) for side in listed.split("*"))
        return width, height
    aspect = shape[0] / shape[1]
    width, height = (floor(sqrt(AREAS[tier] * each) / _MULTIPLE) * _MULTIPLE for each in (aspect, 1 / aspect))
    return width, height

"""Kling's models, sizes, prices and errors.

Models: https://kling.ai/document-api/capability-map-video; sizes, by mode: the pages of the tasks; errors:
https://kling.ai/document-api/error-codes; read 2026-11-23.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import sqrt
from typing import Any
from uuid import uuid4

from starlette.responses import JSONResponse, Response

from videogate.simulator.vendor import Refused

# The texts are ours but for those of 1102 and 1303: one tells errors apart by their code.
CODES = {
    1000: (401, "Authentication failed"),
    1001: (401, "Authorization is empty"),
    1002: (401, "Authorization is invalid"),
    1003: (401, "Authorization is not yet valid"),
    1004: (401, "Authorization has expired"),
    1102: (429, "Account balance not enough"),
    1103: (403, "No permission to access the requested resource"),
    1200: (400, "Invalid request parameters"),
    1201: (400, "Invalid parameters"),
    1202: (404, "The requested method is invalid"),
    1203: (404, "The requested resource does not exist"),
    1300: (400, "The request triggers the platform policy"),
    1301: (400, "The request triggers the content security policy"),
    1302: (429, "API request too fast, exceeding the preset rate limit"),
    1303: (429, "parallel task over resource pack limit"),
    5000: (500, "Internal server error"),
    5001: (503, "Service temporarily unavailable"),
    5002: (504, "Internal server timeout"),
}

TEXT, IMAGE, MULTI, OMNI, EXTEND = "text2video", "image2video", "multi-image2video", "omni-video", "video-extend"
PATHS = (TEXT, IMAGE, MULTI, OMNI, EXTEND)
USUAL = {TEXT: "kling-v1", IMAGE: "kling-v1", MULTI: "kling-v1-6", OMNI: "kling-video-o1"}
USUAL_MODE = {OMNI: "pro"}  # elsewhere `std`
USUAL_SECONDS = "5"

STD, PRO, FOUR_K = "std", "pro", "4k"
SIZES = {
    STD: {"16:9": (1280, 720), "9:16": (720, 1280), "1:1": (960, 960)},
    PRO: {"16:9": (1920, 1080), "9:16": (1080, 1920), "1:1": (1440, 1440)},
    FOUR_K: {"16:9": (3840, 2160), "9:16": (2160, 3840), "1:1": (2880, 2880)},
}
RATIOS = tuple(SIZES[STD])
UNIT = 0.14  # USD
_TWO = (5, 10)


def error(code: int, message: str | None = None) -> Response:
    """An error in Kling's form."""
    status, usual = CODES[code]
    return JSONResponse({"code": code, "message": message or usual, "request_id": str(uuid4())}, status)


class Invalid(Refused):
    """A refusal by code."""

    def __init__(self, code: int, message: str | None = None) -> None:
        super().__init__(error(code, message))
        self.message = message or CODES[code][1]


def wrong(name: str, value: Any) -> Invalid:
    """The refusal of a field's value."""
    return Invalid(1201, f"{name} value {ascii(value)[:80]} is invalid")


@dataclass(frozen=True, slots=True)
class Model:
    """One model.

    Attributes:
        paths: where it is served.
        price: USD a second, of the cheapest tier; the other tiers' prices are not on the list.
        seconds, modes: the lengths and the modes it has.
        tail: the modes in which it takes an end frame, and the lengths for each.
        tail_silent: whether it makes no sound where it has an end frame.
        sound: the modes in which it makes sound.
        camera: the mode in which it takes `camera_control`.
        scaled: whether it heeds `cfg_scale`.
        brush: whether it takes masks.
        shots: whether it takes several shots, and elements.
    """

    name: str
    paths: tuple[str, ...]
    price: float
    seconds: tuple[int, ...] = _TWO
    modes: tuple[str, ...] = (STD, PRO)
    tail: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    tail_silent: bool = False
    sound: tuple[str, ...] = ()
    camera: str = ""
    scaled: bool = False
    brush: bool = False
    shots: bool = False

    def mode(self, asked: str) -> str:
        """The mode it runs in: a model of one mode heeds no other."""
        return asked if asked in self.modes else self.modes[-1]


_BOTH, _ALL = (TEXT, IMAGE), (STD, PRO, FOUR_K)
_TEN, _FIFTEEN = tuple(range(3, 11)), tuple(range(3, 16))
_PRO_TAIL = {PRO: _TWO}

MODELS: Mapping[str, Model] = {
    model.name: model
    for model in (
        Model("kling-v1", _BOTH, 0.028, tail={STD: (5,), PRO: (5,)}, camera=STD, scaled=True, brush=True),
        # One public client lets it move the camera, in `pro`; the map does not.
        Model("kling-v1-5", (IMAGE,), 0.056, tail=_PRO_TAIL, camera=PRO, scaled=True),
        Model("kling-v1-6", (*_BOTH, MULTI), 0.056, tail=_PRO_TAIL, scaled=True),
        Model("kling-v2-master", _BOTH, 0.28, modes=(PRO,)),
        Model("kling-v2-1", (IMAGE,), 0.056, tail=_PRO_TAIL),
        Model("kling-v2-1-master", _BOTH, 0.28, modes=(PRO,)),
        Model("kling-v2-5-turbo", _BOTH, 0.042, tail=_PRO_TAIL),
        Model("kling-v2-6", _BOTH, 0.042, tail=_PRO_TAIL, tail_silent=True, sound=(PRO,)),
        Model("kling-v3", _BOTH, 0.084, _FIFTEEN, _ALL, tail=dict.fromkeys(_ALL, _FIFTEEN), sound=_ALL, shots=True),
        # No price was found for these two; they cost what v3 does.
        Model("kling-video-o1", (OMNI,), 0.084, _TEN, tail=dict.fromkeys((STD, PRO), _TEN)),
        Model(
            "kling-v3-omni", (OMNI,), 0.084, _FIFTEEN, _ALL, tail=dict.fromkeys(_ALL, _FIFTEEN), sound=_ALL, shots=True
        ),
    )
}
CAMERA_FOR_SURE = frozenset({"kling-v1"})
EXTENDED_FOR_SURE = frozenset({"kling-v1", "kling-v1-5", "kling-v1-6"})


def choose(path: str, name: Any, *, check_paths: bool) -> Model:
    """The model that a body names. Raises Invalid."""
    model = MODELS.get(name) if isinstance(name, str) else None
    if model is None or (check_paths and path not in model.paths):
        raise wrong("model_name", name)
    return model


def size(mode: str, shape: str | tuple[int, int]) -> tuple[int, int]:
    """Pixels of a video: of this aspect ratio, or shaped like a picture; the codec takes even sides only."""
    if isinstance(shape, str):
        return SIZES[mode][shape]
    width, height = SIZES[mode]["16:9"]
    area, slant = width * height, shape[0] / shape[1]
    return round(sqrt(area * slant) / 2) * 2, round(sqrt(area / slant) / 2) * 2

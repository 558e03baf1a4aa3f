"""Vidu's video models: lengths, resolutions, ratios and prices; and its errors.

https://platform.vidu.com/docs/text-to-video and its sister pages for image-to-video, start-end-to-video,
reference-to-video and video-extension; errors: the same site's page error-code; read 2026-11-23.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import uuid4

from starlette.responses import JSONResponse, Response

from videogate.simulator.vendor import Refused

# What an error may be called, with its status and message.
REASONS = {
    "BadRequest": (400, "bad request"),
    "FieldLacking": (400, "field is missing or empty"),
    "FieldUnwanted": (400, "unwanted field"),
    "FieldItemCountOutOfRange": (400, "field item count out of range"),
    "FieldInvalid": (400, "invalid field"),
    "PageSizeOutOfRange": (400, "page size out of range"),
    "ImageDownloadFailure": (400, "image download failure"),
    "ImageFormatInvalid": (400, "invalid image format"),
    "AuditSubmitIllegal": (400, "submit is illegal"),
    "ModelUnavailable": (400, "model unavailable"),
    "Unauthorized": (401, "unauthorized"),
    "TaskNotFound": (404, "task not found"),
    "CreationNotFound": (404, "creation not found"),
    "NotFound": (404, "not found"),
    "QuotaExceeded": (429, "quota exceeded"),
    "TooManyRequests": (429, "too many requests"),
    "InternalServiceFailure": (500, "internal service failure"),
}

TEXT, IMAGE, ENDS, REFERENCE, EXTEND = "text2video", "img2video", "start-end2video", "reference2video", "extend"
USUAL_SECONDS = 5  # where a model makes that length
RATIOS = {"16:9": (16, 9), "9:16": (9, 16), "3:4": (3, 4), "4:3": (4, 3), "1:1": (1, 1)}
LINES = {"360p": 360, "540p": 540, "720p": 720, "1080p": 1080}  # pixels of the shorter side
_FEW_RATIOS = ("16:9", "9:16", "1:1")
_HIGH, _ALL = ("720p", "1080p"), ("720p", "540p", "1080p")


def error(reason: str, message: str | None = None) -> Response:
    """An error in Vidu's form."""
    status, usual = REASONS[reason]
    trace = {"trace_id": uuid4().hex}
    return JSONResponse({"code": status, "reason": reason, "message": message or usual, "metadata": trace}, status)


class Invalid(Refused):
    """A refusal by reason; `fields`: those it is about, if it is about any."""

    def __init__(self, reason: str, fields: Iterable[str] = ()) -> None:
        names = ", ".join(fields)
        super().__init__(error(reason, f"{REASONS[reason][1]}: {names}" if names else None))
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Model:
    """One model, as one path serves it.

    Attributes:
        lengths: the resolutions of each length in seconds; the first is the one it takes by itself. 0 is of the
            vendor's choosing.
        ratios: what `aspect_ratio` may say, where the path takes one.
        pictures, surely: how many pictures to refer to, by the most generous page, and by all of them.
        films, subjects, off_peak: whether it refers to films; to named subjects; runs when there is little to do.
        sounds: whether the video has sound unless told otherwise.
    """

    name: str
    lengths: Mapping[int, tuple[str, ...]]
    ratios: tuple[str, ...] = tuple(RATIOS)
    pictures: int = 7
    surely: int = 7
    films: bool = False
    subjects: bool = True
    off_peak: bool = True
    sounds: bool = False

    @property
    def usual_seconds(self) -> int:
        """The length it takes by itself."""
        return USUAL_SECONDS if USUAL_SECONDS in self.lengths else next(iter(self.lengths))


def _to(last: int, resolutions: tuple[str, ...] = _ALL, first: int = 1) -> dict[int, tuple[str, ...]]:
    return dict.fromkeys(range(first, last + 1), resolutions)


_OLD = {4: ("360p", "720p", "1080p"), 8: ("720p",)}  # 1.5 and 2.0
_Q1 = {5: ("1080p",)}
_Q1_FROM_PICTURES = (Model("viduq1", _Q1), Model("viduq1-classic", _Q1))
_OLD_FROM_PICTURES = (Model("vidu2.0", _OLD), Model("vidu1.5", _OLD))
_Q3_PRO, _Q3_TURBO = (Model(f"viduq3-{speed}", _to(16), sounds=True) for speed in ("pro", "turbo"))

# By path. 1.5 is on the pages of 2025 only.
MODELS: Mapping[str, Mapping[str, Model]] = {
    path: {model.name: model for model in models}
    for path, models in {
        TEXT: (
            _Q3_PRO,
            _Q3_TURBO,
            Model("viduq2", _to(10)),
            Model("viduq1", _Q1, _FEW_RATIOS),
            Model("vidu1.5", _OLD, _FEW_RATIOS),
        ),
        IMAGE: (
            _Q3_PRO,
            _Q3_TURBO,
            Model("viduq3-pro-fast", _to(16, _HIGH), sounds=True),
            Model("viduq2-pro", _to(10)),
            Model("viduq2-turbo", _to(10)),
            Model("viduq2-pro-fast", _to(10, _HIGH)),
            *_Q1_FROM_PICTURES,
            *_OLD_FROM_PICTURES,
        ),
        ENDS: (
            _Q3_PRO,
            _Q3_TURBO,
            Model("viduq2-pro", _to(8)),
            Model("viduq2-turbo", _to(8)),
            Model("viduq2-pro-fast", _to(8, _HIGH)),
            *_Q1_FROM_PICTURES,
            *_OLD_FROM_PICTURES,
        ),
        REFERENCE: (
            Model("viduq3", _to(16, first=3), sounds=True),
            Model("viduq3-turbo", _to(16, first=3), sounds=True),
            Model("viduq3-mix", _to(16, _HIGH, first=3), subjects=False, off_peak=False),
            Model("viduq2", _to(10)),
            Model("viduq2-pro", _to(10, first=0), films=True),
            Model("viduq1", _Q1, _FEW_RATIOS),
            Model("vidu2.0", {4: ("360p", "720p")}, _FEW_RATIOS, surely=3),
            Model("vidu1.5", _OLD, _FEW_RATIOS, surely=3),
        ),
        EXTEND: (Model("viduq2-pro", _to(7)), Model("viduq2-turbo", _to(7))),
    }.items()
}

# Credits: for the whole video; or for its start and for each second.
_PRICES_OLD = {(4, "360p"): 20, (4, "720p"): 40, (4, "1080p"): 100, (8, "720p"): 100}
_PRICE_Q1, _PRICE_OLD_REFERENCE = 80, 80
_PRICES = {
    "viduq3-turbo": {"540p": (0, 7), "720p": (0, 11), "1080p": (0, 13)},
    "viduq3": {"540p": (0, 9), "720p": (0, 20), "1080p": (0, 24)},
    "viduq2": {"540p": (10, 2), "720p": (15, 5), "1080p": (20, 10)},
}


def price(path: str, model: str, seconds: int, resolution: str) -> int:
    """Credits of a video, by the list of 2026; models that it lacks cost what their family does."""
    if model.startswith("viduq1"):
        return _PRICE_Q1
    family = next((each for each in _PRICES if model.startswith(each)), None)
    if family is None:
        return _PRICE_OLD_REFERENCE if path == REFERENCE else _PRICES_OLD[seconds, resolution]
    start, each = _PRICES[family][resolution]
    return start + each * seconds


def size(resolution: str, shape: tuple[int, int]) -> tuple[int, int]:
    """Pixels of a video of this resolution in this shape; the codec takes even sides only."""
    short, long = LINES[resolution], max(shape) / min(shape)
    far = round(short * long / 2) * 2
    return (far, short) if shape[0] >= shape[1] else (short, far)

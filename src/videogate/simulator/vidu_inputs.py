"""What Vidu's paths take: which fields, which values, which pictures.

https://platform.vidu.com/docs/text-to-video and its sister pages for image-to-video, start-end-to-video,
reference-to-video and video-extension, read 2026-11-23.
"""

import asyncio
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from videogate.simulator.pictures import Picture, read_picture
from videogate.simulator.vidu_models import (
    ENDS,
    EXTEND,
    IMAGE,
    MODELS,
    RATIOS,
    REFERENCE,
    TEXT,
    USUAL_SECONDS,
    Invalid,
    Model,
    price,
    size,
)

LONGEST_PROMPT = {EXTEND: 2000}
USUAL_PROMPT = 5000  # characters, on the pages of 2026
LONGEST_PAYLOAD = 1_048_576
BIGGEST_SEED = 2_147_483_647  # by the vendor's partners; enforced under `strict`
BIGGEST_PICTURE = 10 * 1024 * 1024  # decoded bytes, on the pages of 2025; enforced under `strict`
SLIMMEST = 4  # how much longer than the other a picture's side may be
SMALLEST_REFERENCE = 128  # pixels a side
CLOSEST, FURTHEST = 0.8, 1.25  # first frame to last frame, in pixels
LINKED = (16, 9)  # links are not followed; what they lead to counts as this shape
SHORTEST_SOURCE, LONGEST_SOURCE = 4, 60  # seconds of a video to extend
_KINDS = {"image/png": "png", "image/jpeg": "jpeg", "image/jpg": "jpeg", "image/webp": "webp"}
_MOST_OF_SUBJECT, _MOST_FILMS, _MOST_BESIDE_FILMS = 3, 2, 4

_SHARED = frozenset({"model", "prompt", "duration", "resolution", "payload", "callback_url"})
_MARKED = frozenset({"off_peak", "watermark", "wm_url", "wm_position", "meta_data"})
_MADE = _SHARED | _MARKED | {"seed", "movement_amplitude", "bgm", "audio", "audio_type", "voice_id"}
# The fields of each path; others are ignored, or FieldUnwanted under `strict`: no page says which.
FIELDS = {
    TEXT: _MADE | {"style", "aspect_ratio"},
    IMAGE: _MADE | {"images", "is_rec"},
    ENDS: _MADE | {"images", "is_rec"},
    REFERENCE: _MADE | {"images", "videos", "subjects", "auto_subjects", "aspect_ratio"},
    EXTEND: _SHARED | {"images", "video_creation_id", "video_url"},
}
# Fields of which one must be there, by path.
_NEEDED = {
    TEXT: (("prompt",),),
    IMAGE: (("images",),),
    ENDS: (("images",),),
    REFERENCE: (("prompt",), ("images", "subjects")),
    EXTEND: (("video_creation_id", "video_url"),),
}


def _truth(value: Any) -> bool:
    return isinstance(value, bool)


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _of(*words: Any) -> Callable[[Any], bool]:
    return lambda value: any(value == word and type(value) is type(word) for word in words)


_RULES: dict[str, Callable[[Any], bool]] = {
    "seed": lambda value: type(value) is int,
    "movement_amplitude": _of("auto", "small", "medium", "large"),
    "style": _of("general", "anime"),
    **dict.fromkeys(("bgm", "audio", "is_rec", "off_peak", "watermark", "auto_subjects"), _truth),
    "audio_type": _of("all", "speech_only", "sound_effect_only"),
    **dict.fromkeys(("prompt", "voice_id", "wm_url", "meta_data", "callback_url", "video_creation_id"), _text),
    "wm_position": _of(1, 2, 3, 4),
    "payload": lambda value: _text(value) and len(value) <= LONGEST_PAYLOAD,
    **dict.fromkeys(("images", "videos", "subjects"), lambda value: isinstance(value, list)),
    "video_url": lambda value: _text(value) and bool(_host(value)),
}


@dataclass(frozen=True, slots=True)
class Source:
    """A video to extend."""

    width: int
    height: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Made:
    """What a request makes: pixels, seconds of film, the parameters in use, the price in credits."""

    width: int
    height: int
    seconds: float
    used: dict[str, Any]
    credits: int


def choose(path: str, given: dict[str, Any], *, check_paths: bool) -> Model:
    """The model that is asked for. Raises Invalid, for fields that lack, too."""
    needed = (("model",), *_NEEDED[path])
    lacking = [names[0] for names in needed if not any(given.get(name) for name in names)]
    if lacking:
        raise Invalid("FieldLacking", lacking)
    name = str(given["model"])
    model = MODELS[path].get(name)
    if model is None and not check_paths:
        model = next((models[name] for models in MODELS.values() if name in models), None)
    if model is None:
        raise Invalid("ModelUnavailable")
    return model


@dataclass(frozen=True, slots=True)
class Desk:
    """Looks at requests of one path for one model; `find` finds a finished video by its creation's id."""

    path: str
    model: Model
    find: Callable[[str], Source | None]
    strict: bool

    async def make(self, given: dict[str, Any]) -> Made:
        """Hold the fields against the rules. Raises Invalid."""
        given = self._known(given)
        self._counts(given)
        seconds, resolution, ratio = self._film(given)
        shape = await self._pictures(given) or RATIOS.get(ratio or "", LINKED)
        length: float = seconds or USUAL_SECONDS
        if self.path == EXTEND:
            source = self._source(given)
            shape, length = (source.width, source.height), source.seconds + length
        used = self._used(given, seconds, resolution, ratio)
        credits_ = price(self.path, self.model.name, seconds or USUAL_SECONDS, resolution)
        credits_ += 10 * used.get("is_rec", False)
        credits_ += 15 * (used.get("audio", False) and self.model.name.startswith("viduq2"))
        return Made(*size(resolution, shape), length, used, credits_ // 2 if used.get("off_peak") else credits_)

    def _known(self, given: dict[str, Any]) -> dict[str, Any]:
        """The fields that the path takes, each right by itself. Raises Invalid."""
        known = FIELDS[self.path] - (set() if self.model.films else {"videos"})
        if self.strict and (unwanted := sorted(given.keys() - known)):
            raise Invalid("FieldUnwanted", unwanted)
        given = {name: value for name, value in given.items() if name in known}
        wrong = {name for name, value in given.items() if name in _RULES and not _RULES[name](value)}
        if len(str(given.get("prompt", ""))) > LONGEST_PROMPT.get(self.path, USUAL_PROMPT):
            wrong.add("prompt")
        if self.strict and "seed" in given.keys() - wrong and not 0 <= given["seed"] <= BIGGEST_SEED:
            wrong.add("seed")
        if given.get("off_peak") and not self.model.off_peak:
            wrong.add("off_peak")
        if given.get("subjects") and (given.get("images") or not self.model.subjects):
            wrong.add("subjects")
        if wrong:
            raise Invalid("FieldInvalid", sorted(wrong))
        return given

    def _counts(self, given: dict[str, Any]) -> None:
        images, films = given.get("images") or [], given.get("videos") or []
        most = self.model.surely if self.strict else self.model.pictures
        if films:
            most = _MOST_BESIDE_FILMS
            if len(films) > _MOST_FILMS:
                raise Invalid("FieldItemCountOutOfRange", ["videos"])
        bounds = {IMAGE: (1, 1), ENDS: (2, 2), REFERENCE: (0 if given.get("subjects") else 1, most), EXTEND: (0, 1)}
        least, most = bounds.get(self.path, (0, len(images)))
        if not least <= len(images) <= most:
            raise Invalid("FieldItemCountOutOfRange", ["images"])
        if len(given.get("subjects") or []) > self.model.pictures:
            raise Invalid("FieldItemCountOutOfRange", ["subjects"])

    def _film(self, given: dict[str, Any]) -> tuple[int, str, str | None]:
        """Seconds, resolution, and ratio where the path takes one."""
        seconds = given.get("duration", self.model.usual_seconds)
        # A public client sends a text; no page says whether it is taken.
        if not self.strict and seconds in [str(length) for length in self.model.lengths]:
            seconds = int(seconds)
        wrong = [] if type(seconds) is int and seconds in self.model.lengths else ["duration"]
        resolutions = self.model.lengths[self.model.usual_seconds if wrong else seconds]
        resolution, ratio = given.get("resolution", resolutions[0]), given.get("aspect_ratio", "16:9")
        if resolution not in resolutions:
            wrong.append("resolution")
        if "aspect_ratio" not in FIELDS[self.path]:
            ratio = None
        elif ratio not in self.model.ratios:
            wrong.append("aspect_ratio")
        if wrong:
            raise Invalid("FieldInvalid", wrong)
        return seconds, resolution, ratio

    async def _pictures(self, given: dict[str, Any]) -> tuple[int, int] | None:
        """The shape that the pictures give the video, if they do."""
        for film in given.get("videos") or []:
            if not isinstance(film, str) or not (film.startswith("data:video/") or _host(film)):
                raise Invalid("FieldInvalid", ["videos"])
        for subject in given.get("subjects") or []:
            await self._subject(subject)
        seen = [await self._picture(image, "images") for image in given.get("images") or []]
        if self.path == ENDS and seen[0] and seen[1]:
            self._alike(seen[0], seen[1])
        first = seen[0] if seen and self.path in (IMAGE, ENDS) else None
        return (first.width, first.height) if first else None

    async def _subject(self, subject: Any) -> None:
        if not isinstance(subject, dict):
            raise Invalid("FieldInvalid", ["subjects"])
        images = subject.get("images") or []
        if not subject.get("name"):
            raise Invalid("FieldLacking", ["subjects.name"])
        if not (images or subject.get("videos") or subject.get("server_id")):
            raise Invalid("FieldLacking", ["subjects.images"])
        if not isinstance(images, list) or len(images) > _MOST_OF_SUBJECT:
            raise Invalid("FieldItemCountOutOfRange", ["subjects.images"])
        for image in images:
            await self._picture(image, "subjects.images")

    async def _picture(self, url: Any, field: str) -> Picture | None:
        """What a data URL holds; None for a link."""
        if not isinstance(url, str):
            raise Invalid("FieldInvalid", [field])
        if not url.startswith("data:"):
            host = _host(url)
            if not host:
                raise Invalid("FieldInvalid", [field])
            if host.endswith(".invalid"):  # the one domain that surely leads nowhere, RFC 6761
                raise Invalid("ImageDownloadFailure")
            return None
        picture = await asyncio.to_thread(_decoded, url, strict=self.strict)
        short, long = sorted((picture.width, picture.height))
        if long > SLIMMEST * short or (self.path == REFERENCE and short < SMALLEST_REFERENCE):
            raise Invalid("PageSizeOutOfRange")
        return picture

    def _alike(self, first: Picture, last: Picture) -> None:
        across, down = first.width / last.width, first.height / last.height
        # "Resolution" may mean the pixels of the whole, or of each side, which is narrower.
        for share in (across, down) if self.strict else (across * down,):
            if not CLOSEST <= share <= FURTHEST:
                raise Invalid("PageSizeOutOfRange")

    def _source(self, given: dict[str, Any]) -> Source:
        creation = given.get("video_creation_id")
        if not creation:
            return Source(*LINKED, USUAL_SECONDS)
        source = self.find(creation)
        if source is None:
            raise Invalid("CreationNotFound")
        if not SHORTEST_SOURCE <= source.seconds <= LONGEST_SOURCE:
            raise Invalid("FieldInvalid", ["video_creation_id"])
        return source

    def _used(self, given: dict[str, Any], seconds: int, resolution: str, ratio: str | None) -> dict[str, Any]:
        usual = {"style": "general", "prompt": "", "bgm": False, "movement_amplitude": "auto", "payload": ""}
        usual |= {"audio": self.model.sounds, "off_peak": False}
        fields = FIELDS[self.path]
        used = {name: value for name, value in usual.items() if name in fields}
        used |= {name: value for name, value in given.items() if name != "callback_url"}
        used |= {"duration": seconds, "resolution": resolution}
        return used | ({"aspect_ratio": ratio} if ratio else {})


def _host(url: str) -> str:
    """The host of a link; empty if it is none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return (parts.hostname or "") if parts.scheme in ("http", "https") else ""


def _decoded(url: str, *, strict: bool) -> Picture:
    head, _, body = url.partition(",")
    kind, _, coding = head.removeprefix("data:").partition(";")
    if kind not in _KINDS or coding != "base64":
        raise Invalid("ImageFormatInvalid")
    try:
        data = b64decode(body, validate=True)
        picture = read_picture(data)
    except (NotBase64, ValueError):
        raise Invalid("ImageFormatInvalid") from None
    if picture.kind not in _KINDS.values() or (strict and picture.kind != _KINDS[kind]):
        raise Invalid("ImageFormatInvalid")
    if strict and len(data) >= BIGGEST_PICTURE:
        raise Invalid("PageSizeOutOfRange")
    return picture

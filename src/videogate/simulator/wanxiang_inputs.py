"""What DashScope's video models take in `input`: which fields, which pictures, in which form.

https://help.aliyun.com/zh/model-studio/text-to-video-api-reference and its sister pages; data URLs and their limit:
https://help.aliyun.com/zh/model-studio/error-code; read 2026-11-23.
"""

import asyncio
from base64 import b64decode
from binascii import Error as NotBase64
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from videogate.simulator.pictures import Picture, read_picture
from videogate.simulator.wanxiang_models import Invalid, Model

DATA_URL = 10_485_760  # encoded bytes
MIMES = frozenset({"image/jpeg", "image/png", "image/bmp", "image/webp"})
LINKED = (1280, 720)  # links are not followed; what they lead to counts as a picture of this size

# The fields that must be there, by kind; `media` models are those of 2.7 that take pictures.
_NEEDED = {
    "t2v": ("prompt",),
    "i2v": ("img_url",),
    "kf2v": ("first_frame_url",),
    "s2v": ("image_url", "audio_url"),
    "r2v": ("prompt", "reference_urls"),
}
_NEEDED_27 = {"t2v": ("prompt",), "i2v": ("media",), "r2v": ("prompt", "media"), "edit": ("media",)}
# The sets of `media` that 2.7 takes, how many of each; checked below for those that are lists of references.
_SETS_I2V = (
    {"first_frame"},
    {"first_frame", "driving_audio"},
    {"first_frame", "last_frame"},
    {"first_frame", "last_frame", "driving_audio"},
    {"first_clip"},
    {"first_clip", "last_frame"},
)
_TYPES = {
    "i2v": frozenset({"first_frame", "last_frame", "driving_audio", "first_clip"}),
    "r2v": frozenset({"reference_image", "reference_video", "first_frame"}),
    "edit": frozenset({"video", "reference_image"}),
}
_FILMS = frozenset({"reference_video", "video", "first_clip"})
_MOST_REFERENCES, _MOST_FILMS = 5, 3


@dataclass(frozen=True, slots=True)
class Sides:
    """Limits of a picture: pixels a side, whether a data URL will do, how much longer one side may be (0: any)."""

    least: int
    most: int
    data: bool = True
    slimmest: int = 0


_PICTURES = {
    "img_url": Sides(240, 8000),
    "first_frame_url": Sides(360, 2000),
    "last_frame_url": Sides(360, 2000),
    "image_url": Sides(400, 7000, data=False),
}
_REFERENCE = Sides(240, 5000, data=False)
_MEDIA_PICTURES = dict.fromkeys(("first_frame", "last_frame", "reference_image"), Sides(240, 8000, slimmest=8))

# Finds what was uploaded under an `oss://` key for a model: its size (None: no picture). Raises KeyError.
Stored = Callable[[str, str], tuple[int, int] | None]


@dataclass(frozen=True, slots=True)
class Seen:
    """What the inputs say of the video: the size of the picture that shapes it; whether a film is among them."""

    shape: tuple[int, int] | None
    filmed: bool


@dataclass(frozen=True, slots=True)
class Desk:
    """Looks at the inputs of requests for one model; `stored` is None where uploads are not to be resolved."""

    model: Model
    stored: Stored | None

    async def check(self, given: dict[str, Any]) -> Seen:
        """Hold `input` against the model's rules. Raises Invalid."""
        by_media = self.model.generation == 27  # noqa: PLR2004
        for name in (_NEEDED_27 if by_media else _NEEDED)[self.model.kind]:
            if not given.get(name) and not (name == "reference_urls" and given.get("reference_video_urls")):
                raise Invalid("InvalidParameter", f"Field required: input.{name}")
        if not isinstance(given.get("prompt") or "", str):
            raise Invalid("InvalidParameter", "input.prompt must be a string")
        if given.get("audio_url"):
            self._link(given["audio_url"])
        return await (self._media(given) if by_media else self._fields(given))

    async def _fields(self, given: dict[str, Any]) -> Seen:
        sizes = [await self._picture(given[key], sides) for key, sides in _PICTURES.items() if given.get(key)]
        links = [*_listed(given, "reference_urls"), *_listed(given, "reference_video_urls")]
        films = sum(isinstance(link, str) and link.lower().endswith((".mp4", ".mov")) for link in links)
        if len(links) > _MOST_REFERENCES or films > _MOST_FILMS:
            raise Invalid("InvalidParameter", "at most 5 references, of which at most 3 are videos")
        for link in links:
            await self._picture(link, _REFERENCE)
        return Seen(sizes[0] if sizes else None, bool(films))

    async def _media(self, given: dict[str, Any]) -> Seen:
        if self.model.kind == "t2v":
            return Seen(None, filmed=False)
        kinds: Counter[str] = Counter()
        shape: tuple[int, int] | None = None
        for item in _listed(given, "media"):
            kind = item.get("type") if isinstance(item, dict) else None
            if kind not in _TYPES[self.model.kind]:
                raise Invalid("InvalidParameter", f"media type {kind!r} is not supported by {self.model.name}")
            kinds[kind] += 1
            size = await self._medium(kind, item)
            shape = size if kind in ("first_frame", "first_clip") else shape
        self._count(kinds)
        return Seen(shape, bool(_FILMS & kinds.keys()))

    async def _medium(self, kind: str, item: dict[str, Any]) -> tuple[int, int]:
        if item.get("reference_voice"):
            self._link(item["reference_voice"])
        if kind in _MEDIA_PICTURES:
            return await self._picture(item.get("url"), _MEDIA_PICTURES[kind])
        self._link(item.get("url"))
        return LINKED

    def _count(self, kinds: Counter[str]) -> None:
        references = kinds["reference_image"] + kinds["reference_video"]
        right = {
            "i2v": max(kinds.values()) == 1 and set(kinds) in _SETS_I2V,
            "r2v": kinds["first_frame"] <= 1 and 1 <= references <= _MOST_REFERENCES,
            "edit": kinds["video"] == 1,
        }
        if not right[self.model.kind]:
            raise Invalid("InvalidParameter", f"{self.model.name} does not take {dict(kinds)} together")

    async def _picture(self, url: Any, sides: Sides) -> tuple[int, int]:
        if sides.data and isinstance(url, str) and url.startswith("data:"):
            picture = await asyncio.to_thread(_decoded, url)
            width, height = picture.width, picture.height
        else:
            width, height = self._link(url) or LINKED
        if not sides.least <= min(width, height) <= max(width, height) <= sides.most:
            limits = f"from {sides.least} to {sides.most} pixels"
            raise Invalid("InvalidParameter", f"The image is {width}x{height}; each side must be {limits}")
        if sides.slimmest and max(width, height) > sides.slimmest * min(width, height):
            raise Invalid("InvalidParameter", f"The image is {width}x{height}; its sides must be within 1:8 and 8:1")
        return width, height

    def _link(self, url: Any) -> tuple[int, int] | None:
        """Check a link; the size of the picture behind it, where it is one that was uploaded."""
        wrong = "Required URL is missing or invalid, please check the request URL."
        if isinstance(url, str) and url.startswith("oss://") and self.stored is not None:
            try:
                return self.stored(url, self.model.name)
            except KeyError:
                raise Invalid("InvalidParameter", "download image failed", late=True) from None
        try:
            parts = urlsplit(url if isinstance(url, str) else "")
        except ValueError:
            parts = urlsplit("")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Invalid("InvalidURL", wrong)
        if parts.hostname.endswith(".invalid"):  # the one domain that surely leads nowhere, RFC 6761
            raise Invalid("InvalidURL", wrong, late=True)
        return None


def _listed(given: dict[str, Any], name: str) -> Iterator[Any]:
    value = given.get(name) or []
    if not isinstance(value, list):
        raise Invalid("InvalidParameter", f"input.{name} must be an array")
    yield from value


def _decoded(url: str) -> Picture:
    if len(url) > DATA_URL:
        raise Invalid("InvalidParameter", f"Exceeded limit on max bytes per data-uri item : {DATA_URL}")
    head, _, body = url.partition(",")
    kind, _, coding = head.removeprefix("data:").partition(";")
    if kind not in MIMES or coding != "base64":
        raise Invalid("InvalidImageFormat", "The image is not base64 of a JPEG, PNG, BMP or WEBP.")
    try:
        return read_picture(b64decode(body, validate=True))
    except (NotBase64, ValueError):
        raise Invalid("InvalidImageFormat", "The image could not be decoded.") from None

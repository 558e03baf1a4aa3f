"""What Kling's tasks take: which fields, which pictures, in which form.

The vendor's pages of the tasks of the older generation (`/v1/videos/…`), from
https://kling.ai/document-api/api-reference; read 2026-11-23.
"""

import asyncio
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from videogate.simulator.kling_models import (
    CAMERA_FOR_SURE,
    EXTEND,
    EXTENDED_FOR_SURE,
    FOUR_K,
    IMAGE,
    MULTI,
    OMNI,
    PRO,
    RATIOS,
    STD,
    TEXT,
    UNIT,
    USUAL_MODE,
    USUAL_SECONDS,
    Invalid,
    Model,
    size,
    wrong,
)
from videogate.simulator.pictures import Picture, read_picture
from videogate.simulator.world import Job

LONGEST, LONGEST_SHOT = 2500, 512  # characters of a prompt
LINKED = (1280, 720)  # links are not followed; what they lead to counts as a picture of this size
BIGGEST = 10 * 1024 * 1024  # bytes of a picture
LEAST_SIDE, SLIMMEST = 300, 2.5
EXTENSION, LONGEST_FILM = 5, 180  # seconds
_MOVES = ("simple", "down_back", "forward_up", "right_turn_forward", "left_turn_forward")
_AXES = frozenset({"horizontal", "vertical", "pan", "tilt", "roll", "zoom"})
_BAD_PICTURE = "The image is not a JPEG or PNG: give a URL, or base64 without a prefix"
_BAD_SIDES = (
    "The resolution or aspect ratio of the input image is invalid. Please ensure it meets the required specifications."
)

_EVERY = frozenset({"prompt", "negative_prompt", "callback_url", "external_task_id", "watermark_info", "model_name"})
_SHOTS = frozenset({"multi_shot", "shot_type", "multi_prompt"})
_USUAL = _EVERY | _SHOTS | {"cfg_scale", "mode", "sound", "camera_control", "duration"}
_FIRST = frozenset({"image", "image_tail", "static_mask", "dynamic_masks", "voice_list", "element_list"})
# What the pages name; `model` is documented as ignored, and any other field seems to be too.
FIELDS: Mapping[str, frozenset[str]] = {
    TEXT: _USUAL | {"aspect_ratio", "model"},
    IMAGE: _USUAL | _FIRST | {"model"},
    MULTI: _EVERY | {"image_list", "mode", "duration", "aspect_ratio", "model"},
    OMNI: _EVERY
    | _SHOTS
    | {"image_list", "element_list", "video_list", "mode", "sound", "aspect_ratio", "duration", "model"},
    EXTEND: _EVERY - {"model_name"} | {"video_id", "cfg_scale"},
}


@dataclass(frozen=True, slots=True)
class Made:
    """The video that a task makes, and the units that it costs."""

    width: int
    height: int
    seconds: float
    prompt: str
    units: float


@dataclass(frozen=True, slots=True)
class Desk:
    """Looks at the inputs of tasks of one path for one model; `source` is the job whose video is to be extended."""

    path: str
    model: Model
    strict: bool
    source: Job | None = None

    async def make(self, given: dict[str, Any]) -> Made:
        """Hold a body against the rules, pictures first. Raises Invalid."""
        shape = await self._pictures(given)
        self._fields(given)
        cost = self.model.price / UNIT
        prompt = self._prompt(given)
        if self.source is not None:
            source, seconds = self.source, self.source.seconds + EXTENSION
            if seconds > LONGEST_FILM or (self.strict and self.model.name not in EXTENDED_FOR_SURE):
                raise wrong("video_id", given["video_id"])
            return Made(source.width, source.height, seconds, prompt, EXTENSION * cost)
        mode, seconds = self._mode(given), self._seconds(given)
        self._sound(given, mode)
        self._moves(given, mode, seconds)
        self._shots(given, seconds)
        made = size(mode, shape or _word(given, "aspect_ratio", RATIOS))
        return Made(*made, seconds, prompt, seconds * cost)

    async def _pictures(self, given: dict[str, Any]) -> tuple[int, int] | None:
        """Check every picture; the size of the one that shapes the video, if one does."""
        match self.path:
            case "image2video":
                sizes = [await _picture(given[name]) for name in ("image", "image_tail") if given.get(name)]
                if not sizes:
                    raise Invalid(1201, "At least one of image and image_tail is required")
                await self._masks(given)
                return sizes[0]
            case "multi-image2video":
                for item in _listed(given, "image_list", 4, least=1):
                    await _picture(item.get("image"))
            case "omni-video":
                return await self._references(given)
        return None

    async def _masks(self, given: dict[str, Any]) -> None:
        if given.get("static_mask"):
            await _picture(given["static_mask"])
        for item in _listed(given, "dynamic_masks", 6):
            await _picture(item.get("mask"))
            points = _listed(item, "trajectories", 77, least=2)
            if not all(_number(point.get(axis)) for point in points for axis in ("x", "y")):
                raise wrong("trajectories", points)

    async def _references(self, given: dict[str, Any]) -> tuple[int, int] | None:
        sizes: dict[str, tuple[int, int]] = {}
        for item in _listed(given, "image_list"):
            role = _word(item, "type", ("", "first_frame", "end_frame"))
            if role and role in sizes:
                raise wrong("image_list.type", role)
            sizes[role] = await _picture(item.get("image_url"))
        if "end_frame" in sizes and "first_frame" not in sizes:
            raise Invalid(1201, "An end frame needs a first frame")
        films = _listed(given, "video_list")
        for film in films:
            if not _link(film.get("video_url")):
                raise wrong("video_url", film.get("video_url"))
            _word(film, "refer_type", ("base", "feature"))
            _word(film, "keep_original_sound", ("yes", "no"))
        edited = any(film.get("refer_type", "base") == "base" for film in films)
        return sizes.get("first_frame") or (LINKED if edited else None)

    def _fields(self, given: dict[str, Any]) -> None:
        unknown = sorted(given.keys() - FIELDS[self.path])
        if self.strict and unknown:
            raise Invalid(1201, f"unknown field {unknown[0]!a}")
        text(given, "negative_prompt", LONGEST)
        text(given, "callback_url")
        marked = given.get("watermark_info", {})
        if not isinstance(marked, dict) or type(marked.get("enabled", False)) is not bool:
            raise wrong("watermark_info", marked)
        scale, scaled = given.get("cfg_scale"), self.model.scaled or not self.strict
        if scale is not None and not (scaled and _number(scale) and 0 <= scale <= 1):
            raise wrong("cfg_scale", scale)

    def _prompt(self, given: dict[str, Any]) -> str:
        prompt = text(given, "prompt", LONGEST)
        needed = {TEXT: True, MULTI: True, OMNI: self.strict or not _pictured(given)}.get(self.path, False)
        if needed and not prompt and given.get("shot_type") != "customize":
            raise Invalid(1201, "prompt is required")
        return prompt

    def _mode(self, given: dict[str, Any]) -> str:
        usual = USUAL_MODE.get(self.path, STD)
        asked = given.get("mode") or usual
        if asked not in (STD, PRO, FOUR_K):
            raise wrong("mode", asked)
        # Public clients send `std` to models that have `pro` alone, and get on.
        if asked not in self.model.modes and (asked == FOUR_K or (self.strict and "mode" in given)):
            raise wrong("mode", asked)
        return self.model.mode(asked)

    def _seconds(self, given: dict[str, Any]) -> int:
        asked = given.get("duration", USUAL_SECONDS)
        if type(asked) is int and not self.strict:
            asked = str(asked)
        seconds = {str(each): each for each in self.model.seconds}
        if not isinstance(asked, str) or asked not in seconds:
            raise wrong("duration", asked)
        return seconds[asked]

    def _sound(self, given: dict[str, Any], mode: str) -> None:
        sounds = _word(given, "sound", ("off", "on")) == "on"
        if sounds and (mode not in self.model.sound or (self.model.tail_silent and given.get("image_tail"))):
            raise wrong("sound", "on")
        voices, elements = _listed(given, "voice_list", 2), _listed(given, "element_list", 3)
        if voices and (not sounds or elements or not all(voice.get("voice_id") for voice in voices)):
            raise wrong("voice_list", voices)
        if elements and (self.path == IMAGE and not self.model.shots):
            raise wrong("element_list", elements)
        if not all(element.get("element_id") for element in elements):
            raise wrong("element_list", elements)

    def _moves(self, given: dict[str, Any], mode: str, seconds: int) -> None:
        masked = bool(given.get("static_mask") or given.get("dynamic_masks"))
        camera, tail = given.get("camera_control"), bool(given.get("image_tail"))
        if masked + tail + bool(camera) > 1:
            raise Invalid(1201, "image_tail, masks and camera_control exclude each other")
        if tail and seconds not in self.model.tail.get(mode, ()):
            raise Invalid(1201, f"image_tail is not supported by {self.model.name} with mode {mode}, {seconds} s")
        if masked and not self.model.brush:
            raise Invalid(1201, f"masks are not supported by {self.model.name}")
        if camera is None:
            return
        sure = self.model.name in CAMERA_FOR_SURE or not self.strict
        if self.model.camera != mode or seconds != 5 or not sure:  # noqa: PLR2004 (seconds)
            message = f"camera_control is not supported by {self.model.name} with mode {mode}, {seconds} s"
            raise Invalid(1201, message)
        _check_camera(camera)

    def _shots(self, given: dict[str, Any], seconds: int) -> None:
        several = given.get("multi_shot", False)
        if type(several) is not bool or (several and not self.model.shots):
            raise wrong("multi_shot", several)
        if not several:
            return
        kind = given.get("shot_type")
        if kind not in ("customize", "intelligence"):
            raise wrong("shot_type", kind)
        if kind == "intelligence":
            return
        total = 0
        for shot in _listed(given, "multi_prompt", 6, least=1):
            length = shot.get("duration")
            if not (
                isinstance(length, str) and length.isascii() and length.isdigit() and type(shot.get("index")) is int
            ):
                raise wrong("multi_prompt", shot)
            text(shot, "prompt", LONGEST_SHOT)
            total += int(length)
        if self.strict and total != seconds:
            raise Invalid(1201, "the durations of multi_prompt must add up to duration")


def text(given: dict[str, Any], name: str, longest: int = 0) -> str:
    """A text of at most so many characters (0: any number), empty where it is not there. Raises Invalid."""
    value = given.get(name, "")
    if not isinstance(value, str) or (longest and len(value) > longest):
        raise wrong(name, value)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise wrong(name, value) from None
    return value


def _check_camera(camera: Any) -> None:
    kind = camera.get("type") if isinstance(camera, dict) else None
    if kind not in _MOVES:
        raise wrong("camera_control", camera)
    config = camera.get("config")
    if kind != "simple":
        if config is not None:
            raise Invalid(1201, "camera_control.config goes with type simple only")
        return
    if not isinstance(config, dict) or not config.keys() <= _AXES:
        raise wrong("camera_control.config", config)
    if not all(_number(value) and -10 <= value <= 10 for value in config.values()):  # noqa: PLR2004 (documented)
        raise wrong("camera_control.config", config)
    if sum(bool(value) for value in config.values()) != 1:
        raise Invalid(1201, "camera_control.config must have exactly one value that is not zero")


async def _picture(given: Any) -> tuple[int, int]:
    """The size of a picture, by URL or in raw base64."""
    if _link(given):
        return LINKED
    picture = await asyncio.to_thread(_decoded, given)
    short, long = sorted((picture.width, picture.height))
    if short < LEAST_SIDE or long > SLIMMEST * short:
        raise Invalid(1201, _BAD_SIDES)
    return picture.width, picture.height


def _decoded(given: Any) -> Picture:
    try:
        data = b64decode(given, validate=True) if isinstance(given, str) else b""
        if len(data) > BIGGEST:
            raise Invalid(1201, "The image is bigger than 10 MB")
        picture = read_picture(data)
    except (NotBase64, ValueError):
        raise Invalid(1201, _BAD_PICTURE) from None
    if picture.kind not in ("jpeg", "png"):
        raise Invalid(1201, _BAD_PICTURE)
    return picture


def _link(given: Any) -> bool:
    if not isinstance(given, str) or not given.startswith(("http://", "https://")):
        return False
    try:
        return bool(urlsplit(given).hostname)
    except ValueError:
        return False


def _pictured(given: dict[str, Any]) -> bool:
    return any(given.get(name) for name in ("image_list", "element_list", "video_list"))


def _word(given: dict[str, Any], name: str, words: tuple[str, ...]) -> str:
    """One of these words; the first where it is not there."""
    value = given.get(name) or words[0]
    if value not in words:
        raise wrong(name, value)
    return str(value)


def _listed(given: dict[str, Any], name: str, most: int = 100, *, least: int = 0) -> list[dict[str, Any]]:
    """A list of so many objects."""
    value = given.get(name) or []
    if not isinstance(value, list) or not least <= len(value) <= most:
        raise Invalid(1201, f"{name} must be an array of {least} to {most} objects")
    if not all(isinstance(item, dict) for item in value):
        raise Invalid(1201, f"{name} must be an array of objects")
    return value


def _number(value: Any) -> bool:
    return type(value) in (int, float)

"""Fitting a request to a model: pure functions of the request and the model's facts.

`nearest` picks the closest that the model makes and says so; `strict` refuses with the allowed values.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import ceil, floor, isclose, log, sqrt

from videogate.task.errors import InvalidRequest
from videogate.task.frames import Frame, Tier, parse_ratio, parse_size
from videogate.task.model import Adjustment, Fit, Fitted, Rework, TaskSpec
from videogate.vendorkit.facts import (
    Choices,
    FrameTable,
    LengthRule,
    Model,
    OpenFrames,
    OpenLength,
    PictureFrames,
    SourceFrames,
    SourceLength,
    Span,
    TierLengths,
)

DEFAULT_FRAME = Frame(720, 1280)  # the interface's own defaults
DEFAULT_SECONDS = 4
_SAME_SHAPE = 0.03  # on a logarithmic scale: 1088x832 counts as 4:3


@dataclass(frozen=True, slots=True)
class Footage:
    """What is known of the video that another is made from."""

    frame: Frame | None = None
    seconds: str | None = None


NO_FOOTAGE = Footage()


def fit(spec: TaskSpec, model: Model, picture: Frame | None = None, footage: Footage = NO_FOOTAGE) -> Fitted:
    """What the model will make of a request. `picture` is the first picture's size, where known.

    Raises InvalidRequest for a text that is no size, length or ratio, and under `strict` for whatever the model
    cannot make exactly.
    """
    extends = model.from_video is not None and model.from_video.rework is Rework.EXTEND
    fitted = _fit_frame(spec, model, footage.frame or picture, footage.frame or DEFAULT_FRAME)
    usual = str(DEFAULT_SECONDS) if extends else footage.seconds or str(DEFAULT_SECONDS)
    seconds, adjusted = _fit_seconds(spec, model, fitted.tier, usual)
    every = (*fitted.adjustments, *adjusted)
    if every and spec.fit is Fit.STRICT:
        first = every[0]
        raise InvalidRequest(f"{first.field}={first.requested} cannot be made: {first.reason}.", param=first.field)
    fitted = replace(fitted, seconds=seconds, way=model.way, adjustments=every)
    return _stitched(fitted, footage) if extends else fitted


def _stitched(fitted: Fitted, footage: Footage) -> Fitted:
    """An extension as its callers read it: as long as its source and what is added together."""
    total = _seconds(fitted.seconds) + float(footage.seconds or 0)
    return replace(fitted, added=fitted.seconds, seconds=f"{total:g}")


@dataclass(frozen=True, slots=True)
class _Asked:
    """The caller's words about the picture, parsed."""

    size: Frame | Tier | None
    resolution: Frame | Tier | None
    shape: Frame | None

    @classmethod
    def of(cls, spec: TaskSpec) -> "_Asked":
        return cls(
            parse_size(spec.size) if spec.size else None,
            parse_size(spec.resolution, "resolution") if spec.resolution else None,
            parse_ratio(spec.aspect_ratio) if spec.aspect_ratio else None,
        )

    @property
    def tier(self) -> Frame | Tier | None:
        """What says how many pixels, apart from an exact size."""
        return self.resolution or (self.size if isinstance(self.size, Tier) else None)


def _fit_frame(spec: TaskSpec, model: Model, picture: Frame | None, usual: Frame) -> Fitted:
    asked = _Asked.of(spec)
    match model.frames:
        case FrameTable() as table:
            return _from_table(spec, model, table, asked, picture if table.shaped else None)
        case PictureFrames() as rule:
            return _from_picture(spec, model, rule, asked, picture, usual)
        case SourceFrames():
            return _from_source(spec, model, asked, picture)
        case OpenFrames():
            reason = f"{model.name} is told nothing but a size"
            unsaid = [("resolution", spec.resolution, None, True), ("aspect_ratio", spec.aspect_ratio, None, True)]
            dropped = _changed([each for each in unsaid if each[1]], reason)
            # A size as everybody writes it; any other word is the upstream's own to read.
            size = str(asked.size) if isinstance(asked.size, Frame) else spec.size or str(DEFAULT_FRAME)
            return Fitted(size=size, seconds="", adjustments=dropped)


def _from_table(spec: TaskSpec, model: Model, table: FrameTable, asked: _Asked, picture: Frame | None) -> Fitted:
    tiers = [nearest_tier(asked.tier, table.tiers)] if asked.tier else list(table.tiers)
    target = asked.size if isinstance(asked.size, Frame) else _meant(asked, tiers)
    if picture:
        target = _of_shape(picture, _lines_of(target))
    frames = ((lines, ratio, frame) for lines in tiers for ratio, frame in table.tiers[lines].items())
    lines, ratio, frame = min(frames, key=lambda entry: target.distance(entry[2]))
    reason = f"{model.name} makes {', '.join(str(each) for each in table.all())}"
    changes = []
    if isinstance(asked.size, Frame):
        changes.append(("size", spec.size, str(frame), asked.size != frame))
    else:
        off_shape = asked.shape is not None and asked.shape.ratio != parse_ratio(ratio).ratio
        changes.append(("aspect_ratio", spec.aspect_ratio, ratio, off_shape))
    every = _changed([*changes, *_tier_changes(spec, asked, lines)], reason)
    # Of a picture that only the vendor will see nobody knows the shape yet: to name one would crop it.
    told = picture is not None or not table.shaped or asked.size is not None or asked.shape is not None
    return Fitted(str(frame), "", frame, lines, ratio if told else None, adjustments=every)


def _meant(asked: _Asked, tiers: list[int]) -> Frame:
    """What a caller means who gave no exact size: a resolution is wide, nothing at all is the interface's default."""
    if asked.tier is None and asked.shape is None:
        return DEFAULT_FRAME
    lines = tiers[0] if asked.tier else DEFAULT_FRAME.width
    return _of_shape(asked.shape or Frame(16, 9), lines)


def _of_shape(shape: Frame, lines: int) -> Frame:
    """A frame of a tier's pixels in a shape."""
    area, ratio = lines * lines * 16 / 9, shape.width / shape.height
    return Frame(max(1, round(sqrt(area * ratio))), max(1, round(sqrt(area / ratio))))


def _from_picture(
    spec: TaskSpec, model: Model, rule: PictureFrames, asked: _Asked, picture: Frame | None, usual: Frame
) -> Fitted:
    lines = nearest_tier(asked.tier or asked.size or usual, rule.tiers)
    frame = _scaled(picture, lines, rule.multiple) if picture else None
    wide = Frame(lines * 16 // 9, lines)
    reason = f"{model.name} makes {', '.join(f'{each}P' for each in rule.tiers)} in the shape of the picture"
    changes = _tier_changes(spec, asked, lines)
    if isinstance(asked.size, Frame):
        same = asked.size == frame if frame else _lines_of(asked.size) == lines
        changes.append(("size", spec.size, str(frame) if frame else f"{lines}P", not same))
    if asked.shape and picture:
        shapes = (log(each.width / each.height) for each in (asked.shape, picture))
        changes.append(("aspect_ratio", spec.aspect_ratio, picture.ratio, not isclose(*shapes, abs_tol=_SAME_SHAPE)))
    return Fitted(str(frame or wide), "", frame, lines, adjustments=_changed(changes, reason))


def _from_source(spec: TaskSpec, model: Model, asked: _Asked, source: Frame | None) -> Fitted:
    """The source's size, whatever else was asked for. Of a file nobody knows it yet."""
    alike = (None, source, Tier(_lines_of(source))) if source else (None,)
    off_shape = asked.shape is not None and (source is None or asked.shape.ratio != source.ratio)
    used = str(source) if source else None
    changes = [
        ("size", spec.size, used, asked.size not in alike),
        ("resolution", spec.resolution, used, asked.resolution not in alike),
        ("aspect_ratio", spec.aspect_ratio, used, off_shape),
    ]
    adjustments = _changed(changes, f"{model.name} keeps the size of its source")
    return Fitted(used or str(DEFAULT_FRAME), "", source, adjustments=adjustments)


_Change = tuple[str, str | None, str | None, bool]  # field, what was asked, what is used, whether they differ


def _tier_changes(spec: TaskSpec, asked: _Asked, lines: int) -> list[_Change]:
    return [
        (field, text, f"{lines}P", isinstance(tier, Tier) and tier.lines != lines)
        for field, text, tier in (("size", spec.size, asked.size), ("resolution", spec.resolution, asked.resolution))
    ]


def _changed(changes: Iterable[_Change], reason: str) -> tuple[Adjustment, ...]:
    return tuple(Adjustment(field, text or "", used, reason) for field, text, used, differs in changes if differs)


def _scaled(picture: Frame, lines: int, multiple: int) -> Frame:
    """The frame of a tier's pixels in a picture's shape.

    Source: the worked example of the Wan image-to-video page (750x1000 at 720P gives 816x1104), read 2026-11-23.
    """
    area = lines * lines * 16 / 9
    ratio = picture.width / picture.height
    sides = (sqrt(area * ratio), sqrt(area / ratio))
    width, height = (max(multiple, floor(side / multiple) * multiple) for side in sides)
    return Frame(width, height)


def nearest_tier(wanted: Tier | Frame, tiers: Iterable[int]) -> int:
    """The tier with the closest number of lines, or of pixels where a whole frame is wanted."""
    lines = _lines_of(wanted)
    return min(tiers, key=lambda each: abs(log(each / lines)) if lines else each)


def _lines_of(wanted: Tier | Frame) -> int:
    if isinstance(wanted, Tier):
        return wanted.lines
    return round(sqrt(wanted.area * 9 / 16))


def _fit_seconds(spec: TaskSpec, model: Model, tier: int | None, usual: str) -> tuple[str, tuple[Adjustment, ...]]:
    asked = _seconds(spec.seconds) if spec.seconds else None
    rule = model.lengths
    if isinstance(rule, TierLengths):
        rule = rule.tiers[tier or min(rule.tiers)]
    if isinstance(rule, OpenLength):
        return spec.seconds or usual, ()
    if isinstance(rule, SourceLength):
        said = [("seconds", spec.seconds, usual, asked is not None and asked != _seconds(usual))]
        return usual, _changed(said, f"{model.name} keeps the length of its source")
    used = _nearest_length(asked if asked is not None else DEFAULT_SECONDS, rule)
    if asked is None or asked == used:
        return str(used), ()
    reason = f"{model.name} makes {lengths_in_words(rule)}"
    if isinstance(model.lengths, TierLengths):
        reason += f" at {tier}P"
    return str(used), (Adjustment("seconds", spec.seconds or "", str(used), reason),)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if 0 < seconds <= 3600:  # noqa: PLR2004 (an hour; NaN fails too)
        return seconds
    raise InvalidRequest(f"seconds must be a positive number such as 5; got {text[:40]!r}.", param="seconds")


def _nearest_length(asked: float, rule: Choices | Span) -> int:
    """The closest length; of two equally close the shorter, which costs less."""
    if isinstance(rule, Choices):
        return min(sorted(rule.allowed), key=lambda each: abs(each - asked))
    return min(max(ceil(asked - 0.5), rule.least), rule.most)


def lengths_in_words(rule: LengthRule) -> str:
    """A rule as a caller reads it."""
    match rule:
        case Choices(allowed):
            return " or ".join(str(each) for each in allowed) + " seconds"
        case OpenLength():
            return "any length that the upstream takes"
        case SourceLength():
            return "the length of its source"
        case Span(least, most):
            return f"{least} to {most} seconds"
        case TierLengths(tiers):
            return ", ".join(f"{lengths_in_words(each)} at {lines}P" for lines, each in tiers.items())

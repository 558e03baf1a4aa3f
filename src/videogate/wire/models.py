"""Model facts as the JSON of GET /v1/models: OpenAI's list, with a `video` object of what the model can do."""

from typing import Any

from videogate.vendorkit.facts import (
    Choices,
    FrameRule,
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
    Told,
    VideoRule,
)


def model(name: str, vendor: str, facts: Model, created: int) -> dict[str, Any]:
    """One model. `name` may be an alias of `facts.name`."""
    return {
        "id": name,
        "object": "model",
        "created": created,
        "owned_by": vendor,
        "video": {
            "model": facts.name,
            **_way(facts),
            "abilities": _abilities(facts),
            **({"ways": [{"way": way.way or "create", **_way(way)} for way in facts.ways]} if facts.others else {}),
        },
    }


def _abilities(facts: Model) -> list[str]:
    """What it can do, beside the words of its vendor's what it makes of a finished video."""
    reworks = {way.from_video.rework.value for way in facts.ways if way.from_video}
    return sorted(facts.abilities | reworks)


def _way(facts: Model) -> dict[str, Any]:
    return {
        "sizes": _sizes(facts.frames),
        "seconds": _seconds(facts.lengths),
        "inputs": {role.value: {"min": least, "max": most} for role, (least, most) in facts.pictures.counts.items()},
        "prompt_required": facts.prompt_needed,
        "metadata": sorted(facts.options),
        **({"from_video": _from_video(facts.from_video)} if facts.from_video else {}),
    }


def _from_video(rule: VideoRule) -> dict[str, Any]:
    """What the way makes of a video, and whose videos it takes: the model's own, its vendor's, or any."""
    others = "vendor" if rule.any_model else "model"
    made_by = "any" if rule.told is Told.LINK else others
    return {"makes": rule.rework.value, "made_by": made_by, "file": rule.as_file}


def model_list(models: list[dict[str, Any]]) -> dict[str, Any]:
    """All models."""
    return {"object": "list", "data": models}


def _sizes(rule: FrameRule) -> dict[str, Any]:
    match rule:
        case FrameTable():
            return {"kind": "list", "values": [str(frame) for frame in rule.all()]}
        case PictureFrames(tiers):
            return {"kind": "picture", "values": [f"{lines}P" for lines in tiers]}
        case OpenFrames():
            return {"kind": "open", "values": []}
        case SourceFrames():
            return {"kind": "source", "values": []}


def _seconds(rule: LengthRule) -> dict[str, Any]:
    match rule:
        case Choices(allowed):
            return {"kind": "list", "values": list(allowed)}
        case Span(least, most):
            return {"kind": "range", "min": least, "max": most}
        case TierLengths(tiers):
            return {"kind": "tiers", "values": {f"{lines}P": _seconds(each) for lines, each in tiers.items()}}
        case OpenLength():
            return {"kind": "open", "values": []}
        case SourceLength():
            return {"kind": "source", "values": []}

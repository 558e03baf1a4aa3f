"""Which pictures and options of a request mean what to a model: pure functions of the request and the facts."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from videogate.task.errors import InvalidRequest
from videogate.task.model import Adjustment, Picture, Role, TaskSpec
from videogate.vendorkit.facts import Model, PictureRule

# Metadata keys that say what a top-level field says; the field wins where both are given.
_SAME_AS = {
    "size": "size",
    "resolution": "resolution",
    "duration": "seconds",
    "seconds": "seconds",
    "ratio": "aspect_ratio",
    "aspect_ratio": "aspect_ratio",
}
_NEVER = frozenset({"model", "model_name", "req_key"})


def lift_options(spec: TaskSpec, groups: Collection[str]) -> TaskSpec:
    """Bring the vendor's own nesting (`groups`, such as `parameters`) and the flat keys to one level.

    Sizes and lengths among them become the request's own. Raises InvalidRequest for keys that would change the model.
    """
    flat: dict[str, Any] = {}
    for key, value in spec.options.items():
        flat.update(value if key in groups and isinstance(value, Mapping) else {key: value})
    fields: dict[str, str] = {}
    for key in list(flat):
        if key in _NEVER:
            raise InvalidRequest("metadata cannot change the model; use the field model.", param=f"metadata.{key}")
        field = _SAME_AS.get(key)
        if field and isinstance(flat[key], str | int | float):
            fields.setdefault(field, str(flat.pop(key)))
    return replace(
        spec,
        options=flat,
        size=spec.size or fields.get("size"),
        seconds=spec.seconds or fields.get("seconds"),
        resolution=spec.resolution or fields.get("resolution"),
        aspect_ratio=spec.aspect_ratio or fields.get("aspect_ratio"),
    )


def lift_words(spec: TaskSpec, words: Mapping[str, tuple[str, Mapping[str, str]]]) -> TaskSpec:
    """Read the vendor's own words among the options (`mode=pro`) as what they say of a field (`resolution`).

    The request's own field wins. Raises InvalidRequest for a word that the vendor does not have.
    """
    options, fields = dict(spec.options), {}
    for key, (field, meanings) in words.items():
        if (value := options.pop(key, None)) in (None, ""):
            continue
        if str(value).lower() not in meanings:
            raise InvalidRequest(f"metadata.{key} must be one of {', '.join(meanings)}.", param=f"metadata.{key}")
        fields[field] = meanings[str(value).lower()]
    return replace(
        spec,
        options=options,
        resolution=spec.resolution or fields.get("resolution"),
        seconds=spec.seconds or fields.get("seconds"),
    )


def lift_pictures(spec: TaskSpec, keys: Mapping[str, Role]) -> TaskSpec:
    """Turn picture links among the options (`img_url` and the like, one or a list) into pictures of the request."""
    found = [
        Picture(keys[key], url=_link(key, each))
        for key, value in spec.options.items()
        if key in keys and value not in (None, "", [])
        for each in (value if isinstance(value, list) else [value])
    ]
    rest = {key: value for key, value in spec.options.items() if key not in keys}
    return replace(spec, pictures=(*spec.pictures, *found), options=rest)


def _link(key: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    raise InvalidRequest(f"metadata.{key} must be a link to a picture.", param=f"metadata.{key}")


def unused_options(options: Mapping[str, Any], model: Model) -> tuple[Mapping[str, Any], tuple[Adjustment, ...]]:
    """Split off the options that mean nothing to a model: they are reported, not sent."""
    kept = {key: value for key, value in options.items() if key in model.options}
    dropped = tuple(
        Adjustment(f"metadata.{key}", _shown(value), None, f"{model.name} has no such option")
        for key, value in options.items()
        if key not in model.options
    )
    return kept, dropped


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else text[:79] + "…"  # noqa: PLR2004 (a line's worth)


def chooses(spec: TaskSpec, model: Model) -> bool:
    """Whether there is more than one way for a request, so that `metadata.action` means something."""
    return len(_open_ways(spec, model)) > 1


def _open_ways(spec: TaskSpec, model: Model) -> tuple[Model, ...]:
    return model.ways_to(spec.source.rework if spec.source else None)


def choose_way(spec: TaskSpec, model: Model) -> Model:
    """The first of a model's ways that takes the request's pictures; `metadata.action` may name one.

    Where none does, the one that comes closest, for its reasons to be told. A request that begins with a video must be
    for a model with a way to do so. Raises InvalidRequest for an unknown action.
    """
    ways = _open_ways(spec, model)
    if chooses(spec, model) and (action := spec.options.get("action")):
        names = ", ".join(way.way for way in ways)
        ways = tuple(way for way in ways if way.way == action)
        if not ways:
            raise InvalidRequest(f"metadata.action must be one of {names}.", param="metadata.action")
    # A way that needs an option is meant by whoever gives it, and by nobody else.
    able = [way for way in ways if way.required_options <= spec.options.keys()]
    ways = tuple(sorted(able, key=lambda way: -len(way.required_options))) or ways
    for way in ways:
        if (placed := _place(spec.pictures, way.pictures)) is not None and _lacks(placed, way.pictures) is None:
            return way
    wanted = len(spec.pictures)
    return min(ways, key=lambda way: max(way.pictures.needed - wanted, wanted - way.pictures.most))


def arrange(spec: TaskSpec, model: Model, siblings: Iterable[Model]) -> tuple[Picture, ...]:
    """Give every picture a role that the model has.

    Raises InvalidRequest, naming the field and a sibling model that can, for too many, too few or unsuitable pictures.
    """
    placed = _place(spec.pictures, model.pictures)
    if placed is None:
        raise _too_many(spec, model, siblings)
    if (missing := _lacks(placed, model.pictures)) is not None:
        raise _too_few(spec, missing, model, siblings)
    for picture in placed:
        _check_form(picture, model)
    order = list(model.pictures.counts)
    return tuple(sorted(placed, key=lambda each: order.index(each.role)))


def _place(pictures: Iterable[Picture], rule: PictureRule) -> list[Picture] | None:
    """Every picture in a role of the rule, or None if one finds no room."""
    room = {role: most for role, (_, most) in rule.counts.items()}
    placed = []
    for picture in sorted(pictures, key=lambda each: each.role is Role.REFERENCE):
        role = _role_for(picture, room)
        if role is None:
            return None
        room[role] -= 1
        placed.append(replace(picture, role=role))
    return placed


def _lacks(placed: Iterable[Picture], rule: PictureRule) -> Role | None:
    """The first role that has fewer pictures than the rule asks for."""
    have = [picture.role for picture in placed]
    return next((role for role, (least, _) in rule.counts.items() if have.count(role) < least), None)


def _role_for(picture: Picture, room: Mapping[Role, int]) -> Role | None:
    if picture.role is Role.REFERENCE:
        return next((role for role, left in room.items() if left), None)
    if room.get(picture.role):
        return picture.role
    # A model with nothing but references takes a first frame as one of them.
    only_references = picture.role is Role.FIRST_FRAME and set(room) == {Role.REFERENCE}
    return Role.REFERENCE if only_references and room[Role.REFERENCE] else None


def _too_many(spec: TaskSpec, model: Model, siblings: Iterable[Model]) -> InvalidRequest:
    wanted = len(spec.pictures)
    able = _able(spec, siblings, lambda rule: rule.needed <= wanted <= rule.most)
    takes = "no picture" if not model.pictures.most else f"{_count(model.pictures)} as {_roles(model.pictures)}"
    hint = f" Models that take {wanted}: {', '.join(able[:6])}." if able else ""
    return InvalidRequest(f"{model.name} takes {takes}.{hint}", param="input_reference", code="unsupported_input")


def _too_few(spec: TaskSpec, role: Role, model: Model, siblings: Iterable[Model]) -> InvalidRequest:
    able = _able(spec, siblings, lambda rule: rule.needed == 0)
    hint = f" Models that need none: {', '.join(able[:6])}." if able else ""
    field = "input_reference" if role is Role.FIRST_FRAME else role.value
    return InvalidRequest(
        f"{model.name} needs a picture as {role.value}: send {field} as a file, a link or a data URL.{hint}",
        param=field,
        code="missing_input",
    )


def _able(spec: TaskSpec, siblings: Iterable[Model], suits: Callable[[PictureRule], bool]) -> list[str]:
    return [each.name for each in siblings if any(suits(way.pictures) for way in _open_ways(spec, each))]


def _count(rule: PictureRule) -> str:
    return f"{rule.most} picture{'s' if rule.most > 1 else ''} at most"


def _roles(rule: PictureRule) -> str:
    return " and ".join(role.value for role in rule.counts)


def _check_form(picture: Picture, model: Model) -> None:
    rule = model.pictures
    if picture.key is None:
        return
    problem = None
    if not rule.as_file:
        problem = "takes pictures only as a public link, not as a file or data URL"
    elif picture.mime not in rule.mimes:
        kinds = ", ".join(sorted(mime.removeprefix("image/") for mime in rule.mimes))
        problem = f"takes pictures as {kinds}; this one is {picture.mime}"
    elif picture.length is not None and picture.length > rule.most_bytes:
        problem = f"takes pictures of at most {rule.most_bytes} bytes; this one has {picture.length}"
    elif picture.frame and not all(
        rule.side[0] <= side <= rule.side[1] for side in (picture.frame.width, picture.frame.height)
    ):
        problem = f"takes pictures with sides of {rule.side[0]} to {rule.side[1]} pixels; this one is {picture.frame}"
    elif picture.frame and picture.frame.stretch > rule.stretch:
        problem = f"takes pictures at most {rule.stretch:g} times as long as wide; this one is {picture.frame}"
    if problem:
        raise InvalidRequest(f"{model.name} {problem}.", param="input_reference", code="unsupported_input")

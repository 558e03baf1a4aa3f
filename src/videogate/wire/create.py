"""The body of POST /v1/videos and of its sisters into a TaskSpec."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from videogate.task.errors import InvalidRequest
from videogate.task.model import Film, Fit, Picture, Rework, Role, Source, TaskSpec
from videogate.wire.fields import METADATA_LENGTH, MOST_KEYS, Upload

PROMPT_LENGTH = 32_000  # characters; OpenAI's own limit
NAME_LENGTH = 80  # of a character's name, likewise
LINK_LENGTH = 2_048  # characters

# Every name under which clients send pictures, and what the picture is for.
PICTURE_FIELDS: Mapping[str, Role] = {
    "input_reference": Role.REFERENCE,
    "input_references": Role.REFERENCE,
    "image": Role.REFERENCE,
    "images": Role.REFERENCE,
    "image_url": Role.REFERENCE,
    "first_frame": Role.FIRST_FRAME,
    "last_frame": Role.LAST_FRAME,
}
_LINK_KEYS = ("image_url", "url")


@dataclass(frozen=True, slots=True)
class Sent:
    """One picture of a request: the field it came in, its role, and a file or a text."""

    field: str
    role: Role
    value: Upload | str


@dataclass(frozen=True, slots=True)
class CreateVideo:
    """A request to make a video, read; its pictures, and a film that it begins with, still have to be taken in."""

    spec: TaskSpec
    pictures: tuple[Sent, ...]
    film: Upload | None = None

    def with_inputs(self, taken: Sequence[Picture], film: Film | None) -> TaskSpec:
        """The request with its pictures and its film taken in."""
        if not taken and self.spec.source is None:
            return self.spec
        source = replace(self.spec.source, film=film) if self.spec.source else None
        return replace(self.spec, pictures=tuple(taken), source=source)


def read_create(body: Mapping[str, Any], *, default_model: str, default_fit: Fit) -> CreateVideo:
    """Read a normalised body. Raises InvalidRequest, naming the parameter."""
    fields = {key: value for key, value in body.items() if value is not None}
    pictures = [sent for key in PICTURE_FIELDS if key in fields for sent in _pictures(key, fields.pop(key))]
    prompt = _prompt(fields.pop("prompt", ""))
    seconds = _number_text(fields.pop("seconds", None), "seconds")
    spec = TaskSpec(
        model=_text(fields.pop("model", None), "model") or default_model,
        prompt=prompt,
        size=_text(fields.pop("size", None), "size"),
        seconds=seconds,
        resolution=_text(fields.pop("resolution", None), "resolution"),
        aspect_ratio=_text(fields.pop("aspect_ratio", None), "aspect_ratio"),
        fit=_fit(fields.pop("fit", None), default_fit),
        callback_url=_callback(fields.pop("callback_url", None)),
        options=_options(fields),
    )
    return CreateVideo(spec, tuple(pictures))


def read_rework(
    body: Mapping[str, Any], rework: Rework, video_id: str | None = None, *, default_model: str, default_fit: Fit
) -> CreateVideo:
    """Read a normalised body of a request to make a video of another. Raises InvalidRequest, naming the parameter.

    `video_id` is that of the path; without one the body's `video` says which, or is it. Only then a model is needed.
    """
    fields = dict(body)
    video = video_id or _video(fields.pop("video", None))
    film = video if isinstance(video, Upload) else None
    read = read_create(fields, default_model=default_model if film else "", default_fit=default_fit)
    source = Source(rework, None if isinstance(video, Upload) else video)
    return replace(read, spec=replace(read.spec, source=source), film=film)


def _video(value: Any) -> str | Upload:
    """Which video: `{"id": …}`, its id alone, or a file."""
    found = value.get("id") if isinstance(value, Mapping) else value
    if isinstance(found, Upload):
        return found
    if found is not None and (named := _text(found, "video")):
        return named
    raise InvalidRequest(
        "video must say which video: an object with its id, or a file.",
        param="video",
        code="missing_required_parameter",
    )


def read_character(body: Mapping[str, Any]) -> tuple[str, Upload]:
    """The name and the film of a character. Raises InvalidRequest, naming the parameter."""
    name, film = _text(body.get("name"), "name"), body.get("video")
    if name is None or len(name) > NAME_LENGTH:
        raise InvalidRequest(f"name must be a text of 1 to {NAME_LENGTH} characters.", param="name")
    if not isinstance(film, Upload):
        raise InvalidRequest("video must be a file.", param="video", code="missing_required_parameter")
    return name, film


def _prompt(value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidRequest("prompt must be a text.", param="prompt", code="invalid_type")
    if len(value) > PROMPT_LENGTH:
        raise InvalidRequest(f"prompt is longer than {PROMPT_LENGTH} characters.", param="prompt")
    return _clean(value, "prompt")


def _clean(value: str, param: str) -> str:
    """Refuse what no vendor and no database takes in a text."""
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise InvalidRequest(f"{param} holds a character that is not valid text.", param=param)
    return value


def _text(value: Any, param: str) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > 255:  # noqa: PLR2004 (no name or size is longer)
        raise InvalidRequest(f"{param} must be a short text.", param=param, code="invalid_type")
    return _clean(value.strip(), param)


def _number_text(value: Any, param: str) -> str | None:
    """A number as OpenAI writes it, a text; clients send both."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | None):
        raise InvalidRequest(f"{param} must be a number such as 5.", param=param, code="invalid_type")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return _text(None if value is None else str(value), param)


def _fit(value: Any, default: Fit) -> Fit:
    if value is None or value == "":
        return default
    try:
        return Fit(value)
    except ValueError:
        raise InvalidRequest("fit must be nearest or strict.", param="fit") from None


def _callback(value: Any) -> str | None:
    """Where the caller wants to be told: by us, so no vendor sees it. Whether we do, the engine says."""
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > LINK_LENGTH:
        raise InvalidRequest("callback_url must be a link.", param="callback_url", code="invalid_type")
    return _clean(value.strip(), "callback_url")


def _options(fields: dict[str, Any]) -> dict[str, Any]:
    """`metadata`, and beside it every top-level field that is not ours: callers put vendors' options in both."""
    metadata = fields.pop("metadata", None)
    if metadata in (None, ""):
        metadata = {}
    if not isinstance(metadata, Mapping):
        raise InvalidRequest("metadata must be an object, or a JSON text of one.", param="metadata")
    options = {**fields, **metadata}
    if len(options) > MOST_KEYS:
        raise InvalidRequest(f"metadata has more than {MOST_KEYS} keys.", param="metadata")
    for key, value in options.items():
        _check_option(key, value, f"metadata.{key[:60]}")
    return options


def _check_option(key: str, value: Any, param: str) -> None:
    _clean(key, param)
    if isinstance(value, Upload):
        raise InvalidRequest(f"{key[:60]} is a file, but no field of this name takes one.", param=key[:60])
    if isinstance(value, str):
        _clean(value, param)
        if len(value) > METADATA_LENGTH and not value.startswith("data:"):
            raise InvalidRequest(f"{param} is longer than {METADATA_LENGTH} characters.", param=param)
    elif isinstance(value, Mapping):
        for name, each in value.items():
            _check_option(name, each, param)
    elif isinstance(value, list):
        for each in value:
            _check_option(key, each, param)


def _pictures(field: str, value: Any) -> list[Sent]:
    if isinstance(value, list):
        return [sent for each in value for sent in _pictures(field, each)]
    role = PICTURE_FIELDS[field]
    if isinstance(value, Upload):
        return [Sent(field, role, value)]
    if isinstance(value, str):
        return [Sent(field, role, _clean(value.strip(), field))] if value.strip() else []
    if isinstance(value, Mapping):
        return [Sent(field, role, _link(field, value))]
    raise InvalidRequest(
        f"{field} must be a file, a link, a data URL or an object with image_url.", param=field, code="invalid_type"
    )


def _link(field: str, value: Mapping[str, Any]) -> str | Upload:
    if "file_id" in value:
        raise InvalidRequest(
            "This gateway keeps no files: send the picture itself, or its link as image_url.",
            param=f"{field}.file_id",
        )
    for key in _LINK_KEYS:
        link = value.get(key)
        if isinstance(link, Mapping):  # the chat API's form, {"image_url": {"url": …}}
            link = link.get("url")
        if isinstance(link, str | Upload):
            return _clean(link.strip(), field) if isinstance(link, str) else link
    raise InvalidRequest(f"{field} must have an image_url.", param=f"{field}.image_url")

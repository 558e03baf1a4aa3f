"""What a request in OpenAI's video format says: forms and JSON, and the picture or film that may come with it.

https://platform.openai.com/docs/api-reference/videos, read 2026-11-23.
"""

from base64 import b64decode
from binascii import Error as NotBase64
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from videogate.simulator.pictures import Picture, read_picture
from videogate.simulator.vendor import Refused, Unreadable

PICTURES = frozenset({"jpeg", "png", "webp"})
LONGEST_PROMPT = 32_000  # characters
_LINKS = ("image_url", "file_id")


def error(
    status: int, message: str, kind: str = "invalid_request_error", code: str | None = None, param: str | None = None
) -> Response:
    """An error in OpenAI's envelope."""
    return JSONResponse({"error": {"message": message, "type": kind, "param": param, "code": code}}, status)


def invalid(message: str, param: str) -> Refused:
    """The refusal of a field's value."""
    return Refused(error(400, message, code="invalid_value", param=param))


def read_prompt(fields: dict[str, Any]) -> str:
    """The prompt. Raises Refused."""
    prompt = fields.get("prompt")
    if not isinstance(prompt, str) or not prompt:
        raise Refused(
            error(400, "Missing required parameter: 'prompt'.", code="missing_required_parameter", param="prompt")
        )
    if len(prompt) > LONGEST_PROMPT:
        raise invalid(f"Invalid 'prompt': at most {LONGEST_PROMPT} characters.", "prompt")
    return prompt


async def read_fields(request: Request) -> dict[str, Any]:
    """The request's fields; a reference picture that came with it is `picture`, a film `film`. Raises Refused."""
    await request.body()  # kept, for the ledger's digest
    json = request.headers.get("content-type", "").startswith("application/json")
    try:
        if json:
            return _json(await request.json())
        async with request.form() as form:
            return await _form(form)
    except Unreadable:
        raise Refused(error(400, "We could not parse the body of your request.")) from None


def _json(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise Refused(error(400, "Invalid type: expected an object."))
    reference = body.get("input_reference")
    if reference is None:
        return body
    if not isinstance(reference, dict):
        found = type(reference).__name__.replace("str", "string")
        message = f"Invalid type for 'input_reference': expected an object, but got a {found} instead."
        raise Refused(error(400, message, code="invalid_type", param="input_reference"))
    return {**body, "picture": _linked(reference)}


async def _form(form: FormData) -> dict[str, Any]:
    fields: dict[str, Any] = {key: value for key, value in form.items() if isinstance(value, str)}
    inside = {key: fields[f"input_reference[{key}]"] for key in _LINKS if f"input_reference[{key}]" in fields}
    if isinstance(film := form.get("video"), UploadFile):
        fields["film"] = await film.read()
    elif named := fields.get("video[id]"):
        fields["video"] = {"id": named}
    fields["characters"] = [{"id": each} for each in form.getlist("characters[][id]")]
    upload = form.get("input_reference")
    if isinstance(upload, UploadFile):
        fields["picture"] = _read(await upload.read())
    elif upload is not None:
        message = "Invalid type for 'input_reference': expected a file."
        raise Refused(error(400, message, code="invalid_type", param="input_reference"))
    elif inside:
        fields["picture"] = _linked(inside)
    return fields


def _linked(reference: dict[str, Any]) -> Picture | None:
    """The picture in an `{image_url}` or `{file_id}`; links are not followed: None."""
    given = [key for key in _LINKS if reference.get(key)]
    if len(given) != 1:
        raise invalid("Provide exactly one of 'image_url' and 'file_id'.", "input_reference")
    link = str(reference[given[0]])
    head, comma, body = link.partition(",")
    if given[0] == "image_url" and head.startswith("data:") and comma:
        try:
            return _read(b64decode(body, validate=True))
        except NotBase64:
            raise invalid("The data URL is not base64.", "input_reference") from None
    return None


def _read(data: bytes) -> Picture:
    try:
        picture = read_picture(data)
    except ValueError:
        picture = None
    if picture is None or picture.kind not in PICTURES:
        raise invalid("Unsupported file: expected image/jpeg, image/png or image/webp.", "input_reference")
    return picture

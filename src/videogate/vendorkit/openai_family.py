"""The base of vendors that speak OpenAI's video format, and its servers' quirks as data.

OpenAI's reference: https://platform.openai.com/docs/api-reference/videos. The servers: vLLM-Omni 0.30, SGLang 0.5.23,
TensorRT-LLM and gateways, as read in their packages on 2026-11-23.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode

from videogate.task.errors import Failure, FailureCode, InvalidRequest, NotUnderstood
from videogate.task.model import Artifact, Character, Observation, Receipt, Rework, Sight
from videogate.vendorkit.client import Call, FilePart, Prepared, Reply
from videogate.vendorkit.contract import Refusal, Vendor
from videogate.vendorkit.order import Order, OrderSource
from videogate.vendorkit.tracing import Found, Lost, Sighting
from videogate.vendorkit.values import dig, is_empty, text

SIGHTS: Mapping[str, Sight] = {
    **dict.fromkeys(
        ("queued", "pending", "submitted", "not_start", "created", "starting", "preparing", "preprocessing"),
        Sight.QUEUED,
    ),
    **dict.fromkeys(("in_progress", "processing", "running", "generating"), Sight.RUNNING),
    **dict.fromkeys(("completed", "complete", "succeeded", "success", "done", "finished"), Sight.SUCCEEDED),
    **dict.fromkeys(
        ("failed", "failure", "fail", "error", "cancelled", "canceled", "expired", "deleted", "rejected"), Sight.FAILED
    ),
}

# Codes of errors and failed jobs, by the word they contain.
CODES: tuple[tuple[str, FailureCode], ...] = (
    ("moderation", FailureCode.MODERATION_BLOCKED),
    ("content_policy", FailureCode.MODERATION_BLOCKED),
    ("safety", FailureCode.MODERATION_BLOCKED),
    ("sensitive", FailureCode.MODERATION_BLOCKED),
    ("insufficient", FailureCode.INSUFFICIENT_BALANCE),
    ("billing", FailureCode.INSUFFICIENT_BALANCE),
    ("rate_limit", FailureCode.RATE_LIMITED),
    ("model_not_found", FailureCode.MODEL_UNAVAILABLE),
    ("invalid_api_key", FailureCode.VENDOR_CREDENTIALS),
    ("cancel", FailureCode.VENDOR_CANCELLED),
)
STATUS_CODES: Mapping[int, FailureCode] = {
    400: FailureCode.INVALID_REQUEST,
    401: FailureCode.VENDOR_CREDENTIALS,
    403: FailureCode.VENDOR_CREDENTIALS,
    404: FailureCode.MODEL_UNAVAILABLE,
    422: FailureCode.INVALID_REQUEST,
    429: FailureCode.RATE_LIMITED,
}
# Where servers put the link to a result; without one it is at {id}/content.
LINKS: tuple[tuple[str | int, ...], ...] = (
    ("url",),
    ("urls", 0),
    ("video_url",),
    ("video", "url"),
    ("outputs", "video_url"),
    ("unsigned_urls", 0),
    ("metadata", "url"),
)
# Where a video is made of another that is named in the body.
PATHS: Mapping[Rework, str] = {Rework.EDIT: "/videos/edits", Rework.EXTEND: "/videos/extensions"}
_IDS = ("id", "task_id", "request_id")
_SOURCE = "remixed_from_video_id"
_TOO_MANY = 429


@dataclass(frozen=True, slots=True)
class Quirks:
    """How a server of the family differs from OpenAI's.

    `send_model`: False for servers that take only the one model which they serve. `options`: the extra fields it takes;
    no field that names a path on the server is ever among them. `reworks`: what it makes of finished videos.
    `characters`: whether it keeps any.
    """

    send_model: bool = True
    options: frozenset[str] = frozenset()
    reworks: frozenset[Rework] = frozenset()
    characters: bool = False


class OpenAIFamily(Vendor):
    """An OpenAI-format upstream. A subclass gives `offered` and `quirks`."""

    quirks: Quirks = Quirks()
    codes = CODES

    def authorize(self, prepared: Prepared) -> Mapping[str, str]:
        return {"authorization": f"Bearer {self.config.api_key.get_secret_value()}"}

    @property
    def characters(self) -> bool:  # type: ignore[override]
        """Whether the server keeps any."""
        return self.quirks.characters

    def submit_call(self, order: Order) -> Call:
        if order.source is not None:
            return self._rework_call(order, order.source)
        form = {"prompt": order.prompt}
        if self.quirks.send_model:
            form["model"] = order.model.name
        if order.asked_seconds:
            form["seconds"] = order.asked_seconds
        if order.asked_size:
            form["size"] = order.fitted.size
        known = self.quirks.options
        given = {key: value for key, value in order.options.items() if key in known and not is_empty(value)}
        files = [("input_reference", part) for part in _pictures(order)]
        if "characters" in given and not files:
            return Call("POST", "/videos", json=form | given)  # OpenAI shows them in JSON alone
        return Call(
            "POST", "/videos", form=form | {key: _form_text(value) for key, value in given.items()}, files=files
        )

    def _rework_call(self, order: Order, source: OrderSource) -> Call:
        if source.rework is Rework.REMIX:
            return Call("POST", f"/videos/{source.job}/remix", json={"prompt": order.prompt})
        fields = {"prompt": order.prompt}
        if source.rework is Rework.EXTEND and order.asked_seconds:
            fields["seconds"] = order.asked_seconds
        path = PATHS[source.rework]
        if source.film is None:
            return Call("POST", path, json={**fields, "video": {"id": source.job}})
        return Call("POST", path, form={**fields, "model": order.model.name}, files=[("video", source.film)])

    def read_receipt(self, reply: Reply, sent: Prepared) -> Receipt:
        body = reply.json()
        for name in _IDS:
            if found := text(body.get(name)):
                return Receipt(found)
        raise NotUnderstood("the answer holds no id")

    def poll_call(self, receipt: Receipt) -> Call:
        return Call("GET", f"/videos/{receipt.vendor_task_id}")

    def read_observation(self, reply: Reply) -> Observation:
        body = reply.json()
        word = text(body.get("status"))
        if word is None and reply.status == 404 and self.read_refusal(reply):  # noqa: PLR2004 (not found)
            return Observation(Sight.MISSING, "404")
        sight = SIGHTS.get((word or "").lower())
        if word is None or sight is None:
            raise NotUnderstood(f"the status {(word or '')[:40]!r} is not known")
        return Observation(
            sight,
            word,
            progress=_progress(body.get("progress")),
            artifact=self._artifact(body) if sight is Sight.SUCCEEDED else None,
            failure=_failure(body, word) if sight is Sight.FAILED else None,
        )

    def read_refusal(self, reply: Reply) -> Refusal | None:
        body = reply.json_or_empty()
        if reply.status < 400 or "status" in body:  # noqa: PLR2004 (a job's record under a failing status is no refusal)
            return None
        code, message = _error(body)
        if message is None:
            return None
        failure = _as_failure(code or str(reply.status), message, STATUS_CODES.get(reply.status))
        exhausted = failure.code is FailureCode.INSUFFICIENT_BALANCE
        return Refusal(failure, later=reply.status == _TOO_MANY and not exhausted)

    def search_call(self, lost: Lost, page: str) -> Call:
        query = {"limit": "100", "order": "desc"} | ({"after": page} if page else {})
        return Call("GET", f"/videos?{urlencode(query)}")

    def read_search(self, reply: Reply, lost: Lost) -> Found:
        body = reply.json()
        jobs = body.get("data")
        if not isinstance(jobs, list):
            raise NotUnderstood("the answer holds no list of jobs")
        seen = tuple(found for job in jobs if (found := self._sighting(job)))
        # `has_more` without a change of place would go round for ever.
        return Found(seen, seen[-1].receipt.vendor_task_id if body.get("has_more") is True and seen else "")

    def read_record(self, reply: Reply, sighting: Sighting) -> Sighting:
        shown = self._sighting(reply.json())
        if shown is None:
            raise NotUnderstood("the answer is no job's record")
        return replace(shown, receipt=sighting.receipt)

    def character_call(self, name: str, film: FilePart) -> Call:
        return Call("POST", "/videos/characters", form={"name": name}, files=[("video", film)])

    def find_character_call(self, character_id: str) -> Call:
        return Call("GET", f"/videos/characters/{quote(character_id, safe='')}")

    def read_character(self, reply: Reply) -> Character:
        match reply.json():
            case {"id": str(found), "created_at": int(created), **more} if found:
                return Character(found, text(more.get("name")) or "", created)
        raise NotUnderstood("the answer is no character")

    def _sighting(self, job: Any) -> Sighting | None:
        found = next((value for key in _IDS if (value := text(dig(job, key)))), None)
        if found is None:
            return None
        created = job.get("created_at")
        return Sighting(
            Receipt(found),
            model=text(job.get("model")) if self.quirks.send_model else None,
            prompt=text(job.get("prompt")),
            created_at=float(created) if type(created) in {int, float} else None,
            remix_of=(text(job[_SOURCE]) or "") if _SOURCE in job else None,
        )

    def _artifact(self, body: Mapping[str, Any]) -> Artifact:
        found = (text(dig(body, *path)) for path in LINKS)
        link = next((link for link in found if link and link.startswith(("http://", "https://"))), None)
        if link:
            return Artifact(link)
        if identity := text(body.get("id")):
            return Artifact(f"/videos/{identity}/content")
        raise NotUnderstood("the job is done, but its record holds neither a link nor an id")


def _pictures(order: Order) -> list[FilePart]:
    parts = []
    for number, picture in enumerate(order.pictures):
        if picture.read is None or picture.mime is None:
            raise InvalidRequest("This model takes a picture only as a file.", param="input_reference")
        kind = picture.mime.removeprefix("image/")
        parts.append(FilePart(f"input_{number}.{kind}", picture.read(), picture.mime))
    return parts


def _form_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _progress(value: Any) -> int | None:
    try:
        return min(100, max(0, int(float(str(value).rstrip("%")))))
    except (ValueError, OverflowError):
        return None


def _error(body: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The code and message of an error body: OpenAI's object, a plain text, FastAPI's `detail`, or flat."""
    error = body.get("error") or body.get("detail")
    if error is None and body.get("code"):
        error = body
    if isinstance(error, Mapping):
        return text(error.get("code")) or text(error.get("type")), text(error.get("message"))
    if isinstance(error, list) and error:
        return None, json.dumps(error, ensure_ascii=False)[:500]
    return text(body.get("code")), text(error)


def _failure(body: Mapping[str, Any], word: str) -> Failure:
    code, message = _error(body)
    return _as_failure(code or word, message, None)


def _as_failure(code: str, message: str | None, fallback: FailureCode | None) -> Failure:
    generic = FailureCode.INVALID_REQUEST if "invalid" in code.lower() else FailureCode.VENDOR_ERROR
    ours = next((mine for part, mine in CODES if part in code.lower()), fallback or generic)
    return Failure(ours, f"The upstream refused or failed: {message or code}", code, message)

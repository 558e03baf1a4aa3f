"""Recorded exchanges, and vendors that are answered from them.

`tests/exchanges/<vendor>/<case>.json` holds one call each: `asked` (a request in our callers' words; `source`: the
video that it begins with), `receipt` (a job that is looked at; `closer`: for a search, `cancel`: to be cancelled) or
`lost` (a submit that is searched), the `request` that must leave, the `response` that comes back, and what we make of
it.
"""

import base64
import json
import re
from collections.abc import Collection, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from email import message_from_bytes
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, get_args

import httpx
from pydantic import SecretStr

from videogate.engine.submit import check, lift
from videogate.task.errors import NotUnderstood, OutcomeUnknown, Refused, Throttled, Unavailable
from videogate.task.frames import Frame
from videogate.task.model import Fit, Observation, Picture, Receipt, Rework, Role, Source, TaskSpec
from videogate.vendorkit.client import Download, FilePart, VendorClient
from videogate.vendorkit.contract import Vendor
from videogate.vendorkit.fit import NO_FOOTAGE, Footage
from videogate.vendorkit.lines import PlainLine
from videogate.vendorkit.order import Order, OrderPicture, OrderSource
from videogate.vendorkit.tracing import Lost, Sighting
from videogate.vendors import discover

EXCHANGES = Path(__file__).parents[1] / "exchanges"
VENDORS = discover()
BASE = "https://api.vendor.test/base"  # a path in it shows that calls stay below it
# Every client sends these; they say nothing of a vendor.
NOW = 1_700_000_000.0  # what the clock says of those who sign
# What signatures are made of, in the place of which the recordings have a word: their own tests verify them.
_SIGNED = ((r"eyJ[\w-]+\.[\w-]+\.[\w-]+", "{token}"), (r"\b[0-9a-f]{64}\b", "{digest}"))
_ANYBODYS = frozenset({"accept", "accept-encoding", "connection", "content-length", "host", "user-agent"})


@dataclass(frozen=True)
class Exchange:
    """One recorded call."""

    vendor: str
    case: str
    source: str
    request: dict[str, Any]
    response: dict[str, Any]
    expect: dict[str, Any]
    asked: dict[str, Any] | None = None
    receipt: str | None = None
    lost: dict[str, Any] | None = None
    closer: bool = False
    cancel: bool = False
    handle: dict[str, str] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.vendor}-{self.case}"

    @property
    def answer(self) -> httpx.Response:
        return httpx.Response(self.response["status"], headers=self.response.get("headers"), json=self.response["json"])


@cache
def recorded(vendor: str) -> Mapping[str, Exchange]:
    """A vendor's exchanges, by case. They are everybody's: who changes one changes a copy."""
    files = sorted((EXCHANGES / vendor).glob("*.json"))
    return {file.stem: Exchange(vendor, file.stem, **json.loads(file.read_text())) for file in files}


def secrets(kind: type[Vendor]) -> dict[str, str]:
    """A telling value for every credential that a vendor's settings have."""
    fields = kind.Config.model_fields.items()
    return {name: f"canary-{name}-7f3a9c" for name, info in fields if _holds_secret(info.annotation)}


def _holds_secret(annotation: Any) -> bool:
    return annotation is SecretStr or (isinstance(annotation, UnionType) and SecretStr in get_args(annotation))


@dataclass
class Wire:
    """The network in place of which tests answer: one answer a call, in order, and none beyond."""

    answers: list[httpx.Response | Exception]
    sent: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        assert self.answers, f"a call that nobody expects: {request.method} {request.url}"
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass
class Opened:
    """An opener that opens nothing and remembers what it was given."""

    calls: list[tuple[str, dict[str, str], str]] = field(default_factory=list)

    def open(
        self, url: str, *, headers: Mapping[str, str], home: str, hosts: Collection[str] = ()
    ) -> AbstractAsyncContextManager[Download]:
        self.calls.append((url, dict(headers), home))
        return None  # type: ignore[return-value]


def open_vendor(kind: type[Vendor], *answers: httpx.Response | Exception, **settings: Any) -> tuple[Vendor, Wire]:
    """A vendor whose calls get these answers, in order."""
    wire = Wire(list(answers))
    config = kind.Config(**{"base_url": BASE, **secrets(kind), **settings})
    client = VendorClient(
        kind.name,
        config.base_url,
        secrets=config.secrets,
        submits=PlainLine(httpx.AsyncClient(transport=httpx.MockTransport(wire))),
        polls=PlainLine(httpx.AsyncClient(transport=httpx.MockTransport(wire))),
        opener=Opened(),
    )
    return kind(config, client, clock=lambda: NOW), wire


def order_of(vendor: Vendor, asked: Mapping[str, Any]) -> Order:
    """The order that becomes of a request in a caller's words, checked and fitted as the engine does it."""
    words = {key: value for key, value in asked.items() if key not in ("pictures", "source")}
    pictures = tuple(_picture(number, each) for number, each in enumerate(asked.get("pictures", ())))
    files = {str(number): base64.b64decode(each["file"]["base64"]) for number, each in _files(asked)}
    model = vendor.models[asked["model"]]
    begun = asked.get("source")
    source = Source(Rework(begun["rework"]), "video_1") if begun else None
    spec = lift(TaskSpec(**{"fit": Fit.NEAREST, **words}, pictures=pictures, source=source), vendor)
    ready, fitted = check(spec, vendor, model, _footage(begun) if begun else NO_FOOTAGE)
    return Order(
        client_ref="vg0123",
        model=next(way for way in model.ways if way.way == fitted.way),
        prompt=ready.prompt,
        fitted=fitted,
        asked_size=ready.size,
        asked_seconds=ready.seconds,
        pictures=tuple(_ready(picture, files) for picture in ready.pictures),
        options=ready.options,
        source=_source(begun) if begun else None,
    )


def _footage(given: Mapping[str, Any]) -> Footage:
    if "size" not in given:
        return NO_FOOTAGE
    width, height = given["size"].split("x")
    return Footage(Frame(int(width), int(height)), given["seconds"])


def _source(given: Mapping[str, Any]) -> OrderSource:
    receipt = Receipt(given["receipt"], given.get("handle", {})) if "receipt" in given else None
    film = FilePart("video.mp4", base64.b64decode(given["film"]), "video/mp4") if "film" in given else None
    return OrderSource(Rework(given["rework"]), receipt, given.get("link"), film)


def _files(asked: Mapping[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    return [(number, each) for number, each in enumerate(asked.get("pictures", ())) if "file" in each]


def _picture(number: int, given: Mapping[str, Any]) -> Picture:
    file = given.get("file")
    if file is None:
        return Picture(Role(given["role"]), url=given["url"])
    width, height = file["frame"].split("x")
    length = len(base64.b64decode(file["base64"]))
    return Picture(
        Role(given["role"]), key=str(number), mime=file["mime"], frame=Frame(int(width), int(height)), length=length
    )


def _ready(picture: Picture, files: Mapping[str, bytes]) -> OrderPicture:
    if picture.key is None:
        return OrderPicture(picture.role, url=picture.url)
    content = files[picture.key]
    return OrderPicture(picture.role, mime=picture.mime, read=lambda: content)


def shown(request: httpx.Request, kind: type[Vendor]) -> dict[str, Any]:
    """A request that left, in the form of the recordings; a credential is shown as its setting's name."""
    base = httpx.URL(BASE)
    assert request.url.copy_with(raw_path=b"/") == base.copy_with(raw_path=b"/"), f"{request.url} is not the vendor's"
    path = request.url.raw_path.decode()
    assert path.startswith(base.path), f"{path} is not below the base URL"
    headers = {name: value for name, value in request.headers.items() if name not in _ANYBODYS}
    for name, value in secrets(kind).items():
        headers = {header: text.replace(value, f"{{{name}}}") for header, text in headers.items()}
    for pattern, word in _SIGNED:
        headers = {header: re.sub(pattern, word, text) for header, text in headers.items()}
    found: dict[str, Any] = {"method": request.method, "path": path.removeprefix(base.path)}
    content_type = headers.get("content-type", "")
    if content_type.startswith("multipart/"):
        headers["content-type"] = "multipart/form-data"
        found |= _multipart(content_type, request.content)
    elif request.content:
        found["json"] = json.loads(request.content)
    return found | {"headers": headers}


def _multipart(content_type: str, content: bytes) -> dict[str, Any]:
    form: dict[str, str] = {}
    files = []
    for part in message_from_bytes(b"content-type: " + content_type.encode() + b"\r\n\r\n" + content).get_payload():
        assert not isinstance(part, str)
        name = str(part.get_param("name", header="content-disposition"))
        body = part.get_payload(decode=True)
        assert isinstance(body, bytes)
        if part.get_filename() is None:
            assert name not in form, f"the field {name} is sent twice"
            form[name] = body.decode()
        else:
            encoded = base64.b64encode(body).decode()
            mime = part.get_content_type()
            files.append({"field": name, "name": part.get_filename(), "mime": mime, "base64": encoded})
    return {"form": form} | ({"files": files} if files else {})


async def play(vendor: Vendor, exchange: Exchange) -> dict[str, Any]:
    """Make the recorded call; what came of it, in the form of the recordings."""
    try:
        if exchange.asked is not None:
            receipt = await vendor.submit(vendor.prepare(order_of(vendor, exchange.asked)))
            handle = {"handle": dict(receipt.handle)} if receipt.handle else {}
            return {"receipt": receipt.vendor_task_id, **handle}
        if exchange.lost is not None:
            found = await vendor.search(Lost(**exchange.lost), since=0.0)
            return {"found": [_sighted(each) for each in found]}
        if exchange.cancel:
            return {"cancelled": await vendor.cancel(Receipt(exchange.receipt or "", exchange.handle))}
        if exchange.closer:
            return {"found": [_sighted(await vendor.look_closer(Sighting(Receipt(exchange.receipt or ""))))]}
        return _seen(await vendor.poll(Receipt(exchange.receipt or "", exchange.handle)))
    except Refused as error:
        return {"refused": _failed(error.failure)}
    except Throttled as error:
        return {"throttled": {"vendor_code": error.vendor_code, "retry_after": error.retry_after}}
    except NotUnderstood:
        return {"not_understood": True}
    except (OutcomeUnknown, Unavailable) as error:
        return {type(error).__name__: error.message}


def _sighted(seen: Sighting) -> dict[str, Any]:
    shown = {"client_ref": seen.client_ref, "model": seen.model, "prompt": seen.prompt, "created_at": seen.created_at}
    handle = {"handle": dict(seen.receipt.handle)} if seen.receipt.handle else {}
    shown["remix_of"] = seen.remix_of
    told = {name: value for name, value in shown.items() if value is not None}
    return {"receipt": seen.receipt.vendor_task_id, **handle, **told}


def _seen(seen: Observation) -> dict[str, Any]:
    found: dict[str, Any] = {"sight": seen.sight.value, "word": seen.word}
    if seen.progress is not None:
        found["progress"] = seen.progress
    if seen.artifact:
        found["artifact"] = seen.artifact.url
        found |= {"result": seen.artifact.id} if seen.artifact.id else {}
    if seen.failure:
        found["failure"] = _failed(seen.failure)
    return found


def _failed(failure: Any) -> dict[str, Any]:
    assert not failure.vendor_message or failure.vendor_message in failure.message
    return {
        "code": failure.code.value,
        "vendor_code": failure.vendor_code,
        "vendor_message": failure.vendor_message,
    }

"""Every check of `videogate conformance` fails on the flaw that it is for, and on no other.

Between the checks and the shared gateway, which passes all of them, stands a transport that spoils answers.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from acceptance.conftest import KEY, OTHER
from videogate import conformance
from videogate.conformance import CHECKS, Outcome, Session, Target


@dataclass
class Exchange:
    """A request on its way, and then the answer to it. `counts` lasts for the whole run."""

    request: httpx.Request
    counts: dict[str, int]
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes = b""

    @property
    def method(self) -> str:
        """The request's method."""
        return self.request.method

    @property
    def path(self) -> str:
        """The request's path and query."""
        return self.request.url.raw_path.decode()

    @property
    def sent(self) -> bytes:
        """The request's body."""
        return self.request.read()

    def asked(self, header: str) -> str:
        """A header of the request; empty if it is not there."""
        return str(self.request.headers.get(header, ""))

    def count(self, what: str) -> int:
        """How often this was counted, now included."""
        self.counts[what] = self.counts.get(what, 0) + 1
        return self.counts[what]

    def refuse(self, status: int) -> None:
        """Answer with an error that is none of OpenAI's."""
        self.status, self.content = status, b'{"detail": "no"}'
        self.headers["content-type"] = "application/json"

    @contextmanager
    def json(self) -> Iterator[dict[str, Any]]:
        """The answer's object, to be changed."""
        found = json.loads(self.content)
        yield found
        self.content = json.dumps(found).encode()

    @property
    def is_look(self) -> bool:
        """Whether it is a GET of one video."""
        return self.method == "GET" and re.search(r"/videos/[^/?]+$", self.path) is not None and self.status == 200

    @property
    def is_content(self) -> bool:
        """Whether content was asked for, and came."""
        return "/content" in self.path and self.status in (200, 206)

    @property
    def is_list(self) -> bool:
        """Whether it is a list of videos."""
        return self.method == "GET" and re.search(r"/videos(\?|$)", self.path) is not None and self.status == 200


Spoil = Callable[[Exchange], None]


@dataclass(frozen=True)
class Flaw:
    """A flaw: what it does to requests or to answers, and the checks that are to see it."""

    fails: str  # ids, without the group if they are in the batch's first
    home: Spoil | None = None
    out: Spoil | None = None


class Spoiled(httpx.BaseTransport):
    """The way to the gateway, with flaws on it."""

    def __init__(self, flaws: list[Flaw]) -> None:
        self._flaws = flaws
        self._inner = httpx.HTTPTransport()
        self._counts: dict[str, int] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Spoil the request, send it, spoil the answer."""
        exchange = Exchange(request, self._counts)
        for flaw in self._flaws:
            if flaw.out:
                flaw.out(exchange)
        answer = self._inner.handle_request(request)
        exchange.status, exchange.content = answer.status_code, answer.read()
        exchange.headers = {name.lower(): value for name, value in answer.headers.items()}
        for flaw in self._flaws:
            if flaw.home:
                flaw.home(exchange)
        return httpx.Response(exchange.status, headers=exchange.headers, stream=httpx.ByteStream(exchange.content))

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()


# What flaws are made of


def refused(*marks: bytes, **headers: str) -> Spoil:
    """Creates with all of these marks in the body and all of these headers are refused."""

    def home(exchange: Exchange) -> None:
        asked = all(value in exchange.asked(name.replace("_", "-")) for name, value in headers.items())
        if exchange.method == "POST" and asked and all(mark in exchange.sent for mark in marks):
            exchange.refuse(415)

    return home


def spoil_prompt(mark: str) -> Spoil:
    """A prompt with this mark comes back in other letters."""

    def home(exchange: Exchange) -> None:
        if exchange.method == "POST" and exchange.status in (200, 201):
            with exchange.json() as video:
                if mark in str(video.get("prompt")):
                    video["prompt"] = "????"

    return home


def videos(change: Callable[[dict[str, Any]], None]) -> Spoil:
    """Every video is changed, in a create and in a look."""

    def home(exchange: Exchange) -> None:
        if exchange.is_look or (exchange.method == "POST" and exchange.status == 200):
            with exchange.json() as video:
                change(video)

    return home


def looks(change: Callable[[dict[str, Any], int], None]) -> Spoil:
    """Every look is changed; its number is known."""

    def home(exchange: Exchange) -> None:
        if exchange.is_look:
            number = exchange.count(f"look {id(change)}")
            with exchange.json() as video:
                change(video, number)

    return home


def lists(query: str, change: Callable[[dict[str, Any]], None]) -> Spoil:
    """A list whose query fits is changed."""

    def home(exchange: Exchange) -> None:
        if exchange.is_list and re.fullmatch(query, exchange.path.partition("?")[2]):
            with exchange.json() as page:
                change(page)

    return home


def content(change: Spoil, *, method: str = "GET", path: str = "", **headers: str) -> Spoil:
    """Content is changed where path and headers fit; a header that is empty must not be there."""

    def home(exchange: Exchange) -> None:
        asked = all(
            (value in exchange.asked(name.replace("_", "-")))
            and bool(value) == bool(exchange.asked(name.replace("_", "-")))
            for name, value in headers.items()
        )
        if exchange.is_content and exchange.method == method and re.search(path, exchange.path) and asked:
            change(exchange)

    return home


def drop(name: str) -> Spoil:
    """The answer loses a header."""

    def home(exchange: Exchange) -> None:
        exchange.headers.pop(name, None)

    return home


def put(name: str, value: str) -> Spoil:
    """The answer has this header."""
    return lambda exchange: exchange.headers.update({name: value})


def status(code: int) -> Spoil:
    """The answer has this status."""

    def home(exchange: Exchange) -> None:
        exchange.status = code

    return home


def not_asked(name: str) -> Spoil:
    """The request loses a header on its way."""

    def out(exchange: Exchange) -> None:
        if name in exchange.request.headers:
            del exchange.request.headers[name]

    return out


def without(name: str) -> Callable[[dict[str, Any]], None]:
    """An object loses a field."""

    def change(body: dict[str, Any]) -> None:
        body.pop(name, None)

    return change


def at(pattern: str, change: Spoil) -> Spoil:
    """Answers are changed where `METHOD path` fits."""

    def home(exchange: Exchange) -> None:
        if re.search(pattern, f"{exchange.method} {exchange.path}"):
            change(exchange)

    return home


# The flaws


def _running(video: dict[str, Any]) -> bool:
    return video["status"] in ("queued", "in_progress")


def _while_running(**values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda video: video.update(values) if _running(video) else None


def _early(exchange: Exchange) -> None:
    if exchange.status == 400 and b"video_not_ready" in exchange.content:
        exchange.status = 409


def _elsewhere(exchange: Exchange) -> None:
    if "hop" not in exchange.path:
        exchange.status = 302
        exchange.headers["location"] = str(exchange.request.url.copy_add_param("hop", "1"))


def _no_param(exchange: Exchange) -> None:
    with exchange.json() as body:
        body["error"]["param"] = None


def _longer(exchange: Exchange) -> None:
    exchange.content += bytes(exchange.count("download"))
    exchange.headers["content-length"] = str(len(exchange.content))


def _no_film(exchange: Exchange) -> None:
    if exchange.is_content:
        exchange.content = exchange.content.replace(b"ftyp", b"junk")


def _back_and_forth(video: dict[str, Any], number: int) -> None:
    if number <= 2:
        video["status"] = ("in_progress", "queued")[number - 1]
        video["progress"] = (9, 3)[number - 1]


def _busy(exchange: Exchange) -> None:
    if exchange.is_look and b'"completed"' in exchange.content and exchange.count("done") == 9:
        exchange.refuse(429)


def _trips(exchange: Exchange) -> None:
    if exchange.is_look and exchange.count("trip") == 1:
        exchange.refuse(503)


def _ends_badly(video: dict[str, Any]) -> None:
    if video["status"] == "completed":
        video.update(status="failed", error={"code": "no_luck", "message": "No luck today."})


def _detail(exchange: Exchange) -> None:
    if exchange.status >= 400:
        exchange.refuse(exchange.status)


def _open_lists(exchange: Exchange) -> None:
    if (
        re.search(r"/videos(\?|$)", exchange.path)
        and exchange.method == "GET"
        and OTHER in exchange.asked("authorization")
    ):
        exchange.request.headers["authorization"] = f"Bearer {KEY}"


def _keeps(exchange: Exchange) -> None:
    if exchange.method == "DELETE":
        exchange.request.method = "GET"
        exchange.request.headers["x-was"] = "DELETE"


def _pretends(exchange: Exchange) -> None:
    if exchange.asked("x-was") == "DELETE":
        exchange.status = 204 if b'"completed"' in exchange.content else 409
        exchange.content = b""


def _backwards(page: dict[str, Any]) -> None:
    page["data"].reverse()
    page["first_id"], page["last_id"] = page["last_id"], page["first_id"]


def _other_times(page: dict[str, Any]) -> None:
    page["data"] = [{**video, "created_at": 1} for video in page["data"]]


def _float_created(exchange: Exchange) -> None:
    with exchange.json() as page:
        page["data"][0]["created"] = 1.5


JSON_BODY, FORM_BODY = "application/json", "application/x-www-form-urlencoded"

BATCHES: Mapping[str, tuple[str, list[Flaw]]] = {
    "forms of a create": (
        "create",
        [
            Flaw("status", at(r"POST /v1/videos", lambda each: status(201)(each) if each.status == 200 else None)),
            Flaw("multipart", spoil_prompt("(watched ")),
            Flaw("unicode", spoil_prompt("猫")),
            Flaw("json", refused(b"(json ", content_type=JSON_BODY)),
            Flaw("seconds-number", refused(b'"seconds":4', content_type=JSON_BODY)),
            Flaw("urlencoded", refused(b"prompt=", content_type=FORM_BODY)),
            Flaw("json-called-form", refused(b'"prompt"', content_type=FORM_BODY)),
            Flaw("chunked", refused(transfer_encoding="chunked")),
            Flaw("expect", refused(expect="100-continue")),
            Flaw("metadata-brackets", refused(b'name="metadata[nested][deep]"')),
            Flaw("metadata-text", refused(b'name="metadata"')),
            Flaw("unknown-field", refused(b"conformance_check")),
            Flaw("file file-read", refused(b'name="input_reference"; filename="kite.png"')),
            Flaw("file-unnamed", refused(b'name="input_reference"; filename="upload"')),
            Flaw("file-list", refused(b'name="input_reference[]"')),
            Flaw("brackets brackets-read", refused(b'name="input_reference[image_url]"')),
            Flaw("json-object json-object-read", refused(b'"input_reference":{"image_url"')),
            Flaw("json-string", refused(b'"input_reference":"data:')),
        ],
    ),
    "shape of an answer": (
        "answer",
        [
            Flaw("fields", videos(without("expires_at"))),
            Flaw("never-null", videos(lambda video: video.update(size=None))),
            Flaw("object", videos(lambda video: video.update(object="video.job"))),
            Flaw("strings", videos(lambda video: video.update(seconds=4))),
            Flaw("integers", videos(lambda video: video.update(created_at=video["created_at"] + 0.0))),
            Flaw("unix-seconds", videos(lambda video: video.update(completed_at=1_700_000_000_000))),
            Flaw("error", videos(lambda video: video.update(error={"code": 7, "message": "none"}))),
            Flaw("media-type", at("GET", put("content-type", "text/plain"))),
        ],
    ),
    "a life": (
        "lifecycle",
        [
            Flaw("same-id", looks(lambda video, number: video.update(id=f"{video['id']}-{number > 1}"))),
            Flaw("unchanged", looks(lambda video, _: video.update(model="another"))),
            Flaw("completed-at", videos(_while_running(completed_at=1_700_000_000))),
            Flaw("progress-end", videos(_while_running(progress=100))),
            Flaw("looks", _trips),
            Flaw("repeated-get", _busy),
            Flaw("trailing-slash", at(r"GET .*/$", lambda each: each.refuse(404))),
            Flaw("any-headers", lambda each: each.refuse(415) if each.is_look and each.asked("content-type") else None),
        ],
    ),
    "a life in other words": (
        "lifecycle",
        [
            Flaw("words", at("POST", videos(lambda video: video.update(status="preparing")))),
            Flaw("forward progress", looks(_back_and_forth)),
        ],
    ),
    "a life that ends badly": ("lifecycle", [Flaw("completes", videos(_ends_badly))]),
    "content": (
        "content",
        [
            Flaw("early", _early),
            Flaw("media-type", content(put("content-type", "application/octet-stream"), path=r"/content(\?hop=1)?$")),
            Flaw("direct", content(_elsewhere)),
            Flaw("length", content(drop("content-length"), accept="application/binary", range="")),
            Flaw("accept", content(lambda each: each.refuse(406), accept="image/webp")),
            Flaw("repeated", content(_longer, accept="application/json", range="")),
            Flaw("disposition", content(drop("content-disposition"))),
            Flaw("private", content(put("cache-control", "public"))),
            Flaw("variant-video", content(lambda each: each.refuse(404), path="variant=video")),
            Flaw("variant-unknown", at("variant=hologram", _no_param)),
            Flaw("thumbnail", content(put("content-type", "video/mp4"), path="variant=thumbnail")),
            Flaw("spritesheet", content(lambda each: each.refuse(404), path="variant=spritesheet")),
            Flaw("url-alone", content(lambda each: each.refuse(401), path="signature=", authorization="")),
            Flaw("url-with-key", content(lambda each: each.refuse(400), path="signature=", authorization="Bearer")),
            Flaw("ranges-offered", content(drop("accept-ranges"))),
            Flaw("range", content(drop("content-range"), range="bytes=0-99", if_range="")),
            Flaw("range-open", content(lambda each: each.refuse(206), range="bytes=100-")),
            Flaw("range-suffix", content(status(200), range="bytes=-100")),
            Flaw("range-beyond", lambda each: drop("content-range")(each) if each.status == 416 else None),
            Flaw("range-nonsense", content(lambda each: each.refuse(400), range="miles")),
            Flaw("head", content(status(405), method="HEAD")),
            Flaw("etag", lambda each: status(200)(each) if each.asked("if-none-match") else None),
            Flaw("if-range", content(status(206), if_range='"another"')),
        ],
    ),
    "content that is no film": ("content", [Flaw("whole url-alone url-with-key", _no_film)]),
    "a list": (
        "list models",
        [
            Flaw("shape", lists(".*", without("object"))),
            Flaw("newest-first", lists("", _backwards)),
            Flaw("ascending", lists("order=asc&after=.*", lambda page: page["data"].clear())),
            Flaw("limit", lists("limit=1", lambda page: page.update(has_more=False))),
            Flaw("pages", lists("limit=2", lambda page: page.update(last_id=None))),
            Flaw("end", lists("order=asc&after=.*", without("has_more"))),
            Flaw("entry", lists("", _other_times)),
            Flaw("bad-query", at("order=sideways", status(422))),
            Flaw("bad-cursor", at(r"GET /v1/videos\?after=\w+0{12}$", status(200))),
            Flaw("models.list", at("GET /v1/models$", _float_created)),
            Flaw("models.one", at("GET /v1/models/sora-2", status(404))),
            Flaw("models.unknown", at("GET /v1/models/no-such", status(200))),
        ],
    ),
    "errors, keys and repeats": (
        "errors access retries headers",
        [
            Flaw(
                "no-prompt no-prompt-form model seconds seconds-type size broken-json unknown-id unknown-route"
                " wrong-method type huge-body access.no-key access.wrong-key access.content access.foreign-id"
                " retries.key-reuse",
                _detail,
            ),
            Flaw("access.azure-header", out=not_asked("api-key")),
            Flaw("access.foreign-list", out=_open_lists),
            Flaw("retries.idempotency-key retries.key-reuse", out=not_asked("idempotency-key")),
            Flaw("retries.sdk-retry", out=not_asked("x-stainless-retry-count")),
            Flaw("headers.request-id", at("DELETE", drop("x-request-id"))),
            Flaw("headers.hints", at("GET", put("openai-poll-after-ms", "2500.5"))),
        ],
    ),
    "deletes": ("delete", [Flaw("answer gone not-listed twice under-way", _pretends, _keeps)]),
}


def expected(batch: str) -> set[str]:
    """The ids of the checks that are to fail in a batch."""
    groups, flaws = BATCHES[batch]
    first = groups.split()[0]
    names = [name for flaw in flaws for name in flaw.fails.split()]
    return {name if "." in name else f"{first}.{name}" for name in names}


@pytest.mark.parametrize("batch", BATCHES)
def test_a_flaw_is_seen_by_the_checks_that_are_for_it(gateway: str, batch: str) -> None:
    """Of the checks of these groups exactly those fail whose claim the flaws break."""
    groups, flaws = BATCHES[batch]
    target = Target(f"{gateway}/v1", KEY, OTHER, model="sora-2", patience=30, huge="errors" in groups)
    session = Session(target, Spoiled(flaws))
    try:
        results = [*conformance.run(conformance.chosen(groups.split()), session)]
    finally:
        session.close()

    failed = {each.check.id: each.seen for each in results if each.outcome is Outcome.FAILED}
    assert failed.keys() == expected(batch), failed


def test_every_check_was_seen_to_fail() -> None:
    """No check is there that never caught anything."""
    assert {name for batch in BATCHES for name in expected(batch)} == {check.id for check in CHECKS}

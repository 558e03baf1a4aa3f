"""One HTTP client for every vendor: one request, one map of network errors, credentials that stay at home.

Submits go over plain httpx, each on a connection of its own: a reused one that the server closes in the same moment
would leave an outcome unknown for nothing. Polls share keep-alive connections of aiohttp's, which is several times
faster. Results are opened by an `Opener`, which the composition root hands in.
"""

import json
import re
from asyncio import timeout
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import cached_property
from time import perf_counter, time
from typing import Any, Protocol
from urllib.parse import urlsplit

import aiohttp
import httpx

from videogate.faultpoints import faultpoint
from videogate.task.errors import NotDelivered, NotUnderstood, OutcomeUnknown, Unavailable
from videogate.vendorkit.lines import Line
from videogate.vendorkit.outcome import Submitted, of_error

SUBMIT_SECONDS = 40.0  # the whole submit; shorter than the lease it runs under
POLL_SECONDS = 15.0
CONNECT_SECONDS = 5.0
BODY_LIMIT = 4 * 1024 * 1024  # bytes of a vendor's JSON
EXCERPT = 2_000  # characters of a body that are kept as evidence

_QUERY = re.compile(r"(https?:\\?/\\?/[^\s\"'<>?]+)\?[^\s\"'<>]+")  # JSON may write a slash as \/

_PLAIN = re.compile(r"(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+")  # a path that is written in one way only

_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+")  # a JWT, which some vendors' requests are signed with

# Of submits, and of polls and downloads.
NETWORK_ERRORS = (
    httpx.HTTPError,
    httpx.InvalidURL,
    httpx.StreamError,
    aiohttp.ClientError,
    TimeoutError,
    OSError,
)


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file in a multipart body."""

    name: str
    content: bytes
    mime: str


@dataclass(frozen=True, slots=True)
class Call:
    """A request as a vendor file writes it: `path` is below the base URL.

    The body is `json`, or `form` with `files`, which is multipart even without a file: some servers read no other form.
    """

    method: str
    path: str
    json: Any = None
    form: Mapping[str, str] | None = None
    files: Sequence[tuple[str, FilePart]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request down to its bytes, without credentials."""

    method: str
    url: str
    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """A vendor's answer, whole. `excerpt` is safe to keep: no secret and no signed link is in it."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    excerpt: str

    def json(self) -> dict[str, Any]:
        """The body as a JSON object.

        Raises NotUnderstood for anything else: HTML from a proxy, an empty body, a list.
        """
        try:
            value = json.loads(self.content)
        except (ValueError, RecursionError) as error:
            raise NotUnderstood(f"the answer ({self.status}) is not JSON") from error
        if not isinstance(value, dict):
            raise NotUnderstood(f"the answer ({self.status}) is not a JSON object")
        return value

    def json_or_empty(self) -> dict[str, Any]:
        """The body as a JSON object, or {} if it is none."""
        try:
            return self.json()
        except NotUnderstood:
            return {}

    @property
    def retry_after(self) -> float | None:
        """Seconds that the answer asks us to wait, if it does."""
        return wish(self.headers.get("retry-after", ""))

    @property
    def date(self) -> float | None:
        """What the server's clock said, if it says so."""
        try:
            return parsedate_to_datetime(self.headers.get("date", "")).timestamp()
        except ValueError:
            return None


def wish(value: str) -> float | None:
    """The seconds that a `Retry-After` says (number or HTTP date), if it says any."""
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time())
    except ValueError:
        return None


class Download(Protocol):
    """An open result."""

    length: int | None  # bytes, if the server says so
    mime: str

    def chunks(self) -> AsyncIterator[bytes]:
        """The body, piece by piece. Raises Unavailable when it breaks off or is shorter than announced."""


class Opener(Protocol):
    """Opens links safely; see `media.fetch`, the one implementation."""

    def open(
        self, url: str, *, headers: Mapping[str, str], home: str, hosts: Collection[str] = ()
    ) -> AbstractAsyncContextManager[Download]:
        """Open `url`. `headers` go only to the origin `home`, which may be a private address.

        With `hosts`, every other link must lead to one of them or below.
        """


Authorize = Callable[[Prepared], Mapping[str, str]]
Heard = Callable[[str, str, str, float], None]
"""Is told of every call that was made: vendor, operation, the answer's status, seconds."""

NO_ANSWER = "none"  # in place of a status


def origin(url: str) -> str:
    """Scheme, host and port of a URL."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    return f"{parts.scheme}://{parts.hostname}:{port}"


def _nobody(_vendor: str, _op: str, _status: str, _seconds: float) -> None:
    """Hear nothing."""


def _parts(call: Call) -> list[tuple[str, tuple[str | None, bytes, str | None]]]:
    fields = [(name, (None, value.encode(), None)) for name, value in (call.form or {}).items()]
    return [*fields, *((name, (part.name, part.content, part.mime)) for name, part in call.files)]


async def _whole(chunks: AsyncIterator[bytes]) -> bytes:
    """A body, unpacked. Raises ReadError for one that is too large."""
    content = bytearray()
    async for chunk in chunks:
        content += chunk
        if len(content) > BODY_LIMIT:
            raise httpx.ReadError(f"the answer is larger than {BODY_LIMIT} bytes")
    return bytes(content)


class VendorClient:
    """The way to one vendor.

    Args:
        vendor: for error texts.
        base_url: where its API is; `Call.path` is appended.
        secrets: values that must never leave in a text.
        submits, polls: the lines of the two kinds of call.
        opener: opens results.
        heard: is told of every call of the API.
    """

    def __init__(
        self,
        vendor: str,
        base_url: str,
        *,
        secrets: Sequence[str],
        submits: Line,
        polls: Line,
        opener: Opener,
        heard: Heard = _nobody,
    ) -> None:
        self.vendor = vendor
        self.base_url = base_url.rstrip("/")
        self._secrets = tuple(secret for secret in secrets if secret)
        self._submits = submits
        self._polls = polls
        self._opener = opener
        self._heard = heard

    def prepare(self, call: Call) -> Prepared:
        """Turn a call into bytes."""
        if call.method == "GET" and _PLAIN.fullmatch(call.path) and not call.headers:
            return self._look(call.path)
        return self._request(call)

    def _look(self, path: str) -> Prepared:
        """A request for a plain path, of which httpx would make the same in much more time."""
        base = self._base
        return Prepared("GET", base.url.rstrip("/") + path, base.headers, b"")

    @cached_property
    def _base(self) -> Prepared:
        return self._request(Call("GET", ""))

    def _request(self, call: Call) -> Prepared:
        request = httpx.Request(
            call.method,
            self.base_url + call.path,
            headers={"accept": "application/json", **call.headers},
            json=call.json,
            files=_parts(call) or None,
        )
        return Prepared(call.method, str(request.url), dict(request.headers), request.read())

    async def submit(self, prepared: Prepared, authorize: Authorize) -> Reply:
        """Send once. Raises NotDelivered or OutcomeUnknown; any answer at all is returned."""
        with self._submit_errors():
            async with timeout(SUBMIT_SECONDS):
                reply = await self._exchange("submit", self._submits, prepared, authorize)
                faultpoint("submit.replied")
                return reply

    async def call(self, call: Call, authorize: Authorize, seconds: float = POLL_SECONDS, *, op: str = "poll") -> Reply:
        """Send a call that may be repeated; `op` is what it is counted as.

        Raises Unavailable; any answer at all is returned.
        """
        try:
            async with timeout(seconds):
                return await self._exchange(op, self._polls, self.prepare(call), authorize)
        except NETWORK_ERRORS as error:
            raise Unavailable(f"{self.vendor}: {type(error).__name__}") from error

    def open(
        self, url: str, authorize: Authorize, hosts: Collection[str] = ()
    ) -> AbstractAsyncContextManager[Download]:
        """Open a result by URL, or by a path below the base URL; credentials only on the vendor's own origin.

        With `hosts`, results are read there and below only, and on that origin.
        """
        absolute = url if "://" in url else self.base_url + url
        try:
            at_home = origin(absolute) == origin(self.base_url)
        except ValueError as error:
            raise Unavailable(f"{self.vendor}: the result's link is not a URL") from error
        headers = authorize(Prepared("GET", absolute, {}, b"")) if at_home else {}
        return self._opener.open(absolute, headers=headers, home=origin(self.base_url), hosts=hosts)

    def redact(self, text: str) -> str:
        """Take secrets and the query of every link (signatures live there) out of a text."""
        for secret in self._secrets:
            text = text.replace(secret, "[secret]")
        return _TOKEN.sub("[secret]", _QUERY.sub(r"\1?[…]", text))

    async def _exchange(self, op: str, line: Line, prepared: Prepared, authorize: Authorize) -> Reply:
        headers = {**prepared.headers, **authorize(prepared)}
        status, began = NO_ANSWER, perf_counter()
        try:
            async with line.send(prepared.method, prepared.url, headers, prepared.content) as answer:
                status = str(answer.status)
                content = await _whole(answer.chunks)
        finally:
            self._heard(self.vendor, op, status, perf_counter() - began)
        # Redacted before it is cut: half a secret is one too.
        text = self.redact(content[: EXCERPT * 8].decode("utf-8", "replace"))
        return Reply(answer.status, answer.headers, content, text[:EXCERPT])

    @contextmanager
    def _submit_errors(self) -> Iterator[None]:
        try:
            yield
        except NETWORK_ERRORS as error:
            if of_error(error) is Submitted.NOT_DELIVERED:
                raise NotDelivered(f"{self.vendor} could not be reached: {type(error).__name__}") from error
            raise OutcomeUnknown(
                f"{self.vendor} took the request but its answer was lost: {type(error).__name__}",
                evidence=self.redact(repr(error)),
            ) from error

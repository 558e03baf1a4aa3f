"""The HTTP side of a run: every request is marked as OpenAI's SDK marks its own.

A server may have several dialects and give each client the one it expects (this project's gateway does). Whoever
sends these marks expects OpenAI's, so that any server shows its OpenAI side here.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from videogate import __version__

MARKS = {
    "user-agent": f"OpenAI/Python (videogate-conformance {__version__})",
    "accept": "application/json",
    "x-stainless-lang": "python",
    "x-stainless-async": "false",
    "x-stainless-retry-count": "0",
}
PHASE = 60.0  # seconds for one phase of a request
THROTTLED = 429
TRIES = 3  # of a create that is throttled: nothing was made, and how fast a server may be asked is no claim here
LONGEST_WAIT = 30.0  # seconds between them

Headers = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Seen:
    """One answer of the server, without its body."""

    line: str  # method, path and status
    headers: httpx.Headers


class Client:
    """Sends requests to one server.

    Args:
        base_url: as SDKs take it, with `/v1`.
        key: the API key.
        transport: what carries the requests, if not the network.
    """

    def __init__(self, base_url: str, key: str, transport: httpx.BaseTransport | None = None) -> None:
        self.base_url = base_url.rstrip("/")
        self.seen: list[Seen] = []
        self._key = key
        self._http = httpx.Client(transport=transport, timeout=PHASE)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def send(
        self, method: str, path: str, *, headers: Headers | None = None, follow: bool = False, **sent: Any
    ) -> httpx.Response:
        """The answer to a request. `path` is below the base URL, or a whole URL; a header that is None is not sent."""
        url = path if path.startswith(("http://", "https://")) else self.base_url + path
        marked: dict[str, str | None] = {**MARKS, "authorization": f"Bearer {self._key}", **(headers or {})}
        kept = {name: value for name, value in marked.items() if value is not None}
        answer = self._http.request(method, url, headers=kept, follow_redirects=follow, **sent)
        for each in (*answer.history, answer):
            if self.is_here(str(each.url)):
                self.seen.append(Seen(f"{method} {each.url.path} {each.status_code}", each.headers))
        return answer

    def get(
        self, path: str, query: Mapping[str, str | int] | None = None, *, headers: Headers | None = None
    ) -> httpx.Response:
        """The answer to a GET."""
        return self.send("GET", path, headers=headers, params=query)

    def create(self, headers: Headers | None = None, **sent: Any) -> httpx.Response:
        """The answer to a create. One that is throttled is sent again, as SDKs do it."""
        for _ in range(TRIES - 1):
            answer = self.send("POST", "/videos", headers=headers, **sent)
            if answer.status_code != THROTTLED:
                return answer
            time.sleep(_pause(answer))
        return self.send("POST", "/videos", headers=headers, **sent)

    def is_here(self, url: str) -> bool:
        """Whether a URL is on the server under test: the key is for nobody else."""
        return urlsplit(url)[:2] == urlsplit(self.base_url)[:2]

    def multipart(self, files: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> tuple[bytes, str]:
        """A multipart body and its content type."""
        request = httpx.Request("POST", self.base_url, files=files if isinstance(files, Mapping) else [*files])
        return request.read(), request.headers["content-type"]


def of(video_id: str, rest: str = "") -> str:
    """The path of a video."""
    return f"/videos/{quote(video_id, safe='')}{rest}"


def _pause(answer: httpx.Response) -> float:
    asked = answer.headers.get("retry-after", "")
    return min(float(asked) if asked.isdigit() else 5.0, LONGEST_WAIT)

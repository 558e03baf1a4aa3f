"""What the checks of one run share: the server, and the few videos that are made there."""

import re
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from secrets import token_hex
from typing import Any

import httpx

from videogate.conformance.client import Client, Headers, of
from videogate.conformance.findings import Skipped, brief, loose
from videogate.conformance.target import Target
from videogate.conformance.watch import DONE, Watch

USUAL_MODEL = "sora-2"
REFUSED = (401, 403)
MARK = 12  # characters at the end of an id that make it another one

# The videos that several checks share.
WATCHED, JSON, UNICODE, KEYED = "watched", "json", "unicode", "keyed"


class Session:
    """A run's memory. Shared videos are made when the first check asks for them, and kept until `close`.

    Args:
        target: what the run is pointed at.
        transport: what carries the requests, if not the network.

    Attributes:
        tell: is told what is looked at, and what is waited for.
    """

    def __init__(self, target: Target, transport: httpx.BaseTransport | None = None) -> None:
        self.target = target
        self.client = Client(target.base_url, target.key, transport)
        self.run = token_hex(4)
        self.tell: Callable[[str], None] = lambda _: None
        self.created: list[str] = []
        self._fresh: list[str] = []
        self._left: list[str] = []
        self._shared: dict[str, Watch | httpx.HTTPError] = {}

    def tidy(self) -> None:
        """Delete what was made since the last time and is not shared."""
        shared = {_id_of(each.created) for each in self._shared.values() if isinstance(each, Watch)}
        self._delete_all([video_id for video_id in self._fresh if video_id in self._left and video_id not in shared])
        self._fresh.clear()

    def close(self) -> list[str]:
        """Delete whatever is left. Returns the ids of those that could not be deleted."""
        self._delete_all([*self._left])
        self.client.close()
        return self._left

    def _delete_all(self, video_ids: list[str]) -> None:
        for video_id in video_ids:
            with suppress(httpx.HTTPError):
                self.delete(video_id)

    @cached_property
    def model(self) -> str:
        """The model that videos are made with. Asking is the first request: raises where nothing answers."""
        entries = (loose(self.client.get("/models")) or {}).get("data")
        listed = entries if isinstance(entries, list) else []
        names = [str(each["id"]) for each in listed if isinstance(each, dict) and "id" in each]
        usual = USUAL_MODEL if USUAL_MODEL in names else next(iter(names), USUAL_MODEL)
        return self.target.model or usual

    # Making videos

    def prompt(self, name: str) -> str:
        """A create's prompt: no two creates of one run share it."""
        scene = "一只猫慢慢睁开眼睛 · кот · 🐈" if name == UNICODE else "A red kite over a green hill"
        return f"{scene} ({name} {self.run})"

    def fields(self, name: str, **more: Any) -> dict[str, Any]:
        """The fields of a create; all are texts, unless `more` says otherwise."""
        usual = {"model": self.model, "prompt": self.prompt(name)}
        return {**usual, "seconds": str(self.target.seconds), "size": self.target.size, **more}

    def form(self, name: str, **more: Any) -> dict[str, Any]:
        """The same fields as parts of a multipart body; what is a tuple in `more` is a file."""
        parts = self.fields(name, **more)
        return {key: value if isinstance(value, tuple) else (None, value) for key, value in parts.items()}

    def create(self, headers: Headers | None = None, **sent: Any) -> httpx.Response:
        """The answer to a create; `tidy` deletes what it made."""
        answer = self.client.create(headers, **sent)
        video_id = _id_of(answer)
        if video_id and video_id not in self.created:
            for kept in (self.created, self._fresh, self._left):
                kept.append(video_id)
        return answer

    def keyed(self, name: str) -> httpx.Response:
        """The answer to a create under this run's idempotency key."""
        return self.create({"idempotency-key": f"conformance-{self.run}"}, json=self.fields(name))

    def delete(self, video_id: str) -> httpx.Response:
        """The answer to a delete. SDKs send a content type with it, and no body."""
        answer = self.client.send("DELETE", of(video_id), headers={"content-type": "application/json"})
        if answer.is_success and video_id in self._left:
            self._left.remove(video_id)
        return answer

    def is_deleted(self, video_id: str) -> bool:
        """Whether a video of this run was deleted."""
        return video_id not in self._left

    # Shared videos

    def shared(self, name: str) -> Watch:
        """A shared video, made on first ask and never again. The watched one is waited for."""
        if name not in self._shared:
            try:
                self._shared[name] = self._share(name)
            except httpx.HTTPError as error:
                self._shared[name] = error
        found = self._shared[name]
        if isinstance(found, httpx.HTTPError):
            raise found
        return found

    def _share(self, name: str) -> Watch:
        forms: dict[str, Callable[[], httpx.Response]] = {
            WATCHED: lambda: self.create(files=self.form(WATCHED)),
            JSON: lambda: self.create(json=self.fields(JSON)),
            UNICODE: lambda: self.create(files=self.form(UNICODE)),
            KEYED: lambda: self.keyed(KEYED),
        }
        watch = Watch(forms[name]())
        if name == WATCHED and (video_id := _id_of(watch.created)):
            watch.follow(self.client, video_id, self.target.patience, self.tell)
        return watch

    def made(self, name: str) -> str:
        """The id of a shared video. Raises Skipped if it could not be made."""
        try:
            answer = self.shared(name).created
        except httpx.HTTPError as error:
            raise Skipped(f"no video could be made: {type(error).__name__}") from error
        if not (video_id := _id_of(answer)):
            raise Skipped(f"no video could be made: {answer.status_code}")
        return video_id

    @property
    def watch(self) -> Watch:
        """The watched video. Raises Skipped if it could not be made."""
        self.made(WATCHED)
        return self.shared(WATCHED)

    @property
    def finished(self) -> dict[str, Any]:
        """The watched video, finished. Raises Skipped if it is not."""
        watch = self.watch
        if watch.word not in DONE:
            error = watch.videos[-1].get("error")
            raise Skipped(f"the video did not finish: it is {watch.word or 'without a status'}, its error {error}")
        return watch.videos[-1]

    @cached_property
    def whole(self) -> httpx.Response:
        """The finished video's content. Raises Skipped if nothing was finished."""
        return self.content()

    def content(
        self, method: str = "GET", headers: Headers | None = None, *, follow: bool = True, **query: str
    ) -> httpx.Response:
        """The answer to a request for the finished video's content, unpacked, over whatever redirects."""
        path = of(self.made(WATCHED) if self.finished else "", "/content")
        sent = {"accept": "application/binary", "accept-encoding": "identity", **(headers or {})}
        return self.client.send(method, path, headers=sent, follow=follow, params=query or None)

    @property
    def stranger(self) -> Headers:
        """The header of the second caller. Raises Skipped if there is none, or if the server does not know the key."""
        if self.target.second_key in ("", self.target.key):
            raise Skipped("no --second-key was given, or it is the first")
        header = {"authorization": f"Bearer {self.target.second_key}"}
        answer = self.client.get("/videos", {"limit": 1}, headers=header)
        if answer.status_code in REFUSED:
            raise Skipped(f"the second key is refused: {brief(answer)}")
        return header


def unknown(video_id: str) -> str:
    """An id that looks like this one, and that nobody has."""
    return video_id[:-MARK] + re.sub(r"[0-9A-Za-z]", "0", video_id[-MARK:])


def _id_of(answer: httpx.Response) -> str:
    """The id of what a create made; empty if it made nothing that one could name."""
    found = (loose(answer) or {}).get("id") if answer.is_success else None
    return found if isinstance(found, str) else ""

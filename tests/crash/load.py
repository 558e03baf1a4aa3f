"""Callers of several processes: they ask steadily, and repeat a try whose answer is lost elsewhere, with its key."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from threading import Event, Lock, Thread
from uuid import uuid4

import httpx

from crash.cell import KEY, MODELS

# The vendors of ten requests in a row: more of those that take more of them in a second.
MIX = ("sora", "wanxiang", "kling", "vidu", "sora", "jimeng", "wanxiang", "kling", "vidu", "sora")
CALLERS = 8
TRIES = 60  # of one request, a second apart


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: what was asked, when it began and ended (monotonic), its status (0: none), whether that is honest."""

    what: str
    began: float
    ended: float
    status: int
    honest: bool


@dataclass
class Load:
    """Who asks, and what they were told.

    Attributes:
        urls: where to ask.
        prefix: how all prompts begin.
        acked: the ids they were given, one for each request.
        answers: every answer.
        unanswered: requests that were never answered with a video.
    """

    urls: Callable[[], Sequence[str]]
    prefix: str = field(default_factory=lambda: f"load-{uuid4().hex[:8]} ")
    acked: list[str] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    unanswered: int = 0

    def __post_init__(self) -> None:
        self._web = httpx.Client(headers={"authorization": f"Bearer {KEY}"}, timeout=60)
        self._lock = Lock()

    def create(self, number: int, over: Event) -> None:
        """Ask for one video until it is promised: a lost answer or a 503 is followed by the same request."""
        vendor = MIX[number % len(MIX)]
        body = {"model": MODELS[vendor], "prompt": f"{self.prefix}{vendor} {number}", "seconds": 5}
        headers = {"idempotency-key": f"{self.prefix}{number}"}
        for _ in range(TRIES):
            answer = self._ask("create", "POST", "/v1/videos", json=body, headers=headers)
            if answer is not None and answer.is_success:
                with self._lock:
                    self.acked.append(answer.json()["id"])
                return
            if (answer is not None and not honest(answer)) or over.wait(1.0):
                break
        self.unanswered += 1

    def read(self) -> None:
        """Ask for one of the videos, or for the list."""
        path = "/v1/videos" if not self.acked or random.random() < 0.2 else f"/v1/videos/{random.choice(self.acked)}"
        self._ask("read", "GET", path)

    def _ask(self, what: str, method: str, path: str, **more: object) -> httpx.Response | None:
        urls, began, answer = self.urls(), time.monotonic(), None
        if urls:
            try:
                answer = self._web.request(method, random.choice(urls) + path, **more)  # type: ignore[arg-type]
            except httpx.TransportError:
                answer = None
        status = 0 if answer is None else answer.status_code
        heard = Answer(what, began, time.monotonic(), status, answer is not None and honest(answer))
        with self._lock:
            self.answers.append(heard)
        return answer

    def run(self, many: int, rate: float, over: Event) -> None:
        """Ask for so many videos, `rate` of them begun in a second."""
        began, numbers = time.monotonic(), count()

        def ask() -> None:
            while (number := next(numbers)) < many and not over.wait(
                max(0.0, began + number / rate - time.monotonic())
            ):
                self.create(number, over)

        threads = [Thread(target=ask) for _ in range(CALLERS)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()

    @contextmanager
    def reading(self, rate: float) -> Iterator[None]:
        """Read steadily until the context ends."""
        over = Event()

        def ask() -> None:
            while not over.wait(2 / rate):
                self.read()

        threads = [Thread(target=ask) for _ in range(2)]
        for each in threads:
            each.start()
        try:
            yield
        finally:
            over.set()
            for each in threads:
                each.join()

    def close(self) -> None:
        """Nobody asks any more."""
        self._web.close()


def honest(answer: httpx.Response) -> bool:
    """Whether an answer is a success, or a 503 in the envelope that says when to come back."""
    if answer.is_success:
        return True
    return answer.status_code == 503 and "retry-after" in answer.headers and bool(answer.json()["error"]["code"])

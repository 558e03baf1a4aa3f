"""One video, watched from its create to its end."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx

from videogate.conformance.client import Client, of
from videogate.conformance.findings import loose

# Words on which a watch ends. OpenAI's are `completed` and `failed`; a server with others is to be seen to its end too.
DONE = frozenset({"completed", "succeeded", "success", "done", "finished"})
BROKEN = frozenset({"failed", "failure", "error", "cancelled", "canceled", "expired", "rejected"})

FIRST_PAUSE, LONGEST_PAUSE, SLOWER = 0.2, 5.0, 1.3  # seconds between two looks, and how that grows


@dataclass
class Watch:
    """The answers to the create, to a request for the content right after it, and to every look."""

    created: httpx.Response
    early: httpx.Response | None = None
    looks: list[httpx.Response] = field(default_factory=list)

    @property
    def videos(self) -> list[dict[str, Any]]:
        """The video, look by look, from the create's answer on. vLLM shows a failed one under an error's status."""
        answers = ((answer, loose(answer)) for answer in (self.created, *self.looks))
        return [video for answer, video in answers if video and (answer.is_success or "status" in video)]

    @property
    def words(self) -> list[str]:
        """The status words, look by look, in small letters."""
        return [str(video.get("status")).lower() for video in self.videos]

    @property
    def word(self) -> str:
        """The last status word; empty if there was none."""
        return next(iter(self.words[::-1]), "")

    def follow(self, client: Client, video_id: str, patience: float, tell: Callable[[str], None]) -> None:
        """Look until the end. A look that gets no answer is followed by the next."""
        until, pause = time.monotonic() + patience, FIRST_PAUSE
        with suppress(httpx.HTTPError):
            self.early = client.get(of(video_id, "/content"))
        while time.monotonic() < until:
            with suppress(httpx.HTTPError):
                self.looks.append(client.get(of(video_id)))
            if self.looks and self.word in DONE | BROKEN:
                return
            tell(f"waiting for {video_id}: {self.word} {self.videos[-1].get('progress', '')}")
            time.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * SLOWER)

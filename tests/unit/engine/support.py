"""A shop with a real database and files, and a vendor whose every word the test chooses."""

import io
import json
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any

import av
import httpx

from unit.store.support import NOW, Desk, opened
from videogate.engine.shop import Shop, Terms
from videogate.engine.submit import Submissions
from videogate.media.disk import Disk
from videogate.media.fetch import SafeFetcher
from videogate.media.inputs import InputSpool
from videogate.media.storage import open_storage
from videogate.store.claims import Claim
from videogate.store.kept import KeptStore
from videogate.store.lost import LostStore
from videogate.task.errors import Failure, FailureCode, LinkExpired, NotUnderstood, Unavailable
from videogate.task.frames import Frame
from videogate.task.model import Artifact, Observation, Receipt, Rework, Role, Sight, Task, TaskSpec
from videogate.task.state import TaskState
from videogate.vendorkit.client import Call, Download, Prepared, Reply, VendorClient
from videogate.vendorkit.config import VendorConfig
from videogate.vendorkit.contract import Refusal, Vendor
from videogate.vendorkit.facts import (
    Choices,
    FrameTable,
    Model,
    PictureRule,
    SourceFrames,
    SourceLength,
    Told,
    VideoRule,
)
from videogate.vendorkit.lines import PlainLine
from videogate.vendorkit.order import Order, OrderSource
from videogate.vendorkit.tracing import Found, Lost, Sighting

FLOOR = 2.0
BASE = "https://vendor.test/api"
LINK = "https://cdn.test/film.mp4"
TABLE = FrameTable({720: {"16:9": Frame(1280, 720), "9:16": Frame(720, 1280)}, 480: {"16:9": Frame(832, 480)}})
EDIT, EXTEND = Rework.EDIT, Rework.EXTEND
REMIXES = VideoRule(Rework.REMIX, Told.JOB, any_model=True, as_file=True)
MODELS = {
    "text-1": Model("text-1", TABLE, Choices((4, 8)), options=frozenset({"seed", "style"}), usual_seconds=60),
    "picture-1": Model(
        "picture-1",
        TABLE,
        Choices((4, 8)),
        PictureRule({Role.FIRST_FRAME: (1, 1), Role.LAST_FRAME: (0, 1)}, as_link=False, side=(16, 4096)),
        prompt_needed=False,
    ),
    "longer-1": Model(
        "longer-1",
        TABLE,
        Choices((4, 8)),
        way="text",
        others=(
            Model("longer-1", SourceFrames(), Choices((4, 8)), way="extend", from_video=VideoRule(EXTEND, Told.RESULT)),
            Model("longer-1", SourceFrames(), SourceLength(), way="edit", from_video=VideoRule(EDIT, Told.LINK)),
            Model("longer-1", SourceFrames(), SourceLength(), way="remix", from_video=REMIXES),
        ),
    ),
    "strict-1": Model(
        "strict-1", TABLE, Choices((4,)), options=frozenset({"voice"}), required_options=frozenset({"voice"})
    ),
}


class MakerConfig(VendorConfig):
    base_url: str = BASE
    poll_interval: float = FLOOR


class Maker(Vendor):
    """Speaks a format of its own: jobs have a `state`, refusals an `error`."""

    name = "maker"
    provider = "maker.films"
    Config = MakerConfig
    picture_options: Mapping[str, Role] = {"img_url": Role.FIRST_FRAME}  # type: ignore[misc]
    option_groups = frozenset({"parameters"})
    codes = ()
    cancels = True

    def offered(self) -> Mapping[str, Model]:
        return MODELS

    def authorize(self, prepared: Prepared) -> Mapping[str, str]:
        return {"authorization": "Bearer vendor-secret"}

    def submit_call(self, order: Order) -> Call:
        sent = {"prompt": order.prompt, "ref": order.client_ref, "size": order.fitted.size, **order.options}
        pictures = [len(picture.read()) for picture in order.pictures if picture.read is not None]
        return Call("POST", "/jobs", json={**sent, "pictures": pictures, **_source(order.source)})

    def read_receipt(self, reply: Reply, sent: Prepared) -> Receipt:
        if not reply.json().get("id"):
            raise NotUnderstood("no id")
        return Receipt(reply.json()["id"])

    def poll_call(self, receipt: Receipt) -> Call:
        return Call("GET", f"/jobs/{receipt.vendor_task_id}")

    def read_observation(self, reply: Reply) -> Observation:
        job = reply.json()
        word = str(job.get("state"))
        match word:
            case "waiting":
                return Observation(Sight.QUEUED, word)
            case "working":
                return Observation(Sight.RUNNING, word, progress=job.get("progress"))
            case "done":
                return Observation(Sight.SUCCEEDED, word, artifact=Artifact(LINK, job.get("result")))
            case "broken":
                return Observation(Sight.FAILED, word, failure=Failure(FailureCode.MODERATION_BLOCKED, "no", "E7"))
            case "gone":
                return Observation(Sight.MISSING, word)
        raise NotUnderstood(f"the word {word!r}")

    def cancel_call(self, receipt: Receipt) -> Call:
        return Call("POST", f"/jobs/{receipt.vendor_task_id}/stop")

    def read_cancel(self, reply: Reply) -> bool:
        stopped = reply.json_or_empty().get("stopped")
        if not isinstance(stopped, bool):
            raise NotUnderstood("no word of stopping")
        return stopped

    def search_call(self, lost: Lost, page: str) -> Call:
        return Call("GET", f"/jobs?page={page}")

    def read_search(self, reply: Reply, lost: Lost) -> Found:
        body = reply.json()
        if "jobs" not in body:
            raise NotUnderstood("no list")
        return Found(tuple(_sighting(job) for job in body["jobs"]), body.get("next", ""))

    def read_record(self, reply: Reply, sighting: Sighting) -> Sighting:
        return _sighting({**reply.json(), "id": sighting.receipt.vendor_task_id})

    def read_refusal(self, reply: Reply) -> Refusal | None:
        error = reply.json_or_empty().get("error")
        if not isinstance(error, dict):
            return None
        return Refusal(Failure(FailureCode.INVALID_REQUEST, error["message"], "E1"), later=bool(error.get("later")))


def _source(source: OrderSource | None) -> dict[str, Any]:
    if source is None:
        return {}
    film = source.film.content.decode("latin-1") if source.film else None
    return {"source": {"job": source.job, "result": source.result, "link": source.link, "film": film}}


def _sighting(job: Mapping[str, Any]) -> Sighting:
    return Sighting(Receipt(job["id"]), job.get("ref"), job.get("model"), job.get("prompt"), job.get("at"))


@dataclass
class Result:
    """What the vendor's link gives: bytes, and an error in place of their end."""

    content: bytes
    error: Exception | None = None
    length: int | None = None
    mime: str = "video/mp4"

    async def chunks(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.content), 1000):
            yield self.content[start : start + 1000]
        if self.error is not None:
            raise self.error


@dataclass
class Scene:
    """The shop, the vendor's answers to come, and a clock that only the test moves."""

    desk: Desk
    shop: Shop
    submissions: Submissions
    now: float = NOW
    answers: list[httpx.Response | Exception] = field(default_factory=list)
    results: list[Result | Exception] = field(default_factory=list)
    sent: list[httpx.Request] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)

    def answer(self, status: int = 200, body: Any = None, **headers: str) -> None:
        """Put up the vendor's next answer. A text is sent as it is."""
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.answers.append(httpx.Response(status, content=content, headers=headers))

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def open(
        self, url: str, *, headers: Mapping[str, str], home: str, hosts: Collection[str] = ()
    ) -> AbstractAsyncContextManager[Download]:
        return self._open(url)

    @asynccontextmanager
    async def _open(self, url: str) -> AsyncIterator[Download]:
        self.opened.append(url)
        result = self.results.pop(0)
        if isinstance(result, Exception):
            raise result
        yield result

    async def create(self, **changes: Any) -> Task:
        spec = TaskSpec(**{"model": "text-1", "prompt": "a lighthouse", **changes})
        return await self.submissions.create("alice", spec, "req_1")

    async def claim(self, *states: TaskState) -> Claim:
        """Wait until the only task is due, and claim it."""
        agenda = await self.shop.ledger.agenda(self.now)
        if not agenda.due and agenda.next_at is not None:
            self.now = agenda.next_at
        return await self.desk.claim(*states, now=self.now)

    async def submitted(self) -> Claim:
        """A task that its vendor accepted, claimed to be looked at."""
        task = await self.create()
        claim = await self.claim()
        assert await self.shop.ledger.begin_send(claim, now=self.now, deadline=self.now + 40)
        await self.shop.ledger.accepted(claim.attempt.id, Receipt("job-1"), now=self.now, due_at=self.now)
        assert task.id == claim.task.id
        return await self.claim(TaskState.SUBMITTED)

    async def fetching(self) -> Claim:
        """A task whose result is to be copied."""
        await self.shop.ledger.fetching(await self.submitted(), Artifact(LINK), due_at=self.now)
        return await self.claim(TaskState.FETCHING)

    @property
    def task_id(self) -> str:
        ((task_id,),) = self.desk.sql("SELECT id FROM task")
        return str(task_id)

    @property
    def state(self) -> TaskState:
        return self.desk.state(self.task_id)

    @property
    def lines(self) -> list[str]:
        return [state.value for state in self.desk.attempts(self.task_id)]

    @property
    def due_in(self) -> float:
        ((due_at,),) = self.desk.sql("SELECT due_at FROM task")
        return float(due_at) / 1e6 - self.now

    async def task(self) -> Task:
        task = await self.shop.tasks.get("alice", self.task_id)
        assert task is not None
        return task


@asynccontextmanager
async def scene_in(folder: Path) -> AsyncIterator[Scene]:
    """Everything in one folder."""
    numbers = count(1)
    fetcher = SafeFetcher()
    scene: Scene

    def handle(request: httpx.Request) -> httpx.Response:
        return scene.handle(request)

    async with opened(folder) as desk, httpx.AsyncClient(transport=httpx.MockTransport(handle)) as web:

        class Door:
            def open(
                self, url: str, *, headers: Mapping[str, str], home: str, hosts: Collection[str] = ()
            ) -> AbstractAsyncContextManager[Download]:
                return scene.open(url, headers=headers, home=home)

        line = PlainLine(web, watched=True)
        client = VendorClient("maker", BASE, secrets=("vendor-secret",), submits=line, polls=line, opener=Door())
        shop = Shop(
            tasks=desk.tasks,
            ledger=desk.ledger,
            lost=LostStore(desk.database),
            kept=KeptStore(desk.database),
            vendors={"maker": Maker(MakerConfig(), client)},
            inputs=InputSpool(folder / "inputs", fetcher),
            storage=open_storage("", folder),
            disk=Disk([folder], 0, lambda: scene.now),
            terms=Terms(),
            clock=lambda: scene.now,
            jitter=lambda: 0.0,
            new_id=lambda prefix: f"{prefix}{next(numbers):04}",
        )
        scene = Scene(desk, shop, Submissions(shop, {"alias": "text-1", "dead": "nothing"}, lambda: None))
        yield scene
    await fetcher.close()


def film(width: int = 64, height: int = 48, seconds: int = 2) -> bytes:
    """A real MP4."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = Fraction(1, 5)
        for number in range(5 * seconds):
            frame = av.VideoFrame(width, height, "yuv420p")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return buffer.getvalue()


EXPIRED, AWAY = LinkExpired("the link answered 403"), Unavailable("the link could not be read")

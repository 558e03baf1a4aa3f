"""What the verbs share: the stores, the vendors, a clock, and the way they tell the log."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog

from videogate.engine.figures import count
from videogate.engine.history import History
from videogate.media.disk import Disk
from videogate.media.inputs import InputSpool
from videogate.media.storage import Storage
from videogate.store.claims import Claim
from videogate.store.kept import KeptStore
from videogate.store.ledger import Ledger
from videogate.store.lost import LostStore
from videogate.store.tasks import TaskStore
from videogate.task.model import Task
from videogate.task.state import TaskState
from videogate.vendorkit.contract import Vendor

log = structlog.get_logger("videogate.engine")

NETWORK_PAUSE = 1.0  # seconds; the first wait after a request that was surely not delivered


@dataclass(frozen=True, slots=True)
class Terms:
    """The operator's settings of a task's life, in seconds."""

    deadline: float = 86_400.0  # from acceptance to giving up
    unknown_window: float = 1_800.0  # how long a lost submit is looked for before its task fails
    retention: float = 604_800.0  # from completion to the end of a result; 0: never


@dataclass(frozen=True, slots=True)
class Shop:
    """Everything a verb needs. `clock` gives seconds since the epoch, `jitter` a number from -1 to 1."""

    tasks: TaskStore
    ledger: Ledger
    lost: LostStore
    kept: KeptStore
    vendors: Mapping[str, Vendor]
    inputs: InputSpool
    storage: Storage
    disk: Disk
    terms: Terms
    clock: Callable[[], float]
    jitter: Callable[[], float]
    new_id: Callable[[str], str]
    history: History = field(default_factory=History)
    callback_url: Callable[[Vendor, str], str | None] = lambda _vendor, _client_ref: None
    video_link: Callable[[str, str], str | None] = lambda _owner, _video_id: None  # None: nobody outside can open one

    def usual_seconds(self, task: Task) -> float:
        """How long the task's model takes: as seen here, else as is known of it; an unknown one counts as a minute."""
        seen = self.history.usual(task.vendor, task.vendor_model)
        if seen is not None:
            return seen
        model = self.vendors[task.vendor].models.get(task.vendor_model)
        return model.usual_seconds if model else 60.0

    def floor(self, task: Task) -> float:
        """The shortest interval between looks at this task's vendor."""
        interval: float = self.vendors[task.vendor].config.poll_interval
        return interval


async def drop_inputs(shop: Shop, claim: Claim) -> None:
    """Remove the input files of a task that has ended."""
    spec, _ = await shop.tasks.request(claim.task.id)
    await shop.inputs.drop(spec.files)


def tell(event: str, claim: Claim, to: TaskState | None = None, **facts: object) -> None:
    """Log one step of a task's life, with what it takes to follow the task and its money, and count it."""
    task, attempt = claim.task, claim.attempt
    log.info(
        event,
        task=task.id,
        request_id=task.request_id,
        vendor=task.vendor,
        model=task.vendor_model,
        attempt=attempt.number,
        vendor_task_id=attempt.receipt.vendor_task_id if attempt.receipt else None,
        fence=claim.fence,
        state_from=task.state.value,
        state_to=(to or task.state).value,
        **facts,
    )
    count(event, vendor=task.vendor, model=task.vendor_model, **facts)

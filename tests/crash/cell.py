"""One cell of the matrix: a gateway that dies at one point while its vendors behave in one way, and what is left.

Every cell has a simulator of its own: in an account that others use as well, a lost job is harder to find.
"""

import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Any

import httpx

from crash import armed
from crash.armed import Strike
from crash.judge import Books, Finding, Kind, ambiguous, judge, read, rows
from forked import DiedAtStart, Server
from videogate import simulator

POINTS = (
    "create.committing",
    "create.committed",
    "create.replying",
    "submit.sending",
    "submit.connected",
    "submit.sent",
    "submit.replied",
    "submit.accepted",
    "poll.recording",
    "poll.recorded",
    "fetch.receiving",
    "fetch.received",
    "fetch.kept",
    "finish.committing",
    "finish.committed",
    "migrating",
    "checkpointing",
    "draining",
)
OF_A_MOVE = ("copy.files", "copy.rows", "copy.marked", "copy.committed")  # of `db copy`, whose own tests strike there
AT_START = frozenset({"migrating"})
AT_END = frozenset({"checkpointing", "draining"})

MODES: dict[str, dict[str, Any] | None] = {
    "right": None,
    "drop_after": {},
    "hang": {},
    "half": {},
    "error_after": {},
    "throttle": {},
    "junk": {},
    "html": {},
    "late": {"delay": 0.5},
}
MODELS = {
    "sora": "sora-2",
    "wanxiang": "wan2.5-t2v-preview",
    "kling": "kling-v1",
    "jimeng": "jimeng_vgfm_t2v_l20",
    "vidu": "viduq1",
}

KEY = "crash"
EACH = 2  # videos for each vendor
PATIENCE = 6.0  # seconds for the point to be passed
REST = 45.0  # seconds for everything to come to rest
WINDOW = "3"  # seconds that a lost submit is looked for


@dataclass(frozen=True)
class Vendors:
    """A simulator of all vendors, with its ledger."""

    url: str
    ledger: Path

    def fault(self, vendor: str, **fault: Any) -> None:
        """Switch a fault on."""
        httpx.post(f"{self.url}/_simulator/faults", json={"vendor": vendor, **fault}).raise_for_status()

    def clear(self) -> None:
        """Switch all faults off."""
        httpx.delete(f"{self.url}/_simulator/faults").raise_for_status()


@contextmanager
def vendors(folder: Path) -> Iterator[Vendors]:
    """Start a simulator whose jobs are quick."""
    ledger = folder / "ledger.jsonl"
    quick = ("--queue-seconds", "0.1", "--render-seconds", "0.4", "--no-rate-limits")
    with armed.simulator(folder, "--port", "0", "--ledger", str(ledger), *quick) as server:
        yield Vendors(server.url, ledger)


@contextmanager
def gateway(made: Vendors, folder: Path, strike: Strike | None = None, **settings: str) -> Iterator[Server]:
    """A gateway on the data in `folder`, with a strike armed or none. Raises DiedAtStart."""
    found = simulator.environment(made.url)
    quick = {name.replace("_BASE_URL", "_POLL_INTERVAL"): "0.04" for name in found if name.endswith("_BASE_URL")}
    own = {"API_KEYS": KEY, "PORT": "0", "DATA_DIR": str(folder / "data"), "UNKNOWN_WINDOW": WINDOW, **settings}
    variables = {**found, **quick, **{f"VIDEOGATE_{name}": value for name, value in own.items()}}
    with armed.gateway(folder, variables, strike or Strike()) as server:
        yield server


@dataclass
class Callers:
    """Who asks for videos, and what they were answered.

    Attributes:
        prefix: how all their prompts begin.
        acked: the ids they were given.
        odd: answers that are neither a video nor an honest 503.
        busy: how often they were told to come back.
    """

    prefix: str = field(default_factory=lambda: f"cell-{token_hex(4)} ")
    acked: list[str] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)
    busy: int = 0
    asked: int = 0

    def ask(self, url: str, vendor: str, words: str = "") -> None:
        """Ask for one video. A server that dies meanwhile has promised nothing."""
        self.asked += 1
        body = {"model": MODELS[vendor], "prompt": f"{self.prefix}{vendor} {self.asked}{words}", "seconds": 5}
        try:
            answer = httpx.post(f"{url}/v1/videos", json=body, headers={"authorization": f"Bearer {KEY}"}, timeout=20)
        except httpx.TransportError:
            return
        if answer.is_success:
            self.acked.append(answer.json()["id"])
        elif answer.status_code == 503 and "retry-after" in answer.headers and answer.json()["error"]["code"]:
            self.busy += 1
        else:
            self.odd.append(f"{answer.status_code} {answer.text[:200]}")

    def ask_all(self, url: str, each: int = EACH) -> None:
        """Ask for some videos of every vendor, all at once."""
        wanted = [vendor for _ in range(each) for vendor in MODELS]
        with ThreadPoolExecutor(len(wanted)) as pool:
            list(pool.map(lambda vendor: self.ask(url, vendor), wanted))


@dataclass(frozen=True)
class Verdict:
    """What became of a cell or a round.

    Attributes:
        name, seed: which one.
        struck: how often the strike came where it was armed.
        faults: how often the gateway was killed, stopped or kept from its disk.
        acked, paid: videos promised, jobs made.
        findings: what is wrong.
        seconds: how long it took.
        folder: where the evidence lies.
        skipped: why it was not done.
    """

    name: str
    seed: str
    struck: int = 0
    faults: int = 0
    acked: int = 0
    paid: int = 0
    findings: Sequence[Finding] = ()
    seconds: float = 0.0
    folder: str = ""
    skipped: str = ""


def run_cell(made: Vendors, folder: Path, point: str, mode: str, seed: str, passage: int | None = None) -> Verdict:
    """Let a gateway die at a passage of `point` while its vendors are in `mode`; restart it, wait for rest, judge."""
    began, dice, callers = time.monotonic(), random.Random(seed), Callers()
    fault = MODES[mode]
    for vendor in MODELS if fault is not None else ():
        # Once: the other video goes the whole way, so that points later in life are passed too.
        made.fault(vendor, op="submit", mode=mode, times=1, **(fault or {}))
    drawn = 1 if point in AT_START | AT_END else dice.randint(1, 5)
    later = dice.uniform(0.00005, 0.002) if point == "checkpointing" else 0.0
    strike = Strike(point, passage or drawn, later=later)
    struck = _die(made, folder, callers, strike, ending=dice.uniform(0.3, 1.5) if point in AT_END else None)
    made.clear()
    unclear = ambiguous(folder / "data")
    with gateway(made, folder) as server:
        if not callers.asked:
            callers.ask_all(server.url)
        books, findings = rest(made, folder, callers, unclear=unclear)
    return verdict(f"{point} / {mode}", seed, began, folder, callers, books, findings, struck=struck, faults=1)


def _die(made: Vendors, folder: Path, callers: Callers, strike: Strike, ending: float | None) -> bool:
    """Run the armed gateway until it is dead; whether it died where it was to."""
    try:
        with gateway(made, folder, strike) as server:
            callers.ask_all(server.url)
            if ending is not None:
                time.sleep(ending)
                server.terminate()
            code = server.ended(PATIENCE if ending is None else 4 * PATIENCE)
            server.kill()
            return code == -signal.SIGKILL
    except DiedAtStart:
        return True


def rest(
    made: Vendors, folder: Path, callers: Callers, *, unclear: set[int] | None = None, seconds: float = REST
) -> tuple[Books, list[Finding]]:
    """Wait until everything has ended and is well, at most `seconds`; the books then, and what is wrong with them."""
    data, until = folder / "data", time.monotonic() + seconds
    while True:
        late = time.monotonic() > until
        if late or not _moving(data):
            books = read(made.ledger, data, callers.prefix)
            findings = judge(books, callers.acked, unclear=unclear)
            if late or not findings:
                return books, [*findings, *(Finding(Kind.ANSWER, each) for each in callers.odd)]
        time.sleep(0.25)


def _moving(data: Path) -> bool:
    ended = {"succeeded", "failed", "cancelled"}
    return any(task["state"] not in ended for task in rows(data, "task"))


def verdict(
    name: str,
    seed: str,
    began: float,
    folder: Path,
    callers: Callers,
    books: Books,
    findings: Sequence[Finding],
    *,
    struck: int,
    faults: int,
) -> Verdict:
    """Put the figures of a cell or a round together."""
    took = time.monotonic() - began
    return Verdict(name, seed, int(struck), faults, len(callers.acked), len(books.paid), findings, took, str(folder))


def wait_until(found: Callable[[], Any], seconds: float) -> bool:
    """Wait for something; whether it came."""
    until = time.monotonic() + seconds
    while not found():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True

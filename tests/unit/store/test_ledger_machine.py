"""The ledger against every order of calls: workers that are overtaken, late evidence, deletions, repeated jobs."""

import asyncio
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from postgres import PostgresServer
from unit.store.support import BROKEN, NOW, UNKNOWN_OUTCOME, VENDOR, Desk, lane, opened
from videogate.store.claims import Claim, Order
from videogate.store.ledger import Ledger
from videogate.task.errors import FailureCode
from videogate.task.model import Artifact, Content, Receipt
from videogate.task.state import ATTEMPT_MOVES, MAYBE_PAID, TASK_MOVES, AttemptState, TaskState

Write = Callable[["LedgerMachine", Claim], Coroutine[Any, Any, bool]]
WRITES: list[Write] = [
    lambda m, c: m.ledger.begin_send(c, now=m.now, deadline=m.now + 40),
    lambda m, c: m.ledger.rejected(c, BROKEN, now=m.now),
    lambda m, c: m.ledger.not_sent(c, "why", now=m.now, due_at=m.now, client_ref=m.name("ref")),
    lambda m, c: m.ledger.unknown(c, "why", look_at=m.now),
    lambda m, c: m.ledger.left_to_search(c),
    lambda m, c: m.ledger.observed(c, TaskState.RUNNING, 10, due_at=m.now),
    lambda m, c: m.ledger.observed(c, TaskState.SUBMITTED, 0, due_at=m.now),
    lambda m, c: m.ledger.postponed(c, due_at=m.now, troubles=1),
    lambda m, c: m.ledger.fetching(c, Artifact("https://a.test"), due_at=m.now),
    lambda m, c: m.ledger.look_again(c, due_at=m.now, troubles=1),
    lambda m, c: m.ledger.succeeded(c, Content("k", 1, "s", "m"), size="1x1", seconds="1", now=m.now),
    lambda m, c: m.ledger.failed(c, BROKEN, now=m.now),
    lambda m, c: m.ledger.given_up(c, BROKEN, now=m.now),
    lambda m, c: m.ledger.cancelled(c, now=m.now),
]


class LedgerMachine(RuleBasedStateMachine):
    """Two workers, a clock, and callers who delete; every write may come under any claim that ever was."""

    ledger: Ledger
    now: float
    postgres: PostgresServer | None = None

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.now = NOW
        self.count = 0
        self.tasks: dict[str, tuple[TaskState, FailureCode | None]] = {}
        self.lines: dict[int, tuple[AttemptState, str | None]] = {}
        self.fences: dict[str, int] = {}

    tasks_made = Bundle("tasks_made")
    claims = Bundle("claims")
    jobs = Bundle("jobs")

    @initialize()
    def open(self) -> None:
        folder = self.stack.enter_context(tempfile.TemporaryDirectory())
        url = self.postgres.database() if self.postgres else None
        self.desk: Desk = self.runner.run(self.stack.enter_async_context(opened(Path(folder), url)))
        self.ledger = self.desk.ledger
        self.workers = (self.ledger, Ledger(self.desk.database, "worker-2"))

    def teardown(self) -> None:
        self.runner.run(self.stack.aclose())
        self.runner.close()

    def name(self, kind: str) -> str:
        self.count += 1
        return f"{kind}-{self.count}"

    @rule(target=tasks_made)
    def accept_request(self) -> str:
        task_id = self.name("video")
        self.runner.run(self.desk.add(task_id, created_at=self.now, deadline_at=self.now + 1e6))
        return task_id

    @rule(target=claims, worker=st.integers(0, 1), lease=st.sampled_from([1.0, 60.0]), sends=st.booleans())
    def claim(self, worker: int, lease: float, sends: bool) -> Any:
        """Claim what is due; half the time begin to send it, which chance alone would do too rarely."""
        found = self.runner.run(self.workers[worker].claim([Order(lane(), 2)], now=self.now, lease=lease))
        for claim in found:
            assert claim.fence > self.fences.get(claim.task.id, 0), "every claim raises the fence"
            self.fences[claim.task.id] = claim.fence
        for claim in found if sends else ():
            self.runner.run(WRITES[0](self, claim))
        return multiple(*found)

    @rule(claim=claims, write=st.sampled_from(WRITES))
    def write(self, claim: Claim, write: Write) -> None:
        before = self.desk.everything()
        fenced_off = claim.fence < self.fence_of(claim.task.id)
        done = self.runner.run(write(self, claim))
        if fenced_off or not done:
            assert not done
            assert self.desk.everything() == before, "an overtaken write changes nothing"

    @rule(target=jobs, claim=claims)
    def evidence(self, claim: Claim) -> str:
        job = self.name("job")
        self.runner.run(self.ledger.accepted(claim.attempt.id, Receipt(job), now=self.now, due_at=self.now))
        return job

    @rule(claim=claims, job=jobs)
    def repeated_evidence(self, claim: Claim, job: str) -> None:
        before = self.desk.everything()
        bound = {vendor_id: line for line, (_, vendor_id) in self.lines.items() if vendor_id}
        done = self.runner.run(self.ledger.accepted(claim.attempt.id, Receipt(job), now=self.now, due_at=self.now))
        assert not (done and job in bound)
        assert job not in bound or self.desk.everything() == before, "a job belongs to the attempt it came with"

    @rule(exact=st.booleans())
    def search_in_vain(self, exact: bool) -> None:
        """What is looked for is not there: it ends as never made, or before a person."""
        for lost in self.runner.run(self.desk.lost.due(VENDOR, now=self.now, lease=1.0)):
            if exact:
                self.runner.run(self.desk.lost.not_created(lost, UNKNOWN_OUTCOME, now=self.now))
            else:
                self.runner.run(self.desk.lost.review(lost, UNKNOWN_OUTCOME, now=self.now, look_at=self.now + 9))

    @rule(seconds=st.sampled_from([0.5, 2.0, 61.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(task_id=consumes(tasks_made))
    def delete(self, task_id: str) -> None:
        self.runner.run(self.desk.tasks.delete("alice", task_id, self.now))

    @rule()
    def restart(self) -> None:
        self.runner.run(self.ledger.recover(self.now))

    @invariant()
    def holds(self) -> None:
        """Only listed moves, at most one possible payment a task, jobs bound once and for good, ends that absorb."""
        if not hasattr(self, "desk"):
            return
        paid: dict[str, int] = {}
        owners: dict[str, int] = {}
        for line, task_id, state, job in self.desk.sql("SELECT id, task_id, state, vendor_task_id FROM attempt"):
            now, (was, bound) = AttemptState(state), self.lines.get(line, (AttemptState.PREPARED, None))
            assert now is was or now in ATTEMPT_MOVES[was], (was, now)
            assert bound is None or job == bound, "a binding is for good"
            assert (job is not None) == (now is AttemptState.ACCEPTED)
            assert job is None or owners.setdefault(job, line) == line
            paid[task_id] = paid.get(task_id, 0) + (now in MAYBE_PAID)
            self.lines[line] = (now, job)
        assert all(count <= 1 for count in paid.values())
        for task_id, state, code in self.desk.sql("SELECT id, state, failure ->> 'code' FROM task"):
            now_, (was_, why) = TaskState(state), self.tasks.get(task_id, (TaskState.INTENT, None))
            assert now_ is was_ or now_ in TASK_MOVES[was_], (was_, now_)
            if was_ is TaskState.FAILED and now_ is not was_:
                assert why is FailureCode.UNKNOWN_OUTCOME, "only late evidence for a task under review reopens it"
            assert (code is not None) == (now_ is TaskState.FAILED)
            self.tasks[task_id] = (now_, FailureCode(code) if code else None)

    def fence_of(self, task_id: str) -> int:
        ((fence,),) = self.desk.sql("SELECT fence FROM task WHERE id = ?", task_id)
        return int(fence)


class PostgresLedgerMachine(LedgerMachine):
    """The same on PostgreSQL."""


@pytest.fixture(autouse=True, scope="module")
def _server(postgres: PostgresServer) -> None:
    PostgresLedgerMachine.postgres = postgres


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(
    max_examples=40,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
TestPostgresLedger = PostgresLedgerMachine.TestCase
TestPostgresLedger.settings = settings(TestLedger.settings, max_examples=15)

"""Claims, fences, and the ledger of money."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count, product
from typing import Any

import pytest

from unit.store.support import ACCOUNT, BROKEN, NOW, REFUSED, UNKNOWN_OUTCOME, VENDOR, Desk, lane
from videogate.store.claims import Claim, Order
from videogate.store.ledger import Ledger
from videogate.task.errors import Failure
from videogate.task.frames import Frame
from videogate.task.model import Artifact, Content, Picture, Receipt, Rework, Role, Source, TaskSpec
from videogate.task.state import (
    ATTEMPT_MOVES,
    ENDED,
    LIVE,
    MAYBE_PAID,
    TASK_MOVES,
    AttemptState,
    TaskState,
)

CONTENT = Content("videos/1.mp4", 10, "sha", "video/mp4")
refs = (f"next-{number}" for number in count())

# Every write of a claim's holder.
Write = Callable[[Ledger, Claim], Awaitable[bool]]
WRITES: dict[str, Write] = {
    "extend": lambda ledger, claim: ledger.extend(claim, NOW + 500),
    "begin_send": lambda ledger, claim: ledger.begin_send(claim, now=NOW, deadline=NOW + 40),
    "rejected": lambda ledger, claim: ledger.rejected(claim, BROKEN, now=NOW),
    "not_sent": lambda ledger, claim: ledger.not_sent(claim, "why", now=NOW, due_at=NOW, client_ref=next(refs)),
    "unknown": lambda ledger, claim: ledger.unknown(claim, "why", look_at=NOW),
    "left_to_search": lambda ledger, claim: ledger.left_to_search(claim),
    "observed submitted": lambda ledger, claim: ledger.observed(claim, TaskState.SUBMITTED, 1, due_at=NOW),
    "observed running": lambda ledger, claim: ledger.observed(claim, TaskState.RUNNING, 50, due_at=NOW),
    "postponed": lambda ledger, claim: ledger.postponed(claim, due_at=NOW + 9, troubles=3),
    "fetching": lambda ledger, claim: ledger.fetching(claim, Artifact("https://a.test/v.mp4"), due_at=NOW),
    "look_again": lambda ledger, claim: ledger.look_again(claim, due_at=NOW, troubles=1),
    "succeeded": lambda ledger, claim: ledger.succeeded(claim, CONTENT, size="1x1", seconds="1", now=NOW),
    "failed": lambda ledger, claim: ledger.failed(claim, BROKEN, now=NOW),
    "given_up": lambda ledger, claim: ledger.given_up(claim, BROKEN, now=NOW),
    "cancelled": lambda ledger, claim: ledger.cancelled(claim, now=NOW),
}


async def accept(desk: Desk, claim: Claim, job: str = "job-1") -> bool:
    return await desk.ledger.accepted(claim.attempt.id, Receipt(job, {"region": "x"}), now=NOW, due_at=NOW)


# Claims.


async def test_a_claim_takes_what_is_due(desk: Desk) -> None:
    """Only due, unleased tasks of the lane's vendor and states are claimed, most overdue first, up to the limit."""
    for number in range(4):
        await desk.add(f"video_{number}", created_at=NOW + number)
    await desk.add("video_other", vendor="another")
    await desk.add("video_later", created_at=NOW + 100)
    desk.sql("UPDATE task SET state = 'running' WHERE id = 'video_3'")

    first = await desk.ledger.claim([Order(lane(TaskState.INTENT), 2)], now=NOW + 50, lease=30)
    second = await desk.ledger.claim([Order(lane(TaskState.INTENT), 9)], now=NOW + 50, lease=30)

    assert {claim.task.id for claim in first} == {"video_0", "video_1"}
    assert {claim.task.id for claim in second} == {"video_2"}
    assert {claim.fence for claim in (*first, *second)} == {1}
    assert {claim.attempt.client_ref for claim in first} == {"ref-video_0", "ref-video_1"}


async def test_lanes_are_claimed_together(desk: Desk) -> None:
    """One write claims several lanes, each within its own limit."""
    for number in range(3):
        await desk.add(f"video_a{number}")
        await desk.add(f"video_b{number}", vendor="another")

    claims = await desk.ledger.claim(
        [Order(lane(TaskState.INTENT), 1), Order(lane(TaskState.INTENT, vendor="another"), 2)], now=NOW, lease=30
    )

    assert sorted(claim.task.vendor for claim in claims) == ["another", "another", "maker"]


async def test_a_lease_ends_by_itself(desk: Desk) -> None:
    """A task whose holder stays silent is claimed again after the lease, under a higher fence, not a moment before."""
    await desk.add()
    first = await desk.claim(now=NOW, lease=30)

    assert await desk.ledger.claim([Order(lane(), 1)], now=NOW + 29.9, lease=30) == []
    second = await desk.claim(now=NOW + 30)
    assert (first.fence, second.fence) == (1, 2)


async def test_extending_keeps_others_off(desk: Desk) -> None:
    """A lease that is extended in time lasts longer."""
    await desk.add()
    claim = await desk.claim(now=NOW, lease=30)

    assert await desk.ledger.extend(claim, NOW + 90)
    assert await desk.ledger.claim([Order(lane(), 1)], now=NOW + 60, lease=30) == []
    assert (await desk.claim(now=NOW + 90)).fence == 2


async def test_ended_tasks_are_never_claimed(desk: Desk) -> None:
    """A task that ended is on no agenda and in no claim, even of a lane that would take its state."""
    for state in TaskState:
        await desk.add(f"video_{state}")
        desk.sql("UPDATE task SET state = ? WHERE id = ?", state.value, f"video_{state}")

    agenda = await desk.ledger.agenda(NOW)
    claims = await desk.ledger.claim([Order(lane(), 100)], now=NOW, lease=30)

    assert agenda.due == {("maker", state): 1 for state in LIVE}
    assert {claim.task.state for claim in claims} == LIVE


async def test_the_agenda_names_the_next_moment(desk: Desk) -> None:
    """With nothing due, the agenda says when something will be; with nothing waiting, it says so."""
    assert (await desk.ledger.agenda(NOW)).next_at is None
    await desk.add(created_at=NOW + 5)
    agenda = await desk.ledger.agenda(NOW)

    assert (agenda.due, agenda.next_at) == ({}, NOW + 5)
    claim = await desk.claim(now=NOW + 5, lease=30)
    leased = await desk.ledger.agenda(NOW + 5)
    assert (leased.due, leased.next_at) == ({}, NOW + 35)
    await desk.ledger.failed(claim, BROKEN, now=NOW)
    assert (await desk.ledger.agenda(NOW + 99)).next_at is None


async def test_two_workers_never_hold_one_task(desk: Desk) -> None:
    """However claims of two workers interleave, no task has two holders and none is left over."""
    names = {f"video_{number}" for number in range(60)}
    for name in names:
        await desk.add(name)
    workers = [Ledger(desk.database, f"worker-{number}") for number in range(2)]
    waves = [workers[number % 2].claim([Order(lane(), 1 + number % 5)], now=NOW, lease=30) for number in range(60)]

    held = [claim.task.id for claims in await asyncio.gather(*waves) for claim in claims]

    assert sorted(held) == sorted(names)


# Fences.


@pytest.mark.parametrize("name", WRITES)
async def test_an_overtaken_worker_changes_nothing(desk: Desk, name: str) -> None:
    """Each write under an old fence answers False and leaves every row as it was, whatever state the task is in."""
    await desk.add()
    old = await desk.claim(now=NOW, lease=30)
    assert await desk.claim(now=NOW + 31)
    for task_state, attempt_state in product(TaskState, AttemptState):
        desk.sql("UPDATE task SET state = ?", task_state.value)
        desk.sql("UPDATE attempt SET state = ?", attempt_state.value)
        before = desk.everything()

        assert not await WRITES[name](desk.ledger, old)
        assert desk.everything() == before


@pytest.mark.parametrize("name", [*WRITES, "accepted"])
async def test_only_the_tables_moves_happen(desk: Desk, name: str) -> None:
    """From every pair of states, a write makes moves of the two tables or none, and says which of both."""
    pairs = list(product(TaskState, AttemptState))
    ids = [f"video_{task_state}-{attempt_state}" for task_state, attempt_state in pairs]
    await asyncio.gather(*(desk.add(each) for each in ids))
    claims = {claim.task.id: claim for claim in await desk.ledger.claim([Order(lane(), 999)], now=NOW, lease=30)}
    for each, (task_state, attempt_state) in zip(ids, pairs, strict=True):
        desk.sql("UPDATE task SET state = ?, failure = ? WHERE id = ?", task_state.value, None, each)
        desk.sql("UPDATE attempt SET state = ? WHERE task_id = ?", attempt_state.value, each)

    async def write(each: str) -> bool:
        if name == "accepted":
            return await accept(desk, claims[each], f"job-{each}")
        return await WRITES[name](desk.ledger, claims[each])

    results = await asyncio.gather(*(write(each) for each in ids))

    for each, (task_state, attempt_state), done in zip(ids, pairs, results, strict=True):
        task_now, attempt_now = desk.state(each), desk.attempts(each)[0]
        assert task_now is task_state or task_now in TASK_MOVES[task_state], (each, task_now)
        assert attempt_now is attempt_state or attempt_now in ATTEMPT_MOVES[attempt_state], (each, attempt_now)
        if task_state in ENDED:
            assert task_now is task_state, "an end absorbs"
        if not done and name != "accepted":
            assert (task_now, attempt_now) == (task_state, attempt_state)
    assert any(results)


# The ledger of money.


async def test_sending_is_recorded_before_it_happens(desk: Desk) -> None:
    """`begin_send` leaves the send, its moment and its fence on disk; a second one is refused."""
    await desk.add()
    claim = await desk.claim()

    assert await desk.ledger.begin_send(claim, now=NOW, deadline=NOW + 40)
    assert desk.sql("SELECT state, sent_at, send_deadline, fence FROM attempt") == [
        ("sending", int(NOW * 1e6), int((NOW + 40) * 1e6), 1)
    ]
    before = desk.everything()
    assert not await desk.ledger.begin_send(claim, now=NOW + 1, deadline=NOW + 41)
    assert desk.everything() == before


async def test_acceptance_binds_the_vendors_job(desk: Desk) -> None:
    """The job's id and handle are stored, the task goes on, and the holder's fence is void."""
    claim = await desk.sending()

    assert await accept(desk, claim)
    assert (desk.state(), desk.attempts()) == (TaskState.SUBMITTED, [AttemptState.ACCEPTED])
    assert not await desk.ledger.postponed(claim, due_at=NOW, troubles=1)
    later = await desk.claim()
    assert later.attempt.receipt == Receipt("job-1", {"region": "x"})
    assert later.task.started_at == NOW


async def test_acceptance_needs_no_fence(desk: Desk) -> None:
    """A sender that was paused past its lease still brings in the job that was paid for."""
    claim = await desk.sending()
    other = await desk.claim(TaskState.SUBMITTING, now=NOW + 100)
    assert await desk.ledger.unknown(other, "sender gone", look_at=NOW + 160)

    assert await accept(desk, claim)
    assert (desk.state(), desk.attempts()) == (TaskState.SUBMITTED, [AttemptState.ACCEPTED])


async def test_a_job_binds_once(desk: Desk) -> None:
    """The same evidence again changes nothing; another job for the same attempt is not taken in its place."""
    claim = await desk.sending()
    await accept(desk, claim)
    before = desk.everything()

    assert not await accept(desk, claim)
    assert not await accept(desk, claim, "job-2")
    assert desk.everything() == before


async def test_one_job_never_belongs_to_two_attempts(desk: Desk) -> None:
    """A job's id that is bound already is refused, and nothing of the second binding stays."""
    await accept(desk, await desk.sending("video_1"), "job-1")
    second = await desk.sending("video_2")
    before = desk.everything()

    assert not await accept(desk, second, "job-1")
    assert desk.everything() == before


async def review(desk: Desk, claim: Claim, failure: Failure = UNKNOWN_OUTCOME) -> None:
    """Bring a sent task to a person's desk."""
    assert await desk.ledger.unknown(claim, "lost", look_at=NOW)
    (lost,) = await desk.lost.due(VENDOR, now=NOW, lease=60)
    assert await desk.lost.review(lost, failure, now=NOW, look_at=None)


async def test_late_evidence_reopens_a_task_under_review(desk: Desk) -> None:
    """A job that turns up after its attempt went to review brings its failed task back to life."""
    claim = await desk.sending()
    await review(desk, claim)
    assert (desk.state(), desk.attempts()) == (TaskState.FAILED, [AttemptState.NEEDS_REVIEW])

    assert await accept(desk, claim)
    assert (desk.state(), desk.attempts()) == (TaskState.SUBMITTED, [AttemptState.ACCEPTED])
    task = await desk.tasks.get("alice", "video_1")
    assert task is not None
    assert (task.failure, task.completed_at) == (None, None)


@pytest.mark.parametrize("end", ["succeeded", "cancelled", "failed otherwise"])
async def test_late_evidence_moves_no_other_end(desk: Desk, end: str) -> None:
    """Evidence is kept in the ledger, but a task that ended for another reason stays as it ended."""
    claim = await desk.sending()
    await review(desk, claim, BROKEN if end == "failed otherwise" else UNKNOWN_OUTCOME)
    desk.sql("UPDATE task SET state = ?", end.split(maxsplit=1)[0])

    assert not await accept(desk, claim)
    assert desk.state() == end.split(maxsplit=1)[0]
    assert desk.attempts() == [AttemptState.ACCEPTED]


async def test_a_settled_attempt_takes_no_evidence(desk: Desk) -> None:
    """What was surely refused or never sent is not bound to a job afterwards."""
    claim = await desk.sending()
    await desk.ledger.rejected(claim, BROKEN, now=NOW)
    before = desk.everything()

    assert not await accept(desk, claim)
    assert desk.everything() == before


async def test_not_sent_prepares_the_next_attempt(desk: Desk) -> None:
    """After a send that surely did nothing the task waits with a new line, number and reference of its own."""
    claim = await desk.sending()

    assert await desk.ledger.not_sent(claim, "refused", now=NOW, due_at=NOW + 7, client_ref="second")
    assert desk.sql("SELECT number, client_ref, account, state, evidence FROM attempt ORDER BY number") == [
        (1, "ref-video_1", ACCOUNT, "not_sent", "refused"),
        (2, "second", ACCOUNT, "prepared", None),
    ]
    assert await desk.ledger.claim([Order(lane(), 1)], now=NOW + 6.9, lease=30) == []
    again = await desk.claim(TaskState.INTENT, now=NOW + 7)
    assert (again.attempt.number, again.task.troubles) == (2, 1)


@pytest.mark.parametrize(("first", "second"), list(product(sorted(MAYBE_PAID), sorted(MAYBE_PAID))))
async def test_one_possible_payment_a_task(desk: Desk, first: str, second: str) -> None:
    """The database refuses a second line that may have been paid for, whoever writes it."""
    await desk.add()
    desk.sql("UPDATE attempt SET state = ?", first)

    with pytest.raises(REFUSED, match=r"attempt\.task_id|uq_attempt_maybe_paid"):
        desk.sql(
            "INSERT INTO attempt (task_id, number, account, client_ref, state) VALUES ('video_1', 2, 'a', 'b', ?)",
            second,
        )


async def test_the_steps_to_a_finished_video(desk: Desk) -> None:
    """Progress never goes back, a dead link leads to another look, and success stores what was really made."""
    claim = await desk.submitted()
    await desk.ledger.observed(claim, TaskState.RUNNING, 60, due_at=NOW)
    await desk.ledger.observed(await desk.claim(), TaskState.RUNNING, 40, due_at=NOW)
    await desk.ledger.fetching(await desk.claim(), Artifact("https://a.test/1"), due_at=NOW)
    fetching = await desk.claim(TaskState.FETCHING)
    assert (fetching.artifact, fetching.task.progress) == (Artifact("https://a.test/1"), 60)
    await desk.ledger.look_again(fetching, due_at=NOW, troubles=1)
    again = await desk.claim(TaskState.RUNNING)
    assert (again.artifact, again.task.troubles) == (None, 1)
    await desk.ledger.fetching(again, Artifact("https://a.test/2"), due_at=NOW)
    await desk.ledger.succeeded(await desk.claim(), CONTENT, size="64x48", seconds="2", now=NOW + 1)

    task = await desk.tasks.get("alice", "video_1")
    assert task is not None
    assert (task.state, task.progress, task.size, task.seconds) == (TaskState.SUCCEEDED, 100, "64x48", "2")
    assert (task.content, task.completed_at) == (CONTENT, NOW + 1)


async def test_a_failure_reads_back_whole(desk: Desk) -> None:
    """Our code and the vendor's own code and words are all kept."""
    await desk.ledger.failed(await desk.submitted(), BROKEN, now=NOW)

    task = await desk.tasks.get("alice", "video_1")
    assert task is not None
    assert (task.failure, task.state) == (BROKEN, TaskState.FAILED)


@pytest.mark.parametrize("method", ["recover", "hand_back"])
async def test_leases_are_voided(desk: Desk, method: str) -> None:
    """After a restart or a drain, held tasks are due at once and what the holder writes later changes nothing."""
    await desk.add()
    claim = await desk.claim(lease=500)

    assert await getattr(desk.ledger, method)(NOW + 1) == 1
    assert not await desk.ledger.postponed(claim, due_at=NOW, troubles=0)
    assert (await desk.claim(now=NOW + 1)).fence == 3


async def test_handing_back_leaves_other_workers_alone(desk: Desk) -> None:
    """A drain gives back this worker's leases only, and nothing that ended."""
    await desk.add("video_1")
    await desk.claim(lease=500)
    other = Ledger(desk.database, "worker-2")

    assert await other.hand_back(NOW) == 0


async def test_inputs_in_use(desk: Desk) -> None:
    """The files of tasks that have not ended are in use; those of links and of ended ones are not."""
    for key, state in [("k1", "intent"), ("k2", "submitting"), ("k3", "running"), ("k4", "failed")]:
        await desk.add(f"video_{state}", Picture(Role.REFERENCE, key=key, frame=Frame(1, 1)))
        desk.sql("UPDATE task SET state = ? WHERE id = ?", state, f"video_{state}")
    await desk.add("video_link", Picture(Role.REFERENCE, url="https://a.test/p.png"))

    assert await desk.ledger.inputs_in_use() == {"k1", "k2", "k3"}


async def test_a_lost_remix_knows_its_sources_job(desk: Desk) -> None:
    """The search learns the vendor's id of the video that was to be remixed, and of no other source."""
    await desk.submitted("video_1")
    for rework in Rework:
        task_id = f"video_{rework.value}"
        await desk.add(task_id, spec=TaskSpec("film-1", task_id, source=Source(rework, "video_1")))
        claim = await desk.claim(TaskState.INTENT)
        assert await desk.ledger.begin_send(claim, now=NOW, deadline=NOW + 40)
        assert await desk.ledger.unknown(claim, "lost", look_at=NOW)

    found = {lost.task_id: lost.remix_of for lost in await desk.lost.due(VENDOR, now=NOW, lease=60)}

    assert found == {"video_remix": "job-video_1", "video_edit": "", "video_extend": ""}


async def test_writes_of_a_lease_holder_count(desk: Desk) -> None:
    """Each write does happen under the current fence from a state that allows it: the refusals above are not idle."""
    starts: dict[str, tuple[Any, ...]] = {
        "begin_send": (TaskState.INTENT, AttemptState.PREPARED),
        "given_up": (TaskState.INTENT, AttemptState.PREPARED),
        "rejected": (TaskState.SUBMITTING, AttemptState.SENDING),
        "not_sent": (TaskState.SUBMITTING, AttemptState.SENDING),
        "unknown": (TaskState.SUBMITTING, AttemptState.SENDING),
        "review": (TaskState.SUBMITTING, AttemptState.UNKNOWN),
        "succeeded": (TaskState.FETCHING, AttemptState.ACCEPTED),
        "look_again": (TaskState.FETCHING, AttemptState.ACCEPTED),
    }
    for name, write in WRITES.items():
        await desk.add(f"video_{name}")
        claim = await desk.claim()
        state, line = starts.get(name, (TaskState.SUBMITTED, AttemptState.ACCEPTED))
        desk.sql("UPDATE task SET state = ? WHERE id = ?", state.value, claim.task.id)
        desk.sql("UPDATE attempt SET state = ? WHERE task_id = ?", line.value, claim.task.id)

        assert await write(desk.ledger, claim), name
        desk.sql("UPDATE task SET state = 'failed'")


async def test_a_clock_that_was_set_back_keeps_nothing_waiting(desk: Desk) -> None:
    """What waits for a moment that a wrong clock chose is due now; what is claimed is left alone."""
    claim = await desk.submitted("video_1")
    await desk.ledger.observed(claim, TaskState.RUNNING, 1, due_at=NOW + 3_600)
    await desk.ledger.unknown(await desk.sending("video_2"), "lost", look_at=NOW + 3_600)
    held = await desk.sending("video_3")

    assert await desk.ledger.clock_set_back(NOW) == 1

    assert (await desk.ledger.agenda(NOW)).due == {(VENDOR, TaskState.RUNNING): 1}
    assert len(await desk.lost.due(VENDOR, now=NOW, lease=1)) == 1
    assert await accept(desk, held)


async def test_a_restart_begins_every_search(desk: Desk) -> None:
    """A search that a dead process had begun is not waited for."""
    claim = await desk.sending()
    await desk.ledger.unknown(claim, "lost", look_at=NOW)
    assert len(await desk.lost.due(VENDOR, now=NOW, lease=120)) == 1
    assert await desk.lost.due(VENDOR, now=NOW + 1, lease=120) == []

    await desk.ledger.recover(NOW + 1)

    assert len(await desk.lost.due(VENDOR, now=NOW + 1, lease=120)) == 1

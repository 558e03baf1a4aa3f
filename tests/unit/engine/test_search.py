"""The search for submits whose answers were lost: what is bound, what waits, how each ends."""

from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from unit.engine.support import Maker, Scene
from videogate.engine import matching, reconcile
from videogate.store.lost import LostSubmit
from videogate.task.errors import FailureCode
from videogate.task.model import Receipt
from videogate.task.state import AttemptState, TaskState
from videogate.vendorkit.tracing import Sighting, Trace, Tracing

DAY = 86_400.0
LOST = LostSubmit(
    attempt_id=1,
    task_id="video_1",
    request_id="req_1",
    vendor="maker",
    account="maker@vendor.test",
    client_ref="vg1",
    state=AttemptState.UNKNOWN,
    model="text-1",
    way="",
    prompt="a lighthouse",
    fingerprint="same",
    sent_at=1000.0,
    looks=0,
    evidence="",
)
JOB = Sighting(Receipt("job-1"), model="text-1", prompt="a lighthouse", created_at=1001.0)


def bind(seen: list[Sighting], *rivals: LostSubmit, bound: set[str] | None = None) -> str | None:
    found = matching.by_likeness(LOST, seen, like=[LOST, *rivals], bound=bound or set())
    return found.receipt.vendor_task_id if found else None


def other(**changes: Any) -> LostSubmit:
    return replace(LOST, **{"attempt_id": 2, "client_ref": "vg2", **changes})


def job(number: int, **changes: Any) -> Sighting:
    return replace(JOB, receipt=Receipt(f"job-{number}"), **changes)


# What may be bound without a reference: pure.


def test_the_one_job_that_is_alike_is_bound() -> None:
    """Same model, same prompt, made when it was sent, nobody else's: it is the one."""
    assert bind([JOB, job(2, prompt="a train"), job(3, model="text-2"), job(4, created_at=2000.0)]) == "job-1"


@pytest.mark.parametrize(
    "seen",
    [
        [],
        [job(1, prompt="another")],
        [job(1, model="other")],
        [job(1, created_at=1000.0 - matching.EARLY - 1)],
        [job(1, created_at=1000.0 + matching.LATE + 1)],
        [job(1, created_at=None)],
        [job(1, client_ref="vg9")],
        [job(1, remix_of="job-0")],
    ],
)
def test_what_is_not_alike_is_not_bound(seen: list[Sighting]) -> None:
    """Another prompt, model, time, reference or source, or none that is shown: not this one."""
    assert bind(seen) is None


def test_a_remix_is_told_from_other_videos_with_its_words() -> None:
    """Only a job that is a remix of the same video, or does not say of which, can be a remix's; so for a plain one."""
    remix = other(remix_of="job-0")

    assert [matching.may_be(remix, job(1, remix_of=shown)) for shown in ("job-0", "", "job-9", None)] == [
        True,
        False,
        False,
        True,
    ]
    assert [matching.may_be(LOST, job(1, remix_of=shown)) for shown in ("job-0", "", None)] == [False, True, True]


def test_a_job_that_belongs_to_an_attempt_is_not_bound_again() -> None:
    """Jobs of other attempts are out of the question."""
    assert bind([JOB], bound={"job-1"}) is None


def test_equal_requests_may_have_each_others_jobs() -> None:
    """As many lost equal requests as jobs, or more: any job will do for any of them."""
    assert bind([JOB, job(2, created_at=1003.0)], other()) == "job-1"
    assert bind([JOB], other()) == "job-1"


def test_more_jobs_than_requests_are_left_to_a_person() -> None:
    """Somebody else works on this account with the same prompt: nobody can tell which job is whose."""
    assert bind([JOB, job(2)]) is None


def test_requests_that_differ_in_what_is_not_shown_are_left_to_a_person() -> None:
    """Two lost requests with the same prompt and different pictures: a mistake would sell the wrong video."""
    assert bind([JOB], other(fingerprint="different")) is None
    assert bind([JOB], other(fingerprint="different", sent_at=9_000.0)) == "job-1"


def test_a_submit_still_under_way_keeps_its_jobs_from_being_given_away() -> None:
    """While an equal request waits for its answer, that answer may name the job."""
    assert bind([JOB], other(state=AttemptState.SENDING)) is None


def test_a_job_that_does_not_show_its_prompt_yet_is_waited_for() -> None:
    """Where a running job hides its prompt it may be the one: no other is bound meanwhile."""
    assert bind([JOB, job(2, prompt=None)]) is None


def test_without_a_prompt_nothing_is_alike() -> None:
    """An empty prompt tells nothing."""
    blank = replace(LOST, prompt="")
    assert matching.by_likeness(blank, [replace(JOB, prompt="")], like=[blank], bound=set()) is None


# The whole search, on a real database.


async def lost(scene: Scene, by: Trace, **changes: Any) -> Maker:
    """A vendor of this kind, and a submit to it whose answer is lost."""
    vendor = scene.shop.vendors["maker"]
    assert isinstance(vendor, Maker)
    vendor.tracing = Tracing(by, 0.0 if by is Trace.NOTHING else DAY)  # type: ignore[misc]
    await scene.create(**changes)
    claim = await scene.claim()
    await scene.shop.ledger.begin_send(claim, now=scene.now, deadline=scene.now + 40)
    await reconcile.lost_track(scene.shop, claim, "lost", "")
    return vendor


def look_in(scene: Scene) -> float | None:
    ((look_at,),) = scene.desk.sql("SELECT look_at FROM attempt")
    return None if look_at is None else float(look_at) / 1e6 - scene.now


async def look(scene: Scene, vendor: Maker, body: Any, status: int = 200) -> None:
    """Wait until the search is due, and let it see this."""
    scene.now += look_in(scene) or 0.0
    scene.answer(status, body)
    await reconcile.search(scene.shop, vendor)


async def code(scene: Scene) -> FailureCode | None:
    failure = (await scene.task()).failure
    return failure.code if failure else None


async def test_a_reference_binds(scene: Scene) -> None:
    """A job that bears the attempt's reference becomes its own; nothing was sent but the question."""
    vendor = await lost(scene, Trace.REFERENCE)
    ((ref,),) = scene.desk.sql("SELECT client_ref FROM attempt")

    await look(scene, vendor, {"jobs": [{"id": "job-9", "ref": "vg-else"}, {"id": "job-7", "ref": ref}]})

    assert (scene.state, scene.lines) == (TaskState.SUBMITTED, ["accepted"])
    assert scene.desk.sql("SELECT vendor_task_id FROM attempt") == [("job-7",)]
    assert [request.method for request in scene.sent] == ["GET"]


async def test_a_reference_may_stand_in_the_jobs_record_only(scene: Scene) -> None:
    """Where the list leaves it out, the records of jobs that may be it are opened."""
    vendor = await lost(scene, Trace.REFERENCE)
    ((ref,),) = scene.desk.sql("SELECT client_ref FROM attempt")
    scene.now += look_in(scene) or 0.0
    scene.answer(200, {"jobs": [{"id": "job-7"}, {"id": "job-8", "at": scene.now - DAY}]})
    scene.answer(200, {"ref": ref})

    await reconcile.search(scene.shop, vendor)

    assert scene.desk.sql("SELECT vendor_task_id FROM attempt") == [("job-7",)]
    assert [request.url.path for request in scene.sent] == ["/api/jobs", "/api/jobs/job-7"]


async def test_more_jobs_than_can_be_opened_say_nothing(scene: Scene) -> None:
    """Where not every job that may be it was looked into, none is surely absent: a person must look."""
    vendor = await lost(scene, Trace.REFERENCE)
    while scene.state is TaskState.SUBMITTING:
        await look(scene, vendor, {"jobs": [{"id": f"job-{number}"} for number in range(reconcile.CLOSER + 1)]})

    assert (scene.lines, await code(scene)) == (["needs_review"], FailureCode.UNKNOWN_OUTCOME)


async def test_looks_come_at_growing_intervals(scene: Scene) -> None:
    """The search looks at 5 s, 15 s, 60 s, 5 min and 30 min, and the last look decides."""
    vendor = await lost(scene, Trace.REFERENCE)
    began, moments = scene.now, []
    while scene.state is TaskState.SUBMITTING:
        await look(scene, vendor, {"jobs": []})
        moments.append(round(scene.now - began))

    assert moments == [5, 15, 60, 300, 1800]


async def test_what_the_vendor_does_not_know_was_never_made(scene: Scene) -> None:
    """A vendor that keeps our references and knows none: the task ends, says that it may be repeated, costs nothing."""
    vendor = await lost(scene, Trace.REFERENCE)
    while scene.state is TaskState.SUBMITTING:
        await look(scene, vendor, {"jobs": []})

    assert (scene.lines, await code(scene)) == (["not_created"], FailureCode.NOT_RECEIVED)


async def test_a_job_that_a_paused_sender_made_late_is_found(scene: Scene) -> None:
    """What seemed never to have arrived stays looked for: a job that shows up brings the task back."""
    vendor = await lost(scene, Trace.REFERENCE)
    ((ref,),) = scene.desk.sql("SELECT client_ref FROM attempt")
    while scene.state is TaskState.SUBMITTING:
        await look(scene, vendor, {"jobs": []})

    await look(scene, vendor, {"jobs": [{"id": "job-7", "ref": ref}]})

    assert (scene.state, scene.lines) == (TaskState.SUBMITTED, ["accepted"])


async def test_a_vendor_that_cannot_be_asked_says_nothing(scene: Scene) -> None:
    """Without one answer a job may exist: a person must look, and the search goes on hourly."""
    vendor = await lost(scene, Trace.REFERENCE)
    while scene.state is TaskState.SUBMITTING:
        await look(scene, vendor, "<html>", 502)

    assert (scene.lines, await code(scene)) == (["needs_review"], FailureCode.UNKNOWN_OUTCOME)
    assert look_in(scene) is not None


async def test_late_evidence_still_binds(scene: Scene) -> None:
    """A job that shows up after its task went to a person brings the task back."""
    vendor = await lost(scene, Trace.LIKENESS, prompt="a lighthouse")
    scene.desk.sql("UPDATE task SET fingerprint = 'f'")
    sent = scene.now
    while scene.state is TaskState.SUBMITTING:
        await look(scene, vendor, {"jobs": []})
    assert scene.lines == ["needs_review"]

    await look(scene, vendor, {"jobs": [{"id": "job-3", "model": "text-1", "prompt": "a lighthouse", "at": sent + 20}]})

    assert (scene.state, scene.lines) == (TaskState.SUBMITTED, ["accepted"])


async def test_the_search_ends_with_the_vendors_memory(scene: Scene) -> None:
    """Looks go on hourly for as long as the vendor keeps its jobs, and no longer."""
    vendor = await lost(scene, Trace.LIKENESS)
    began = scene.now
    for _ in count():
        await look(scene, vendor, {"jobs": []})
        if look_in(scene) is None:
            break

    assert DAY - 2 * 3600 < scene.now - began < DAY
    assert scene.lines == ["needs_review"]


async def test_a_vendor_that_tells_nothing_is_not_waited_for(scene: Scene) -> None:
    """Where no look-up exists the task ends at once in plain words, and nothing is asked."""
    vendor = await lost(scene, Trace.NOTHING)
    await reconcile.search(scene.shop, vendor)

    failure = (await scene.task()).failure
    assert failure is not None
    assert (scene.lines, scene.sent, look_in(scene)) == (["needs_review"], [], None)
    assert "not sent again" in failure.message
    assert "console" in failure.message


async def test_a_search_goes_through_the_pages(scene: Scene) -> None:
    """Pages are followed while they are as young as the submit."""
    vendor = await lost(scene, Trace.REFERENCE)
    ((ref,),) = scene.desk.sql("SELECT client_ref FROM attempt")
    scene.now += look_in(scene) or 0.0
    scene.answer(200, {"jobs": [{"id": "job-1", "ref": "x", "at": scene.now}], "next": "2"})
    scene.answer(200, {"jobs": [{"id": "job-2", "ref": ref, "at": scene.now - 1}], "next": "3"})
    scene.answer(200, {"jobs": [{"id": "job-3", "ref": "y", "at": scene.now - DAY}], "next": "4"})

    await reconcile.search(scene.shop, vendor)

    assert scene.lines == ["accepted"]
    assert [request.url.query for request in scene.sent] == [b"page=", b"page=2", b"page=3"]


async def test_a_callback_hastens_the_search(scene: Scene) -> None:
    """A vendor's call about a lost submit has it looked for at once."""
    await lost(scene, Trace.REFERENCE)
    ((account, ref),) = scene.desk.sql("SELECT account, client_ref FROM attempt")

    assert await scene.shop.ledger.hasten(account, ref, now=scene.now)
    assert look_in(scene) == 0.0

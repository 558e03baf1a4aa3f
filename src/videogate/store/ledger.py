"""The worker's side of the store: the money ledger, and every move that a claimed task makes.

A claim is a lease: until `lease_until` the task belongs to one worker, and every claim raises the task's fence. Every
later write names the fence it was claimed under; a worker that was overtaken finds that it changes nothing. Only
positive evidence of a created job is kept whatever the fence says, because it was paid for.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Update, and_, bindparam, case, func, insert, or_, select, update

from videogate.faultpoints import faultpoint
from videogate.store import claims
from videogate.store.claims import OPEN, Agenda, Claim, Order, free
from videogate.store.database import Database, one_at_a_time
from videogate.store.rows import among, micros, seconds, to_spec
from videogate.store.tables import attempt, task, task_request
from videogate.task.errors import Failure, FailureCode
from videogate.task.model import RESULT, Artifact, Content, Receipt
from videogate.task.state import LIVE, UNSETTLED, AttemptState, TaskState, attempt_sources, sources

NEVER = 253_402_300_799.0  # the end of the year 9999: due when somebody says so
LOST_WORDS = "The vendor's answer to the request was lost; it is being looked for there. It is not sent again."


class Overtaken(Exception):
    """Somebody else moved the task or its attempt meanwhile; nothing was written."""


class Ledger:
    """Claims and moves. Every write returns whether it took place: False means that we were overtaken."""

    def __init__(self, database: Database, worker: str) -> None:
        self._database = database
        self._worker = worker

    async def agenda(self, now: float) -> Agenda:
        """What there is to do."""
        return await self._database.read(lambda connection: claims.agenda(connection, micros(now)))

    async def claim(self, wanted: Sequence[Order], *, now: float, lease: float) -> list[Claim]:
        """Take due tasks, as many of each lane as its order says, most overdue first."""
        until = micros(now + lease)
        return await self._database.write(
            lambda connection: claims.claim(connection, wanted, self._worker, micros(now), until)
        )

    async def late(self, *, now: float, lease: float) -> list[Claim]:
        """Take tasks that were never sent and whose deadline has passed, whatever their vendor; a share of them."""
        if not await self._database.read(lambda connection: claims.late(connection, micros(now))):
            return []
        until = micros(now + lease)
        return await self._database.write(
            lambda connection: claims.take_late(connection, self._worker, micros(now), until)
        )

    async def jobs(self, account: str, now: float) -> int:
        """How many jobs an account has to run: sent, about to be, or perhaps sent, and not known to have ended."""
        return await self._database.read(lambda connection: claims.jobs(connection, account, micros(now)))

    async def explain(self, vendor: str, waiting: str, *, now: float) -> None:
        """Tell the callers of a vendor's tasks that are due and not sent what they wait for, if nobody has yet."""
        change = (
            update(task)
            .where(task.c.vendor == vendor, task.c.state == TaskState.INTENT, task.c.waiting.is_(None))
            .where(OPEN, task.c.due_at <= micros(now), task.c.lease_until <= micros(now))
            .values(waiting=waiting)
        )
        await self._database.write(lambda connection: connection.execute(change))

    async def unserved(self, served: Collection[str], waiting: str) -> Mapping[str, int]:
        """Tell the callers of tasks of vendors that are not served what they wait for, and no others any more.

        Returns how many tasks wait, by vendor.
        """
        return await self._database.write(lambda connection: claims.unserved(connection, sorted(served), waiting))

    async def extend(self, claim: Claim, until: float) -> bool:
        """Keep a claim longer."""
        return await self._database.write(
            lambda connection: _set(connection, claim, None, {"lease_until": micros(until), "due_at": micros(until)})
        )

    async def recover(self, now: float) -> int:
        """Void every lease and begin every search. Only for a process that knows it is alone, at its start.

        Returns how many leases there were.
        """
        held = task.c.lease_until > micros(now)
        return await self._database.write(lambda connection: claims.begin_anew(connection, held, now))

    async def begin_send(self, claim: Claim, *, now: float, deadline: float) -> bool:
        """Make `sending` durable: called right before the first byte leaves."""
        return await self._move(lambda connection: _begin_send(connection, claim, now, deadline))

    async def accepted(self, attempt_id: int, receipt: Receipt, *, now: float, due_at: float) -> bool:
        """Bind a vendor's job to its attempt. Takes no claim: evidence of a paid job counts whoever brings it."""
        return await self._move(lambda connection: _accepted(connection, attempt_id, receipt, now, due_at))

    async def rejected(self, claim: Claim, failure: Failure, *, now: float) -> bool:
        """The vendor refused: the attempt and the task end."""
        return await self._end(claim, AttemptState.REJECTED, failure, now)

    async def not_sent(self, claim: Claim, why: str, *, now: float, due_at: float, client_ref: str) -> bool:
        """Nothing was created: close the attempt and prepare the next one. The caller reads `why` while it waits."""
        return await self._move(lambda connection: _not_sent(connection, claim, why, now, micros(due_at), client_ref))

    async def unknown(self, claim: Claim, evidence: str, *, look_at: float) -> bool:
        """The attempt may have been paid for. It is never sent again; from `look_at` on it is looked for."""
        values = {"evidence": evidence, "look_at": micros(look_at)}
        return await self._move(
            lambda connection: _both(
                moved=_set(connection, claim, None, {"waiting": LOST_WORDS, **free(NEVER)}),
                settled=settle(connection, claim.attempt.id, AttemptState.UNKNOWN, values),
            )
        )

    async def left_to_search(self, claim: Claim) -> bool:
        """An unknown attempt has nothing to do here: the search settles it."""
        return await self._move(lambda connection: _set(connection, claim, None, free(NEVER)))

    async def observed(self, claim: Claim, state: TaskState, progress: int, *, due_at: float) -> bool:
        """The vendor's job is alive."""
        ahead = max(progress, claim.task.progress)
        values = {"progress": ahead, "troubles": 0, "misses": 0, "waiting": None, **free(due_at)}
        return await self._move(lambda connection: _set(connection, claim, state, values))

    async def postponed(
        self, claim: Claim, *, due_at: float, troubles: int, misses: int = 0, waiting: str | None = None
    ) -> bool:
        """A look that told nothing; `waiting` says so to the caller."""
        values = {"troubles": troubles, "misses": misses, "waiting": waiting, **free(due_at)}
        return await self._move(lambda connection: _set(connection, claim, None, values))

    async def fetching(self, claim: Claim, artifact: Artifact, *, due_at: float) -> bool:
        """The vendor is done; the result is to be copied. The troubles stay: a link may have died before.

        The vendor's id of the video stays with its attempt: by that others are made from it.
        """
        values = {"artifact": artifact.url, "misses": 0, "waiting": None, **free(due_at)}
        return await self._move(lambda connection: _fetching(connection, claim, artifact, values))

    async def look_again(self, claim: Claim, *, due_at: float, troubles: int, waiting: str | None = None) -> bool:
        """The result's link is dead: ask the vendor for a new one."""
        values = {"artifact": None, "troubles": troubles, "waiting": waiting, **free(due_at)}
        return await self._move(lambda connection: _set(connection, claim, TaskState.RUNNING, values))

    async def succeeded(
        self, claim: Claim, content: Content, *, size: str, seconds: str, now: float, expires_at: float | None = None
    ) -> bool:
        """The result is in our storage and verified; it is kept until `expires_at`, or for ever;

        not at all if its owner has deleted it meanwhile.
        """
        values = {
            "content_key": content.key,
            "content_length": content.length,
            "content_sha256": content.sha256,
            "content_mime": content.mime,
            "size": size,
            "seconds": seconds,
            "progress": 100,
            "artifact": None,
            "waiting": None,
            "completed_at": micros(now),
            **free(now),
        }
        kept_until = case((task.c.deleted, micros(now)), else_=None if expires_at is None else micros(expires_at))
        done = await self._move(lambda connection: _succeeded(connection, claim, values, kept_until))
        faultpoint("finish.committed")
        return done

    async def failed(self, claim: Claim, failure: Failure, *, now: float) -> bool:
        """The task ends; its attempt stays as it is."""
        return await self._move(lambda connection: _set(connection, claim, TaskState.FAILED, ended(failure, now)))

    async def given_up(self, claim: Claim, failure: Failure, *, now: float) -> bool:
        """The task ends before anything was sent."""
        return await self._end(claim, AttemptState.NOT_SENT, failure, now)

    async def cancelled(self, claim: Claim, *, now: float) -> bool:
        """The task ends because its owner deleted it."""
        values = {"completed_at": micros(now), "waiting": None, **free(now)}
        return await self._move(lambda connection: _set(connection, claim, TaskState.CANCELLED, values))

    async def hasten(self, account: str, client_ref: str, *, now: float) -> bool:
        """Make a job that waits for its next look due now, or search now for one whose outcome is unknown.

        A look under way is left alone.
        """
        lost = (
            update(attempt)
            .where(attempt.c.account == account, attempt.c.client_ref == client_ref)
            .where(attempt.c.state.in_([AttemptState.UNKNOWN, AttemptState.NEEDS_REVIEW]))
            .values(look_at=micros(now))
        )
        owner = select(attempt.c.task_id).where(
            attempt.c.account == account,
            attempt.c.client_ref == client_ref,
            attempt.c.state == AttemptState.ACCEPTED,
        )
        waits = task.c.state.in_([TaskState.SUBMITTED, TaskState.RUNNING])
        free = and_(task.c.lease_until <= micros(now), task.c.due_at > micros(now))
        hurry = update(task).where(task.c.id.in_(owner), waits, free).values(due_at=micros(now))
        return await self._database.write(
            lambda connection: any(connection.execute(change).rowcount for change in (hurry, lost))
        )

    async def clock_set_back(self, now: float) -> int:
        """Make due now what waits, unclaimed, for a moment that an earlier reading of the clock chose.

        Returns how many tasks there were.
        """
        free = and_(OPEN, task.c.lease_by.is_(None), task.c.due_at > micros(now), task.c.due_at < micros(NEVER))
        search = update(attempt).where(among(attempt.c.state, UNSETTLED), attempt.c.look_at > micros(now))

        def work(connection: Connection) -> int:
            connection.execute(search.values(look_at=micros(now)))
            return connection.execute(update(task).where(free).values(due_at=micros(now))).rowcount

        return await self._database.write(work)

    async def hand_back(self, now: float) -> int:
        """Void this worker's own leases, at the end of a drain. Returns how many there were."""
        return await self._database.write(
            lambda connection: claims.void(connection, task.c.lease_by == self._worker, now)
        )

    async def inputs_in_use(self) -> set[str]:
        """Keys of the input files of tasks that have not ended."""
        query = select(task_request.c.spec).join(task, task.c.id == task_request.c.task_id).where(OPEN)
        specs = await self._database.read(lambda connection: connection.execute(query).scalars().all())
        return {each.key for spec in specs for each in to_spec(spec).files if each.key}

    async def _move(self, work: Callable[[Connection], bool]) -> bool:
        try:
            return await self._database.write(work)
        except Overtaken:
            return False

    async def _end(self, claim: Claim, settled: AttemptState, failure: Failure, now: float) -> bool:
        return await self._move(
            lambda connection: _both(
                moved=_set(connection, claim, TaskState.FAILED, ended(failure, now)),
                settled=settle(connection, claim.attempt.id, settled, {"settled_at": micros(now)}),
            )
        )


def _begin_send(connection: Connection, claim: Claim, now: float, deadline: float) -> bool:
    values = {"sent_at": micros(now), "send_deadline": micros(deadline), "fence": claim.fence}
    return _both(
        # One whose lease has run out counts as nobody's job: another may have been let in for it.
        moved=_set(connection, claim, TaskState.SUBMITTING, {"waiting": None}, task.c.lease_until > micros(now)),
        settled=settle(connection, claim.attempt.id, AttemptState.SENDING, values),
    )


def _accepted(connection: Connection, attempt_id: int, receipt: Receipt, now: float, due_at: float) -> bool:
    values = {
        "look_at": None,
        "vendor_task_id": receipt.vendor_task_id,
        "handle": dict(receipt.handle),
        "settled_at": micros(now),
    }
    twin = select(func.count()).where(
        attempt.c.account == select(attempt.c.account).where(attempt.c.id == attempt_id).scalar_subquery(),
        attempt.c.vendor_task_id == receipt.vendor_task_id,
    )
    # One job of a vendor belongs to one attempt: a second claim to it is an error of the vendor's or of a search.
    one_at_a_time(connection, f"job {receipt.vendor_task_id}")
    if connection.execute(twin).scalar() or not settle(connection, attempt_id, AttemptState.ACCEPTED, values):
        return False
    owner = select(attempt.c.task_id).where(attempt.c.id == attempt_id).scalar_subquery()
    waits = or_(
        task.c.state == TaskState.SUBMITTING,
        and_(
            task.c.state == TaskState.FAILED,
            task.c.failure["code"].as_string().in_([FailureCode.UNKNOWN_OUTCOME, FailureCode.NOT_RECEIVED]),
        ),
    )
    moved = {
        "state": TaskState.SUBMITTED,
        "started_at": micros(now),
        "failure": None,
        "completed_at": None,
        "waiting": None,
        "troubles": 0,
        "fence": task.c.fence + 1,
        **free(due_at),
    }
    return connection.execute(update(task).where(task.c.id == owner, waits).values(moved)).rowcount == 1


def _not_sent(connection: Connection, claim: Claim, why: str, now: float, due_at: int, client_ref: str) -> bool:
    values = {"evidence": why, "settled_at": micros(now)}
    waits = {"troubles": claim.task.troubles + 1, "waiting": why, **free(seconds(due_at))}
    moved = _set(connection, claim, TaskState.INTENT, waits)
    if not _both(moved=moved, settled=settle(connection, claim.attempt.id, AttemptState.NOT_SENT, values)):
        return False
    connection.execute(
        insert(attempt).values(
            task_id=claim.task.id,
            number=claim.attempt.number + 1,
            account=claim.task.account,
            client_ref=client_ref,
            state=AttemptState.PREPARED,
        )
    )
    return True


def _set(
    connection: Connection,
    claim: Claim,
    target: TaskState | None,
    values: Mapping[str, Any],
    *conditions: ColumnElement[bool],
    **computed: ColumnElement[Any],
) -> bool:
    """Change a claimed task under its fence, and move it where the table of moves allows it."""
    change = _change(target, tuple(values))
    if conditions or computed:
        change = change.where(*conditions).values(computed)
    given = {f"new_{name}": value for name, value in values.items()}
    return connection.execute(change, {**given, "claimed": claim.task.id, "under": claim.fence}).rowcount == 1


@cache
def _change(target: TaskState | None, names: tuple[str, ...]) -> Update:
    """A change of these columns. Built once for each kind of move: to build it takes longer than to run it."""
    mine = and_(task.c.id == bindparam("claimed"), task.c.fence == bindparam("under"))
    moved: dict[str, Any] = {name: bindparam(f"new_{name}", type_=task.c[name].type) for name in names}
    if target is None:
        return update(task).where(mine, OPEN).values(moved)
    allowed = task.c.state.in_(sorted((sources(target) | {target}) & LIVE))  # an end absorbs
    return update(task).where(mine, allowed).values({"state": target, **moved})


def _fetching(connection: Connection, claim: Claim, artifact: Artifact, values: Mapping[str, Any]) -> bool:
    moved = _set(connection, claim, TaskState.FETCHING, values)
    if moved and artifact.id is not None and claim.attempt.receipt is not None:
        handle = {**claim.attempt.receipt.handle, RESULT: artifact.id}
        connection.execute(update(attempt).where(attempt.c.id == claim.attempt.id).values(handle=handle))
    return moved


def _succeeded(connection: Connection, claim: Claim, values: Mapping[str, Any], kept_until: ColumnElement[Any]) -> bool:
    done = _set(connection, claim, TaskState.SUCCEEDED, values, expires_at=kept_until)
    faultpoint("finish.committing")
    return done


def settle(connection: Connection, attempt_id: int, target: AttemptState, values: Mapping[str, Any]) -> bool:
    """Move a line of the ledger where its table of moves allows it."""
    allowed = attempt.c.state.in_(sorted(attempt_sources(target)))
    changed = update(attempt).where(attempt.c.id == attempt_id, allowed).values(state=target, **values)
    return connection.execute(changed).rowcount == 1


def _both(*, moved: bool, settled: bool) -> bool:
    """A task and its ledger move together or not at all; raising undoes the half that went through."""
    if moved != settled:
        raise Overtaken
    return moved


def ended(failure: Failure, now: float) -> dict[str, Any]:
    """What the end of a failed task changes, but for its state."""
    return {"failure": asdict(failure), "artifact": None, "waiting": None, "completed_at": micros(now), **free(now)}

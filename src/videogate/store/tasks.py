"""Tasks as callers see them: accept, once for all tries of a request, read, list, delete."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, insert, select, tuple_, update

from videogate.faultpoints import faultpoint
from videogate.store.database import Database, Key, find, one_at_a_time
from videogate.store.direct import DirectInsert
from videogate.store.rows import Row, from_spec, micros, to_attempt, to_fitted, to_spec, to_task
from videogate.store.tables import attempt, idempotency_key, task, task_request
from videogate.task.errors import InvalidRequest
from videogate.task.model import Added, Fitted, NewTask, Page, Receipt, Rework, Source, Task, TaskSpec, Trying
from videogate.task.state import ENDED, AttemptState, TaskState

KEY_KEPT = 7 * 86_400.0  # seconds that an idempotency key counts
RETRIED_WITHIN = 600.0  # seconds after a task's creation in which a client's own retry of it is recognised


_INSERT_TASK = DirectInsert(insert(task))
_INSERT_REQUEST = DirectInsert(insert(task_request))
_INSERT_ATTEMPT = DirectInsert(insert(attempt).inline())
_NOTHING = dict.fromkeys(task.c.keys())
_INSERT_KEY = DirectInsert(insert(idempotency_key))
_BY_KEY = (
    select(task, idempotency_key.c.fingerprint.label("keyed"), idempotency_key.c.created_at.label("keyed_at"))
    .join(idempotency_key, idempotency_key.c.task_id == task.c.id)
    .where(idempotency_key.c.owner == bindparam("key_owner"), idempotency_key.c.digest == bindparam("digest"))
)
_BY_ID = select(task).where(
    task.c.id == bindparam("task_id"), task.c.owner == bindparam("owner"), task.c.deleted.is_(False)
)


_CREATED = select(task.c.created_at).where(task.c.id == bindparam("task_id"), task.c.owner == bindparam("owner"))


def _page_query(*, newest_first: bool, after: bool) -> Select[Any]:
    """An owner's tasks in order of creation, all or those that come after one."""
    order = (task.c.created_at, task.c.id)
    query = select(task).where(task.c.owner == bindparam("owner"), task.c.deleted.is_(False))
    if after:
        here, anchor = tuple_(*order), tuple_(bindparam("created"), bindparam("after"))
        query = query.where(here < anchor if newest_first else here > anchor)
    return query.order_by(*(column.desc() if newest_first else column for column in order)).limit(bindparam("most"))


_PAGES = {
    (newest_first, after): _page_query(newest_first=newest_first, after=after)
    for newest_first in (True, False)
    for after in (True, False)
}


class TaskStore:
    """What the API does with tasks. Every query of a caller's task names its owner."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, new: NewTask) -> Added:
        """Write the task, its request and its first attempt in one transaction; durable on return.

        Where an earlier try of the same request made a task, that task comes back and none is written. Raises
        InvalidRequest if the idempotency key belongs to another request.
        """
        trying = new.trying
        added = await self._database.add(
            lambda connection, keyed: _add(connection, new, keyed),
            _name(trying),
            _key(trying),
            alone=trying.tries > 0 and not trying.idempotency,  # it may change the task of an earlier try
        )
        faultpoint("create.committed")
        return added

    async def made_before(self, trying: Trying) -> Task | None:
        """The task that an earlier try of the same request made, if one did.

        Raises InvalidRequest as `add` does.
        """
        row = await self._database.write(lambda connection: _made_before(connection, trying))
        return to_task(row) if row else None

    async def get(self, owner: str, task_id: str) -> Task | None:
        """The owner's task, unless deleted."""
        row = await self._database.one(_BY_ID, owner=owner, task_id=task_id)
        return to_task(row) if row else None

    async def page(self, owner: str, *, after: str | None, limit: int, newest_first: bool) -> Page | None:
        """The owner's tasks in order of creation, beginning after the task `after`; None if there is no such task."""
        begins: dict[str, Any] = {}
        if after is not None:
            found = await self._database.one(_CREATED, owner=owner, task_id=after)
            if found is None:
                return None
            begins = {"created": found["created_at"], "after": after}
        query = _PAGES[newest_first, after is not None]
        rows = await self._database.some(query, owner=owner, most=limit + 1, **begins)
        return Page(tuple(to_task(row) for row in rows[:limit]), has_more=len(rows) > limit)

    async def delete(self, owner: str, task_id: str, now: float) -> Task | None:
        """Hide the task from its owner; one that was never sent is cancelled. The task as it was, or None."""
        return await self._database.write(lambda connection: _delete(connection, owner, task_id, now))

    async def request(self, task_id: str) -> tuple[TaskSpec, Fitted]:
        """What was asked for and how it was fitted."""
        return await self._database.read(lambda connection: _request(connection, task_id))

    async def receipt(self, task_id: str) -> Receipt | None:
        """The vendor's acceptance of a task, if it has one."""
        query = select(attempt).where(attempt.c.task_id == task_id, attempt.c.state == AttemptState.ACCEPTED)
        row = await self._database.read(lambda connection: connection.execute(query).mappings().one_or_none())
        return to_attempt(row).receipt if row else None

    async def forget_keys(self, before: float) -> int:
        """Forget the idempotency keys first used before then. Returns how many."""
        old = delete(idempotency_key).where(idempotency_key.c.created_at < micros(before))
        return await self._database.write(lambda connection: connection.execute(old).rowcount)


def _add(connection: Connection, new: NewTask, keyed: Row | None) -> Added:
    """`keyed` is what the caller's key stood for so far."""
    made = _made(connection, new.trying, keyed)
    if made is not None:
        return Added(to_task(made), new=False)
    added = _insert(connection, new)
    if new.idempotency:
        _keep_key(connection, new, renewed=keyed is not None)
    return Added(added, new=True)


def _made_before(connection: Connection, trying: Trying) -> Row | None:
    if (name := _name(trying)) is not None:  # so that no other try slips in between this look and what follows
        one_at_a_time(connection, name)
    return _made(connection, trying, find(connection, _key(trying)))


def _made(connection: Connection, trying: Trying, keyed: Row | None) -> Row | None:
    return _standing(keyed, trying) if trying.idempotency else _made_by_try(connection, trying)


def _name(trying: Trying) -> str | None:
    """What all tries of a request have in common."""
    known_by = trying.idempotency or trying.fingerprint
    return f"{trying.owner} {known_by}" if known_by else None


def _key(trying: Trying) -> Key | None:
    """By what to find the task that this caller's key was last used for."""
    return (_BY_KEY, {"key_owner": trying.owner, "digest": trying.idempotency}) if trying.idempotency else None


def _standing(keyed: Row | None, trying: Trying) -> Row | None:
    """The task that a key stands for. A key that is old, or whose task was deleted, is free again."""
    if keyed is None or keyed["deleted"] or keyed["keyed_at"] < micros(trying.at - KEY_KEPT):
        return None
    if keyed["keyed"] != trying.fingerprint:
        raise InvalidRequest(
            "This Idempotency-Key was used for another request. Repeat that one exactly, or use a new key.",
            param="Idempotency-Key",
            code="idempotency_key_reuse",
        )
    return keyed


def _made_by_try(connection: Connection, trying: Trying) -> Row | None:
    """The task that the try before this one made; from now on it is this try's.

    Two equal requests that were both dropped find a task each: a task answers only one try of a number. The newest is
    the likeliest: an older one may be an equal request's that was answered long ago.
    """
    if trying.tries < 1 or trying.fingerprint is None:
        return None
    query = (
        select(task)
        .where(
            task.c.owner == trying.owner,
            task.c.fingerprint == trying.fingerprint,
            task.c.created_at >= micros(trying.at - RETRIED_WITHIN),
            task.c.deleted.is_(False),
            task.c.tries < trying.tries,
        )
        .order_by(task.c.tries.desc(), task.c.created_at.desc(), task.c.id)
        .limit(1)
    )
    row = connection.execute(query).mappings().one_or_none()
    if row is not None:
        connection.execute(update(task).where(task.c.id == row["id"]).values(tries=trying.tries))
    return row


def _keep_key(connection: Connection, new: NewTask, *, renewed: bool) -> None:
    if renewed:
        own = (idempotency_key.c.owner == new.owner, idempotency_key.c.digest == new.idempotency)
        connection.execute(delete(idempotency_key).where(*own))
    row = {
        "owner": new.owner,
        "digest": new.idempotency,
        "fingerprint": new.fingerprint,
        "task_id": new.id,
        "created_at": micros(new.created_at),
    }
    _INSERT_KEY(connection, row)


def _insert(connection: Connection, new: NewTask) -> Task:
    now = micros(new.created_at)
    values = {
        "id": new.id,
        "owner": new.owner,
        "state": TaskState.INTENT.value,
        "vendor": new.vendor,
        "account": new.account,
        "model": new.spec.model,
        "vendor_model": new.vendor_model,
        "prompt": new.spec.prompt,
        "size": new.fitted.size,
        "seconds": new.fitted.seconds,
        "progress": 0,
        "adjustments": [asdict(each) for each in new.fitted.adjustments],
        "request_id": new.request_id,
        "deleted": False,
        "created_at": now,
        "deadline_at": micros(new.deadline_at),
        "due_at": now,
        "lease_until": 0,
        "fence": 0,
        "troubles": 0,
        "misses": 0,
        "fingerprint": new.fingerprint,
        "tries": new.tries,
        "remixed_from": _remixed(new.spec.source),
        "traceparent": new.traceparent,
    }
    _INSERT_TASK(connection, values)
    request = {"task_id": new.id, "spec": from_spec(new.spec), "fitted": asdict(new.fitted)}
    _INSERT_REQUEST(connection, request)
    line = {"task_id": new.id, "number": 1, "account": new.account, "client_ref": new.client_ref}
    _INSERT_ATTEMPT(connection, {**line, "state": AttemptState.PREPARED.value})
    faultpoint("create.committing")
    return to_task({**_NOTHING, **values})


def _remixed(source: Source | None) -> str | None:
    return source.video_id if source is not None and source.rework is Rework.REMIX else None


def _owned(owner: str, task_id: str) -> Select[Any]:
    return select(task).where(task.c.id == task_id, task.c.owner == owner, task.c.deleted.is_(False))


def _delete(connection: Connection, owner: str, task_id: str, now: float) -> Task | None:
    row = connection.execute(_owned(owner, task_id).with_for_update()).mappings().one_or_none()
    if row is None:
        return None
    changes: dict[str, Any] = {"deleted": True}
    if row["state"] == TaskState.INTENT:
        changes |= {"state": TaskState.CANCELLED, "completed_at": micros(now), "fence": row["fence"] + 1}
        connection.execute(
            update(attempt)
            .where(attempt.c.task_id == task_id, attempt.c.state == AttemptState.PREPARED)
            .values(state=AttemptState.NOT_SENT, settled_at=micros(now))
        )
    elif row["state"] not in ENDED:
        changes["due_at"] = micros(now)
    elif row["content_key"] is not None:
        changes["expires_at"] = micros(now)  # from now on it is the sweeper's, should its removal fail
    connection.execute(update(task).where(task.c.id == task_id).values(changes))
    return to_task(row)


def _request(connection: Connection, task_id: str) -> tuple[TaskSpec, Fitted]:
    row = connection.execute(select(task_request).where(task_request.c.task_id == task_id)).mappings().one()
    return to_spec(row["spec"]), to_fitted(row["fitted"])

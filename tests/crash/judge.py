"""The judge: holds what the vendors accepted against what the gateway keeps, after everything came to rest.

It reads files only: the simulator's own ledger, synced before each answer, and the gateway's database and videos. It
shares no code with the gateway but the probe of MP4 files.
"""

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any

from videogate.media.probe import NotAFilm, probe

BY_REFERENCE = frozenset({"kling", "vidu"})  # every lost submit can be settled
BY_LIKENESS = frozenset({"sora", "wanxiang"})  # one that made a job can
BLIND = frozenset({"jimeng"})

ENDED = frozenset({"succeeded", "failed", "cancelled"})
OPEN = frozenset({"sending", "unknown"})
HONEST = {"submission_outcome_unknown": "needs_review", "submission_not_received": "not_created"}


class Kind(StrEnum):
    """What can be wrong."""

    DOUBLE = "double payment"
    LOST = "lost"
    MISSING = "acknowledged but missing"
    FILE = "file does not verify"
    UNSETTLED = "unsettled"
    FLAGGED = "wrongly flagged"
    FAILED = "wrongly failed"
    MIXED = "bound to another task"
    ANSWER = "wrongly answered"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, and with what."""

    kind: Kind
    what: str


@dataclass(frozen=True, slots=True)
class Books:
    """Everything there is to judge by, read at one moment.

    Attributes:
        paid: the simulator's lines of this cell.
        tasks, attempts: rows of the gateway's database.
        media: where its videos lie.
    """

    paid: Sequence[Mapping[str, Any]]
    tasks: Sequence[Mapping[str, Any]]
    attempts: Sequence[Mapping[str, Any]]
    media: Path
    by_task: Mapping[str, list[Mapping[str, Any]]] = field(default_factory=dict)


def read(ledger: Path, data: Path, prefix: str) -> Books:
    """Read the ledger's lines whose prompts begin with `prefix`, and the gateway's data directory."""
    return bind(paid(ledger, prefix), rows(data, "task"), rows(data, "attempt"), data / "media")


def paid(ledger: Path, prefix: str) -> list[Mapping[str, Any]]:
    """The ledger's lines whose prompts begin with `prefix`."""
    lines = (json.loads(line) for line in ledger.read_text("utf-8").splitlines() if line.endswith("}"))
    return [line for line in lines if line["prompt"].startswith(prefix)]


def bind(
    lines: Sequence[Mapping[str, Any]],
    tasks: Sequence[Mapping[str, Any]],
    attempts: Sequence[Mapping[str, Any]],
    media: Path,
) -> Books:
    """Books of these lines and rows."""
    by_task: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for each in attempts:
        by_task[each["task_id"]].append(each)
    return Books(lines, tasks, attempts, media, by_task)


def rows(data: Path, table: str) -> list[dict[str, Any]]:
    """A table of a gateway's database, on a connection that cannot write."""
    with closing(sqlite3.connect(f"file:{data / 'gateway.db'}?mode=ro", uri=True, timeout=20)) as raw:
        raw.row_factory = sqlite3.Row
        try:
            return [dict(row) for row in raw.execute(f"SELECT * FROM {table} ORDER BY id")]
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):  # it died before its first start was over
                return []
            raise


def ambiguous(data: Path) -> set[int]:
    """The attempts whose outcome nobody knows in a database as a dead gateway left it."""
    return {row["id"] for row in rows(data, "attempt") if row["state"] in {*OPEN, "needs_review"}}


def judge(books: Books, acked: Collection[str], *, unclear: Collection[int] | None = None) -> list[Finding]:
    """All that is wrong; empty when everything is as it must be.

    Args:
        books: what to judge.
        acked: the ids that callers were given.
        unclear: the attempts that were ambiguous when the gateway died, if it is known: of a vendor that cannot be
            asked, these and no others are flagged.
    """
    found = [*_doubles(books), *_lost(books), *_missing(books, acked), *_unsettled(books)]
    found += [*_flags(books, unclear), *_failures(books), *_files(books)]
    return found


def _doubles(books: Books) -> Iterable[Finding]:
    for key in ("prompt", "digest", "client_ref"):
        counted = Counter((line["vendor"], line.get(key)) for line in books.paid if line.get(key))
        for (vendor, value), count in counted.items():
            if count > 1:
                yield Finding(Kind.DOUBLE, f"{vendor} accepted the {key} {value!r} {count} times")
    for task, attempts in books.by_task.items():
        if (count := sum(each["state"] == "accepted" for each in attempts)) > 1:
            yield Finding(Kind.DOUBLE, f"{task} has {count} accepted attempts")


def _lost(books: Books) -> Iterable[Finding]:
    """A paid job is bound to the task that asked for it, or a person is told of that task."""
    prompts = {task["id"]: task["prompt"] for task in books.tasks}
    vendors = {task["id"]: task["vendor"] for task in books.tasks}
    bound = {
        (vendors[each["task_id"]], each["vendor_task_id"]): each["task_id"]
        for each in books.attempts
        if each["vendor_task_id"] and each["task_id"] in vendors
    }
    flagged = {
        (vendors[each["task_id"]], prompts[each["task_id"]])
        for each in books.attempts
        if each["state"] == "needs_review" and each["task_id"] in vendors
    }
    for line in books.paid:
        owner = bound.get((line["vendor"], line["id"]))
        if owner is None and (line["vendor"], line["prompt"]) not in flagged:
            yield Finding(Kind.LOST, f"{line['vendor']} made {line['id']} for {line['prompt']!r}, and nobody has it")
        elif owner is not None and prompts[owner] != line["prompt"]:
            yield Finding(Kind.MIXED, f"{owner} holds {line['vendor']}'s {line['id']}, made for {line['prompt']!r}")


def _missing(books: Books, acked: Collection[str]) -> Iterable[Finding]:
    known = {task["id"] for task in books.tasks}
    for each in sorted(set(acked) - known):
        yield Finding(Kind.MISSING, each)


def _unsettled(books: Books) -> Iterable[Finding]:
    for task in books.tasks:
        if task["state"] not in ENDED:
            yield Finding(Kind.UNSETTLED, f"{task['id']} is {task['state']} with {task['vendor']}")
    for each in books.attempts:
        if each["state"] in OPEN:
            yield Finding(Kind.UNSETTLED, f"attempt {each['id']} of {each['task_id']} is {each['state']}")


def _flags(books: Books, unclear: Collection[int] | None) -> Iterable[Finding]:
    tasks = {task["id"]: task for task in books.tasks}
    made = {(line["vendor"], line["prompt"]) for line in books.paid}
    flagged: set[int] = set()
    for each in books.attempts:
        task = tasks.get(each["task_id"])
        if each["state"] != "needs_review" or task is None:
            continue
        vendor = task["vendor"]
        flagged.add(each["id"])
        if vendor in BY_REFERENCE:
            yield Finding(Kind.FLAGGED, f"{task['id']}: {vendor} can be asked by our reference")
        elif vendor in BY_LIKENESS and (vendor, task["prompt"]) in made:
            yield Finding(Kind.FLAGGED, f"{task['id']}: {vendor} has just one job like it")
        elif vendor in BLIND and unclear is not None and each["id"] not in unclear:
            yield Finding(Kind.FLAGGED, f"{task['id']}: the outcome with {vendor} was known")
    for each in books.attempts:
        task = tasks.get(each["task_id"])
        blind = task is not None and task["vendor"] in BLIND
        if blind and unclear is not None and each["id"] in unclear and each["id"] not in flagged:
            yield Finding(Kind.FLAGGED, f"{each['task_id']}: nobody can know, and it is {each['state']}")


def _failures(books: Books) -> Iterable[Finding]:
    """A task fails for a reason that its ledger bears out; what was accepted is delivered."""
    for task in books.tasks:
        states = {each["state"] for each in books.by_task.get(task["id"], [])}
        if task["state"] == "failed":
            code = json.loads(task["failure"])["code"]
            if HONEST.get(code, "?") not in states or "accepted" in states:
                yield Finding(Kind.FAILED, f"{task['id']} ({task['vendor']}): {code}, with {sorted(states)}")
        elif task["state"] == "succeeded" and "accepted" not in states:
            yield Finding(Kind.FAILED, f"{task['id']} succeeded without a job: {sorted(states)}")


def _files(books: Books) -> Iterable[Finding]:
    for task in books.tasks:
        if task["state"] == "succeeded" and not task["deleted"] and (problem := _problem(books.media, task)):
            yield Finding(Kind.FILE, f"{task['id']}: {problem}")


def _problem(media: Path, task: Mapping[str, Any]) -> str:
    path = media / (task["content_key"] or "nothing")
    if not path.is_file():
        return "there is none"
    content = path.read_bytes()
    if len(content) != task["content_length"]:
        return f"{len(content)} bytes instead of {task['content_length']}"
    if sha256(content).hexdigest() != task["content_sha256"]:
        return "another SHA-256"
    try:
        film = probe(path)
    except NotAFilm as error:
        return str(error)
    return "" if str(film.frame) == task["size"] else f"{film.frame} instead of {task['size']}"

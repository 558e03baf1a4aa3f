"""The judge finds each kind of fault in forged books, and nothing in good ones: it cannot pass blindly."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from crash.judge import Kind, ambiguous, judge, read
from unit.engine.support import film

MP4 = film()
PREFIX = "cell-1 "


@dataclass
class Forgery:
    """Books as a gateway and a simulator would have left them, to be spoilt."""

    folder: Path
    paid: list[dict[str, Any]] = field(default_factory=list)
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    attempts: list[dict[str, Any]] = field(default_factory=list)
    acked: list[str] = field(default_factory=list)

    def video(self, task_id: str, vendor: str, state: str = "accepted", *, paid: bool = True) -> None:
        """A video whose attempt ended so."""
        prompt, job = f"{PREFIX}{task_id}", f"job-{task_id}"
        if paid:
            line = {"vendor": vendor, "id": job, "prompt": prompt, "digest": sha256(prompt.encode()).hexdigest()}
            self.paid.append({**line, "client_ref": f"ref-{task_id}"})
        done = state == "accepted"
        failure = {"needs_review": "submission_outcome_unknown", "not_created": "submission_not_received"}.get(state)
        key = f"videos/{task_id}.mp4"
        self.tasks[task_id] = {
            "id": task_id,
            "vendor": vendor,
            "prompt": prompt,
            "state": "succeeded" if done else "failed",
            "failure": json.dumps({"code": failure}) if failure else None,
            "size": "64x48",
            "deleted": 0,
            "content_key": key if done else None,
            "content_length": len(MP4) if done else None,
            "content_sha256": sha256(MP4).hexdigest() if done else None,
        }
        if done:
            path = self.folder / "data" / "media" / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(MP4)
        self.attempts.append(
            {"id": len(self.attempts) + 1, "task_id": task_id, "state": state, "vendor_task_id": job if done else None}
        )
        self.acked.append(task_id)

    @property
    def file(self) -> Path:
        """The first video's file."""
        return next((self.folder / "data" / "media").rglob("*.mp4"))

    def kinds(self, unclear: set[int] | None = None) -> set[Kind]:
        """What the judge finds in it."""
        ledger, data = self.folder / "ledger.jsonl", self.folder / "data"
        data.mkdir(exist_ok=True)
        ledger.write_text("".join(json.dumps(line) + "\n" for line in self.paid), "utf-8")
        with closing(sqlite3.connect(data / "gateway.db")) as raw, raw:
            _write(raw, "task", list(self.tasks.values()))
            _write(raw, "attempt", self.attempts)
        return {each.kind for each in judge(read(ledger, data, PREFIX), self.acked, unclear=unclear)}


def _write(raw: sqlite3.Connection, table: str, rows: list[dict[str, Any]]) -> None:
    columns = list(rows[0])
    raw.execute(f"DROP TABLE IF EXISTS {table}")
    raw.execute(f"CREATE TABLE {table} ({', '.join(columns)})")
    raw.executemany(
        f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})", [tuple(row.values()) for row in rows]
    )


@pytest.fixture
def books(tmp_path: Path) -> Forgery:
    """Good books: a video that was made, and every honest end of one whose answer was lost."""
    made = Forgery(tmp_path)
    made.video("a", "kling")
    made.video("b", "jimeng", "needs_review")
    made.video("c", "vidu", "not_created", paid=False)
    made.video("d", "wanxiang", "needs_review", paid=False)
    return made


def test_good_books_are_good(books: Forgery) -> None:
    """Nothing is found where every job is bound, flagged or never made."""
    assert books.kinds() == set()
    assert books.kinds(unclear={2}) == set()


def test_other_cells_lines_are_not_looked_at(books: Forgery) -> None:
    """A job of another cell in the same simulator is nobody's here, and no fault."""
    books.paid.append({"vendor": "kling", "id": "job-x", "prompt": "cell-2 x", "digest": "x", "client_ref": "x"})

    assert books.kinds() == set()


def _pay_twice(books: Forgery) -> None:
    books.paid.append({**books.paid[0], "id": "job-again", "client_ref": "ref-again"})


def _pay_twice_alike(books: Forgery) -> None:
    # As if the vendor's own ledger had another prompt for the very same bytes.
    books.video("e", "kling")
    books.paid[-1]["digest"] = books.paid[0]["digest"]


def _two_accepted(books: Forgery) -> None:
    books.attempts.append({**books.attempts[0], "id": 9, "vendor_task_id": "job-again"})


def _lose(books: Forgery) -> None:
    books.attempts[0]["vendor_task_id"] = "job-other"


def _lose_to_not_created(books: Forgery) -> None:
    books.video("e", "vidu", "not_created")


def _mix(books: Forgery) -> None:
    books.video("e", "kling")
    books.attempts[0]["vendor_task_id"], books.attempts[-1]["vendor_task_id"] = "job-e", "job-a"


def _forget(books: Forgery) -> None:
    books.acked.append("video_never_seen")


def _leave_sending(books: Forgery) -> None:
    books.attempts[1]["state"] = "sending"


def _leave_running(books: Forgery) -> None:
    books.tasks["a"]["state"] = "running"


def _flag_kling(books: Forgery) -> None:
    books.video("e", "kling", "needs_review")


def _flag_what_can_be_found(books: Forgery) -> None:
    books.video("e", "sora", "needs_review")


def _fail_what_was_made(books: Forgery) -> None:
    books.tasks["a"] |= {"state": "failed", "failure": json.dumps({"code": "vendor_error"})}


def _fail_for_nothing(books: Forgery) -> None:
    books.tasks["c"]["failure"] = json.dumps({"code": "deadline_exceeded"})


def _lose_the_file(books: Forgery) -> None:
    books.file.unlink()


def _cut_the_file(books: Forgery) -> None:
    books.file.write_bytes(MP4[:-1])


def _spoil_the_file(books: Forgery) -> None:
    books.file.write_bytes(MP4[:-1] + bytes([MP4[-1] ^ 1]))


def _keep_rubbish(books: Forgery) -> None:
    rubbish = b"<html>" * 100
    books.file.write_bytes(rubbish)
    books.tasks["a"] |= {"content_length": len(rubbish), "content_sha256": sha256(rubbish).hexdigest()}


def _name_another_size(books: Forgery) -> None:
    books.tasks["a"]["size"] = "1280x720"


FORGED: list[tuple[Callable[[Forgery], None], Kind]] = [
    (_pay_twice, Kind.DOUBLE),
    (_pay_twice_alike, Kind.DOUBLE),
    (_two_accepted, Kind.DOUBLE),
    (_lose, Kind.LOST),
    (_lose_to_not_created, Kind.LOST),
    (_mix, Kind.MIXED),
    (_forget, Kind.MISSING),
    (_leave_sending, Kind.UNSETTLED),
    (_leave_running, Kind.UNSETTLED),
    (_flag_kling, Kind.FLAGGED),
    (_flag_what_can_be_found, Kind.FLAGGED),
    (_fail_what_was_made, Kind.FAILED),
    (_fail_for_nothing, Kind.FAILED),
    (_lose_the_file, Kind.FILE),
    (_cut_the_file, Kind.FILE),
    (_spoil_the_file, Kind.FILE),
    (_keep_rubbish, Kind.FILE),
    (_name_another_size, Kind.FILE),
]


@pytest.mark.parametrize(("forge", "kind"), FORGED, ids=[forge.__name__.strip("_") for forge, _ in FORGED])
def test_a_forged_fault_is_found(books: Forgery, forge: Callable[[Forgery], None], kind: Kind) -> None:
    """The judge names the fault that was planted."""
    forge(books)

    assert kind in books.kinds()


@pytest.mark.parametrize("unclear", [set[int](), {1, 2}], ids=["one too many", "one too few"])
def test_a_blind_vendors_flags_are_exactly_the_ambiguous_ones(books: Forgery, unclear: set[int]) -> None:
    """Where a vendor cannot be asked, a flag too many and a flag too few are both found."""
    books.tasks["a"]["vendor"] = books.paid[0]["vendor"] = "jimeng"

    assert books.kinds(unclear=unclear) == {Kind.FLAGGED}


def test_what_a_dead_gateway_left_open_is_ambiguous(books: Forgery) -> None:
    """The attempts on their way at the moment of death are those that nobody can know."""
    books.attempts[0]["state"] = "sending"
    books.kinds()

    assert ambiguous(books.folder / "data") == {1, 2, 4}
